import type { InterestItem } from '../cluster/link/message.ts';
import type { ChannelKey, MemberId, Uid } from '../core/ids.ts';
import { hash32 } from '../core/placement.ts';
import { isLive, type Row } from '../core/row.ts';
import {
  denyKey,
  pairOf,
  rangeEnd,
  reversePrefix,
  splitRowKey,
  subscriptionKey,
} from '../core/row-key.ts';
import type { Store } from '../storage/port.ts';
import type { Change, Replica } from '../storage/replica-port.ts';
import type { OnlineDevice, RoutedSession, SessionRegistry } from './port.ts';
import { sizeOf, hasValue, sumOf, withValue, withoutValue, type FewOrMany } from './few-or-many.ts';
import type { Presence } from './presence.ts';
import { SharedTexts } from './shared-texts.ts';

export interface RoutingIndexOptions {
  readonly store: Store;
  readonly replica: Replica;
  readonly presence: Presence;
  /**
   * Joins one user's sessions to at most this many channels. More are refused at the subscribe while the
   * user is connected here; whoever has more on disk already is told of by `onOverLimit`.
   */
  readonly channelsPerUserMax: number;
  readonly onOverLimit: (uid: Uid, channelsMax: number) => void;
  readonly onSession: (session: RoutedSession, change: 'connected' | 'disconnected') => void;
  /** What this node has delivered so far: noted where a session or a user begins to miss something. */
  readonly deliveries?: (() => number) | undefined;
  /** The fan-out of a channel has another number of members than `sessionsIn` says. */
  readonly onCountDiffers?: ((channel: ChannelKey) => void) | undefined;
  /** The disk has the reverse of a subscription and not the subscription; it is routed all the same. */
  readonly onLost?: ((channel: ChannelKey, uid: Uid) => void) | undefined;
  /**
   * A live subscription came with a merge of rows and not by an operation: it may be older than this
   * session's connection. True where the callee brings what was missed and then calls `restore`.
   */
  readonly onMerged?: ((channel: ChannelKey, uid: Uid) => boolean) | undefined;
}

interface LiveUser {
  /** Replaced and never changed: an array that grows by `push` takes room for seventeen. */
  sessions: readonly RoutedSession[];
  channels: FewOrMany<ChannelKey>;
  /** Of the hashes of `channels`, modulo 2^32, kept by the mutations themselves. */
  sum: number;
  loading: Promise<void> | undefined;
}

/** Of the last entries that were taken away: when, in deliveries of this node. */
const LEFT_MAX = 4_096;
const NOBODY: readonly RoutedSession[] = [];
const NO_CHANNELS: readonly ChannelKey[] = [];

/**
 * Which of this node's sessions receive which channel: the subscriptions of the users who are connected
 * here, and nothing of the others. Invariant: once `attach` has resolved, a session has joined exactly
 * the channels whose row on disk is live and not banned, after every durable change; only of a user who is
 * over the limit some are left out, and `isOverLimit` says so. `#join` and `#leave` are where it changes.
 */
export class RoutingIndex implements SessionRegistry {
  readonly #options: RoutingIndexOptions;
  readonly #users = new Map<Uid, LiveUser>();
  readonly #channels = new Map<ChannelKey, number>();
  /** Users some of whose channels were left out; each is told of once while connected. */
  readonly #overLimit = new Set<Uid>();
  /** The same text as in `#channels` for channels of many, so that each user does not hold a copy. */
  readonly #recent = new SharedTexts<ChannelKey>(1024);

  readonly #left = new Map<string, number>();

  constructor(options: RoutingIndexOptions) {
    this.#options = options;
  }

  async attach(session: RoutedSession): Promise<void> {
    let user = this.#users.get(session.uid);
    if (!user) {
      user = { sessions: NOBODY, channels: NO_CHANNELS, sum: 0, loading: undefined };
      this.#users.set(session.uid, user);
    }
    // First of all, so that durable changes reach the session while its channels are still being read.
    user.sessions = user.sessions.concat([session]);
    session.deliveriesBefore = this.#options.deliveries?.() ?? 0;
    for (const channel of user.channels) {
      this.#channels.set(channel, this.sessionsIn(channel) + 1);
      session.join(channel);
    }
    if (user.sessions.length === 1) user.loading = this.#load(session.uid, user);
    this.#options.presence.arrived(session);
    this.#options.onSession(session, 'connected');
    try {
      await user.loading;
    } catch (error) {
      this.detach(session);
      throw error;
    }
  }

  detach(session: RoutedSession): void {
    const user = this.#users.get(session.uid);
    if (!user?.sessions.includes(session)) return;
    user.sessions = user.sessions.filter((one) => one !== session);
    this.#options.presence.left(session);
    this.#options.onSession(session, 'disconnected');
    for (const channel of user.channels) this.#released(channel, 1);
    if (user.sessions.length > 0) return;
    this.#users.delete(session.uid);
    this.#overLimit.delete(session.uid);
  }

  *sessions(): Iterable<RoutedSession> {
    for (const user of this.#users.values()) yield* user.sessions;
  }

  sessionsOf(uid: Uid): readonly RoutedSession[] {
    return this.#users.get(uid)?.sessions ?? NOBODY;
  }

  online(uid: Uid): readonly OnlineDevice[] {
    const member = this.#options.presence.self;
    const here = this.sessionsOf(uid).map(({ deviceFlag }) => ({ uid, deviceFlag, member }));
    return [...here, ...this.#options.presence.elsewhere(uid)];
  }

  channelCountOf(session: RoutedSession): number {
    return sizeOf(this.#users.get(session.uid)?.channels ?? NO_CHANNELS);
  }

  /** True of a user who is connected here and receives as many channels as one user may. */
  isFull(uid: Uid): boolean {
    const user = this.#users.get(uid);
    return user !== undefined && sizeOf(user.channels) >= this.#options.channelsPerUserMax;
  }

  /** What the index says of one user in one channel; `offline`: nobody of that uid is connected here. */
  entryOf(channel: ChannelKey, uid: Uid): 'offline' | 'loading' | 'joined' | 'absent' {
    const user = this.#users.get(uid);
    if (!user) return 'offline';
    if (hasValue(user.channels, channel)) return 'joined';
    return user.loading ? 'loading' : 'absent';
  }

  /** True of a user who is connected here and has more channels on disk than one user may receive. */
  isOverLimit(uid: Uid): boolean {
    return this.#overLimit.has(uid);
  }

  overLimitCount(): number {
    return this.#overLimit.size;
  }

  sessionsIn(channel: ChannelKey): number {
    return this.#channels.get(channel) ?? 0;
  }

  putRight(channel: ChannelKey): void {
    this.#options.onCountDiffers?.(channel);
  }

  /** Who is connected here; goes on through changes. */
  users(): IterableIterator<Uid> {
    return this.#users.keys();
  }

  channelsOf(uid: Uid): Iterable<ChannelKey> {
    return this.#users.get(uid)?.channels ?? NO_CHANNELS;
  }

  isLoading(uid: Uid): boolean {
    return this.#users.get(uid)?.loading !== undefined;
  }

  /** False where the entries are not those that the index itself has put there. */
  sumFits(uid: Uid): boolean {
    const user = this.#users.get(uid);
    return !user || user.sum === sumOf(user.channels);
  }

  /** Of the entries that the index itself has put there; undefined of who is not connected here. */
  keptSum(uid: Uid): number | undefined {
    return this.#users.get(uid)?.sum;
  }

  /** What is there counts from now on: after its entries were compared with the disk. */
  settleSum(uid: Uid): void {
    const user = this.#users.get(uid);
    if (user) user.sum = sumOf(user.channels);
  }

  /** Counts the channel's sessions again; true where the kept number was wrong. */
  recount(channel: ChannelKey): boolean {
    const count = this.#count(channel);
    if (count === this.sessionsIn(channel)) return false;
    if (count > 0 && !this.#channels.has(channel)) this.#options.presence.wants(channel);
    if (count > 0) this.#channels.set(channel, count);
    else this.#released(channel, this.sessionsIn(channel));
    return true;
  }

  #count(channel: ChannelKey): number {
    let count = 0;
    for (const { sessions, channels } of this.#users.values()) {
      if (hasValue(channels, channel)) count += sessions.length;
    }
    return count;
  }

  /** Joins what the disk says and the index lacks. */
  restore(channel: ChannelKey, uid: Uid): void {
    const user = this.#users.get(uid);
    if (!user || hasValue(user.channels, channel)) return;
    if (this.isFull(uid)) this.#leftOut(uid);
    else this.#join(uid, user, channel);
  }

  /** Leaves what the disk has evidence against. */
  drop(channel: ChannelKey, uid: Uid): void {
    const user = this.#users.get(uid);
    if (user && hasValue(user.channels, channel)) this.#leave(uid, user, channel);
  }

  /** The delivery after which the entry was taken away, of the last entries that were. */
  leftAt(channel: ChannelKey, uid: Uid): number | undefined {
    return this.#left.get(`${channel}\n${uid}`);
  }

  /** What the disk says of a user in a channel. Absent: neither a subscription nor evidence of its end. */
  verdict(channel: ChannelKey, uid: Uid): 'live' | 'removed' | 'absent' {
    const { replica } = this.#options;
    if (isLive(replica.read(denyKey(channel, uid, 'ban')))) return 'removed';
    const row = replica.read(subscriptionKey(channel, uid));
    if (isLive(row)) return 'live';
    return row.length > 0 ? 'removed' : 'absent';
  }

  /**
   * Fault injection alone calls it: takes an entry away behind the index's own back, and its sessions
   * out of the channel's fan-out, as a defect would.
   */
  damageEntry(channel: ChannelKey, uid: Uid): boolean {
    const user = this.#users.get(uid);
    if (!user || !hasValue(user.channels, channel)) return false;
    user.channels = withoutValue(user.channels, channel);
    for (const session of user.sessions) session.leave(channel);
    return true;
  }

  /** What peers have to know of: every session here, and every channel that one receives. */
  interest(): Iterable<InterestItem> {
    return this.#options.presence.itemsOf(this.sessions(), this.#channels.keys());
  }

  /** Channels that some session of this node receives. */
  channelCount(): number {
    return this.#channels.size;
  }

  userCount(): number {
    return this.#users.size;
  }

  onInterest(
    member: MemberId,
    items: { readonly add: readonly string[]; readonly remove: readonly string[] },
  ): void {
    this.#options.presence.onInterest(member, items);
  }

  /** `merged`: the row came with a merge of rows and not by an operation. */
  onChange({ key, before, after }: Change, merged?: 'merged'): void {
    if (this.#users.size === 0) return;
    const kind = key[0];
    if (kind === 's') {
      const { channel, uid } = pairOf(key);
      // Who subscribes again and is not joined: taken out behind the index's back, or never told of.
      const isOwed = isLive(before) && this.entryOf(channel, uid) === 'absent';
      if (isOwed && !this.sumFits(uid) && this.#routes(channel, uid, after))
        this.putBack(channel, uid);
      this.#update(channel, uid, { row: after, merged: isOwed ? 'merged' : merged });
    } else if (kind === 'd') {
      const [channel, scope, , uid] = splitRowKey(key)!.parts;
      if (scope === 'u') this.#update(channel as ChannelKey, uid as Uid);
    }
  }

  /** `row`: the subscription's, where it is the one that changed. */
  #update(
    channel: ChannelKey,
    uid: Uid,
    how: { row?: Row; merged?: 'merged' | undefined } = {},
  ): void {
    const user = this.#users.get(uid);
    if (!user) return;
    const wanted = this.#routes(channel, uid, how.row);
    if (wanted === hasValue(user.channels, channel)) return;
    // A row that is gone is damage and no decision of anybody's.
    if (!wanted && !how.row && this.verdict(channel, uid) === 'absent') return;
    if (!wanted) this.#leave(uid, user, channel);
    else if (this.isFull(uid)) this.#leftOut(uid);
    else if (!how.merged || !this.#options.onMerged?.(channel, uid)) this.#join(uid, user, channel);
    // There is room for one of those that were left out.
    if (!wanted && this.#overLimit.delete(uid)) void this.#reload(uid, user);
  }

  #routes(channel: ChannelKey, uid: Uid, row?: Row): boolean {
    const { replica } = this.#options;
    return (
      isLive(row ?? replica.read(subscriptionKey(channel, uid))) &&
      !(replica.mayHaveRules(channel) && isLive(replica.read(denyKey(channel, uid, 'ban'))))
    );
  }

  async #load(uid: Uid, user: LiveUser): Promise<void> {
    const prefix = reversePrefix(uid);
    for await (const chunk of this.#options.store.scan({ gte: prefix, lt: rangeEnd(prefix) })) {
      if (this.#users.get(uid) !== user) return;
      for (const [key] of chunk) {
        const channel = key.slice(prefix.length) as ChannelKey;
        if (hasValue(user.channels, channel)) continue;
        const verdict = this.verdict(channel, uid);
        if (verdict === 'removed') continue;
        // The row that says so and its reverse go in one batch: one alone is damage, not a decision.
        if (verdict === 'absent') this.#options.onLost?.(channel, uid);
        if (this.isFull(uid)) {
          this.#leftOut(uid);
          user.loading = undefined;
          return;
        }
        this.#join(uid, user, channel);
      }
    }
    user.loading = undefined;
  }

  async #reload(uid: Uid, user: LiveUser): Promise<void> {
    try {
      await this.#load(uid, user);
    } catch {
      // The disk fails just now. What is left out stays known as such, and the next change tries again.
      this.#leftOut(uid);
    }
  }

  /**
   * Joins what was taken out behind the index's back: its sum and its count still have it. Other damage
   * of the same user stays visible in them.
   */
  putBack(channel: ChannelKey, uid: Uid): void {
    const user = this.#users.get(uid);
    if (!user || hasValue(user.channels, channel)) return;
    user.channels = withValue(user.channels, this.#recent.of(channel, hash32(channel)));
    for (const session of user.sessions) session.join(channel);
    // Others may be out in the same way: a count that is made to fit would hide them until they miss something.
    if (this.#count(channel) !== this.sessionsIn(channel)) this.putRight(channel);
  }

  #leftOut(uid: Uid): void {
    if (this.#overLimit.has(uid)) return;
    this.#overLimit.add(uid);
    this.#options.onOverLimit(uid, this.#options.channelsPerUserMax);
  }

  #join(uid: Uid, user: LiveUser, channel: ChannelKey): void {
    if (this.#left.size > 0) this.#left.delete(`${channel}\n${uid}`);
    const hash = hash32(channel);
    user.channels = withValue(user.channels, this.#recent.of(channel, hash));
    user.sum = (user.sum + hash) | 0;
    const sessions = this.sessionsIn(channel);
    this.#channels.set(channel, sessions + user.sessions.length);
    if (sessions === 0) this.#options.presence.wants(channel);
    for (const session of user.sessions) session.join(channel);
  }

  #leave(uid: Uid, user: LiveUser, channel: ChannelKey): void {
    if (this.#left.size >= LEFT_MAX) this.#left.delete(this.#left.keys().next().value!);
    this.#left.set(`${channel}\n${uid}`, this.#options.deliveries?.() ?? 0);
    user.channels = withoutValue(user.channels, channel);
    user.sum = (user.sum - hash32(channel)) | 0;
    for (const session of user.sessions) session.leave(channel);
    this.#released(channel, user.sessions.length);
  }

  #released(channel: ChannelKey, sessions: number): void {
    const left = this.sessionsIn(channel) - sessions;
    if (left > 0) {
      this.#channels.set(channel, left);
      return;
    }
    this.#channels.delete(channel);
    this.#options.presence.wantsNoMore(channel);
  }
}
