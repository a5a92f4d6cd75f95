import { LinkCalls } from '../../../src/cluster/calls/link-calls.ts';
import { Replicator } from '../../../src/cluster/replication/replicator.ts';
import type { ReplicationLimits } from '../../../src/cluster/replication/options.ts';
import type { PeerState } from '../../../src/cluster/replication/port.ts';
import { EMPTY_CONTEXT } from '../../../src/core/context.ts';
import type { MemberId } from '../../../src/core/ids.ts';
import type { Roster } from '../../../src/core/member.ts';
import type { Operation } from '../../../src/core/operation.ts';
import { shardOf } from '../../../src/core/placement.ts';
import { subscriptionKey } from '../../../src/core/row-key.ts';
import type { Log } from '../../../src/observability/log.ts';
import { MemoryStoreLocation, type MemorySnapshot } from '../../../src/storage/memory-store.ts';
import type { Store } from '../../../src/storage/port.ts';
import { ReplicatedStore } from '../../../src/storage/replica.ts';
import { VirtualProcess } from '../../../scripts/simulate/world/virtual-process.ts';
import { World } from '../../../scripts/simulate/world/world.ts';
import { group, uid } from '../../support/ids.ts';
import { member } from '../../support/members.ts';
import { TestNetwork } from './network.ts';

export interface TestNode {
  readonly id: MemberId;
  process: VirtualProcess;
  disk: MemoryStoreLocation;
  replica: ReplicatedStore;
  replicator: Replicator;
  readonly calls: LinkCalls;
  readonly transients: string[];
  readonly interest: string[];
  readonly rebuilds: string[];
  readonly states: PeerState[];
}

export interface StartOptions {
  readonly catchingUp?: boolean;
  readonly limits?: Partial<ReplicationLimits>;
  readonly cluster?: string;
  readonly slots?: number;
}

const quiet: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => quiet,
};

/** Replicators with real replicas on disks in memory, on one virtual time line. */
export class TestCluster {
  readonly world: World;
  readonly network = new TestNetwork();
  readonly nodes = new Map<string, TestNode>();
  roster: Roster;
  /** Before the node's links open. */
  onOpen: (node: TestNode, store: Store) => void = () => {};
  readonly #limits: Partial<ReplicationLimits>;
  #runs = 0;

  constructor(names: readonly string[], limits: Partial<ReplicationLimits> = {}, seed = 1) {
    this.world = new World(seed);
    this.#limits = limits;
    this.roster = { epoch: 1, members: names.map((name, slot) => member(name, slot)) };
  }

  node(name: string): TestNode {
    return this.nodes.get(name)!;
  }

  async start(name: string, options: StartOptions = {}): Promise<TestNode> {
    const before = this.nodes.get(name);
    const id = name as MemberId;
    const process = new VirtualProcess(this.world, {
      name: `${name}${this.#runs++}`,
      random: this.world.random.fork(`${name} ${this.#runs}`),
    });
    // The disk belongs to the machine, its time to the world: a dead process flushes nothing.
    const disk = new MemoryStoreLocation({ runtime: process });
    if (before) disk.restore(before.disk.snapshot());
    return this.#run({ id, process, disk }, options);
  }

  /** kill -9; what is on disk stays. */
  kill(name: string): void {
    const { id, process } = this.node(name);
    this.network.kill(id, process);
  }

  /** The disk is gone, or set back to what it was. */
  async startWith(name: string, rows: MemorySnapshot | undefined, options: StartOptions = {}) {
    const node = this.node(name);
    const process = new VirtualProcess(this.world, {
      name: `${name}${this.#runs++}`,
      random: this.world.random.fork(`${name} ${this.#runs}`),
    });
    const disk = new MemoryStoreLocation({ runtime: process });
    if (rows) disk.restore(rows);
    return this.#run({ id: node.id, process, disk }, options);
  }

  write(name: string, from: number, count = 1): Operation {
    const { replica } = this.node(name);
    let last: Operation | undefined;
    for (let i = from; i < from + count; i++) {
      const channel = group(`g${i % 50}`);
      const key = subscriptionKey(channel, uid(`u${i}`));
      const draft = { key, tag: 0, context: EMPTY_CONTEXT, value: new Uint8Array(8) };
      last = replica.submit(shardOf(channel), [draft]);
    }
    return last!;
  }

  has(name: string, i: number): boolean {
    return (
      this.node(name).replica.read(subscriptionKey(group(`g${i % 50}`), uid(`u${i}`))).length > 0
    );
  }

  equal(...names: string[]): boolean {
    const [first, ...others] = names.map((name) => this.node(name).replica);
    const hash = first!.durableHash();
    return others.every((replica) => replica.durableHash() === hash);
  }

  live(...names: string[]): boolean {
    return names.every((name) => this.node(name).replicator.livePeers() === names.length - 1);
  }

  async until(condition: () => boolean, limitMs: number): Promise<number> {
    const start = this.world.nowMs;
    if (!(await this.world.runUntil(condition, limitMs))) {
      throw new Error(`not within ${limitMs} virtual ms`);
    }
    return this.world.nowMs - start;
  }

  async #run(
    { id, process, disk }: Pick<TestNode, 'id' | 'process' | 'disk'>,
    options: StartOptions,
  ): Promise<TestNode> {
    const store = await this.world.runFor(disk.open(), 1_000);
    const opening = ReplicatedStore.open({ store, runtime: process, log: quiet });
    const replica = await this.world.runFor(opening, 1_000);
    const [transients, interest, rebuilds, states] = [[], [], [], []] as [
      string[],
      string[],
      string[],
      PeerState[],
    ];
    const calls: LinkCalls = new LinkCalls({
      runtime: process,
      log: quiet,
      opened: (member) => replicator.openedTo(member),
      members: () => replicator.peers().map((state) => state.member),
    });
    const replicator: Replicator = new Replicator({
      cluster: options.cluster ?? 'test',
      self: this.roster.members.find((place) => place.id === id)!,
      slots: options.slots ?? 32,
      roster: this.roster,
      replica,
      transport: this.network.transport(id, process),
      runtime: process,
      log: quiet,
      catchingUp: options.catchingUp ?? false,
      calls,
      limits: { ...this.#limits, ...options.limits },
      listener: {
        onTransient: (channel, sender, value) =>
          transients.push(`${channel} ${sender} ${new TextDecoder().decode(value)}`),
        onInterest: (peer, add, remove) => {
          for (const item of add) interest.push(`${peer} +${item}`);
          for (const item of remove) interest.push(`${peer} -${item}`);
        },
        onRebuildNeeded: (peer, reason) => rebuilds.push(`${peer}: ${reason}`),
        onPeerState: (state) => states.push(state),
      },
    });
    const node: TestNode = {
      ...{ id, process, disk, replica, replicator, calls },
      ...{ transients, interest, rebuilds, states },
    };
    this.nodes.set(id, node);
    this.onOpen(node, store);
    await this.world.runFor(replicator.start(), 1_000);
    return node;
  }
}

export async function startAll(
  names: readonly string[],
  limits: Partial<ReplicationLimits> = {},
): Promise<TestCluster> {
  const cluster = new TestCluster(names, limits);
  for (const name of names) await cluster.start(name);
  await cluster.until(() => cluster.live(...names), 3_000);
  return cluster;
}
