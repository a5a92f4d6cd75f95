import type { Member, Roster } from '../../core/member.ts';
import type { Log } from '../../observability/log.ts';
import type { Runtime } from '../../runtime/port.ts';
import type { Replica } from '../../storage/replica-port.ts';
import type { Call, InterestItem, Reply } from '../link/message.ts';
import type { PeerTransport } from '../link/port.ts';
import type { LinkEnd } from './link-end.ts';
import type { ReplicationListener } from './port.ts';

/** Every limit of replication; nothing here may be unbounded. */
export interface ReplicationLimits {
  /**
   * Between two heartbeats of one direction of one link. The two links of a pair take turns, so a peer
   * is heard every half of it; `liveMs` has to be above that half.
   */
  readonly heartbeatMs: number;
  /** A peer that was not heard for this long is not live. */
  readonly liveMs: number;
  readonly connectTimeoutMs: number;
  /** From the opened link to the other side's Hello. */
  readonly helloTimeoutMs: number;
  /** A link on which nothing came for this long is closed and opened again. */
  readonly silentLinkMs: number;
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  /** A link that lasted this long resets the backoff. */
  readonly stableMs: number;
  /** Accepted links that have not said Hello yet. */
  readonly strangersMax: number;
  /** Operations of one frame; a larger operation travels alone. */
  readonly frameBytesMax: number;
  /** Sent to one peer and not acknowledged. */
  readonly unacknowledgedBytesMax: number;
  /** Waiting for one peer's window; beyond it the peer is lagging. */
  readonly queueBytesMax: number;
  /** A queue that has not moved for this long makes its peer lagging. */
  readonly lagAfterMs: number;
  /** Own counters a lagging peer may lack when pushing to it resumes. */
  readonly nearDots: number;
  /** Frames received ahead of a lost one whose marks are kept. */
  readonly framesAheadMax: number;
  readonly pullBytesMax: number;
  readonly pullRangesMax: number;
  readonly pullTimeoutMs: number;
  /** A peer that did not answer a pull is not asked again before. */
  readonly pullRetryMs: number;
  /** What a peer could not serve is not asked of it again before. */
  readonly unservedMs: number;
  /** How long pulled ranges with superseded writes wait for what superseded them, and how many do. */
  readonly unclaimedMs: number;
  readonly unclaimedRangesMax: number;
  /** A new store that misses more counters than this starts from a snapshot. */
  readonly snapshotDotsMin: number;
  readonly snapshotBytesMax: number;
  readonly reachWaitersMax: number;
  /** Kept of one peer's interest; beyond it everything is sent to that peer. */
  readonly interestItemsMax: number;
  readonly interestChunkItems: number;
  /** How long a changed subscription makes announced interest doubtful, and of how many channels. */
  readonly recentMs: number;
  readonly recentChannelsMax: number;
  readonly transientQueueBytesMax: number;
  /**
   * Rows of one peer's vector; a peer that reports more is not believed. 16 rows each of 40,000 ended
   * actors, which a Hello carries in one message of 4 MiB.
   */
  readonly vectorRowsMax: number;
  /** How often a peer's changed vector is written down. */
  readonly rememberMs: number;
}

export const REPLICATION_LIMITS: ReplicationLimits = {
  heartbeatMs: 1_000,
  liveMs: 1_000,
  connectTimeoutMs: 5_000,
  helloTimeoutMs: 5_000,
  silentLinkMs: 10_000,
  backoffMinMs: 100,
  backoffMaxMs: 5_000,
  stableMs: 10_000,
  strangersMax: 64,
  frameBytesMax: 64 * 1024,
  unacknowledgedBytesMax: 2 * 1024 * 1024,
  queueBytesMax: 8 * 1024 * 1024,
  lagAfterMs: 2_000,
  nearDots: 10_000,
  framesAheadMax: 8_192,
  pullBytesMax: 1024 * 1024,
  pullRangesMax: 256,
  pullTimeoutMs: 5_000,
  pullRetryMs: 2_000,
  unservedMs: 30_000,
  unclaimedMs: 10_000,
  unclaimedRangesMax: 100_000,
  snapshotDotsMin: 20_000,
  snapshotBytesMax: 256 * 1024,
  reachWaitersMax: 100_000,
  interestItemsMax: 500_000,
  interestChunkItems: 1_000,
  recentMs: 2_000,
  recentChannelsMax: 10_000,
  transientQueueBytesMax: 1024 * 1024,
  vectorRowsMax: 640_000,
  rememberMs: 5_000,
};

/** Members' questions travel on replication's links; cluster/calls keeps them. */
export interface CallHooks {
  called(end: LinkEnd, call: Call): void;
  replied(end: LinkEnd, reply: Reply): void;
  ended(end: LinkEnd): void;
}

export const NO_CALLS: CallHooks = { called() {}, replied() {}, ended() {} };

export interface ReplicatorOptions {
  readonly cluster: string;
  readonly self: Member;
  /** Slots of the cluster: 1 for a lone node, 32 otherwise. */
  readonly slots: number;
  readonly roster: Roster;
  readonly replica: Replica;
  readonly transport: PeerTransport;
  readonly runtime: Runtime;
  readonly log: Pick<Log, 'debug' | 'info' | 'warn' | 'error'>;
  readonly listener: ReplicationListener;
  /** The store is new or being rebuilt: no writes before it has caught up with one peer. */
  readonly catchingUp: boolean;
  /** True while something else keeps this store from taking writes. */
  readonly heldBack?: (() => boolean) | undefined;
  readonly limits?: Partial<ReplicationLimits> | undefined;
  readonly calls?: CallHooks | undefined;
  /** Own interest as it is, asked with the first peer. Absent: what was announced is kept from the start. */
  readonly interest?: (() => Iterable<InterestItem>) | undefined;
}

/** Plain counters, for metrics. They only grow. */
export interface ReplicationCounters {
  operationsPushed: number;
  operationsReceived: number;
  operationsInvalid: number;
  pulls: number;
  pullsFailed: number;
  /** Of the answers to pulls, those that were new here. */
  operationsPulled: number;
  dotsPulled: number;
  /** Times that superseded writes were claimed without what superseded them. */
  claimedUnproved: number;
  snapshots: number;
  lagged: number;
  refused: number;
  interestAsked: number;
  transientsSent: number;
  transientsDropped: number;
  transientsLost: number;
}

export function newCounters(): ReplicationCounters {
  return {
    operationsPushed: 0,
    operationsReceived: 0,
    operationsInvalid: 0,
    pulls: 0,
    pullsFailed: 0,
    operationsPulled: 0,
    dotsPulled: 0,
    claimedUnproved: 0,
    snapshots: 0,
    lagged: 0,
    refused: 0,
    interestAsked: 0,
    transientsSent: 0,
    transientsDropped: 0,
    transientsLost: 0,
  };
}
