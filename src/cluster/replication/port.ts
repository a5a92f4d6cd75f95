import type { ChannelKey, MemberId, Uid } from '../../core/ids.ts';
import type { Operation } from '../../core/operation.ts';
import type { InterestItem } from '../link/message.ts';

/** How far an operation has come. */
export interface Reach {
  /** Disks it is on, this one included. */
  readonly disks: number;
  /** Members that route by it, this one included. */
  readonly routed: number;
  /** Rostered members that do not route by it yet (live or not). */
  readonly missing: readonly MemberId[];
}

export interface ReachWanted {
  /** Resolve as soon as this many disks hold it … */
  readonly disks?: number | undefined;
  /** … and all, a majority or none of the live members route by it … */
  readonly routed?: 'all' | 'quorum' | 'none' | undefined;
  /** … or after this long, with what has been reached. */
  readonly timeoutMs: number;
}

export interface PeerState {
  readonly member: MemberId;
  /** Both directions open and heard within a second. */
  readonly live: boolean;
  readonly lagging: boolean;
  /** Counters known to be missing here that the peer has. */
  readonly behind: number;
  /** For how long the peer has lacked something that is on this disk; 0 where it lacks nothing. */
  readonly lagMs: number;
  readonly unacknowledgedBytes: number;
  readonly lastHeardMs: number | undefined;
  readonly lastError: string | undefined;
  /** When a heartbeat last said that its interest is known here; of the monotonic clock. */
  readonly interestConfirmedMs?: number | undefined;
}

export interface Replication {
  /** Calls back once. The operation is durable here already. */
  awaitReach(operation: Operation, wanted: ReachWanted, done: (reach: Reach) => void): void;
  /** Live peers right now; a publish may wait for a second disk only where this is above 0. */
  livePeers(): number;
  peers(): readonly PeerState[];
  /** False while a new or rebuilt store has not caught up: it takes no writes. */
  mayWrite(): boolean;
  /** `encode` is called, once, where some peer may want it. */
  sendTransient(channel: ChannelKey, sender: Uid, encode: () => Uint8Array): void;
  /** This member's own interest; announced to peers, versioned, with a digest in each heartbeat. */
  announce(add: readonly InterestItem[], remove: readonly InterestItem[]): void;
  /** Interest items of live peers that start with `prefix`, for presence. */
  interestOf(member: MemberId): ReadonlySet<InterestItem>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface ReplicationListener {
  onTransient(channel: ChannelKey, sender: Uid, value: Uint8Array): void;
  onInterest(member: MemberId, add: readonly InterestItem[], remove: readonly InterestItem[]): void;
  /** What was kept of the peer's interest is not what it had announced: it is asked for all of it. */
  onInterestAltered?(member: MemberId): void;
  /** This store is older than what `peer` remembers of it, or was forgotten: it has to be rebuilt. */
  onRebuildNeeded(peer: MemberId, reason: string): void;
  onPeerState(state: PeerState): void;
}
