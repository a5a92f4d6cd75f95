import type { ChannelKey, MemberId, Uid } from '../core/ids.ts';
import { isLive, type Row } from '../core/row.ts';
import { denyKey, rangeEnd, reversePrefix, splitRowKey, subscriptionKey } from '../core/row-key.ts';
import type { Store } from '../storage/port.ts';
import type { Change, Replica } from '../storage/replica-port.ts';
import type { OnlineDevice, RoutedSession, SessionRegistry } from './port.ts';
import type { Presence } from './presence.ts';

export interface RoutingIndexOptions {
  readonly store: Store;
  readonly replica: Replica;
  readonly presence: Presence;
  /** Joins one user's sessions to at most this many channels. */
  readonly channelsPerUserMax: number;
  readonly onSession: (session: RoutedSession, change: 'connected' | 'disconnected') => void;
}

interface LiveUser {
  readonly sessions: RoutedSession[];
  readonly channels: Set<ChannelKey>;
  loading: Promise<void> | undefined;
}

/**
 * Which of this node's sessions receive which channel: the subscriptions of the users who are connected
 * here, and nothing of the others. Invariant: once `attach` has resolved, a session has joined exactly
 * the channels whose row on disk is live and not banned, after every durable change.
 */
export class RoutingIndex implements SessionRegistry {
  readonly #options: RoutingIndexOptions;
  readonly #users = new Map<Uid, LiveUser>();
  readonly #channels = new Map<ChannelKey, number>();

  constructor(options: RoutingIndexOptions) {
    this.#options = options;
  }

  async attach(session: RoutedSession): Promise<void> {
    let user = this.#users.get(session.uid);
    if (!user) {
      user = { sessions: [], channels: new Set(), loading: undefined };
      this.#users.set(session.uid, user);
    }
    // First of all, so that durable changes reach the session while its channels are still being read.
    user.sessions.push(session);
    for (const channel of user.channels) session.join(channel);
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
    const at = user ? user.sessions.indexOf(session) : -1;
    if (!user || at < 0) return;
    user.sessions.splice(at, 1);
    this.#options.presence.left(session);
    this.#options.onSession(session, 'disconnected');
    if (user.sessions.length > 0) return;
    this.#users.delete(session.uid);
    for (const channel of user.channels) this.#released(channel);
  }

  *sessions(): Iterable<RoutedSession> {
    for (const user of this.#users.values()) yield* user.sessions;
  }

  sessionsOf(uid: Uid): readonly RoutedSession[] {
    return this.#users.get(uid)?.sessions ?? [];
  }

  online(uid: Uid): readonly OnlineDevice[] {
    const member = this.#options.presence.self;
    const here = this.sessionsOf(uid).map(({ deviceFlag }) => ({ uid, deviceFlag, member }));
    return [...here, ...this.#options.presence.elsewhere(uid)];
  }

  channelCountOf(session: RoutedSession): number {
    return this.#users.get(session.uid)?.channels.size ?? 0;
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

  onChange({ key, after }: Change): void {
    if (this.#users.size === 0) return;
    const kind = key[0];
    if (kind === 's') {
      const [channel, uid] = splitRowKey(key)!.parts as [ChannelKey, Uid];
      this.#update(channel, uid, after);
    } else if (kind === 'd') {
      const [channel, scope, , uid] = splitRowKey(key)!.parts;
      if (scope === 'u') this.#update(channel as ChannelKey, uid as Uid);
    }
  }

  /** `row`: the subscription's, where it is the one that changed. */
  #update(channel: ChannelKey, uid: Uid, row?: Row): void {
    const user = this.#users.get(uid);
    if (!user) return;
    const wanted = this.#routes(channel, uid, row);
    if (wanted === user.channels.has(channel)) return;
    if (wanted) this.#join(user, channel);
    else {
      user.channels.delete(channel);
      for (const session of user.sessions) session.leave(channel);
      this.#released(channel);
    }
  }

  #routes(channel: ChannelKey, uid: Uid, row?: Row): boolean {
    const { replica } = this.#options;
    return (
      isLive(row ?? replica.read(subscriptionKey(channel, uid))) &&
      !isLive(replica.read(denyKey(channel, uid, 'ban')))
    );
  }

  async #load(uid: Uid, user: LiveUser): Promise<void> {
    const prefix = reversePrefix(uid);
    const { store, channelsPerUserMax } = this.#options;
    for await (const chunk of store.scan({ gte: prefix, lt: rangeEnd(prefix) })) {
      if (this.#users.get(uid) !== user) return;
      for (const [key] of chunk) {
        const channel = key.slice(prefix.length) as ChannelKey;
        if (user.channels.size >= channelsPerUserMax) break;
        if (!user.channels.has(channel) && this.#routes(channel, uid)) this.#join(user, channel);
      }
    }
    user.loading = undefined;
  }

  #join(user: LiveUser, channel: ChannelKey): void {
    user.channels.add(channel);
    const members = this.#channels.get(channel) ?? 0;
    this.#channels.set(channel, members + 1);
    if (members === 0) this.#options.presence.wants(channel);
    for (const session of user.sessions) session.join(channel);
  }

  #released(channel: ChannelKey): void {
    const members = this.#channels.get(channel)! - 1;
    if (members > 0) {
      this.#channels.set(channel, members);
      return;
    }
    this.#channels.delete(channel);
    this.#options.presence.wantsNoMore(channel);
  }
}
