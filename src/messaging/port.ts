import type { Dot } from '../core/dot.ts';
import type { ChannelKey, MemberId, Uid } from '../core/ids.ts';
import type { Outcome, ReasonCode } from '../core/reason-code.ts';
import type { ChannelSettings } from '../core/kinds/channel.ts';
import type { Message } from '../core/kinds/message.ts';
import type { Entry } from '../core/row.ts';
import type { DenyReason } from '../core/row-key.ts';
import type { Conversations } from './conversations/port.ts';
import type { History } from './history/port.ts';
import type { Moderation } from './moderation/port.ts';
import type { Recalls } from './recall/port.ts';
import type { ResumedFrom, Resumes } from './resume/port.ts';

/** Who asks, for permissions and the operation log. */
export type Cause = 'client' | 'http' | 'admin' | 'system';

/** How many members must route by a change before it is acknowledged (at most 250 ms of waiting). */
export type WaitFor = 'local' | 'quorum' | 'all';

export interface SubscriptionRequest {
  readonly channel: ChannelKey;
  /** Any number; they are written in operations of at most 256. */
  readonly uids: readonly Uid[];
  readonly cause: Cause;
  readonly waitFor: WaitFor;
  /** Of an unsubscribe: dots of subscribes made elsewhere that it removes also where not yet seen. */
  readonly receipts?: readonly Dot[] | undefined;
}

/** Of many channels at once: what falls into one shard shares operations. */
export interface ManySubscriptionsRequest {
  readonly channels: readonly { readonly channel: ChannelKey; readonly uids: readonly Uid[] }[];
  readonly cause: Cause;
  readonly waitFor: WaitFor;
}

export interface SubscriptionResult {
  /** One per uid, in their order; the dot of its write. */
  readonly receipts: readonly Dot[];
  readonly reached: WaitFor;
  /** Live or rostered members that do not route by it yet. */
  readonly missing: readonly MemberId[];
}

/** Where the outcome of a call goes, exactly once: within the call or later. */
export interface Sink<Value> {
  settle(outcome: Outcome<Value>): void;
  /** Where the store could not be read, and the like: what rejects a promise. */
  fail(error: unknown): void;
}

/** Every call may refuse with systemError (15): disk failing, store catching up, queue full, stopping. */
export interface Subscriptions {
  subscribe(request: SubscriptionRequest): Promise<Outcome<SubscriptionResult>>;
  unsubscribe(request: SubscriptionRequest): Promise<Outcome<SubscriptionResult>>;
  /** As `subscribe` and `unsubscribe`, of one uid, without the cost of promises. Never throws. */
  subscribeInto(request: SubscriptionRequest, sink: Sink<SubscriptionResult>): void;
  unsubscribeInto(request: SubscriptionRequest, sink: Sink<SubscriptionResult>): void;
  /** One outcome per channel, in their order; a refused channel leaves the others alone. */
  subscribeMany(request: ManySubscriptionsRequest): Promise<readonly Outcome<SubscriptionResult>[]>;
  unsubscribeMany(
    request: ManySubscriptionsRequest,
  ): Promise<readonly Outcome<SubscriptionResult>[]>;
  /** Removes every subscriber of the channel that this node knows. */
  unsubscribeAll(channel: ChannelKey, cause: Cause): Promise<Outcome<number>>;
  isSubscribed(channel: ChannelKey, uid: Uid): boolean;
  /** In uid order, after `after`. */
  subscribersOf(
    channel: ChannelKey,
    after: Uid | undefined,
    limit: number,
  ): Promise<readonly Uid[]>;
  channelsOf(
    uid: Uid,
    after: ChannelKey | undefined,
    limit: number,
  ): Promise<readonly ChannelKey[]>;
  /** Every subscription, in (shard, channel, uid) order; order-independent digest of the live rows. */
  digest(): Promise<SubscriptionDigest>;
}

export interface SubscriptionDigest {
  readonly subscriptions: number;
  /** 16 hex digits over (channel, uid) of every live row; equal tables have equal digests. */
  readonly digest: string;
}

export interface PublishRequest {
  readonly sender: Uid;
  /** Stored form: for a person channel the pair. */
  readonly channel: ChannelKey;
  readonly clientMsgNo: string;
  readonly payload: Uint8Array;
  readonly noPersist: boolean;
  readonly redDot: boolean;
  readonly syncOnce: boolean;
  readonly setting: number;
  readonly topic: string;
  /** Seconds, 0 for never. */
  readonly expire: number;
  readonly cause: Cause;
  /** Session id that gets the acknowledgement only. */
  readonly exceptSession?: number | undefined;
}

export interface PublishResult {
  readonly messageId: bigint;
  /** 0 for a no-persist message. */
  readonly messageSeq: number;
  readonly clientMsgNo: string;
  /**
   * Disks that hold it, 2 for two or more; 0 for a no-persist message. 1 also where this node only knows
   * of its own, as after a restart.
   */
  readonly disks: number;
  /** The answer to a retry: the message was stored before. */
  readonly repeated?: true | undefined;
}

export interface Publisher {
  /** Resolves when durable here and, while a peer is live, on a second disk. */
  publish(request: PublishRequest): Promise<Outcome<PublishResult>>;
  /** As `publish`, without the cost of promises. Never throws. */
  publishInto(request: PublishRequest, sink: Sink<PublishResult>): void;
}

export interface DeviceToken {
  readonly token: string;
  readonly level: number;
}

export interface ChannelFlags {
  readonly ban: boolean;
  readonly disband: boolean;
  readonly sendBan: boolean;
}

export interface Directory {
  /** The same directory, whose writes the operation log shows with this cause; else they are `system`. */
  by(cause: Cause): Directory;
  setToken(uid: Uid, deviceFlag: number, token: DeviceToken): Promise<Outcome<undefined>>;
  revokeTokens(uid: Uid, deviceFlag: number): Promise<Outcome<undefined>>;
  /** The device level the token grants; authenticationFailed where it grants nothing. */
  checkToken(uid: Uid, deviceFlag: number, token: string): Outcome<{ readonly level: number }>;
  channel(channel: ChannelKey): (ChannelSettings & ChannelFlags) | undefined;
  setChannel(
    channel: ChannelKey,
    settings: Partial<ChannelSettings>,
    flags: Partial<ChannelFlags>,
  ): Promise<Outcome<undefined>>;
  /** A ban also unsubscribes, in the same operation; after it a fresh subscribe is needed. */
  deny(channel: ChannelKey, uid: Uid, reason: DenyReason): Promise<Outcome<undefined>>;
  /** Removes only the denials that this node has seen: a concurrent ban wins. */
  allow(channel: ChannelKey, uid: Uid, reason: DenyReason): Promise<Outcome<undefined>>;
}

export type { ChannelSettings };

/** One connected client, as the routing index sees it. The gateway implements it. */
export interface RoutedSession {
  /** Unique within the process. */
  readonly id: number;
  readonly uid: Uid;
  readonly deviceFlag: number;
  readonly deviceLevel: number;
  readonly deviceId: string;
  readonly connectedAtMs: number;
  readonly remoteAddress: string;
  readonly protocol: 'json-rpc' | 'wkproto';
  /** Joins or leaves the fan-out of the channel. */
  join(channel: ChannelKey): void;
  leave(channel: ChannelKey): void;
  /** Asked of its socket and not of what anybody remembers: the audits compare it with the index. */
  hasJoined(channel: ChannelKey): boolean;
  /** Of the socket too; about 0.2 µs a channel. */
  joinedChannels(): readonly ChannelKey[];
  /** To this session alone, after everything that was sent to it before. */
  deliver(delivery: Delivery): void;
  /** What this node had delivered before the session was attached; the registry writes it. */
  deliveriesBefore: number;
  /** Of one that came back a moment ago: what it came with, for a channel that it joins too late. */
  readonly resumedFrom?: ResumedFrom | undefined;
  /** Ends the session because another device took its place (reason 12) or an operator asked. */
  kick(reason: ReasonCode, text: string): void;
}

export interface SessionRegistry {
  /**
   * Adds the session and joins it to its user's channels; resolves after the last join. From then on
   * every durable change of the user's subscriptions joins or leaves at once.
   */
  attach(session: RoutedSession): Promise<void>;
  /** By identity: a late close of an old session cannot take away its successor. */
  detach(session: RoutedSession): void;
  sessions(): Iterable<RoutedSession>;
  sessionsOf(uid: Uid): readonly RoutedSession[];
  /** Devices online on any live member. */
  online(uid: Uid): readonly OnlineDevice[];
  channelCountOf(session: RoutedSession): number;
  /** How many sessions of this node have to be in the channel's fan-out. About 0.05 µs. */
  sessionsIn(channel: ChannelKey): number;
  /** The fan-out found another number: the channel's sessions are put right before this returns. */
  putRight(channel: ChannelKey): void;
}

export interface OnlineDevice {
  readonly uid: Uid;
  readonly deviceFlag: number;
  readonly member: MemberId;
}

/** Delivery to this node's sessions; the gateway implements it. Encoded once per channel and view. */
export interface Fanout {
  deliver(delivery: Delivery): void;
  /** An `event` notification (lifecycle, recall, conversation, gap) to every session of a user. */
  notify(uid: Uid, event: ClientEvent): void;
  /**
   * The same to every session in the channel's fan-out, encoded once for each view: `eventFor` is given the
   * channel's id as the viewers name it. Absent where there are no sockets.
   */
  announce?(channel: ChannelKey, eventFor: (channelId: string) => ClientEvent): void;
}

export interface Delivery {
  readonly channel: ChannelKey;
  readonly message: Message;
  /** messageSeq of the message this node delivered before it in this channel, 0 for none. */
  readonly prevSeq: number;
  /** Gets the acknowledgement only. */
  readonly exceptSession?: number | undefined;
  /** The write that stored it, where one did. */
  readonly written?: Pick<Entry, 'actor' | 'counter'> | undefined;
}

export interface ClientEvent {
  readonly id: string;
  readonly type: string;
  readonly timestampMs: number;
  readonly data: unknown;
}

/** A channel as one viewer names it. */
export interface ListedChannel {
  readonly channelId: string;
  readonly channelType: number;
  /** Highest messageSeq that this node has delivered in it since it started, 0 for none. */
  readonly head: number;
}

/** What a session should have, for clients that compare it with what they have. */
export interface ChannelLists {
  digest(session: RoutedSession): string;
  difference(
    session: RoutedSession,
    sums: readonly number[],
  ): {
    readonly buckets: readonly number[];
    readonly channels: readonly ListedChannel[];
    readonly more: boolean;
  };
  missed(
    session: RoutedSession,
    channel: ChannelKey,
    after: number,
  ): Promise<{ readonly deliveries: readonly Delivery[]; readonly more: boolean }>;
}

/** Everything the client, HTTP and admin surfaces may do. */
export interface Services {
  readonly subscriptions: Subscriptions;
  readonly publisher: Publisher;
  readonly directory: Directory;
  readonly sessions: SessionRegistry;
  /** Absent: clients that ask for a digest get none. */
  readonly lists?: ChannelLists | undefined;
  /** Absent: who asks is told that this node keeps none. */
  readonly conversations?: Conversations | undefined;
  readonly history?: History | undefined;
  readonly recalls?: Recalls | undefined;
  readonly moderation?: Moderation | undefined;
  /** Absent: clients that come back are told that nothing can be resumed. */
  readonly resumes?: Resumes | undefined;
  /** Absent: nothing here can be paired. */
  readonly pairings?: Pairings | undefined;
}

/** Bridges that wait for a device of their user to confirm a code. */
export interface Pairings {
  /** The connection that was paired; refused where it is no code that is shown to this user. */
  confirm(code: string, uid: Uid): Promise<Outcome<{ readonly connection: string }>>;
}
