import type { Membership } from './cluster/membership/port.ts';
import type { PeerTransport } from './cluster/link/port.ts';
import type { PeerState } from './cluster/replication/port.ts';
import { Replicator, type ReplicatorLimits } from './cluster/replication/replicator.ts';
import type { MemberId } from './core/ids.ts';
import type { Member, Roster } from './core/member.ts';
import type { SlotNumber } from './core/sequence.ts';
import { ChannelHeads } from './messaging/channel-heads.ts';
import { Delivery } from './messaging/delivery.ts';
import { DirectoryService } from './messaging/directory.ts';
import { MessageIds } from './messaging/message-ids.ts';
import type { Fanout, Services } from './messaging/port.ts';
import { Presence } from './messaging/presence.ts';
import { PublishService } from './messaging/publisher.ts';
import { RoutingIndex } from './messaging/routing-index.ts';
import { SendPermissions } from './messaging/send-permissions.ts';
import { SubscriptionService } from './messaging/subscriptions.ts';
import { WriteGate } from './messaging/write-gate.ts';
import type { Log } from './observability/log.ts';
import type { Runtime } from './runtime/port.ts';
import type { Store } from './storage/port.ts';
import { ReplicatedStore } from './storage/replica.ts';

/** What a node's core is made of besides its own code; the simulator brings other adapters. */
export interface CorePorts {
  readonly runtime: Runtime;
  readonly store: Store;
  readonly membership: Membership;
  readonly transport: PeerTransport;
  readonly fanout: Fanout;
  readonly log: Log;
}

export interface CoreOptions {
  readonly cluster: string;
  readonly self: Member;
  readonly numbering: SlotNumber;
  readonly replicator?: ReplicatorLimits | undefined;
  readonly intervalsMax?: number | undefined;
  readonly stagedBytesMax?: number | undefined;
  readonly payloadBytesMax?: number | undefined;
  readonly channelsCachedMax?: number | undefined;
  readonly channelsPerUserMax?: number | undefined;
  readonly routedTimeoutMs?: number | undefined;
  readonly secondDiskTimeoutMs?: number | undefined;
}

export interface CoreListener {
  onRebuildNeeded(peer: MemberId, reason: string): void;
  onPeerState?(state: PeerState): void;
  onRoster?(roster: Roster): void;
  onLive?(live: ReadonlySet<MemberId>): void;
}

/** Everything of a node but its surfaces: store, replication, routing, messaging. */
export interface NodeCore {
  readonly services: Services;
  readonly replica: ReplicatedStore;
  readonly replicator: Replicator;
  readonly routing: RoutingIndex;
  readonly delivery: Delivery;
  readonly gate: WriteGate;
  /** Joins the cluster and opens links; resolves with the roster. */
  start(): Promise<Roster>;
  /** Refuses writes, leaves the live set, closes links. The store stays open: its owner closes it. */
  stop(): Promise<void>;
}

const ROSTER_FACT = 'roster';

export async function createNodeCore(
  options: CoreOptions,
  ports: CorePorts,
  listener: CoreListener,
): Promise<NodeCore> {
  const { runtime, store, membership, transport, log } = ports;
  const { intervalsMax } = options;
  const replica = await ReplicatedStore.open({
    store,
    runtime,
    log,
    ...(intervalsMax === undefined ? {} : { intervalsMax }),
  });
  const replicator = new Replicator({
    self: options.self,
    cluster: options.cluster,
    slots: options.numbering.slots,
    replica,
    transport,
    membership,
    runtime,
    log,
    ...(options.replicator ? { limits: options.replicator } : {}),
    listener: {
      onTransient: (channel, sender, value) => delivery.onTransient(channel, sender, value),
      onInterest: (member, add, remove) => presence.onInterest(member, { add, remove }),
      onRebuildNeeded: (peer, reason) => listener.onRebuildNeeded(peer, reason),
      onPeerState: (state) => listener.onPeerState?.(state),
    },
  });
  const presence: Presence = new Presence({
    self: options.self.id,
    announce: (add, remove) => replicator.announce(add, remove),
    sessionsOf: (uid) => routing.sessionsOf(uid),
  });
  const routing = new RoutingIndex({
    store,
    replica,
    presence,
    channelsPerUserMax: options.channelsPerUserMax ?? 100_000,
  });
  const { services, permissions, delivery, gate } = createServices(options, ports, {
    replica,
    replicator,
    routing,
  });
  replica.addListener({
    onSubmitted: () => {},
    onDurable(applied) {
      for (const change of applied.changes) {
        permissions.onChange(change);
        routing.onChange(change);
      }
      delivery.onDurable(applied);
    },
  });
  return {
    services,
    replica,
    replicator,
    routing,
    delivery,
    gate,
    async start() {
      const cached = readRoster(replica);
      const roster = await membership.start(options.self, cached, {
        onRoster(next) {
          replica.setFact(ROSTER_FACT, new TextEncoder().encode(JSON.stringify(next)));
          replicator.onRoster(next);
          listener.onRoster?.(next);
        },
        onLive: (live) => listener.onLive?.(live),
      });
      replica.setFact(ROSTER_FACT, new TextEncoder().encode(JSON.stringify(roster)));
      replicator.onRoster(roster);
      await replicator.start();
      return roster;
    },
    async stop() {
      gate.stop();
      await membership.stop();
      await replicator.stop();
    },
  };
}

function createServices(
  options: CoreOptions,
  { runtime, store, fanout }: CorePorts,
  parts: { replica: ReplicatedStore; replicator: Replicator; routing: RoutingIndex },
): { services: Services; permissions: SendPermissions; delivery: Delivery; gate: WriteGate } {
  const { replica, replicator, routing } = parts;
  const channelsMax = options.channelsCachedMax ?? 100_000;
  const gate = new WriteGate({
    store,
    mayWrite: () => replicator.mayWrite(),
    stagedBytesMax: options.stagedBytesMax ?? 64 * 1024 * 1024,
  });
  const heads = new ChannelHeads(store, channelsMax);
  const delivery = new Delivery({ heads, fanout });
  const directory = new DirectoryService({ replica, gate });
  const permissions = new SendPermissions({ replica, directory, channelsMax });
  const subscriptions = new SubscriptionService({
    store,
    replica,
    replication: replicator,
    gate,
    directory,
    routedTimeoutMs: options.routedTimeoutMs ?? 250,
  });
  const publisher = new PublishService({
    replica,
    replication: replicator,
    gate,
    permissions,
    heads,
    delivery,
    messageIds: new MessageIds({ replica, runtime, slot: options.numbering.slot }),
    runtime,
    numbering: options.numbering,
    payloadBytesMax: options.payloadBytesMax ?? 1024 * 1024,
    secondDiskTimeoutMs: options.secondDiskTimeoutMs ?? 5_000,
  });
  return {
    services: { subscriptions, publisher, directory, sessions: routing },
    permissions,
    delivery,
    gate,
  };
}

function readRoster(replica: ReplicatedStore): Roster | undefined {
  const stored = replica.fact(ROSTER_FACT);
  if (!stored) return undefined;
  try {
    return JSON.parse(new TextDecoder().decode(stored)) as Roster;
  } catch {
    return undefined;
  }
}
