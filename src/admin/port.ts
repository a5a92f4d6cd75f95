import type { Repair } from '../audit/port.ts';
import type { ActorId, ChannelKey, MemberId, Uid } from '../core/ids.ts';
import type { Roster } from '../core/member.ts';
import type { MembershipStatus } from '../cluster/membership/port.ts';
import type { PeerState } from '../cluster/replication/port.ts';
import type { StoreStatus } from '../storage/port.ts';

/** What the operator may know of this node and its cluster; every call answers at once, from memory. */
export interface ClusterInfo {
  readonly nodeId: MemberId;
  /** Name of the cluster. */
  readonly cluster: string;
  readonly version: string;
  readonly actor: ActorId;
  uptimeMs(): number;
  roster(): Roster;
  live(): ReadonlySet<MemberId>;
  peers(): readonly PeerState[];
  membershipStatus(): MembershipStatus;
  storeStatus(): StoreStatus;
  /** False while a new or rebuilt store has not caught up. */
  mayWrite(): boolean;
  /** Hash of the durable version vector (`Replica.durableHash`). */
  vectorHash(): number;
}

export interface Subscription {
  readonly channel: ChannelKey;
  readonly uid: Uid;
}

/** The whole table in a stable order; resumable after any subscription, whether it still exists or not. */
export interface SubscriptionListing {
  page(after: Subscription | undefined, limit: number): Promise<readonly Subscription[]>;
}

/** What a watcher is told. `atMs`: wall clock of this node. */
export type ClusterEvent = { readonly atMs: number } & (
  | {
      readonly kind: 'member';
      readonly id: MemberId;
      readonly change: 'live' | 'suspect' | 'joined' | 'left';
    }
  | { readonly kind: 'peer'; readonly state: PeerState }
  | {
      readonly kind: 'session';
      readonly change: 'connected' | 'disconnected';
      readonly id: number;
      readonly uid: Uid;
      readonly remoteAddress: string;
      readonly protocol: 'json-rpc' | 'wkproto';
    }
  | {
      readonly kind: 'subscription';
      readonly change: 'subscribed' | 'unsubscribed';
      readonly channel: ChannelKey;
      readonly uid: Uid;
    }
  | { readonly kind: 'repair'; readonly repair: Repair }
  | { readonly kind: 'status'; readonly subject: 'membership'; readonly status: MembershipStatus }
  | { readonly kind: 'status'; readonly subject: 'store'; readonly status: StoreStatus }
  | { readonly kind: 'status'; readonly subject: 'writes'; readonly accepted: boolean }
);

/** Listeners run in the caller's tick: they only queue. */
export interface EventFeed {
  /** Returns what ends the subscription; ending twice is harmless. */
  subscribe(listener: (event: ClusterEvent) => void): () => void;
}

/** Everything that is bounded in this room. */
export interface AdminLimits {
  /** Largest request on the wire. Bytes. */
  readonly requestBytesMax: number;
  /** uids, and receipts, of one Subscribe or Unsubscribe. */
  readonly uidsMax: number;
  /** Pairs of one bulk batch. */
  readonly batchPairsMax: number;
  /** Batches of one stream that are being written at once. */
  readonly batchesInFlightMax: number;
  /** Subscriptions of one page. */
  readonly pageSizeMax: number;
  readonly payloadBytesMax: number;
  /** Streams (bulk, list, sessions, watch) open at once; one more is RESOURCE_EXHAUSTED. */
  readonly streamsMax: number;
  /** Events a slow watcher may be behind before it loses some. */
  readonly watchEventsMax: number;
}

export const ADMIN_LIMITS: AdminLimits = {
  requestBytesMax: 4 * 1024 * 1024,
  uidsMax: 10_000,
  batchPairsMax: 1_000,
  batchesInFlightMax: 8,
  pageSizeMax: 1_000,
  payloadBytesMax: 65_536,
  streamsMax: 100,
  watchEventsMax: 1_000,
};
