import type { OperationLog } from '../audit/operations/operation-log.ts';
import type { Replicator } from '../cluster/replication/replicator.ts';
import type { ChannelKey, Uid } from '../core/ids.ts';
import { SEPARATOR, type RowKey } from '../core/row-key.ts';
import type { SlotNumber } from '../core/sequence.ts';
import { SessionLists } from '../messaging/channel-lists.ts';
import { ConversationService } from '../messaging/conversations/conversations.ts';
import { IntegrityCheck } from '../messaging/conversations/integrity.ts';
import { hideOnLeaving } from '../messaging/conversations/leaving.ts';
import type { Conversations } from '../messaging/conversations/port.ts';
import { ConversationNotices } from '../messaging/conversations/notices.ts';
import { ChannelHistory } from '../messaging/history/history.ts';
import { ChannelTails } from '../messaging/channel-tails.ts';
import { ChannelHeads } from '../messaging/channel-heads.ts';
import { Delivery } from '../messaging/delivery.ts';
import { DirectoryService } from '../messaging/directory.ts';
import { MessageIds } from '../messaging/message-ids.ts';
import type { Cause, Services } from '../messaging/port.ts';
import { ModerationService } from '../messaging/moderation/moderation.ts';
import { SignedOutDevices } from '../messaging/moderation/signed-out.ts';
import { PublishService } from '../messaging/publisher.ts';
import { LateCopies } from '../messaging/recall/late-copies.ts';
import { RecallNotices } from '../messaging/recall/notices.ts';
import { RecallService } from '../messaging/recall/recalls.ts';
import type { RoutingIndex } from '../messaging/routing-index.ts';
import { retentionFloor } from '../messaging/retention/retention.ts';
import { SendPermissions } from '../messaging/send-permissions.ts';
import { StoredMessages } from '../messaging/stored-messages.ts';
import { SubscriptionService } from '../messaging/subscriptions.ts';
import { SubscriptionTable } from '../messaging/subscription-table.ts';
import { WriteGate } from '../messaging/write-gate.ts';
import type { Log } from '../observability/log.ts';
import type { Runtime } from '../runtime/port.ts';
import type { Store } from '../storage/port.ts';
import type { ReplicaListener } from '../storage/replica-port.ts';
import type { Floors } from '../messaging/retention/floors.ts';
import { ASIDE_FACT } from '../storage/rebuild.ts';
import type { ReplicatedStore } from '../storage/replica.ts';
import type { CoreListener, CoreOptions, CorePorts } from './core.ts';
import { createResumes } from './resumes.ts';
import { countOutcomes, Outcomes } from './outcomes.ts';
import type { Repairs } from './upkeep.ts';

/** Present from the first start of a new store until it has caught up with a peer. */
const CATCHING_UP_FACT = 'catching-up';

const RECALL_WINDOW_MS = 120_000;
const INTEGRITY_MS = 60_000;
/** Three sweeps: what a peer has comes back by itself, with its own dot. */
const INTEGRITY_GRACE_MS = 30_000;

/** The order of an operation: on disk, then who may send, who receives, and only then the message. */
export function tellInOrder(parts: {
  permissions: SendPermissions;
  routing: RoutingIndex;
  delivery: Delivery;
  notices: readonly Pick<ReplicaListener, 'onDurable'>[];
  copies: LateCopies;
  replicator: Replicator;
  listener: CoreListener;
}): ReplicaListener {
  const { permissions, routing, delivery, notices, copies, replicator, listener } = parts;
  return {
    onSubmitted: () => {},
    onStaged: (changes) => delivery.onStaged(changes),
    onReceived: (applied) => delivery.onReceived(applied),
    onDurable(applied) {
      for (const change of applied.changes) {
        permissions.onChange(change);
        routing.onChange(change, applied.operation ? undefined : 'merged');
        if (change.key[0] === 's') replicator.noteSubscribed(channelOf(change.key));
      }
      delivery.onDurable(applied);
      for (const notice of notices) notice.onDurable(applied);
      copies.onDurable(applied);
      listener.onDurable?.(applied);
    },
  };
}

function channelOf(key: RowKey): ChannelKey {
  return key.slice(3, key.indexOf(SEPARATOR, 3)) as ChannelKey;
}

interface ServiceParts {
  services: Services;
  outcomes: Outcomes;
  permissions: SendPermissions;
  delivery: Delivery;
  lists: SessionLists;
  notices: readonly Pick<ReplicaListener, 'onDurable'>[];
  copies: LateCopies;
  gate: WriteGate;
  table: SubscriptionTable;
  integrity: IntegrityCheck;
}

/** Messaging over one replica: who may write, who subscribes, who publishes, who is told. */
export function createServices(
  options: CoreOptions & { readonly numbering: SlotNumber },
  { runtime, store, fanout, log }: CorePorts,
  parts: {
    replica: ReplicatedStore;
    floors: Floors;
    replicator: Replicator;
    routing: RoutingIndex;
    journal: OperationLog;
    repairs: Repairs;
  },
): ServiceParts {
  const { replica, floors, replicator, routing, journal, repairs } = parts;
  const outcomes = new Outcomes();
  const channelsMax = options.channelsCachedMax ?? 100_000;
  const routedTimeoutMs = options.routedTimeoutMs ?? 250;
  const gate = createGate(options, store, { replica, replicator });
  const heads = new ChannelHeads(store, channelsMax, (of) => retentionFloor(replica, of));
  const messageIds = new MessageIds({ replica, runtime, slot: options.numbering.slot });
  const { recent, resumes } = createResumes({ runtime, log }, { replica, routing });
  const delivery = new Delivery({
    ...{ heads, fanout, store, messageIds, recent },
    read: (key) => replica.read(key),
    isCut: (key, row) => floors.isCut(key, row),
  });
  const directory = new DirectoryService({ replica, gate, journal });
  const moderation = new ModerationService({ replica, store, gate, directory, journal });
  const { strangers, writeAcks } = options;
  const permissions = new SendPermissions({ replica, directory, strangers, channelsMax });
  const table = new SubscriptionTable(store, replica);
  const writing = { replica, replication: replicator, gate, journal, routedTimeoutMs };
  const isFull = (uid: Uid): boolean => routing.isFull(uid);
  const subscriptions = new SubscriptionService({ ...writing, table, isFull });
  const publisher = new PublishService({
    ...writing,
    ...{ permissions, heads, delivery, messageIds, runtime },
    ...publishOptions(options),
  });
  const lists = new SessionLists({
    ...{ index: routing, log: delivery.log },
    messages: new StoredMessages(store, replica, runtime.clock),
    nowMs: () => runtime.clock.monotonicMs(),
    onMissed: (missed) => repairs.clientMissed(missed, runtime.clock.wallMs()),
  });
  const facts = {
    clock: runtime.clock,
    livePeers: () => (writeAcks === 1 ? 0 : replicator.livePeers()),
    journal,
  };
  const { integrity, ...past } = createPast(options, {
    ...{ store, replica, replicator, directory, gate, runtime, table, repairs, log },
  });
  const services = {
    ...{ publisher, directory, moderation, sessions: routing, lists, resumes },
    ...past,
  };
  const leaving = hideOnLeaving(subscriptions, past.conversations);
  return {
    services: countOutcomes({ ...services, subscriptions: leaving }, outcomes, facts),
    ...{ outcomes, permissions, delivery, lists, gate, table, integrity },
    notices: [
      new RecallNotices(fanout),
      new SignedOutDevices(routing),
      new ConversationNotices({ ...past, fanout, sessions: routing, clock: runtime.clock }),
    ],
    copies: new LateCopies(replica, gate),
  };
}

function publishOptions({
  numbering,
  payloadBytesMax = 1024 * 1024,
  secondDiskTimeoutMs = 5_000,
  writeAcks,
}: CoreOptions & { readonly numbering: SlotNumber }) {
  return { numbering, payloadBytesMax, secondDiskTimeoutMs, writeAcks };
}

/** The services as one surface uses them: the operation log says that a write came by it. */
export function servicesFor(services: Services, cause: Cause): Services {
  const { directory, moderation } = services;
  return { ...services, directory: directory.by(cause), moderation: moderation?.by(cause) };
}

interface PastParts {
  readonly store: Store;
  readonly replica: ReplicatedStore;
  readonly replicator: Replicator;
  readonly directory: DirectoryService;
  readonly gate: WriteGate;
  readonly runtime: Runtime;
  readonly table: SubscriptionTable;
  readonly repairs: Repairs;
  readonly log: Log;
}

function createGate(
  { stagedBytesMax = 64 * 1024 * 1024 }: CoreOptions,
  store: Store,
  { replica, replicator }: Pick<PastParts, 'replica' | 'replicator'>,
): WriteGate {
  let caughtUp = false;
  return new WriteGate({
    store,
    mayWrite: () => {
      caughtUp ||= noteCaughtUp(replica, replicator);
      return caughtUp;
    },
    stagedBytesMax,
  });
}

type Past = Pick<Services, 'history' | 'recalls'> & {
  readonly conversations: Conversations;
  readonly integrity: IntegrityCheck;
};

/** What reads stored messages, takes them back, says what of them was read, and by whom they are seen. */
function createPast(
  {
    recallWindowMs: windowMs = () => RECALL_WINDOW_MS,
    secondDiskTimeoutMs = 5_000,
    auditPace = 1,
  }: CoreOptions,
  { replicator: replication, ...parts }: PastParts,
): Past {
  const { store, replica, runtime } = parts;
  const { clock } = runtime;
  const tails = new ChannelTails({ store, replica });
  // Before who asks for them when told of the same change.
  replica.addListener(tails.listener());
  const conversations = new ConversationService({ ...parts, clock, tails });
  replica.addListener(conversations.listener());
  const pace = { intervalMs: INTEGRITY_MS / auditPace, graceMs: INTEGRITY_GRACE_MS / auditPace };
  return {
    conversations,
    history: new ChannelHistory({
      store,
      replica,
      clock,
      tails,
      floorOf: (of) => retentionFloor(replica, of),
    }),
    recalls: new RecallService({ ...parts, replication, windowMs, secondDiskTimeoutMs }),
    integrity: new IntegrityCheck({ ...parts, ...pace, conversations }),
  };
}

/** True while the store is new, or not yet as far as the peers were when it was new. */
export function noteCatchingUp(replica: ReplicatedStore): boolean {
  if (replica.durableVector().length === 0) {
    replica.setFact(CATCHING_UP_FACT, new Uint8Array([1]));
  }
  return replica.fact(CATCHING_UP_FACT) !== undefined;
}

/**
 * What a set-aside store alone holds has not been seen here: a removal without receipt would not cover
 * it, and it would come back.
 */
export function untilAsideWasRead(replica: ReplicatedStore): () => boolean {
  let owed = true;
  return () => {
    owed &&= replica.fact(ASIDE_FACT) !== undefined;
    return owed;
  };
}

function noteCaughtUp(replica: ReplicatedStore, replicator: Replicator): boolean {
  if (!replicator.mayWrite()) return false;
  if (replica.fact(CATCHING_UP_FACT)) replica.setFact(CATCHING_UP_FACT, undefined);
  return true;
}
