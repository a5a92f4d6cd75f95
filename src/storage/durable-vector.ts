import type { DotRange } from '../core/dot.ts';
import type { ActorId } from '../core/ids.ts';
import {
  rangesOf,
  type ClosedActor,
  type ClosedDigest,
  type VectorRow,
  type VersionVector,
} from '../core/version-vector.ts';
import type { VectorCursor } from './replica-port.ts';
import type { StoredVector } from './stored-vector.ts';

interface Changed {
  readonly actor: ActorId;
  readonly shard: number;
  at: number;
}

/** What is on disk, and which rows of it changed since a reader last looked. */
export class DurableVector {
  readonly #vector: VersionVector;
  readonly #changed = new Map<string, Changed>();
  readonly #log: (ClosedActor | undefined)[];
  #now = 0;

  /** As it was read from the disk. */
  constructor({ vector, closed }: StoredVector) {
    this.#vector = vector;
    this.#log = [...closed];
    for (const { actor, shard } of vector.openRows()) this.#touch(actor, shard);
  }

  /** The open part alone changes with writes. */
  openRows(): readonly VectorRow[] {
    return [...this.#vector.openRows()];
  }

  closedRows(): readonly VectorRow[] {
    return this.#vector
      .closedActors()
      .flatMap(({ actor, finals }) =>
        finals.flatMap((base, shard) => (base > 0 ? [{ actor, shard, base, above: [] }] : [])),
      );
  }

  closedDigest(): ClosedDigest {
    return this.#vector.closedDigest();
  }

  finalsOf(actor: ActorId): ClosedActor | undefined {
    return this.#vector.finalsOf(actor);
  }

  openActors(): readonly ActorId[] {
    return this.#vector.openActors().filter((actor) => !this.#vector.isClosed(actor));
  }

  closedLog(): readonly (ClosedActor | undefined)[] {
    return this.#log;
  }

  close(closed: ClosedActor, order: number): void {
    this.#vector.close(closed);
    this.#log[order] = closed;
    for (let shard = 0; shard < closed.finals.length; shard++) {
      this.#changed.delete(closed.actor + shard);
    }
  }

  add(range: DotRange): void {
    this.#vector.add(range);
    this.#touch(range.actor, range.shard);
  }

  rows(): readonly VectorRow[] {
    return [...this.#vector.rows()];
  }

  hash(): number {
    return this.#vector.hash();
  }

  changesSince(cursor: VectorCursor): readonly VectorRow[] {
    if (cursor.at === this.#now) return [];
    const rows: VectorRow[] = [];
    for (const { actor, shard, at } of this.#changed.values()) {
      if (at > cursor.at) rows.push({ actor, shard, ...this.#vector.clock(actor, shard) });
    }
    cursor.at = this.#now;
    return rows;
  }

  /** The parts of the ranges that are on disk. */
  within(ranges: readonly DotRange[]): DotRange[] {
    const result: DotRange[] = [];
    for (const { actor, shard, from, to } of ranges) {
      const clock = this.#vector.clock(actor, shard);
      for (const held of rangesOf({ actor, shard, ...clock })) {
        const [start, end] = [Math.max(from, held.from), Math.min(to, held.to)];
        if (start <= end) result.push({ actor, shard, from: start, to: end });
      }
    }
    return result;
  }

  #touch(actor: ActorId, shard: number): void {
    this.#now += 1;
    const key = actor + shard;
    const changed = this.#changed.get(key);
    if (changed) changed.at = this.#now;
    else this.#changed.set(key, { actor, shard, at: this.#now });
  }
}
