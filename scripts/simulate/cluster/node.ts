import type { DotRange } from '../../../src/core/dot.ts';
import type { ChannelKey, MemberId, Uid } from '../../../src/core/ids.ts';
import { decodeMessage } from '../../../src/core/kinds/message.ts';
import type { Member } from '../../../src/core/member.ts';
import { EMPTY_ROW, isLive, RECALL, type Row } from '../../../src/core/row.ts';
import { denyKey, splitRowKey, type RowKey } from '../../../src/core/row-key.ts';
import { VersionVector } from '../../../src/core/version-vector.ts';
import { createNodeCore, type NodeCore } from '../../../src/node/core.ts';
import type { RetentionOptions } from '../../../src/messaging/retention/port.ts';
import type { Log } from '../../../src/observability/log.ts';
import type { Runtime } from '../../../src/runtime/port.ts';
import { openStore } from '../../../src/node/open-store.ts';
import { finishRebuild } from '../../../src/node/rebuild.ts';
import { CLOSED_RANGE, VECTOR_RANGE } from '../../../src/storage/layout.ts';
import { MemoryStoreLocation, type Crash } from '../../../src/storage/memory-store.ts';
import type { Change } from '../../../src/storage/replica-port.ts';
import type { Store } from '../../../src/storage/port.ts';
import { decodeRow } from '../../../src/storage/row-codec.ts';
import { addVectorRows } from '../../../src/storage/stored-vector.ts';
import { SimulatedFanout } from '../clients/session.ts';
import type { Findings } from '../model/findings.ts';
import { sendKeyOf } from '../model/message-truth.ts';
import { floorAt } from '../model/retention.ts';
import type { WriteRegistry } from '../model/write-registry.ts';
import type { SimulatedEtcd } from '../ports/membership.ts';
import type { SimulatedNetwork } from '../ports/network.ts';
import type { Tuning } from './tuning.ts';
import { VirtualProcess, type WallClock } from '../world/virtual-process.ts';
import type { World } from '../world/world.ts';

export interface Surroundings {
  readonly world: World;
  readonly network: SimulatedNetwork;
  readonly etcd: SimulatedEtcd;
  readonly registry: WriteRegistry;
  readonly findings: Findings;
  readonly slots: number;
  readonly tuning: Tuning;
  readonly retention: RetentionOptions | undefined;
  /** Rows as they change, before anything of it is on the disk. */
  readonly onStaged: (node: SimulatedNode, changes: readonly Change[]) => void;
  /** A run has ended: its sessions are gone. */
  readonly onRunEnded: (run: NodeRun) => void;
  /** What the node knew is gone with its disk, or was set aside. */
  readonly onDiskLost: (node: SimulatedNode) => void;
}

/** One run of a node's process, from start to kill. */
export interface NodeRun {
  readonly node: SimulatedNode;
  readonly process: VirtualProcess;
  readonly fanout: SimulatedFanout;
  /** Absent until it has opened its store, and while it rebuilds. */
  core: NodeCore | undefined;
  store: Store | undefined;
  /** When its core began to run, virtual ms. */
  startedMs: number;
  /** Keys of the denials that its index has applied. */
  readonly denials: Set<RowKey>;
  /** Keys of the messages of whose recall it was told. */
  readonly recalled: Set<RowKey>;
  /** Send keys of messages that it learned of while they stood above the floor of their channel. */
  readonly heard: Set<string>;
  /** Messages in the order in which this run learned of them: two actors may give the same number. */
  readonly learned: Map<RowKey, number>;
  /** Aborted when this core ends. */
  ended: AbortController;
}

/** One machine: a wall clock, a disk, and the runs of the node that live on it one after another. */
export class SimulatedNode {
  readonly member: Member;
  readonly wall: WallClock = { offsetMs: 0, rate: 1 };
  readonly disk: MemoryStoreLocation;
  /** When its disk was last destroyed, rolled back or set aside, virtual ms. */
  diskLostMs = Number.NEGATIVE_INFINITY;
  readonly #around: Surroundings;
  #run: NodeRun | undefined;
  #runs = 0;
  #rebuilds = 0;
  #repairs = 0;

  constructor(member: Member, around: Surroundings) {
    this.member = member;
    this.#around = around;
    const random = around.world.random.fork(`disk ${member.id}`);
    const flushMs = random.pick([0.1, 0.5, 2, 8]);
    this.disk = new MemoryStoreLocation({
      runtime: currentRuntime(() => this.#run?.process),
      flushMs: () => random.exponential(flushMs),
    });
  }

  get id(): MemberId {
    return this.member.id;
  }

  get run(): NodeRun | undefined {
    return this.#run;
  }

  get rebuilds(): number {
    return this.#rebuilds;
  }

  /** Divergences that its audits and sweeps have told of. */
  get repairs(): number {
    return this.#repairs;
  }

  /** Its disk was destroyed, and it has not caught up again. */
  isBeingFilled(): boolean {
    if (this.diskLostMs === Number.NEGATIVE_INFINITY) return false;
    return this.#run?.core?.replicator.mayWrite() !== true || this.owesRebuild();
  }

  /** The core, where a process runs that is not paused and has started. */
  get core(): NodeCore | undefined {
    return this.#run?.process.state === 'running' ? this.#run.core : undefined;
  }

  hasSeen(range: DotRange): boolean {
    return this.#run?.core?.replica.covers(range) ?? false;
  }

  /**
   * The row as the running store has it, past everything that verifies and repairs what is read: a check
   * must not find for the node what it should find itself. Undefined where it cannot be decoded.
   */
  peek(key: RowKey): Row | undefined {
    const bytes = this.#run?.store?.get(key);
    if (!bytes) return EMPTY_ROW;
    // Contexts count on the actors that this store has closed.
    const replica = this.#run?.core?.replica;
    const decoded = replica ? replica.decode(key, bytes) : decodeRow(key, bytes);
    return decoded.ok ? decoded.row : undefined;
  }

  has(key: string): boolean {
    return this.#run?.store?.get(key) !== undefined;
  }

  /** What its disk says it has seen, whether a process runs or not. */
  vectorOnDisk(): VersionVector {
    const vector = new VersionVector(Number.MAX_SAFE_INTEGER);
    addVectorRows(vector, this.disk.diskRows(CLOSED_RANGE));
    addVectorRows(vector, this.disk.diskRows(VECTOR_RANGE));
    return vector;
  }

  /** A store that was set aside may hold what nobody else has, until it has been read again. */
  owesRebuild(): boolean {
    return this.disk.unread().length > 0;
  }

  /**
   * True where its index was told that the user is banned, and no allow is on its disk (which may have
   * come in the group whose changes are being told).
   */
  deniesRouting(channel: ChannelKey, uid: Uid): boolean {
    const key = denyKey(channel, uid, 'ban');
    const told = this.#run?.denials.has(key) ?? false;
    return told && isLive(this.core?.replica.read(key) ?? []);
  }

  start(): void {
    if (this.#run) return;
    const { world } = this.#around;
    this.#runs += 1;
    const name = `${this.id}#${this.#runs}`;
    const random = world.random.fork(name);
    const process = new VirtualProcess(world, { name, random, wall: this.wall });
    const fanout = new SimulatedFanout();
    const run: NodeRun = {
      node: this,
      process,
      fanout,
      core: undefined,
      store: undefined,
      startedMs: world.nowMs,
      denials: new Set(),
      recalled: new Set(),
      learned: new Map(),
      heard: new Set(),
      ended: new AbortController(),
    };
    this.#run = run;
    world.note(`${name} starts`);
    process.enter(() => void this.#boot(run).catch((error: unknown) => this.#failed(run, error)));
  }

  /** SIGKILL: nothing of the process runs again, its disk is left as `crash` says. */
  kill(crash: Crash = {}): void {
    const run = this.#run;
    if (!run) return;
    run.process.kill();
    this.disk.crash(crash);
    this.#run = undefined;
    this.#around.world.note(`${run.process.name} is killed`);
    this.#around.network.forget(this.id, run.process);
    this.#around.onRunEnded(run);
  }

  async #boot(run: NodeRun): Promise<void> {
    const { world, network, etcd, slots, tuning, retention } = this.#around;
    const store = await openStore(this.disk);
    if (run.process.state === 'dead') return;
    run.store = store;
    const core = await createNodeCore(
      {
        cluster: 'simulation',
        self: this.member,
        slots,
        ...tuning,
        retention,
      },
      {
        runtime: run.process,
        store,
        membership: etcd.membership(run.process),
        transport: network.transport(this.id, run.process),
        fanout: run.fanout,
        log: this.#log(run),
      },
      {
        onRebuildNeeded: (peer, reason) => {
          world.note(`${run.process.name} has to rebuild`, () => `${peer}: ${reason}`);
          run.process.timers.soon(() => void this.#rebuild(run, reason));
        },
      },
    );
    if (this.#run !== run) return;
    run.fanout.registry = core.routing;
    // An empty store learns of everything once more, in an order of its own.
    run.learned.clear();
    run.heard.clear();
    this.#watch(run, core);
    await core.start();
    run.core = core;
    run.startedMs = world.nowMs;
    world.note(`${run.process.name} runs`);
    const { signal } = run.ended;
    const log = this.#log(run);
    void finishRebuild({ core, location: this.disk, runtime: run.process, log, signal });
  }

  /** The store is set aside and the same process starts again with an empty one. */
  async #rebuild(run: NodeRun, reason: string): Promise<void> {
    const { core, store } = run;
    if (!core || !store) return;
    run.core = undefined;
    run.ended.abort();
    run.ended = new AbortController();
    this.#rebuilds += 1;
    await core.stop();
    await store.close();
    await this.disk.condemn(reason);
    this.#around.onRunEnded(run);
    this.#around.onDiskLost(this);
    await this.#boot(run);
  }

  #watch(run: NodeRun, core: NodeCore): void {
    const { registry } = this.#around;
    run.denials.clear();
    for (const key of registry.keys()) {
      if (key[0] === 'd' && isLive(core.replica.read(key))) run.denials.add(key);
    }
    core.repairs.add({ onRepair: () => (this.#repairs += 1) });
    core.replica.addListener({
      onSubmitted: (operation) => registry.see(operation, `${this.id} (own)`),
      onStaged: (changes) => {
        noteLearned(run, changes);
        noteHeard(run, changes, this);
        this.#around.onStaged(this, changes);
      },
      onDurable: ({ operation, changes }) => {
        if (operation) registry.see(operation, run.process.name);
        for (const { key, after } of changes) {
          if (key[0] === 'm' && after[0]?.tag === RECALL) run.recalled.add(key);
          if (key[0] !== 'd') continue;
          if (isLive(after)) run.denials.add(key);
          else run.denials.delete(key);
        }
      },
    });
  }

  #failed(run: NodeRun, error: unknown): void {
    if (run.process.state === 'dead') return;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#around.findings.report(0, `${this.id} does not start: ${text}`);
  }

  #log(run: NodeRun): Log {
    const { world } = this.#around;
    const write =
      (level: string) =>
      (message: string, fields?: Record<string, unknown>): void => {
        world.note(
          `${run.process.name} ${level}`,
          () => `${message} ${JSON.stringify(fields ?? {})}`,
        );
      };
    const log: Log = {
      debug: write('debug'),
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
      child: () => log,
    };
    return log;
  }
}

/** What a row says for the first time: its message goes out in this order, whichever way it came. */
function noteLearned({ learned }: NodeRun, changes: readonly Change[]): void {
  for (const { key, before } of changes) {
    if (key[0] !== 'm' || before.length > 0) continue;
    if (!learned.has(key)) learned.set(key, learned.size);
  }
}

function noteHeard({ heard }: NodeRun, changes: readonly Change[], node: SimulatedNode): void {
  for (const { key, before, after } of changes) {
    if (key[0] !== 'm' || before.length > 0) continue;
    const message = after[0] && decodeMessage(after[0].value);
    const channel = splitRowKey(key)!.parts[0] as ChannelKey;
    if (!message || message.messageSeq <= floorAt(node, channel)) continue;
    heard.add(sendKeyOf(channel, message.fromUid, message.clientMsgNo));
  }
}

/** A disk outlives the processes that use it, and always runs on the present one's time. */
function currentRuntime(current: () => Runtime | undefined): Runtime {
  const runtime = (): Runtime => {
    const process = current();
    if (!process) throw new Error('the disk is used while no process runs');
    return process;
  };
  return {
    get clock() {
      return runtime().clock;
    },
    get random() {
      return runtime().random;
    },
    get timers() {
      return runtime().timers;
    },
  };
}
