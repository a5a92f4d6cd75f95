import type { ChannelKey, Uid } from '../core/ids.ts';
import { hash32, shardOf, SHARDS } from '../core/placement.ts';
import { isLive } from '../core/row.ts';
import {
  channelPrefix,
  rangeEnd,
  reversePrefix,
  SEPARATOR,
  shardPrefix,
  subscriptionKey,
} from '../core/row-key.ts';
import type { Store } from '../storage/port.ts';
import type { Replica } from '../storage/replica-port.ts';
import type { SubscriptionDigest } from './port.ts';

export interface Pair {
  readonly channel: ChannelKey;
  readonly uid: Uid;
}

/** Reads of the subscription table. A row counts while it is live, whatever its key says. */
export class SubscriptionTable {
  readonly #store: Store;
  readonly #replica: Pick<Replica, 'read'>;

  constructor(store: Store, replica: Pick<Replica, 'read'>) {
    this.#store = store;
    this.#replica = replica;
  }

  has(channel: ChannelKey, uid: Uid): boolean {
    return isLive(this.#replica.read(subscriptionKey(channel, uid)));
  }

  async subscribersOf(
    channel: ChannelKey,
    after: Uid | undefined,
    limit: number,
  ): Promise<readonly Uid[]> {
    const prefix = channelPrefix('s', channel);
    const uids: Uid[] = [];
    for await (const uid of this.#namesAfter(prefix, after)) {
      if (this.has(channel, uid as Uid)) uids.push(uid as Uid);
      if (uids.length >= limit) break;
    }
    return uids;
  }

  async channelsOf(
    uid: Uid,
    after: ChannelKey | undefined,
    limit: number,
  ): Promise<readonly ChannelKey[]> {
    const channels: ChannelKey[] = [];
    for await (const channel of this.#namesAfter(reversePrefix(uid), after)) {
      if (this.has(channel as ChannelKey, uid)) channels.push(channel as ChannelKey);
      if (channels.length >= limit) break;
    }
    return channels;
  }

  /** As `channelsOf`, by the reverse rows alone: for who looks at each subscription anyway. */
  async namesOf(uid: Uid, limit: number): Promise<readonly ChannelKey[]> {
    const prefix = reversePrefix(uid);
    const channels: ChannelKey[] = [];
    for await (const chunk of this.#store.scan({ gte: prefix, lt: rangeEnd(prefix), limit })) {
      for (const [key] of chunk) channels.push(key.slice(prefix.length) as ChannelKey);
    }
    return channels;
  }

  /** The whole table in (shard, channel, uid) order, after a pair that need not exist any more. */
  async page(after: Pair | undefined, limit: number): Promise<readonly Pair[]> {
    const pairs: Pair[] = [];
    const first = after ? shardOf(after.channel) : 0;
    for (let shard = first; shard < SHARDS && pairs.length < limit; shard++) {
      const from =
        after && shard === first ? `${after.channel}${SEPARATOR}${after.uid}` : undefined;
      for await (const name of this.#namesAfter(shardPrefix('s', shard), from)) {
        const [channel, uid] = name.split(SEPARATOR) as [ChannelKey, Uid];
        if (this.has(channel, uid)) pairs.push({ channel, uid });
        if (pairs.length >= limit) break;
      }
    }
    return pairs;
  }

  async digest(): Promise<SubscriptionDigest> {
    let subscriptions = 0;
    let [low, high] = [0, 0];
    for (let shard = 0; shard < SHARDS; shard++) {
      for await (const name of this.#namesAfter(shardPrefix('s', shard), undefined)) {
        const [channel, uid] = name.split(SEPARATOR) as [ChannelKey, Uid];
        if (!this.has(channel, uid)) continue;
        subscriptions += 1;
        low = (low + hash32(name)) >>> 0;
        high = (high + hash32(`${uid}${SEPARATOR}${channel}`)) >>> 0;
      }
    }
    return { subscriptions, digest: hex32(high) + hex32(low) };
  }

  /** What follows `prefix` in the keys of its range, after `after`. */
  async *#namesAfter(prefix: string, after: string | undefined): AsyncGenerator<string> {
    const gte = after === undefined ? prefix : `${prefix}${after}\u0000`;
    for await (const chunk of this.#store.scan({ gte, lt: rangeEnd(prefix) })) {
      for (const [key] of chunk) yield key.slice(prefix.length);
    }
  }
}

function hex32(value: number): string {
  return value.toString(16).padStart(8, '0');
}
