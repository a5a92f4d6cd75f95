import { OperationLog } from '../audit/operations/operation-log.ts';
import type { LayerFacts } from '../audit/explain/port.ts';
import type { Membership } from '../cluster/membership/port.ts';
import type { LinkCalls } from '../cluster/calls/link-calls.ts';
import type { PeerTransport } from '../cluster/link/port.ts';
import type { SweepLimits } from '../cluster/sweep/options.ts';
import type { ReplicationLimits, ReplicatorOptions } from '../cluster/replication/options.ts';
import type { PeerState, ReplicationListener } from '../cluster/replication/port.ts';
import { Replicator } from '../cluster/replication/replicator.ts';
import type { MemberId } from '../core/ids.ts';
import type { Member, Roster } from '../core/member.ts';
import type { SessionLists } from '../messaging/channel-lists.ts';
import type { Delivery } from '../messaging/delivery.ts';
import type { IntegrityCheck } from '../messaging/conversations/integrity.ts';
import type { Fanout, RoutedSession, Services } from '../messaging/port.ts';
import { Presence } from '../messaging/presence.ts';
import { Floors } from '../messaging/retention/floors.ts';
import type { RetentionOptions } from '../messaging/retention/port.ts';
import type { RetentionService } from '../messaging/retention/retention.ts';
import { RoutingIndex } from '../messaging/routing-index.ts';
import type { StrangerPolicy } from '../messaging/send-permissions.ts';
import type { SubscriptionTable } from '../messaging/subscription-table.ts';
import type { ConnectionService } from '../connections/connections.ts';
import type { ConnectionDriver } from '../connections/port.ts';
import type { ConnectionTimes } from '../connections/state-machine.ts';
import { createConnections, pairingsOf } from './connections.ts';
import { createDiagnosis, type Diagnosis } from './diagnosis.ts';
import type { Outcomes } from './outcomes.ts';
import { createServices, noteCatchingUp, tellInOrder, untilAsideWasRead } from './services.ts';
import { createCalls, Repairs } from './upkeep.ts';
import { createSweepUpkeep, type SweepUpkeep } from './upkeep/sweep.ts';
import { createUpkeep, type Upkeep } from './upkeep/disk.ts';
import { answerProbes, probeInterest, type ProbeParts } from './upkeep/probes.ts';
import { createSessionUpkeep, type SessionUpkeep } from './upkeep/sessions.ts';
import { createRetention } from './upkeep/retention.ts';
import { createWebhooks } from './upkeep/webhooks.ts';
import type { WriteGate } from '../messaging/write-gate.ts';
import type { Log } from '../observability/log.ts';
import type { Runtime } from '../runtime/port.ts';
import { Erasure } from '../storage/erasure.ts';
import type { Store } from '../storage/port.ts';
import type { Applied } from '../storage/replica-port.ts';
import { ReplicatedStore } from '../storage/replica.ts';
import type { WebhookOptions } from '../webhooks/options.ts';
import type { WebhookSender } from '../webhooks/port.ts';
import type { WebhookService } from '../webhooks/service.ts';

/** What a node's core is made of besides its own code; the simulator brings other adapters. */
export interface CorePorts {
  readonly runtime: Runtime;
  readonly store: Store;
  readonly membership: Membership;
  readonly transport: PeerTransport;
  readonly fanout: Fanout;
  readonly log: Log;
  /** What is unsent to a session, for explanations; absent where there are no sockets. */
  readonly queueBytes?: LayerFacts['queueBytes'];
  /** By the kind of connection that each opens. */
  readonly connectionDrivers?: ReadonlyMap<string, ConnectionDriver> | undefined;
  /** Absent: no webhooks are sent. */
  readonly webhookSender?: WebhookSender | undefined;
}

export interface CoreOptions {
  readonly cluster: string;
  /** `slot` as configured; the roster's is the one that counts. */
  readonly self: Member;
  /** The constant of the cluster: 1 for a lone node. */
  readonly slots: number;
  /** What is kept of channels; absent: this node judges nothing and keeps to what others judge. */
  readonly retention?: RetentionOptions | undefined;
  /** Who is told of what happens; absent: nobody. */
  readonly webhooks?: WebhookOptions | undefined;
  readonly replicator?: Partial<ReplicationLimits> | undefined;
  readonly intervalsMax?: number | undefined;
  readonly stagedBytesMax?: number | undefined;
  readonly payloadBytesMax?: number | undefined;
  readonly channelsCachedMax?: number | undefined;
  readonly channelsPerUserMax?: number | undefined;
  readonly routedTimeoutMs?: number | undefined;
  readonly secondDiskTimeoutMs?: number | undefined;
  readonly operationLogEntriesMax?: number | undefined;
  /** Disks that the acknowledgement of a message waits for while a peer is live; 2 by default. */
  readonly writeAcks?: 1 | 2 | undefined;
  /** Of direct messages to users who have not said otherwise; `allow` by default. */
  readonly strangers?: StrangerPolicy | undefined;
  /** How long a sender may recall, by channel type; 120 s by default. Milliseconds. */
  readonly recallWindowMs?: ((channelType: number) => number) | undefined;
  /** From a recall to the erasure of its content from the store's files. Milliseconds. */
  readonly eraseDelayMs?: number | undefined;
  readonly sweep?: Partial<SweepLimits> | undefined;
  /** A member away for so long leaves the roster; absent: only an operator takes one off it. */
  readonly forgetAfterMs?: number | undefined;
  /** How many times as often as by default the layers are compared: 1, and 5 in the fast profile. */
  readonly auditPace?: number | undefined;
  /** How long each state of a kept connection may last. */
  readonly connectionTimes?: Partial<ConnectionTimes> | undefined;
}

export interface CoreListener {
  onRebuildNeeded(peer: MemberId, reason: string): void;
  onPeerState?(state: PeerState): void;
  onRoster?(roster: Roster): void;
  onLive?(live: ReadonlySet<MemberId>): void;
  onSession?(session: RoutedSession, change: 'connected' | 'disconnected'): void;
  /** Everything that reached the disk, after the index and the fan-out had it. */
  onDurable?(applied: Applied): void;
}

/** Everything of a node but its surfaces: store, replication, routing, messaging. */
export interface NodeCore {
  readonly services: Services;
  readonly outcomes: Outcomes;
  readonly replica: ReplicatedStore;
  readonly replicator: Replicator;
  readonly routing: RoutingIndex;
  readonly delivery: Delivery;
  /** What each session should have, for clients that compare. */
  readonly lists: SessionLists;
  readonly gate: WriteGate;
  readonly table: SubscriptionTable;
  /** What was done to subscriptions here, and why. */
  readonly journal: OperationLog;
  /** Every divergence that this node finds and what came of it. */
  readonly repairs: Repairs;
  readonly upkeep: Upkeep;
  /** What keeps this member's rows equal to every other member's. */
  readonly sweeps: SweepUpkeep;
  /** Explain, repair and verify, and the operation logs of all members as one. */
  readonly diagnosis: Diagnosis;
  /** Questions to other members, and who answers theirs. */
  readonly calls: LinkCalls;
  /** What keeps index and sockets equal to the disk. */
  readonly sessions: SessionUpkeep;
  /** What finds messages that the users they are for do not see. */
  readonly integrity: IntegrityCheck;
  /** What takes recalled content out of the store's files. */
  readonly erasure: Erasure;
  /** What the cluster keeps open for others. */
  readonly connections: ConnectionService;
  /** What is kept of channels, and for how long. */
  readonly retention: RetentionService;
  /** Undefined where no receiver is configured. */
  readonly webhooks: WebhookService | undefined;
  /** What a canary of this node is made of. */
  readonly probes: ProbeParts;
  /** As the roster has it. */
  readonly self: Member;
  /** Opens links to the peers and accepts theirs. */
  start(): Promise<void>;
  /** Refuses writes, leaves the live set, closes links. The store stays open: its owner closes it. */
  stop(): Promise<void>;
}

const ROSTER_FACT = 'roster';

/**
 * Opens the replica, joins the cluster (the slot comes from the roster) and puts the parts together.
 * Rejects with the membership's error where the cluster does not take this member.
 */
export async function createNodeCore(
  options: CoreOptions,
  ports: CorePorts,
  listener: CoreListener,
): Promise<NodeCore> {
  const { runtime, membership, log } = ports;
  const { replica, floors, journal, repairs, upkeep, erasure } = await openStores(options, ports);
  const catchingUp = noteCatchingUp(replica);
  let replicator: Replicator | undefined;
  const calls = createCalls({ runtime, log, replicator: () => replicator });
  const roster = await join(options.self, { replica, membership, listener }, (next) =>
    replicator?.updateRoster(next),
  );
  const self = roster.members.find((member) => member.id === options.self.id) ?? options.self;
  const routing = createRouting(options, ports, {
    ...{ replica, self, listener },
    webhooks: (): WebhookService | undefined => webhooks,
    announce: (add, remove) => replicator!.announce(add, remove),
    runOf: (member) => replicator!.runOf(member),
    upkeep: () => sessions,
    deliveries: () => parts.delivery.log.count,
  });
  const told = { repairs, runtime, routing, delivery: () => parts.delivery };
  replicator = createReplicator(options, ports, {
    ...{ self, replica, roster, catchingUp, calls },
    interest: () => [...routing.interest(), probeInterest(self.id)],
    listener: replicationListener(listener, told),
  });
  const parts = createServices(
    { ...options, numbering: { slot: self.slot, slots: options.slots } },
    ports,
    { replica, floors, replicator, routing, journal, repairs },
  );
  const sessions: SessionUpkeep = createSessionUpkeep(options.auditPace ?? 1, {
    ...{ index: routing, deliveries: parts.delivery.log, store: ports.store, replica },
    ...{ repairs, runtime, log, resumes: parts.services.resumes },
    repairKeys: (keys) => sweeps.ask(keys),
  });
  replica.addListener(tellInOrder({ ...parts, routing, replicator, listener }));
  const { sweep: limits, forgetAfterMs } = options;
  const sweeping = { self: self.id, runtime, log, membership, replica, replicator, upkeep };
  const sweeps = createSweepUpkeep({ limits, forgetAfterMs }, { ...sweeping, calls, repairs });
  const { delivery, gate } = parts;
  const around = { self: self.id, replica, gate, calls, replicator };
  const connections = await createConnections(options, ports, around);
  const webhooks = await createWebhooks(options, ports, { ...around, ...parts, repairs });
  const retention = createRetention(options, ports, { ...around, floors });
  const probes = { self: self.id, runtime, calls, replication: replicator, delivery };
  answerProbes(probes);
  const diagnosis = createDiagnosis(ports, {
    ...{ replica, replicator, routing, journal, repairs, calls, self, upkeep, sessions, sweeps },
    digest: () => parts.services.subscriptions.digest(),
  });
  return {
    ...parts,
    services: { ...parts.services, pairings: pairingsOf(connections) },
    diagnosis,
    ...{ replica, replicator, routing, self, journal, repairs, calls },
    ...{ upkeep, sessions, sweeps, probes, erasure, connections, webhooks, retention },
    ...lifeOf(
      [upkeep, sessions, sweeps, erasure, connections, parts.integrity, webhooks, retention],
      { ...{ gate, membership, replicator }, verifier: diagnosis.verifier },
    ),
  };
}

/** What watches starts when links may be opened, and ends before they are closed. */
function lifeOf(
  watching: readonly ({ start(): void; stop(): void } | undefined)[],
  parts: {
    readonly gate: WriteGate;
    readonly membership: Membership;
    readonly replicator: Replicator;
    readonly verifier: { stop(): void };
  },
): Pick<NodeCore, 'start' | 'stop'> {
  return {
    async start() {
      await parts.replicator.start();
      for (const each of watching) each?.start();
    },
    async stop() {
      for (const each of watching) each?.stop();
      parts.verifier.stop();
      parts.gate.stop();
      await parts.membership.stop();
      await parts.replicator.stop();
    },
  };
}

type LinkParts = Pick<
  ReplicatorOptions,
  'self' | 'replica' | 'roster' | 'catchingUp' | 'calls' | 'interest' | 'listener'
> & { readonly replica: ReplicatedStore };

function createReplicator(
  { cluster, slots, replicator: limits }: CoreOptions,
  { runtime, transport, log }: CorePorts,
  parts: LinkParts,
): Replicator {
  const heldBack = untilAsideWasRead(parts.replica);
  return new Replicator({ ...parts, cluster, slots, limits, runtime, transport, log, heldBack });
}

/** What the links tell, and who has to know. */
function replicationListener(
  listener: CoreListener,
  parts: {
    readonly repairs: Repairs;
    readonly runtime: Runtime;
    readonly routing: RoutingIndex;
    readonly delivery: () => Delivery;
  },
): ReplicationListener {
  const { repairs, runtime, routing, delivery } = parts;
  return {
    onTransient: (channel, sender, value) => delivery().onTransient(channel, sender, value),
    onInterest: (member, add, remove) => routing.onInterest(member, { add, remove }),
    onInterestAltered: (peer) => repairs.interestAltered(peer, runtime.clock.wallMs()),
    onRebuildNeeded: (peer, reason) => listener.onRebuildNeeded(peer, reason),
    onPeerState: (state) => listener.onPeerState?.(state),
  };
}

/** What is kept on this disk, and what watches over it. */
async function openStores(options: CoreOptions, { store, runtime, log }: CorePorts) {
  const { intervalsMax } = options;
  const replica = await ReplicatedStore.open({ store, runtime, log, intervalsMax });
  const entriesMax = options.operationLogEntriesMax ?? 200_000;
  const journal = await OperationLog.open({ store, runtime, log, entriesMax });
  replica.addListener(journal);
  const repairs = new Repairs(log);
  repairs.add(journal);
  const { cluster, auditPace: auditSpeed } = options;
  const floors = new Floors(replica);
  replica.addListener(floors);
  const watched = { store, replica, floors, runtime, log, repairs };
  const upkeep = createUpkeep({ cluster, auditSpeed }, watched);
  const erasure = new Erasure({ store, runtime, log, delayMs: options.eraseDelayMs });
  replica.addListener(erasure);
  return { replica, floors, journal, repairs, upkeep, erasure };
}

interface RoutingParts {
  readonly replica: ReplicatedStore;
  readonly self: Member;
  readonly listener: CoreListener;
  readonly announce: Replicator['announce'];
  readonly runOf: Replicator['runOf'];
  readonly upkeep: () => SessionUpkeep;
  readonly webhooks: () => WebhookService | undefined;
  readonly deliveries: () => number;
}

function createRouting(
  options: CoreOptions,
  { store, log }: CorePorts,
  { replica, self, listener, announce, runOf, upkeep, webhooks, deliveries }: RoutingParts,
): RoutingIndex {
  const routing: RoutingIndex = new RoutingIndex({
    store,
    replica,
    presence: new Presence({
      self: self.id,
      announce,
      sessionsOf: (uid) => routing.sessionsOf(uid),
      runOf,
      onRemote: (session, change) => webhooks()?.onRemote(session, change),
    }),
    channelsPerUserMax: options.channelsPerUserMax ?? 100_000,
    onOverLimit: (uid, channelsMax) =>
      log.warn('a user has more channels than one may receive: the rest is not delivered here', {
        uid,
        channelsMax,
      }),
    onSession(session, change) {
      upkeep().onSession(session, change);
      webhooks()?.onSession(session, change);
      listener.onSession?.(session, change);
    },
    deliveries,
    onCountDiffers: (channel) => upkeep().socketAudit.checkChannel(channel),
    onMerged: (channel, uid) => upkeep().onMerged(channel, uid),
    onLost: (channel, uid) => upkeep().indexAudit.noteLost({ channel, uid }),
  });
  return routing;
}

/** Joins the cluster on the roster that was known last, and writes down every one that follows. */
async function join(
  self: Member,
  parts: { replica: ReplicatedStore; membership: Membership; listener: CoreListener },
  onChange: (roster: Roster) => void,
): Promise<Roster> {
  const { replica, membership, listener } = parts;
  const note = (roster: Roster): void => {
    // One that dropped this member is no roster to start from, and a list in cluster.yml is nothing
    // that etcd could have forgotten: a lone node that grows takes the slot that etcd gives it.
    if (!membership.fixed && roster.members.some(({ id }) => id === self.id))
      replica.setFact(ROSTER_FACT, new TextEncoder().encode(JSON.stringify(roster)));
    listener.onRoster?.(roster);
  };
  const roster = await membership.start(self, readRoster(replica), {
    onRoster(next) {
      note(next);
      onChange(next);
    },
    onLive: (live) => listener.onLive?.(live),
  });
  note(roster);
  return roster;
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
