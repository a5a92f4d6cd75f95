import type { ChannelKey, MemberId, Uid } from '../../core/ids.ts';
import type { RowKey } from '../../core/row-key.ts';
import type { Explanation, Pair } from '../explain/port.ts';
import type { SilentMember } from '../operations/port.ts';

/** What one member did to one layer. */
export interface RepairChange {
  readonly member: MemberId;
  readonly layer: string;
  /** restored, applied, joined, left, rebuilt, quarantined or alarm. */
  readonly action: string;
  readonly cause: string;
  /** `actor:shard:counter`, comma-separated; may be empty. */
  readonly dots: string;
  readonly detail: string;
}

/** `checked`: the layers that a member compared, whether or not something was different. */
export interface MemberRepair {
  readonly member: MemberId;
  readonly checked: readonly string[];
  /** Layers that could not be checked, and why. */
  readonly failed: readonly string[];
}

export interface RepairReport extends Pair {
  readonly members: readonly MemberRepair[];
  /** Empty: nothing was different, nothing was done. */
  readonly changes: readonly RepairChange[];
  readonly silent: readonly SilentMember[];
  /** The state afterwards. */
  readonly after: Explanation;
}

/**
 * What the layers can put right for one user in one channel. Each tells what it changed as a `Repair` to the
 * node's repairs, in the course of the call. None of them takes a subscription away without evidence.
 */
export interface LayerRepairs {
  /** Joins these rows from the copies of all members that answer. */
  readonly rows?: (keys: readonly RowKey[]) => Promise<unknown>;
  /** Index entry and topics of the user's sessions here, by the row on disk. */
  readonly routing?: (channel: ChannelKey, uid: Uid) => unknown;
}

export interface Repairer {
  repair(pair: Pair): Promise<RepairReport>;
}
