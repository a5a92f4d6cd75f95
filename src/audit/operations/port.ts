import type { Operation } from '../../core/operation.ts';
import type { ChannelKey, MemberId, Uid } from '../../core/ids.ts';
import type { Refusal } from '../../core/reason-code.ts';
import type { Cause } from '../../messaging/port.ts';

/** What the services tell the operation log; both are cheap and never throw. */
export interface OperationJournal {
  /** Why an operation was made: in the tick of its submit. An operation that nobody explains is `system`. */
  because(operation: Operation, cause: Cause): void;
  refused(refused: RefusedOperation): void;
}

export interface RefusedOperation {
  readonly action: 'subscribe' | 'unsubscribe';
  readonly channel: ChannelKey;
  readonly uids: readonly Uid[];
  readonly cause: Cause;
  readonly refusal: Refusal;
}

/**
 * What an entry is about. deny and allow: a ban, mute or blacklisting came or went, or a flag of the
 * channel. snapshot: rows taken from a peer at once. unwritten: entries that the log's own limits left out.
 */
export const LOGGED_ACTIONS = [
  'subscribe',
  'unsubscribe',
  'deny',
  'allow',
  'repair',
  'snapshot',
  'unwritten',
] as const;
export type LoggedAction = (typeof LOGGED_ACTIONS)[number];

/** One line of the operation log: one user and channel, where the action is about one. */
export interface LogEntry {
  /** Wall clock of the node that wrote the line. */
  readonly atMs: number;
  readonly action: LoggedAction;
  /** Of an operation made here a `Cause`, of a peer's `replicated`; of a repair its own cause. */
  readonly cause: string;
  /** Empty where the action is not about one channel. */
  readonly channel: string;
  /** Empty where the action is not about one user. */
  readonly uid: string;
  /** Of the write, `actor:shard:counter`; of a repair, those of what it repaired, comma-separated. */
  readonly dot: string;
  /** `applied`, `refused (19)`, or what a repair did: `restored`, `joined`, … */
  readonly result: string;
  /** For people; may be empty. */
  readonly detail: string;
}

export interface LogFilter {
  readonly uid?: string | undefined;
  readonly channel?: string | undefined;
  readonly cause?: string | undefined;
  /** Wall clock, included. */
  readonly sinceMs?: number | undefined;
  /** Newest first, at most this many. */
  readonly limit: number;
}

export interface MemberLogEntry extends LogEntry {
  readonly member: MemberId;
}

/** A member that was asked and gave no answer, and why. */
export interface SilentMember {
  readonly member: MemberId;
  readonly reason: string;
}

/** Newest first by the clocks of the members, which may differ. */
export interface ClusterLog {
  readonly entries: readonly MemberLogEntry[];
  readonly silent: readonly SilentMember[];
}
