import { REPLICATION_LIMITS } from '../../src/cluster/replication/options.ts';
import type { Dot } from '../../src/core/dot.ts';
import type { ChannelKey, MemberId, Uid } from '../../src/core/ids.ts';
import type { Member } from '../../src/core/member.ts';
import { splitRowKey } from '../../src/core/row-key.ts';
import type { Delivery } from '../../src/messaging/port.ts';
import { checkDisks } from './checks/acknowledgement.ts';
import { checkOrder } from './checks/order.ts';
import { checkCollected } from './checks/evidence.ts';
import { SimulatedBackend, type Ban } from './clients/backend.ts';
import { SimulatedClient } from './clients/client.ts';
import { checkNotRecalled, isNotice, onRecallLost, SimulatedRecaller } from './clients/recaller.ts';
import type { SimulatedSession } from './clients/session.ts';
import { SimulatedNode, type NodeRun } from './cluster/node.ts';
import { DEFAULT_TUNING, drawTuning, type Tuning } from './cluster/tuning.ts';
import { DamageLedger } from './model/damage.ts';
import { LayerLedger } from './model/layer-ledger.ts';
import { Findings } from './model/findings.ts';
import { MessageTruth, sendKeyOf, type Sending } from './model/message-truth.ts';
import { SimulatedRetention } from './model/retention.ts';
import { SubscriptionTruth } from './model/subscription-truth.ts';
import { WriteRegistry } from './model/write-registry.ts';
import { wireCodec } from './ports/codec.ts';
import { SimulatedEtcd } from './ports/membership.ts';
import { SimulatedNetwork } from './ports/network.ts';
import type { SeededRandom } from './world/random.ts';
import { World } from './world/world.ts';

export interface SimulationOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly clients?: number | undefined;
  readonly channels?: number | undefined;
  /** Mean pause between two calls of one client. Virtual milliseconds. */
  readonly pauseMs?: number | undefined;
  /** Limits drawn by seed, many of them small, instead of the defaults. */
  readonly tuned?: boolean | undefined;
  /** These limits. */
  readonly tuning?: Tuning | undefined;
  /** Clients present only the receipts of subscribes that no later one has replaced. */
  readonly onlyNewestReceipts?: boolean | undefined;
  /** Senders take messages back. */
  readonly recalls?: boolean | undefined;
  /** Channels are cut by age and size. */
  readonly retention?: boolean | undefined;
  readonly print?: ((line: string) => void) | undefined;
}

export interface SimulationLimits {
  readonly intervalsMax: number;
  readonly unacknowledgedBytesMax: number;
  readonly linkBytesMax: number;
}

const HIGH_WATER_BYTES = 64 * 1024;

/** A cluster, its clients, and what is known to be true of them. */
export class Simulation {
  readonly world: World;
  readonly findings: Findings;
  readonly registry: WriteRegistry;
  readonly network: SimulatedNetwork;
  readonly etcd: SimulatedEtcd;
  readonly nodes: readonly SimulatedNode[];
  readonly clients: readonly SimulatedClient[];
  readonly backend: SimulatedBackend;
  readonly recaller: SimulatedRecaller | undefined;
  readonly retention: SimulatedRetention | undefined;
  readonly channels: readonly ChannelKey[];
  readonly subscriptions = new SubscriptionTruth();
  readonly messages = new MessageTruth();
  readonly sessions: SimulatedSession[] = [];
  readonly damage: DamageLedger;
  /** Damage with a bound on its repair. */
  readonly layers: LayerLedger;
  /** Its limits are not the defaults. */
  readonly isTuned: boolean;
  readonly presentsAll: boolean;
  readonly limits: SimulationLimits;
  /** Of the whole cluster: a message number modulo it is the slot of its origin. */
  readonly slots: number;
  /** Nodes that clients call no more for the moment. */
  readonly spared = new Set<SimulatedNode>();
  #sessionId = 0;

  constructor(options: SimulationOptions) {
    this.world = new World(options.seed, options.print);
    this.findings = new Findings(this.world);
    this.presentsAll = options.onlyNewestReceipts !== true;
    this.damage = new DamageLedger(this);
    this.layers = new LayerLedger(this.world, this.findings);
    this.registry = new WriteRegistry(this.findings, (key) => this.damage.isAltered(key));
    const members = Array.from({ length: options.nodes }, (_, index) => memberOf(index));
    this.etcd = new SimulatedEtcd(this.world, members);
    this.network = new SimulatedNetwork({
      world: this.world,
      codec: wireCodec,
      highWaterBytes: HIGH_WATER_BYTES,
    });
    const drawn = options.tuned ? drawTuning(this.world.random.fork('tuning')) : DEFAULT_TUNING;
    const tuning = options.tuning ?? drawn;
    this.isTuned = tuning !== DEFAULT_TUNING;
    this.limits = limitsOf(tuning);
    this.retention = options.retention
      ? new SimulatedRetention(this.world.random.fork('retention'))
      : undefined;
    const slots = options.nodes === 1 ? 1 : 32;
    this.slots = slots;
    this.nodes = members.map(
      (member) =>
        new SimulatedNode(member, {
          world: this.world,
          network: this.network,
          etcd: this.etcd,
          registry: this.registry,
          findings: this.findings,
          slots,
          tuning,
          retention: this.retention?.options,
          onStaged: (node, changes) => checkCollected(this, node, changes),
          onRunEnded: (run) => this.#onRunEnded(run),
          onDiskLost: (node) => this.onDiskLost(node),
        }),
    );
    this.channels = Array.from(
      { length: options.channels ?? 5 },
      (_, index) => `2/channel-${index}` as ChannelKey,
    );
    const pauseMs = options.pauseMs ?? 250;
    this.clients = Array.from(
      { length: options.clients ?? 10 },
      (_, index) => new SimulatedClient(this, { uid: `user-${index}` as Uid, pauseMs }),
    );
    this.backend = new SimulatedBackend(this, { pauseMs: 4 * pauseMs });
    this.recaller = options.recalls ? new SimulatedRecaller(this, { pauseMs }) : undefined;
  }

  node(id: string): SimulatedNode {
    const node = this.nodes.find((one) => one.id === id);
    if (!node) throw new Error(`no node ${id}`);
    return node;
  }

  /** A run that takes calls now. */
  pickRun(random: SeededRandom): NodeRun | undefined {
    const runs = this.nodes.flatMap((node) =>
      node.core && node.run && !this.spared.has(node) ? [node.run] : [],
    );
    return runs.length > 0 ? random.pick(runs) : undefined;
  }

  nextSessionId(): number {
    this.#sessionId += 1;
    return this.#sessionId;
  }

  /** True where more than one caller decides about the pair, so that no single one knows the truth. */
  isContested(channel: ChannelKey, uid: Uid): boolean {
    return this.backend.hasTouched(channel, uid);
  }

  bans(): Iterable<Ban> {
    return this.backend.bans();
  }

  onDiskLost(node: SimulatedNode): void {
    node.diskLostMs = this.world.nowMs;
    this.damage.onDiskLost(node);
    this.subscriptions.forget(node.id);
  }

  /** After a heal every node routes by everything that is known for certain. */
  refreshKnown(): void {
    for (const pair of this.subscriptions.pairs()) {
      for (const node of this.nodes) {
        if (!pair.knownBy.has(node.id)) pair.knownBy.set(node.id, this.world.nowMs);
      }
    }
  }

  /**
   * Writes have gone with the only disk that held them. A message that was acknowledged with two disks
   * must not be among them, unless its other disk was destroyed before.
   */
  onWritesLost(node: SimulatedNode, isLost: (dot: Dot) => boolean): void {
    for (const write of this.registry.all()) {
      if (!isLost(write.dot)) continue;
      this.registry.onLost(write);
      onRecallLost(this, write);
      const [channel, second, third] = splitRowKey(write.key)!.parts as [
        ChannelKey,
        string,
        string,
      ];
      if (write.key[0] === 's') this.subscriptions.find(channel, second as Uid)?.becomeUnknown();
      if (write.key[0] === 'd') this.backend.doubtBans(channel);
      if (write.key[0] !== 'i') continue;
      const sending = this.messages.get(sendKeyOf(channel, second as Uid, third));
      if (!sending) continue;
      sending.mayBeLost = true;
      if (sending.result?.disks !== 2) continue;
      const others = this.nodes.filter((other) => other !== node);
      if (others.some((other) => other.diskLostMs >= sending.calledMs)) continue;
      const text = `${sending.clientMsgNo} was acknowledged with 2 disks and is lost with one`;
      this.findings.report(13, text);
    }
  }

  onPublished(sending: Sending, run: NodeRun): void {
    checkDisks(this, sending, run);
  }

  /** What is checked at each delivery: in order, none twice, none after a removal, none to the banned. */
  onDelivered(session: SimulatedSession, delivery: Delivery): void {
    const { channel, message } = delivery;
    if (this.recaller && isNotice(delivery)) return;
    const sendKey = sendKeyOf(channel, message.fromUid, message.clientMsgNo);
    this.world.note(`${session.member} delivers`, () => `${sendKey} to session ${session.id}`);
    const sending = this.messages.get(sendKey);
    const who = `session ${session.id} of ${session.uid} at ${session.member}`;
    if (!sending) {
      this.findings.report(13, `${who} got ${sendKey}, which nobody sent`);
      return;
    }
    const count = session.received.get(sendKey)!;
    if (count > sending.attempts) {
      this.findings.report(13, `${who} got ${sendKey} ${count} times`);
    }
    const member = this.node(session.member);
    checkNotRecalled(this, session, delivery);
    checkOrder(this, session, { channel, message, sendKey, written: delivery.written });
    if (member.deniesRouting(channel, session.uid)) {
      this.findings.report(5, `${who} is banned on ${channel} and got ${sendKey}`);
    }
    if (this.isContested(channel, session.uid)) return;
    if (this.subscriptions.find(channel, session.uid)?.removedAt(member.id)) {
      this.findings.report(6, `${who} got ${sendKey} after its unsubscribe was acknowledged`);
    }
  }

  #onRunEnded(run: NodeRun): void {
    for (const session of run.fanout.sessions) session.open = false;
    run.fanout.sessions.clear();
  }
}

function limitsOf({ intervalsMax, replicator }: Tuning): SimulationLimits {
  const limits = { ...REPLICATION_LIMITS, ...replicator };
  const { frameBytesMax, unacknowledgedBytesMax, queueBytesMax } = limits;
  const operationBytesMax = Math.max(2 * frameBytesMax, 4 * 1024);
  return {
    intervalsMax,
    // The window, the queue before it, and one operation that is larger than either.
    unacknowledgedBytesMax: unacknowledgedBytesMax + queueBytesMax + operationBytesMax,
    linkBytesMax: 4 * 1024 * 1024,
  };
}

function memberOf(index: number): Member {
  const id = `node-${index + 1}` as MemberId;
  const port = 7100 + 100 * index;
  return {
    id,
    slot: index,
    peerAddress: `127.0.0.1:${port}`,
    clientAddress: `ws://127.0.0.1:${port + 1}`,
    httpAddress: `http://127.0.0.1:${port + 2}`,
    adminAddress: `127.0.0.1:${port + 3}`,
  };
}
