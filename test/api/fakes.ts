import { request } from 'node:http';
import type { ChannelKey, MemberId, Uid } from '../../src/core/ids.ts';
import { refuse, REASON, type Outcome } from '../../src/core/reason-code.ts';
import type {
  ChannelFlags,
  ChannelSettings,
  DeviceToken,
  OnlineDevice,
  PublishRequest,
  Services,
  SubscriptionRequest,
  SubscriptionResult,
} from '../../src/messaging/port.ts';
import { HttpApi } from '../../src/api/http-server.ts';
import type { ClusterView, HttpApiOptions } from '../../src/api/port.ts';
import { silentLog } from '../../src/observability/log.ts';
import { systemRuntime } from '../../src/runtime/system.ts';

type Channel = ChannelSettings & ChannelFlags;

const NEW_CHANNEL: Channel = {
  large: false,
  allowStranger: false,
  join: 'closed',
  deleted: false,
  ban: false,
  disband: false,
  sendBan: false,
};

/** Services in memory that remember what they were asked. */
export class FakeServices {
  readonly subscribers = new Map<ChannelKey, Set<Uid>>();
  readonly channels = new Map<ChannelKey, Channel>();
  readonly tokens = new Map<string, DeviceToken>();
  readonly published: PublishRequest[] = [];
  readonly requests: SubscriptionRequest[] = [];
  readonly online: OnlineDevice[] = [];
  messageId = 2n ** 53n + 1n;
  /** Every write is refused with it. */
  refusal: Outcome<never> | undefined;
  /** Thrown by every write. */
  defect: Error | undefined;
  /** Writes wait for it. */
  hold: Promise<void> = Promise.resolve();
  writes = 0;

  get services(): Services {
    return {
      subscriptions: {
        subscribe: (request) => this.#change(request, (set, uid) => set.add(uid)),
        unsubscribe: (request) => this.#change(request, (set, uid) => set.delete(uid)),
        subscribeInto: notAsked,
        unsubscribeInto: notAsked,
        subscribeMany: () => Promise.reject(new Error('not asked for here')),
        unsubscribeMany: () => Promise.reject(new Error('not asked for here')),
        unsubscribeAll: (channel) =>
          this.#write(() => {
            const count = this.subscribersOf(channel).size;
            this.subscribers.delete(channel);
            return count;
          }),
        isSubscribed: (channel, uid) => this.subscribersOf(channel).has(uid),
        subscribersOf: (channel, after, limit) => {
          const uids = [...this.subscribersOf(channel)].sort();
          return Promise.resolve(uids.filter((uid) => !after || uid > after).slice(0, limit));
        },
        channelsOf: () => Promise.resolve([]),
        digest: () => Promise.resolve({ subscriptions: 0, digest: '' }),
      },
      publisher: {
        publishInto: notAsked,
        publish: (request) =>
          this.#write(() => {
            this.published.push(request);
            const { clientMsgNo } = request;
            return { messageId: this.messageId, messageSeq: 7, clientMsgNo, disks: 2 };
          }),
      },
      directory: this.#directory(),
      sessions: {
        attach: () => Promise.resolve(),
        detach: () => {},
        sessions: () => [],
        sessionsOf: () => [],
        online: (uid) => this.online.filter((device) => device.uid === uid),
        channelCountOf: () => 0,
        sessionsIn: () => 0,
        putRight: () => {},
      },
    };
  }

  #directory(): Services['directory'] {
    return {
      by: () => this.#directory(),
      setToken: (uid, flag, token) =>
        this.#write(() => void this.tokens.set(`${uid}/${flag}`, token)),
      revokeTokens: () => this.#write(() => undefined),
      checkToken: () => ({ ok: true, value: { level: 1 } }),
      channel: (channel) => this.channels.get(channel),
      setChannel: (channel, settings, flags) =>
        this.#write(() => {
          const known = this.channels.get(channel) ?? NEW_CHANNEL;
          const next = { ...known, deleted: false, ...settings, ...flags };
          this.channels.set(channel, next);
          return undefined;
        }),
      deny: () => this.#write(() => undefined),
      allow: () => this.#write(() => undefined),
    };
  }

  subscribersOf(channel: string): Set<Uid> {
    return this.subscribers.get(channel as ChannelKey) ?? new Set();
  }

  #change(
    request: SubscriptionRequest,
    apply: (set: Set<Uid>, uid: Uid) => void,
  ): Promise<Outcome<SubscriptionResult>> {
    return this.#write(() => {
      this.requests.push(request);
      const set = this.subscribersOf(request.channel);
      for (const uid of request.uids) apply(set, uid);
      this.subscribers.set(request.channel, set);
      return { receipts: [], reached: 'all', missing: [] };
    });
  }

  async #write<Value>(apply: () => Value): Promise<Outcome<Value>> {
    this.writes += 1;
    await this.hold;
    if (this.defect) throw this.defect;
    return this.refusal ?? { ok: true, value: apply() };
  }
}

export const storeFailing = refuse(REASON.systemError, 'the store cannot write: no space left');

export const CLUSTER: ClusterView = {
  self: 'node-1' as MemberId,
  members: [1, 2].map((number) => ({
    id: `node-${number}` as MemberId,
    slot: number - 1,
    peerAddress: `10.0.0.${number}:7100`,
    clientAddress: `ws://chat-${number}.example.com:5200`,
    httpAddress: `http://node-${number}.example.com:5001`,
    adminAddress: `10.0.0.${number}:5300`,
  })),
  live: new Set(['node-1' as MemberId]),
  sessions: 3,
};

export function apiOptions(
  fake: FakeServices,
  changes: Partial<HttpApiOptions> = {},
): HttpApiOptions {
  return {
    services: fake.services,
    managerTokens: [],
    hostsAllowed: [],
    originsAllowed: [],
    bodyBytesMax: 1024 * 1024,
    log: silentLog,
    random: systemRuntime.random,
    timers: systemRuntime.timers,
    metrics: () => Promise.resolve({ contentType: 'text/plain; version=0.0.4', text: 'up 1\n' }),
    health: () => ({ ready: true, reasons: [] }),
    cluster: () => CLUSTER,
    clientAddressFor: () => 'ws://chat-1.example.com:5200',
    ...changes,
  };
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface Call {
  readonly port: number;
  readonly path: string;
  readonly method: string;
  readonly headers: Record<string, string>;
}

/** node:http and not fetch, which sends no Host or Origin of the caller's. */
export function call({ port, ...options }: Call, body?: string | Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, agent: false, ...options }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({ status: response.statusCode ?? 0, text, headers: response.headers });
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

export interface RunningApi {
  readonly fake: FakeServices;
  readonly api: HttpApi;
  readonly port: number;
  readonly post: (path: string, body: unknown, headers?: Record<string, string>) => Promise<Answer>;
  readonly get: (path: string, headers?: Record<string, string>) => Promise<Answer>;
}

/** Runs an API on an ephemeral port for one test. */
export async function withApi(
  use: (running: RunningApi) => Promise<void>,
  changes: Partial<HttpApiOptions> = {},
): Promise<void> {
  const fake = new FakeServices();
  const api = new HttpApi(apiOptions(fake, changes));
  const port = await api.start('127.0.0.1', 0);
  try {
    await use({
      fake,
      api,
      port,
      post: (path, body, headers = {}) => {
        const text =
          typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
        return call({ port, path, method: 'POST', headers }, text);
      },
      get: (path, headers = {}) => call({ port, path, method: 'GET', headers }),
    });
  } finally {
    await api.stop();
  }
}

/** What only client sessions call. */
function notAsked(): never {
  throw new Error('not asked for here');
}
