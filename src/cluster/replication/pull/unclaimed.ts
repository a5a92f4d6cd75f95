import type { DotRange } from '../../../core/dot.ts';
import type { Operation } from '../../../core/operation.ts';
import { rangesOf, VersionVector } from '../../../core/version-vector.ts';
import type { Replica } from '../../../storage/replica-port.ts';
import { placeOf, subtract } from './pull-plan.ts';

export interface UnclaimedOptions {
  readonly replica: Pick<Replica, 'covers' | 'missing'>;
  /** Beyond these everything is claimed at once. */
  readonly rangesMax: number;
  readonly waitMs: number;
}

/** Ranges that may be claimed now; `proved` is false where they waited too long for their proof. */
export interface Claim {
  readonly ranges: readonly DotRange[];
  readonly proved: boolean;
}

/**
 * What one peer's answers settled and the vector does not claim yet, because dots in it are absent:
 * something superseded them there, and only what did so may take their place here. Were they claimed
 * before it came, and the one disk that has it lost, then the older write would be gone as well, which
 * this member had said it holds.
 *
 * Invariant: a range is claimed once everything in the vector that the peer reported after its last
 * answer is here, or was in its answers. The write that superseded an absent dot is in that vector, and
 * is live at the peer or has been superseded itself; so the last of the chain is here.
 */
export class Unclaimed {
  readonly #options: UnclaimedOptions;
  #vector = new VersionVector(Number.POSITIVE_INFINITY);
  /** What has to be here first; undefined: the peer has not reported since its last answer. */
  #wanted: readonly DotRange[] | undefined;
  /** Places whose operations are applied and not claimed either, for the vector has no interval left. */
  readonly #applied = new Set<string>();
  #sinceMs = 0;
  #intervals = 0;

  constructor(options: UnclaimedOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#vector.isEmpty();
  }

  ranges(): readonly DotRange[] {
    return [...this.#vector.rows()].flatMap(rangesOf);
  }

  /** What others need not be asked for: only while it is fresh, for it may depend on them. */
  fresh(nowMs: number): readonly DotRange[] {
    const isFresh = nowMs - this.#sinceMs < this.#options.waitMs / 4;
    return this.isEmpty || !isFresh ? [] : this.ranges();
  }

  has(place: string): boolean {
    return [...this.#vector.rows()].some((row) => placeOf(row) === place);
  }

  noteApplied(place: string): void {
    this.#applied.add(place);
  }

  add(ranges: readonly DotRange[], nowMs: number): void {
    if (ranges.length === 0) return;
    if (this.isEmpty) this.#sinceMs = nowMs;
    for (const range of ranges) this.#vector.add(range);
    this.#intervals += ranges.length;
    this.#wanted = undefined;
  }

  /** The peer's whole vector, reported after its last answer; `lost`: what it cannot serve. */
  reported(vector: VersionVector, lost: readonly DotRange[]): void {
    if (this.isEmpty) return;
    const here = [...this.ranges(), ...lost];
    const missing = this.#options.replica.missing(vector.rows());
    this.#wanted = missing.flatMap((range) => subtract(range, here));
  }

  /** Call it whenever something came. The ranges are not unclaimed any more. */
  take(nowMs: number): Claim | undefined {
    if (this.isEmpty) return undefined;
    const { replica, rangesMax, waitMs } = this.#options;
    this.#wanted = this.#wanted?.filter((range) => !replica.covers(range));
    const proved = this.#wanted?.length === 0;
    const waited = nowMs - this.#sinceMs >= waitMs || this.#intervals > rangesMax;
    if (!proved && !waited) return undefined;
    const ranges = this.ranges();
    this.#clear();
    return { ranges, proved };
  }

  /**
   * No proof will come from this peer. Where its operations were applied already the ranges are returned,
   * to be claimed all the same: a write that is in a row here and in no vector would go astray.
   *
   * What is claimed so and absent stays safe: the last of its chain of successors is here, or in no claim
   * of this store (every write of a claimed place was applied). While a disk has it, it is pulled from
   * there as anything is that this vector lacks, and until then no member collects it. If it is lost
   * with its disk, who has the older write restores it here in the next sweep, as any row that is
   * covered and absent. Up to that sweep this member counts as a disk of a write that it has not.
   */
  abandon(): readonly DotRange[] {
    const applied = this.ranges().filter((range) => this.#applied.has(placeOf(range)));
    this.#clear();
    return applied;
  }

  #clear(): void {
    this.#vector = new VersionVector(Number.POSITIVE_INFINITY);
    this.#applied.clear();
    this.#wanted = undefined;
    this.#intervals = 0;
  }
}

/** Places (`placeOf`) where some dot of the covered ranges is in no write of the answer. Linear. */
export function placesWithAbsent(
  covered: readonly DotRange[],
  operations: readonly Operation[],
): ReadonlySet<string> {
  const dots = new Map<string, number>();
  const add = (place: string, count: number): void =>
    void dots.set(place, (dots.get(place) ?? 0) + count);
  for (const range of covered) add(placeOf(range), range.to - range.from + 1);
  for (const operation of operations) add(placeOf(operation), -operation.writes.length);
  return new Set([...dots].flatMap(([place, left]) => (left > 0 ? [place] : [])));
}
