import type { Dot } from '../core/dot.ts';
import type { ChannelKey, MemberId, Uid } from '../core/ids.ts';

/** What an audit compares; where a divergence was found. */
export type Layer =
  'peers' | 'disk' | 'index' | 'sockets' | 'interest' | 'client' | 'canary' | 'messages';

/**
 * What was done about a divergence.
 * - restored: a lost row came back, with the same dot. applied: a missed write or removal was applied.
 * - joined, left: a session's fan-out was put right. rebuilt: derived sums or symbols were built again.
 * - quarantined: a row that nobody vouches for was put aside. alarm: nothing was changed, people decide.
 */
export type RepairAction =
  'restored' | 'applied' | 'joined' | 'left' | 'rebuilt' | 'quarantined' | 'alarm';

/** One divergence that an audit or a sweep found, and what came of it. */
export interface Repair {
  readonly layer: Layer;
  readonly action: RepairAction;
  /** A few words in kebab-case, of a small fixed set: a label of metrics. */
  readonly cause: string;
  readonly channel?: ChannelKey | undefined;
  readonly uid?: Uid | undefined;
  readonly peer?: MemberId | undefined;
  readonly dots?: readonly Dot[] | undefined;
  /** For people: what was different. */
  readonly detail?: string | undefined;
  readonly wallMs: number;
}

/** Takes every repair: the operation log, the metrics, the event stream. Never throws. */
export interface RepairListener {
  onRepair(repair: Repair): void;
}
