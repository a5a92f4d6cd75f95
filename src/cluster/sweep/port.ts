import type { MemberId } from '../../core/ids.ts';
import type { RowKey } from '../../core/row-key.ts';

/** How long ago a layer was last found clean, for health and metrics. */
export interface UnverifiedAge {
  readonly peer: MemberId;
  readonly shard: number;
  readonly layer: 'peers';
  readonly ageMs: number;
}

/** Plain counters, for metrics. They only grow. */
export interface SweepCounters {
  sweeps: number;
  /** Ended clean: nothing but what was in flight differed. */
  clean: number;
  /** Broken off: no link, a deadline, an answer that was refused. */
  failed: number;
  differences: number;
  inFlight: number;
  /** Peeled, and not what the record says; nothing was done about them. */
  falsePeels: number;
  /** Changed between the capture and the look at the rows. */
  moved: number;
  rebuilds: number;
  overflows: number;
  /** Spent in sweeps that ended, waiting for the peer included. */
  tookMs: number;
}

/** Anti-entropy with every peer (design.md section 6). */
export interface Sweep {
  readonly counters: Readonly<SweepCounters>;
  /** Starts a sweep at once with one peer or all; resolves when they ended, true where all were clean. */
  sweepNow(peer?: MemberId): Promise<boolean>;
  /**
   * Joins what all live members hold under these keys into this member's rows; resolves with the keys
   * whose live content changed here. For rows that a local audit found damaged or lost.
   */
  repairKeys(keys: readonly RowKey[]): Promise<readonly RowKey[]>;
  unverifiedAges(): readonly UnverifiedAge[];
  /** Until the next sweep with the peer, 0 while one runs; undefined for who is no peer. */
  dueInMs(peer: MemberId): number | undefined;
}
