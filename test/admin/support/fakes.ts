import type { Dot } from '../../../src/core/dot.ts';
import type { ActorId, ChannelKey, MemberId, Uid } from '../../../src/core/ids.ts';
import type { Member } from '../../../src/core/member.ts';
import { shardOf } from '../../../src/core/placement.ts';
import type { Outcome, Refusal } from '../../../src/core/reason-code.ts';
import type { ClusterInfo, Subscription, SubscriptionListing } from '../../../src/admin/port.ts';
import type {
  ManySubscriptionsRequest,
  PublishRequest,
  PublishResult,
  RoutedSession,
  Services,
  SubscriptionRequest,
  SubscriptionResult,
  Subscriptions,
} from '../../../src/messaging/port.ts';

const ACTOR = '00000000000000aa' as ActorId;

/** What only client sessions call. */
function notAsked(): never {
  throw new Error('not asked for here');
}

/** A table in memory that can refuse, and can be held back. */
export class FakeSubscriptions implements Subscriptions, SubscriptionListing {
  readonly table = new Map<ChannelKey, Set<Uid>>();
  readonly requests: (SubscriptionRequest & { readonly action: string })[] = [];
  refusal: Refusal | undefined;
  defect: Error | undefined;
  missing: MemberId[] = [];
  hold: Promise<void> | undefined;
  inFlight = 0;
  inFlightMax = 0;
  #counter = 0;

  subscribe(request: SubscriptionRequest): Promise<Outcome<SubscriptionResult>> {
    return this.#change('subscribe', request);
  }

  unsubscribe(request: SubscriptionRequest): Promise<Outcome<SubscriptionResult>> {
    return this.#change('unsubscribe', request);
  }

  subscribeInto = notAsked;
  unsubscribeInto = notAsked;

  subscribeMany({ channels, ...how }: ManySubscriptionsRequest) {
    return Promise.all(channels.map((part) => this.subscribe({ ...part, ...how })));
  }

  unsubscribeMany({ channels, ...how }: ManySubscriptionsRequest) {
    return Promise.all(channels.map((part) => this.unsubscribe({ ...part, ...how })));
  }

  unsubscribeAll(): Promise<Outcome<number>> {
    throw new Error('not asked for here');
  }

  isSubscribed(channel: ChannelKey, uid: Uid): boolean {
    return this.table.get(channel)?.has(uid) ?? false;
  }

  async subscribersOf(channel: ChannelKey, after: Uid | undefined, limit: number) {
    return this.#all()
      .filter((entry) => entry.channel === channel && (after === undefined || entry.uid > after))
      .map(({ uid }) => uid)
      .slice(0, limit);
  }

  async channelsOf(uid: Uid, after: ChannelKey | undefined, limit: number) {
    return this.#all()
      .filter((entry) => entry.uid === uid && (after === undefined || entry.channel > after))
      .map(({ channel }) => channel)
      .slice(0, limit);
  }

  async page(after: Subscription | undefined, limit: number) {
    const name = ({ channel, uid }: Subscription): string => `${channel}\u0001${uid}`;
    return this.#all()
      .filter((entry) => after === undefined || name(entry) > name(after))
      .slice(0, limit);
  }

  async digest() {
    return { subscriptions: this.#all().length, digest: 'fedcba9876543210' };
  }

  #all(): Subscription[] {
    return [...this.table]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([channel, uids]) => [...uids].sort().map((uid) => ({ channel, uid })));
  }

  async #change(
    action: 'subscribe' | 'unsubscribe',
    request: SubscriptionRequest,
  ): Promise<Outcome<SubscriptionResult>> {
    this.requests.push({ ...request, action });
    this.inFlightMax = Math.max(this.inFlightMax, ++this.inFlight);
    await this.hold;
    this.inFlight--;
    if (this.defect) throw this.defect;
    if (this.refusal) return this.refusal;
    const uids = this.table.get(request.channel) ?? new Set();
    this.table.set(request.channel, uids);
    const receipts: Dot[] = request.uids.map((uid) => {
      if (action === 'subscribe') uids.add(uid);
      else uids.delete(uid);
      return { actor: ACTOR, shard: shardOf(request.channel), counter: ++this.#counter };
    });
    const reached = this.missing.length > 0 ? 'local' : request.waitFor;
    return { ok: true, value: { receipts, reached, missing: this.missing } };
  }
}

export class FakeSession implements RoutedSession {
  readonly id: number;
  readonly uid: Uid;
  readonly deviceFlag = 1;
  readonly deviceLevel = 1;
  readonly deviceId = 'device';
  readonly connectedAtMs = 1_700_000_000_000;
  readonly remoteAddress = '10.1.1.1';
  readonly protocol = 'json-rpc';
  readonly kicks: string[] = [];

  constructor(id: number, uid: string) {
    this.id = id;
    this.uid = uid as Uid;
  }

  deliveriesBefore = 0;

  join(): void {}
  leave(): void {}
  deliver(): void {}
  hasJoined(): boolean {
    return true;
  }
  joinedChannels(): readonly ChannelKey[] {
    return [];
  }
  kick(reason: number, text: string): void {
    this.kicks.push(`${reason} ${text}`);
  }
}

export class FakeServices implements Services {
  readonly subscriptions = new FakeSubscriptions();
  readonly connected: FakeSession[] = [];
  readonly published: PublishRequest[] = [];
  publishOutcome: Outcome<PublishResult> | undefined;
  readonly publisher = {
    publishInto: notAsked,
    publish: async (request: PublishRequest): Promise<Outcome<PublishResult>> => {
      this.published.push(request);
      const { clientMsgNo } = request;
      const value = { messageId: 2n ** 62n + 1n, messageSeq: 33, clientMsgNo, disks: 2 };
      return this.publishOutcome ?? { ok: true, value };
    },
  };
  readonly sessions: Services['sessions'] = {
    attach: async () => {},
    detach: () => {},
    sessions: () => this.connected,
    sessionsOf: (uid) => this.connected.filter((session) => session.uid === uid),
    online: () => [],
    channelCountOf: () => 2,
    sessionsIn: () => 0,
    putRight: () => {},
  };
  readonly directory = undefined as unknown as Services['directory'];
}

export function member(id: string, slot: number): Member {
  return {
    id: id as MemberId,
    slot,
    peerAddress: `127.0.0.1:71${slot}0`,
    clientAddress: `ws://127.0.0.1:52${slot}0`,
    httpAddress: `http://127.0.0.1:50${slot}1`,
    adminAddress: `127.0.0.1:53${slot}0`,
  };
}

export function fakeCluster(change: Partial<ClusterInfo> = {}): ClusterInfo {
  const b = 'b' as MemberId;
  return {
    nodeId: 'a' as MemberId,
    cluster: 'test',
    version: '1.2.3',
    actor: ACTOR,
    uptimeMs: () => 1234.5,
    roster: () => ({ epoch: 7, members: [member('a', 0), member('b', 1), member('c', 2)] }),
    live: () => new Set(['a' as MemberId, b]),
    peers: () => [
      {
        member: b,
        live: true,
        lagging: false,
        behind: 3,
        lagMs: 0,
        unacknowledgedBytes: 10,
        lastHeardMs: 1_700_000_000_000,
        lastError: undefined,
      },
    ],
    membershipStatus: () => ({ state: 'ok' }),
    storeStatus: () => ({ state: 'failing', sinceMs: 5, error: new Error('disk is full') }),
    mayWrite: () => true,
    vectorHash: () => 0xbeef,
    ...change,
  };
}
