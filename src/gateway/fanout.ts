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
  readonly registry: Pick<SessionRegistry, 'sessionsOf'>;
  readonly counters: GatewayCounters;
}

/**
 * Delivery to this node's sessions: one encoding and one publish for each view of a channel. A
 * group
 * has one view, a person channel one for each of its users, who see the other's uid. WKProto
 * sessions
 * get their own encryption and so are served one by one.
 */
export class GatewayFanout implements Fanout, FanoutMembers {
  readonly #options: FanoutOptions;
  readonly #wkSessions = new Map<ChannelKey, Set<ClientSession>>();

  constructor(options: FanoutOptions) {
    this.#options = options;
  }

  /** Under 1 µs a view for a channel without sessions here. */
  deliver(delivery: Delivery): void {
    const { channel } = delivery;
    if (!channel.startsWith('1/')) this.#publish(delivery, channel, channelIdOf(channel));
    else this.#publishViews(delivery);
    const sessions = this.#wkSessions.get(channel);
    if (sessions) this.#deliverOneByOne(delivery, sessions);
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

  join(session: ClientSession, channel: ChannelKey): void {
    if (!session.wk) {
      session.socket.join(topicOf(channel, session.uid));
      return;
    }
    session.wk.channels.add(channel);
    const sessions = this.#wkSessions.get(channel);
    if (sessions) sessions.add(session);
    else this.#wkSessions.set(channel, new Set([session]));
  }

  leave(session: ClientSession, channel: ChannelKey): void {
    if (!session.wk) {
      session.socket.leave(topicOf(channel, session.uid));
      return;
    }
    session.wk.channels.delete(channel);
    const sessions = this.#wkSessions.get(channel);
    if (sessions?.delete(session) && sessions.size === 0) this.#wkSessions.delete(channel);
  }

  /** A socket leaves its topics by itself when it closes. */
  forget(session: ClientSession): void {
    for (const channel of session.wk?.channels ?? []) this.leave(session, channel);
  }

  #publishViews(delivery: Delivery): void {
    const { channel } = delivery;
    const persons = personsOf(channel);
    if (!persons) return this.#publish(delivery, channel, channelIdOf(channel));
    const [left, right] = persons;
    this.#publish(delivery, `${channel}${LEFT}`, channelIdFor(channel, left));
    if (left !== right) this.#publish(delivery, `${channel}${RIGHT}`, channelIdFor(channel, right));
    this.#publish(delivery, `${channel}${OTHER}`, channelIdFor(channel, '' as Uid));
  }

  #publish(delivery: Delivery, topic: string, channelId: string): void {
    const { server, sessionOf, counters } = this.#options;
    const members = server.memberCount(topic);
    if (members === 0) return;
    const { message, prevSeq, channel, exceptSession } = delivery;
    const channelType = channelTypeOf(channel);
    const except = exceptSession === undefined ? undefined : sessionOf(exceptSession);
    const frame = encodeRecv({ message, channelId, channelType, prevSeq });
    counters.encodings += 1;
    counters.deliveries += members;
    if (except) server.publishExcept(except.socket, topic, frame);
    else server.publish(topic, frame);
  }

  #deliverOneByOne(delivery: Delivery, sessions: ReadonlySet<ClientSession>): void {
    for (const session of sessions) {
      if (session.id === delivery.exceptSession) continue;
      this.#options.counters.deliveries += 1;
      session.send(encodeFor(session, delivery));
    }
  }
}

const LEFT = '#0';
const RIGHT = '#1';
/** Whoever was subscribed to the pair by the backend without being one of it. */
const OTHER = '#2';

/** The topic of a viewer. Uids have no `#`, so a view's topic is no other channel's. */
export function topicOf(channel: ChannelKey, viewer: Uid): string {
  if (!channel.startsWith('1/')) return channel;
  const persons = personsOf(channel);
  if (!persons) return channel;
  if (persons[0] === viewer) return `${channel}${LEFT}`;
  return `${channel}${persons[1] === viewer ? RIGHT : OTHER}`;
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
