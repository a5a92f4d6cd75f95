import { StaticMembership } from '../../src/cluster/membership/static.ts';
import type { Link, LinkHandler, PeerTransport } from '../../src/cluster/link/port.ts';
import { parseMemberId, type ChannelKey, type Uid } from '../../src/core/ids.ts';
import type { Delivery, Fanout, PublishRequest, RoutedSession } from '../../src/messaging/port.ts';
import { createNodeCore, type CoreOptions, type NodeCore } from '../../src/node/core.ts';
import { silentLog, type Log } from '../../src/observability/log.ts';
import type { Runtime } from '../../src/runtime/port.ts';
import { testRuntime } from './runtime.ts';
import { MemoryStoreLocation } from '../../src/storage/memory-store.ts';
import type { Store } from '../../src/storage/port.ts';
import type { WebhookSender } from '../../src/webhooks/port.ts';
import { uid } from './ids.ts';

/** A transport of a node that has no peers. */
export const noPeers: PeerTransport = {
  listen: (_accept: (link: Link) => LinkHandler) => Promise.resolve(),
  connect: () => Promise.reject(new Error('there are no peers')),
  close: () => Promise.resolve(),
};

/** Records what a session has joined and what reached it. */
export class RecordingSession implements RoutedSession {
  static #next = 1;
  readonly id = RecordingSession.#next++;
  readonly uid: Uid;
  readonly deviceFlag: number;
  readonly deviceLevel: number = 0;
  readonly deviceId = 'device';
  readonly connectedAtMs = Date.now();
  readonly remoteAddress = '127.0.0.1';
  readonly protocol = 'json-rpc';
  readonly joined = new Set<ChannelKey>();
  readonly delivered: Delivery[] = [];
  deliveriesBefore = 0;
  kicked: string | undefined;

  constructor(name: string, deviceFlag = 1) {
    this.uid = uid(name);
    this.deviceFlag = deviceFlag;
  }

  join(channel: ChannelKey): void {
    this.joined.add(channel);
  }

  leave(channel: ChannelKey): void {
    this.joined.delete(channel);
  }

  hasJoined(channel: ChannelKey): boolean {
    return this.joined.has(channel);
  }

  joinedChannels(): readonly ChannelKey[] {
    return [...this.joined];
  }

  deliver(delivery: Delivery): void {
    this.delivered.push(delivery);
  }

  kick(_reason: number, text: string): void {
    this.kicked = text;
  }
}

export interface LoneCore {
  readonly core: NodeCore;
  readonly location: MemoryStoreLocation;
  readonly store: Store;
  readonly deliveries: Delivery[];
  readonly stop: () => Promise<void>;
}

export interface LoneOptions extends Partial<CoreOptions> {
  readonly log?: Log | undefined;
  /** Instead of the one that fills `deliveries`. */
  readonly fanout?: Fanout | undefined;
  readonly webhookSender?: WebhookSender | undefined;
  /** Instead of the real clock. */
  readonly runtime?: Runtime | undefined;
}

/** The core of a lone node on a memory store, with the real clock unless another is given. */
export async function startLoneCore(
  location = new MemoryStoreLocation({ runtime: testRuntime }),
  { log = silentLog, fanout: other, webhookSender, runtime, ...options }: LoneOptions = {},
): Promise<LoneCore> {
  const id = parseMemberId('n1');
  if (!id.ok) throw new Error(id.error);
  const self = {
    id: id.value,
    slot: 0,
    peerAddress: '127.0.0.1:1',
    clientAddress: 'ws://127.0.0.1:1',
    httpAddress: 'http://127.0.0.1:1',
    adminAddress: '127.0.0.1:1',
  };
  const deliveries: Delivery[] = [];
  const fanout: Fanout = {
    deliver: (delivery) => void deliveries.push(delivery),
    notify: () => {},
  };
  const store = await location.open();
  const core = await createNodeCore(
    { cluster: 'test', self, slots: 1, ...options },
    {
      runtime: runtime ?? testRuntime,
      store,
      membership: new StaticMembership({ members: [self], slots: 1 }),
      transport: noPeers,
      fanout: other ?? fanout,
      ...{ log, webhookSender },
    },
    { onRebuildNeeded: () => {} },
  );
  await core.start();
  const stop = async (): Promise<void> => {
    await core.stop();
    await store.close();
  };
  return { core, location, store, deliveries, stop };
}

export function message(channel: ChannelKey, sender: string, text: string): PublishRequest {
  return {
    sender: uid(sender),
    channel,
    clientMsgNo: '',
    payload: new TextEncoder().encode(text),
    noPersist: false,
    redDot: true,
    syncOnce: false,
    setting: 0,
    topic: '',
    expire: 0,
    cause: 'client',
  };
}
