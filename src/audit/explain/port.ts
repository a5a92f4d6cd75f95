import type { ChannelKey, MemberId, Uid } from '../../core/ids.ts';
import type { RoutedSession } from '../../messaging/port.ts';
import type { MemberLogEntry, SilentMember } from '../operations/port.ts';
import type { MemberFacts } from './facts.ts';

/** One user in one channel. */
export interface Pair {
  readonly channel: ChannelKey;
  readonly uid: Uid;
}

/**
 * What a finding is about, worst first in the order of `FINDING_CODES`: the first one is the verdict.
 * - user-*: the decision is the user's or the operator's, nothing is broken.
 * - The rest names the layer in which something is not as it should be.
 */
export const FINDING_CODES = [
  'banned',
  'row-damaged',
  'row-lost',
  'row-vanished',
  'row-unknown',
  'index-missing',
  'topic-missing',
  'row-behind',
  'removal-behind',
  'ban-diverges',
  'index-stale',
  'topic-stale',
  'loading',
  'reverse-missing',
  'unsubscribed',
  'never-subscribed',
  'nobody-may-send',
  'unknown',
  'offline',
  'slow',
  'receives',
  'interest-missing',
  'silent',
  'catching-up',
  'disk-failing',
  'link-down',
  'lagging',
  'may-not-send',
] as const;
export type FindingCode = (typeof FINDING_CODES)[number];

export interface Finding {
  readonly code: FindingCode;
  /** Absent where it is about the whole cluster. */
  readonly member?: string | undefined;
  /** One sentence in plain words. */
  readonly text: string;
}

/**
 * yes: every live session gets every message. partly: some do. unknown: no session where anybody answered,
 * and a member that may have one did not answer.
 */
export type Receives = 'yes' | 'partly' | 'no' | 'offline' | 'unknown';

export interface Verdict extends Finding {
  readonly receives: Receives;
  /** What to do now, in plain words. */
  readonly next: string;
}

export interface Explanation extends Pair {
  readonly atMs: number;
  /** The member that asked the others. */
  readonly by: MemberId;
  readonly verdict: Verdict;
  /** Worst first; the verdict's own is the first of them. */
  readonly findings: readonly Finding[];
  readonly members: readonly MemberFacts[];
  readonly silent: readonly SilentMember[];
  /** Newest first: what the members' logs still know of this user in this channel. */
  readonly history: readonly MemberLogEntry[];
}

/** What only some layer can tell; each is called where it is there. */
export interface LayerFacts {
  /** What is unsent to a session of this node. */
  readonly queueBytes?: (session: RoutedSession) => number | undefined;
  /** How long ago the shard was proved equal on this node and `peer`, and when that is next tried. */
  readonly sweep?: (
    peer: MemberId,
    shard: number,
  ) => { readonly unverifiedMs?: number; readonly sweepDueMs?: number };
}

export interface Explainer {
  explain(pair: Pair): Promise<Explanation>;
}
