import { channelTypeOf, type ChannelKey, type Uid } from '../core/ids.ts';
import { channelIdFor, hash32 } from '../core/placement.ts';
import type { DeliveryLog } from './delivery-log.ts';
import type { ChannelLists, Delivery, ListedChannel, RoutedSession } from './port.ts';
import type { RoutingIndex } from './routing-index.ts';
import type { StoredMessages } from './stored-messages.ts';

export const LIST_BUCKETS = 64;
const CHANNELS_MAX = 500;
const MESSAGES_MAX = 50;
const FOUND_PER_SECOND_MAX = 10;

export interface SessionListsOptions {
  readonly index: RoutingIndex;
  readonly log: DeliveryLog;
  readonly messages: StoredMessages;
  /** Monotonic. */
  readonly nowMs: () => number;
  /** Messages that went out to this session had not come to its client; they are on their way. */
  readonly onMissed: (missed: {
    readonly channel: ChannelKey;
    readonly uid: Uid;
    readonly messages: number;
  }) => void;
}

/**
 * What a session should have, for a client that compares: its channels as it names them, and the highest
 * messageSeq that this node has delivered in each since it started. About 0.2 µs a channel.
 */
export class SessionLists implements ChannelLists {
  readonly #index: RoutingIndex;
  readonly #log: DeliveryLog;
  readonly #messages: StoredMessages;
  readonly #options: SessionListsOptions;
  /** When each session was last told its digest, monotonic. */
  readonly #toldMs = new WeakMap<RoutedSession, number>();
  /** The last findings are from this second, and so many. */
  #found = { second: 0, count: 0 };
  /** Channels of which a client was just told that it has something else. */
  readonly #differing = new WeakMap<RoutedSession, Set<string>>();
  /** Times a client lacked messages that had gone out to its session. */
  gaps = 0;

  constructor(options: SessionListsOptions) {
    this.#index = options.index;
    this.#log = options.log;
    this.#messages = options.messages;
    this.#options = options;
  }

  /** Since when every session that compares has been told what it should have; undefined without any. */
  verifiedMs(): number | undefined {
    let oldest: number | undefined;
    for (const session of this.#index.sessions()) {
      const told = this.#toldMs.get(session);
      if (told !== undefined && told < (oldest ?? Number.POSITIVE_INFINITY)) oldest = told;
    }
    return oldest;
  }

  /** `count-sum`: the sum of the hashes of `type/id\nhead`, modulo 2^32, in hex. */
  digest(session: RoutedSession): string {
    this.#toldMs.set(session, this.#options.nowMs());
    let [count, sum] = [0, 0];
    for (const { hash } of this.#listed(session)) {
      count += 1;
      sum = (sum + hash) >>> 0;
    }
    return `${count}-${sum.toString(16)}`;
  }

  /** The channels of every bucket whose sum is not the client's; whole buckets, the rest with `more`. */
  difference(
    session: RoutedSession,
    sums: readonly number[],
  ): ReturnType<ChannelLists['difference']> {
    const buckets = Array.from({ length: LIST_BUCKETS }, () => ({
      sum: 0,
      channels: [] as ListedChannel[],
    }));
    for (const { hash, bucket, ...listed } of this.#listed(session)) {
      const one = buckets[bucket]!;
      one.sum = (one.sum + hash) >>> 0;
      one.channels.push(listed);
    }
    const differing: number[] = [];
    const channels: ListedChannel[] = [];
    let more = false;
    for (const [bucket, one] of buckets.entries()) {
      if (one.sum === (sums[bucket] ?? 0)) continue;
      if (channels.length > 0 && channels.length + one.channels.length > CHANNELS_MAX) more = true;
      if (more) break;
      differing.push(bucket);
      channels.push(...one.channels);
    }
    const names = channels.map((one) => `${one.channelType}/${one.channelId}`);
    this.#differing.set(session, new Set(names));
    return { buckets: differing, channels, more };
  }

  /** What went out on the channel after `after`, since the session came; what it sent itself is not in it. */
  async missed(
    session: RoutedSession,
    channel: ChannelKey,
    after: number,
  ): Promise<{ readonly deliveries: readonly Delivery[]; readonly more: boolean }> {
    const all = this.#log.since(channel, session.deliveriesBefore).deliveries;
    const known = all.findLastIndex(({ messageSeq }) => messageSeq === after);
    const owed = all.slice(known + 1).filter(({ exceptSession }) => exceptSession !== session.id);
    const part = owed.slice(0, MESSAGES_MAX);
    const stored = await this.#messages.read(channel, new Set(part.map((one) => one.messageSeq)));
    const bySeq = new Map(stored.map(({ message }) => [message.messageSeq, message]));
    let prevSeq = after;
    const deliveries: Delivery[] = [];
    for (const { messageSeq } of part) {
      const message = bySeq.get(messageSeq);
      if (!message) continue;
      deliveries.push({ channel, message, prevSeq });
      prevSeq = messageSeq;
    }
    const name = `${channelTypeOf(channel)}/${channelIdFor(channel, session.uid)}`;
    const differed = this.#differing.get(session)?.delete(name) ?? false;
    // What a client lacks of the time before its session or its subscription is no failure of delivery.
    // A client that found a hole by itself may only wait for the acknowledgement of what it sent.
    const sent = all.slice(known + 1).some(({ exceptSession }) => exceptSession === session.id);
    if (known >= 0 && (differed || !sent)) this.#noteMissed(session, channel, deliveries.length);
    return { deliveries, more: owed.length > part.length };
  }

  /** A client may ask for the same ever again: only so many findings a second are told. */
  #noteMissed(session: RoutedSession, channel: ChannelKey, messages: number): void {
    if (messages === 0) return;
    this.gaps += 1;
    const second = Math.floor(this.#options.nowMs() / 1000);
    if (this.#found.second !== second) this.#found = { second, count: 0 };
    this.#found.count += 1;
    if (this.#found.count <= FOUND_PER_SECOND_MAX) {
      this.#options.onMissed({ channel, uid: session.uid, messages });
    }
  }

  *#listed(session: RoutedSession): Iterable<ListedChannel & { hash: number; bucket: number }> {
    for (const channel of this.#index.channelsOf(session.uid)) {
      const channelId = channelIdFor(channel, session.uid);
      const channelType = channelTypeOf(channel);
      const head = this.#log.headOf(channel);
      const name = `${channelType}/${channelId}`;
      const [hash, bucket] = [hash32(`${name}\n${head}`), hash32(name) % LIST_BUCKETS];
      yield { channelId, channelType, head, hash, bucket };
    }
  }
}
