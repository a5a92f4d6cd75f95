import type { ActorId, ChannelKey, Uid } from '../../src/core/ids.ts';
import { personsOf } from '../../src/core/placement.ts';
import { REASON, refuse, type Outcome } from '../../src/core/reason-code.ts';
import type {
  Directory,
  Fanout,
  Publisher,
  PublishRequest,
  PublishResult,
  RoutedSession,
  Services,
  SessionRegistry,
  Sink,
  SubscriptionRequest,
  SubscriptionResult,
  Subscriptions,
} from '../../src/messaging/port.ts';

function notFaked(): never {
  throw new Error('not faked');
}

function settleInto<Value>(sink: Sink<Value>, outcome: Promise<Outcome<Value>>): void {
  outcome.then(
    (value) => sink.settle(value),
    (error: unknown) => sink.fail(error),
  );
}

/** The services on a few maps: what is published comes back through the fan-out at once. */
export class FakeServices {
  fanout: Fanout | undefined;
  readonly tokens = new Map<string, { readonly token: string; readonly level: number }>();
  readonly subscribers = new Map<ChannelKey, Set<Uid>>();
  readonly attached = new Set<RoutedSession>();
  readonly published: PublishRequest[] = [];
  readonly unsubscribed: SubscriptionRequest[] = [];
  /** What the next requests wait for. */
  gate: Promise<void> = Promise.resolve();
  attachGate: Promise<void> = Promise.resolve();
  publishError: Error | undefined;
  refusal: Outcome<never> | undefined;
  #seq = 0;
  readonly #heads = new Map<ChannelKey, number>();

  readonly services: Services = {
    subscriptions: this.#subscriptions(),
    publisher: this.#publisher(),
    directory: this.#directory(),
    sessions: this.#sessions(),
  };

  /** Channels whose number of members was not what it should be. */
  readonly putRight: ChannelKey[] = [];

  sessionsIn(channel: ChannelKey): number {
    const uids = this.subscribers.get(channel);
    return [...this.attached].filter(({ uid }) => uids?.has(uid)).length;
  }

  sessionsOf(uid: string): RoutedSession[] {
    return [...this.attached].filter((session) => session.uid === uid);
  }

  subscribe(channel: ChannelKey, uid: Uid): void {
    let uids = this.subscribers.get(channel);
    if (!uids) this.subscribers.set(channel, (uids = new Set()));
    if (uids.has(uid)) return;
    uids.add(uid);
    for (const session of this.sessionsOf(uid)) session.join(channel);
  }

  #subscriptions(): Subscriptions {
    const result = (request: SubscriptionRequest): Outcome<SubscriptionResult> => ({
      ok: true,
      value: {
        receipts: request.uids.map(() => ({
          actor: '00000000000000aa' as ActorId,
          shard: 3,
          counter: ++this.#seq,
        })),
        reached: request.waitFor,
        missing: [],
      },
    });
    const subscribe: Subscriptions['subscribe'] = async (request) => {
      await this.gate;
      if (this.refusal) return this.refusal;
      for (const uid of request.uids) this.subscribe(request.channel, uid);
      return result(request);
    };
    const unsubscribe: Subscriptions['unsubscribe'] = async (request) => {
      await this.gate;
      this.unsubscribed.push(request);
      for (const uid of request.uids) {
        this.subscribers.get(request.channel)?.delete(uid);
        for (const session of this.sessionsOf(uid)) session.leave(request.channel);
      }
      return result(request);
    };
    return {
      subscribe,
      unsubscribe,
      subscribeInto: (request, sink) => settleInto(sink, subscribe(request)),
      unsubscribeInto: (request, sink) => settleInto(sink, unsubscribe(request)),
      subscribeMany: notFaked,
      unsubscribeMany: notFaked,
      unsubscribeAll: notFaked,
      isSubscribed: (channel, uid) => this.subscribers.get(channel)?.has(uid) ?? false,
      subscribersOf: notFaked,
      channelsOf: notFaked,
      digest: notFaked,
    };
  }

  #publisher(): Publisher {
    const publish = async (request: PublishRequest): Promise<Outcome<PublishResult>> => {
      this.published.push(request);
      await this.gate;
      if (this.publishError) throw this.publishError;
      if (this.refusal) return this.refusal;
      return { ok: true, value: this.publish(request) };
    };
    return {
      publish,
      publishInto: (request, sink) => settleInto(sink, publish(request)),
    };
  }

  publish(request: PublishRequest): PublishResult {
    for (const uid of personsOf(request.channel) ?? []) {
      if (request.channel.startsWith('1/')) this.subscribe(request.channel, uid);
    }
    const messageSeq = request.noPersist ? 0 : ++this.#seq;
    const messageId = 1_790_000_000_000_000_000n + BigInt(this.published.length);
    const prevSeq = this.#heads.get(request.channel) ?? 0;
    this.#heads.set(request.channel, messageSeq);
    const { channel, exceptSession, sender, cause: _cause, ...rest } = request;
    const message = { ...rest, messageId, messageSeq, fromUid: sender, timestamp: 1_790_000_000 };
    this.fanout?.deliver({ channel, prevSeq, exceptSession, message });
    const disks = request.noPersist ? 0 : 1;
    return { messageId, messageSeq, clientMsgNo: request.clientMsgNo, disks };
  }

  #directory(): Directory {
    return {
      by: () => this.#directory(),
      setToken: notFaked,
      revokeTokens: notFaked,
      checkToken: (uid, deviceFlag, token) => {
        const known = this.tokens.get(`${uid}/${deviceFlag}`);
        return known && known.token === token
          ? { ok: true, value: { level: known.level } }
          : refuse(REASON.authenticationFailed, 'token: not valid for this user and device');
      },
      channel: () => undefined,
      setChannel: notFaked,
      deny: notFaked,
      allow: notFaked,
    };
  }

  #sessions(): SessionRegistry {
    return {
      attach: async (session) => {
        this.attached.add(session);
        await this.attachGate;
        for (const [channel, uids] of this.subscribers)
          if (uids.has(session.uid)) session.join(channel);
      },
      detach: (session) => void this.attached.delete(session),
      sessions: () => this.attached,
      sessionsOf: (uid) => this.sessionsOf(uid),
      sessionsIn: (channel) => this.sessionsIn(channel),
      putRight: (channel) => void this.putRight.push(channel),
      online: () => [],
      channelCountOf: (session) =>
        [...this.subscribers.values()].filter((uids) => uids.has(session.uid)).length,
    };
  }
}
