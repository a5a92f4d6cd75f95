import { channelIdOf, channelTypeOf, type ChannelKey, type Uid } from '../core/ids.ts';
import { channelIdFor, personsOf } from '../core/placement.ts';
import type { ClientEvent, Delivery, Fanout, SessionRegistry } from '../messaging/port.ts';
import { encodeEvent, encodeRecv } from './codec/json-rpc-encode.ts';
import { SETTING } from './codec/frame.ts';
import { encodeWkRecv, NO_PERSIST, RED_DOT, SYNC_ONCE, type WkRecv } from './codec/wkproto.ts';
import { encrypt, recvMsgKey } from './codec/wkproto-crypto.ts';
import type { GatewayCounters } from './counters.ts';
import type { ClientSession } from './session/session.ts';
import type { FanoutMembers } from './session/room.ts';
import type { SocketServer } from './socket-server/port.ts';

export interface FanoutOptions {
  readonly server: SocketServer<ClientSession>;
  /** The session of an id, if it is one of this node. */
  readonly sessionOf: (id: number) => ClientSession | undefined;
  readonly registry: Pick<SessionRegistry, 'sessionsOf' | 'sessionsIn' | 'putRight'>;
  readonly counters: GatewayCounters;
}

/**
 * Delivery to this node's sessions: one encoding and one publish for each view of a channel. A
 * group
 * has one view, a person channel one for each of its users, who see the other's uid. WKProto
 * sessions
 * get their own encryption and so are served one by one, as is who has seen more than this node.
 */
export class GatewayFanout implements Fanout, FanoutMembers {
  readonly #options: FanoutOptions;
  /** WKProto's, and those that are ahead of this node. */
  readonly #alone = new Map<ChannelKey, Set<ClientSession>>();
  /** Known to the index, and joining what it says with the reply to connect. */
  readonly #opening = new Set<ClientSession>();

  constructor(options: FanoutOptions) {
    this.#options = options;
  }

  /**
   * Under 1 µs a view for a channel without sessions here. A channel whose members are not as many as the
   * index says is put right first, so that a socket that lost its topic misses nothing.
   */
  deliver(delivery: Delivery): void {
    const { channel } = delivery;
    const wanted = this.#options.registry.sessionsIn(channel);
    const { size: keyed = 0 } = this.#alone.get(channel) ?? {};
    if (channel.startsWith('1/')) {
      if (this.#memberCount(channel) !== wanted) this.#putRight(channel, wanted);
      this.#publishViews(delivery);
    } else {
      const { server } = this.#options;
      let members = server.memberCount(channel);
      if (members + keyed !== wanted && !isProbe(channel)) {
        this.#putRight(channel, wanted);
        members = server.memberCount(channel);
      }
      this.#publish(delivery, { topic: channel, channelId: channelIdOf(channel), members });
    }
    const served = this.#alone.get(channel);
    if (served) this.#deliverOneByOne(delivery, served);
  }

  notify(uid: Uid, event: ClientEvent): void {
    let frame: string | undefined;
    for (const { id, protocol } of this.#options.registry.sessionsOf(uid)) {
      // WKProto has no packet for events.
      if (protocol !== 'json-rpc') continue;
      frame ??= encodeEvent(event);
      this.#options.sessionOf(id)?.send(frame);
    }
  }

  /** WKProto has no packet for events. About 1 µs a view, whatever the number of its sessions. */
  announce(channel: ChannelKey, eventFor: (channelId: string) => ClientEvent): void {
    const { server } = this.#options;
    for (const { topic, channelId } of viewsOf(channel)) {
      if (server.memberCount(topic) > 0) server.publish(topic, encodeEvent(eventFor(channelId)));
    }
    for (const session of this.#alone.get(channel) ?? []) {
      if (session.wk) continue;
      session.send(encodeEvent(eventFor(channelIdFor(channel, session.uid))));
    }
  }

  deliverTo(session: ClientSession, delivery: Delivery): void {
    const { message, prevSeq, channel } = delivery;
    this.#options.counters.deliveries += 1;
    if (session.wk) return session.send(encodeFor(session, delivery));
    const channelId = channelIdFor(channel, session.uid);
    const channelType = channelTypeOf(channel);
    session.send(encodeRecv({ message, channelId, channelType, prevSeq }));
  }

  opens(session: ClientSession): void {
    this.#opening.add(session);
  }

  opened(session: ClientSession): void {
    this.#opening.delete(session);
  }

  has(session: ClientSession, channel: ChannelKey): boolean {
    if (aloneIn(session)) return this.#alone.get(channel)?.has(session) ?? false;
    return session.socket.isIn(topicOf(channel, session.uid));
  }

  channelsOf(session: ClientSession): readonly ChannelKey[] {
    const alone = aloneIn(session);
    return alone ? [...alone] : session.socket.topics().map(channelOfTopic);
  }

  join(session: ClientSession, channel: ChannelKey): void {
    const alone = aloneIn(session);
    if (!alone) {
      session.socket.join(topicOf(channel, session.uid));
      return;
    }
    alone.add(channel);
    const sessions = this.#alone.get(channel);
    if (sessions) sessions.add(session);
    else this.#alone.set(channel, new Set([session]));
  }

  leave(session: ClientSession, channel: ChannelKey): void {
    const alone = aloneIn(session);
    if (!alone) {
      session.socket.leave(topicOf(channel, session.uid));
      return;
    }
    alone.delete(channel);
    const sessions = this.#alone.get(channel);
    if (sessions?.delete(session) && sessions.size === 0) this.#alone.delete(channel);
  }

  /** What waits to be sent to a session; undefined where it has gone. */
  queueBytes(id: number): number | undefined {
    return this.#options.sessionOf(id)?.socket.bufferedBytes();
  }

  /** A socket leaves its topics by itself when it closes. */
  forget(session: ClientSession): void {
    for (const channel of aloneIn(session) ?? []) this.leave(session, channel);
  }

  endFilter(session: ClientSession): void {
    const channels = [...(session.ahead?.channels ?? [])];
    this.forget(session);
    session.ahead = undefined;
    for (const channel of channels) this.join(session, channel);
  }

  #memberCount(channel: ChannelKey): number {
    const { server } = this.#options;
    const wk = this.#alone.size === 0 ? 0 : (this.#alone.get(channel)?.size ?? 0);
    if (!channel.startsWith('1/') || !personsOf(channel)) return server.memberCount(channel) + wk;
    const views = [LEFT, RIGHT, OTHER].map((view) => server.memberCount(channel + view));
    return views.reduce((sum, count) => sum + count, wk);
  }

  #putRight(channel: ChannelKey, wanted: number): void {
    let opening = 0;
    for (const session of this.#opening) if (session.hasJoined(channel)) opening += 1;
    if (this.#memberCount(channel) + opening === wanted) return;
    this.#options.registry.putRight(channel);
  }

  #publishViews(delivery: Delivery): void {
    const { channel } = delivery;
    const persons = personsOf(channel);
    const view = (topic: string, channelId: string): void => {
      const members = this.#options.server.memberCount(topic);
      this.#publish(delivery, { topic, channelId, members });
    };
    if (!persons) return view(channel, channelIdOf(channel));
    const [left, right] = persons;
    view(`${channel}${LEFT}`, channelIdFor(channel, left));
    if (left !== right) view(`${channel}${RIGHT}`, channelIdFor(channel, right));
    view(`${channel}${OTHER}`, channelIdFor(channel, '' as Uid));
  }

  #publish(delivery: Delivery, { topic, channelId, members }: View): void {
    const { server, sessionOf, counters } = this.#options;
    if (members === 0) return;
    const { message, prevSeq, channel, exceptSession } = delivery;
    const channelType = channelTypeOf(channel);
    const except = exceptSession === undefined ? undefined : sessionOf(exceptSession);
    const frame = encodeRecv({ message, channelId, channelType, prevSeq });
    if (!isProbe(channel)) {
      counters.encodings += 1;
      counters.deliveries += members;
    }
    if (except) server.publishExcept(except.socket, topic, frame);
    else server.publish(topic, frame);
  }

  #deliverOneByOne(delivery: Delivery, sessions: ReadonlySet<ClientSession>): void {
    for (const session of sessions) {
      if (session.id === delivery.exceptSession) continue;
      if (session.ahead && !session.ahead.filter.passes(delivery)) continue;
      this.deliverTo(session, delivery);
    }
  }
}

/** The channels of one that is served by itself. */
function aloneIn({ wk, ahead }: ClientSession): Set<ChannelKey> | undefined {
  return wk?.channels ?? ahead?.channels;
}

interface View {
  readonly topic: string;
  readonly channelId: string;
  /** Sockets in the topic now. */
  readonly members: number;
}

const ZERO = '0'.charCodeAt(0);
const LEFT = '#0';
const RIGHT = '#1';
/** Whoever was subscribed to the pair by the backend without being one of it. */
const OTHER = '#2';

/** Every topic of the channel, and what its viewers call the channel. */
function viewsOf(channel: ChannelKey): readonly { topic: string; channelId: string }[] {
  const persons = channel.startsWith('1/') ? personsOf(channel) : undefined;
  if (!persons) return [{ topic: channel, channelId: channelIdOf(channel) }];
  const [left, right] = persons;
  const views = [
    { topic: `${channel}${LEFT}`, channelId: channelIdFor(channel, left) },
    { topic: `${channel}${OTHER}`, channelId: channelIdFor(channel, '' as Uid) },
  ];
  if (left === right) return views;
  return [...views, { topic: `${channel}${RIGHT}`, channelId: channelIdFor(channel, right) }];
}

/** The topic of a viewer. Uids have no `#`, so a view's topic is no other channel's. */
export function topicOf(channel: ChannelKey, viewer: Uid): string {
  if (!channel.startsWith('1/')) return channel;
  const persons = personsOf(channel);
  if (!persons) return channel;
  if (persons[0] === viewer) return `${channel}${LEFT}`;
  return `${channel}${persons[1] === viewer ? RIGHT : OTHER}`;
}

/** Of this node's canary: no index knows it, and nobody counts it. */
function isProbe(channel: ChannelKey): boolean {
  return channel.charCodeAt(0) === ZERO;
}

/** What `topicOf` made a topic of. */
export function channelOfTopic(topic: string): ChannelKey {
  if (!topic.startsWith('1/') || !/#[012]$/.test(topic)) return topic as ChannelKey;
  const channel = topic.slice(0, -LEFT.length) as ChannelKey;
  return personsOf(channel) ? channel : (topic as ChannelKey);
}

function encodeFor(session: ClientSession, { channel, message }: Delivery): Buffer {
  const { keys, version } = session.wk!;
  const topicBit = message.topic === '' ? 0 : SETTING.topic;
  const packet: Omit<WkRecv, 'msgKey'> = {
    flags:
      (message.noPersist ? NO_PERSIST : 0) |
      (message.redDot ? RED_DOT : 0) |
      (message.syncOnce ? SYNC_ONCE : 0),
    setting: (message.setting & (SETTING.receipt | SETTING.signal)) | topicBit,
    fromUid: message.fromUid,
    channelId: channelIdFor(channel, session.uid),
    channelType: channelTypeOf(channel),
    expire: message.expire,
    clientMsgNo: message.clientMsgNo,
    messageId: message.messageId,
    messageSeq: message.messageSeq,
    timestamp: message.timestamp,
    topic: message.topic,
    payload: Buffer.from(encrypt(keys!, message.payload)),
  };
  return encodeWkRecv({ ...packet, msgKey: recvMsgKey(keys!, packet) }, version);
}
