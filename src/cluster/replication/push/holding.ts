import type { DotRange } from '../../../core/dot.ts';
import type { ActorId } from '../../../core/ids.ts';
import type { Operation } from '../../../core/operation.ts';
import { VersionVector, type VectorRow } from '../../../core/version-vector.ts';
import { rangeOf } from './reach.ts';

/** Intervals that dropped queues may leave before a report fills them. */
const INTERVALS_MAX = 256;

/**
 * Which operations of this run one peer has: by its marks at once, by its reports of its vector within a
 * second. What is in a reported vector is routed too: a peer's index learns of an operation before its
 * durable vector is read.
 */
export class Holding {
  readonly #actor: ActorId;
  #disk = new VersionVector(INTERVALS_MAX);
  #routed = new VersionVector(INTERVALS_MAX);

  constructor(actor: ActorId) {
    this.#actor = actor;
  }

  onDisk(range: DotRange): boolean {
    return this.#disk.coversRange(range);
  }

  routes(range: DotRange): boolean {
    return this.#routed.coversRange(range);
  }

  noteDisk(operations: readonly Operation[]): void {
    for (const operation of operations) this.#disk.add(rangeOf(operation));
  }

  noteRouted(operations: readonly Operation[]): void {
    for (const operation of operations) this.#routed.add(rangeOf(operation));
  }

  report(rows: readonly VectorRow[]): void {
    const own = rows.filter(({ actor }) => actor === this.#actor);
    this.#disk.addAll(own);
    this.#routed.addAll(own);
  }

  /** The peer's store is another one. */
  forget(): void {
    this.#disk = new VersionVector(INTERVALS_MAX);
    this.#routed = new VersionVector(INTERVALS_MAX);
  }
}
