import type { ChannelKey, MemberId, Uid } from '../../../src/core/ids.ts';
import type { Message } from '../../../src/core/kinds/message.ts';
import type {
  Delivery,
  Fanout,
  RoutedSession,
  SessionRegistry,
} from '../../../src/messaging/port.ts';
import { sendKeyOf } from '../model/message-truth.ts';

export interface SessionOptions {
  readonly id: number;
  readonly uid: Uid;
  readonly member: MemberId;
  readonly nowMs: () => number;
  /** Told of each delivery, after it is counted. */
  readonly onDelivered: (session: SimulatedSession, channel: ChannelKey, message: Message) => void;
  readonly onKicked: (session: SimulatedSession) => void;
}

/** One connected client as its node sees it; counts what it is given. */
export class SimulatedSession implements RoutedSession {
  readonly id: number;
  readonly uid: Uid;
  readonly member: MemberId;
  readonly deviceFlag = 1;
  readonly deviceLevel = 0;
  readonly deviceId: string;
  readonly connectedAtMs: number;
  readonly remoteAddress = '127.0.0.1:1';
  readonly protocol = 'json-rpc';
  /** Channels whose fan-out it is in. */
  readonly topics = new Set<ChannelKey>();
  /** How often each message came. */
  readonly received = new Map<string, number>();
  /** Of each channel and origin, the place of the last one in the order in which its node learned of them. */
  readonly lastLearned = new Map<string, number>();
  /** Every stored message that it was given, by channel and id. */
  readonly messageIds = new Set<string>();
  /** When `attach` had resolved, virtual ms. */
  attachedMs: number | undefined;
  deliveriesBefore = 0;
  open = true;
  readonly #options: SessionOptions;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.id = options.id;
    this.uid = options.uid;
    this.member = options.member;
    this.deviceId = `device-${options.id}`;
    this.connectedAtMs = options.nowMs();
  }

  join(channel: ChannelKey): void {
    this.topics.add(channel);
  }

  leave(channel: ChannelKey): void {
    this.topics.delete(channel);
  }

  hasJoined(channel: ChannelKey): boolean {
    return this.topics.has(channel);
  }

  joinedChannels(): readonly ChannelKey[] {
    return [...this.topics];
  }

  deliver({ channel, message }: Delivery): void {
    this.receive(channel, message);
  }

  kick(): void {
    this.#options.onKicked(this);
  }

  receive(channel: ChannelKey, message: Message): void {
    const sendKey = sendKeyOf(channel, message.fromUid, message.clientMsgNo);
    this.received.set(sendKey, (this.received.get(sendKey) ?? 0) + 1);
    this.#options.onDelivered(this, channel, message);
  }
}

/** The fan-out of one node: what the gateway's topics do. */
export class SimulatedFanout implements Fanout {
  readonly sessions = new Set<SimulatedSession>();
  /** The index of the core that delivers here, once there is one. */
  registry: Pick<SessionRegistry, 'sessionsIn' | 'putRight'> | undefined;

  /** As the gateway's: a channel with another number of members than the index says is put right first. */
  deliver({ channel, message, exceptSession }: Delivery): void {
    const wanted = this.registry?.sessionsIn(channel) ?? 0;
    if (this.registry && this.#memberCount(channel) !== wanted) this.registry.putRight(channel);
    for (const session of this.sessions) {
      if (session.topics.has(channel) && session.id !== exceptSession) {
        session.receive(channel, message);
      }
    }
  }

  notify(): void {}

  #memberCount(channel: ChannelKey): number {
    let count = 0;
    for (const { topics } of this.sessions) if (topics.has(channel)) count += 1;
    return count;
  }
}
