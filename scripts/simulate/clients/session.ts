import type { ChannelKey, MemberId, Uid } from '../../../src/core/ids.ts';
import type {
  Delivery,
  Fanout,
  RoutedSession,
  SessionRegistry,
} from '../../../src/messaging/port.ts';
import type { ResumeFilter } from '../../../src/messaging/resume/port.ts';
import { sendKeyOf } from '../model/message-truth.ts';

export interface SessionOptions {
  readonly id: number;
  readonly uid: Uid;
  readonly member: MemberId;
  readonly nowMs: () => number;
  /** Told of each delivery, after it is counted. */
  readonly onDelivered: (session: SimulatedSession, delivery: Delivery) => void;
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
  resumedFrom: RoutedSession['resumedFrom'];
  /** Of a client that resumes, until the answer to its connect: what comes live is no frame yet. */
  isWaiting = false;
  /** It is handed what it missed. */
  isReplaying = false;
  filter: ResumeFilter | undefined;
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

  /** After a repair, by this session alone. */
  deliver(delivery: Delivery): void {
    if (this.isWaiting || this.filter?.passes(delivery) === false) return;
    this.receive(delivery);
  }

  kick(): void {
    this.#options.onKicked(this);
  }

  receive(delivery: Delivery): void {
    const { channel, message } = delivery;
    const sendKey = sendKeyOf(channel, message.fromUid, message.clientMsgNo);
    this.received.set(sendKey, (this.received.get(sendKey) ?? 0) + 1);
    this.#options.onDelivered(this, delivery);
  }
}

/** The fan-out of one node: what the gateway's topics do. */
export class SimulatedFanout implements Fanout {
  readonly sessions = new Set<SimulatedSession>();
  /** The index of the core that delivers here, once there is one. */
  registry: Pick<SessionRegistry, 'sessionsIn' | 'putRight'> | undefined;

  /** As the gateway's: a channel with another number of members than the index says is put right first. */
  deliver(delivery: Delivery): void {
    const { channel, exceptSession } = delivery;
    const wanted = this.registry?.sessionsIn(channel) ?? 0;
    if (this.registry && this.#memberCount(channel) !== wanted) this.registry.putRight(channel);
    for (const session of this.sessions) {
      if (!session.topics.has(channel) || session.id === exceptSession) continue;
      if (session.isWaiting || session.filter?.passes(delivery) === false) continue;
      session.receive(delivery);
    }
  }

  notify(): void {}

  #memberCount(channel: ChannelKey): number {
    let count = 0;
    for (const { topics } of this.sessions) if (topics.has(channel)) count += 1;
    return count;
  }
}
