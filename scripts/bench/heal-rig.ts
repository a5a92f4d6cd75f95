import { isConverged } from '../simulate/checks/convergence.ts';
import { SimulatedSession } from '../simulate/clients/session.ts';
import type { Tuning } from '../simulate/cluster/tuning.ts';
import { Simulation } from '../simulate/simulation.ts';
import type { Repair } from '../../src/audit/port.ts';
import { REPLICATION_LIMITS } from '../../src/cluster/replication/options.ts';
import { SWEEP_LIMITS } from '../../src/cluster/sweep/options.ts';
import type { ChannelKey, Uid } from '../../src/core/ids.ts';
import type { NodeCore } from '../../src/node/core.ts';
import type { Store } from '../../src/storage/port.ts';

export type Profile = 'default' | 'fast';

const CHANNELS = 32;
const NODES = 3;
const SETTLE_MS = 30_000;
const CALL_MS = 10_000;

/** As `audit.profile` sets them. */
export function tuningOf(profile: Profile): Tuning {
  const auditPace = profile === 'fast' ? 5 : 1;
  const sweep = { intervalMs: SWEEP_LIMITS.intervalMs / auditPace };
  const replicator = { heartbeatMs: REPLICATION_LIMITS.heartbeatMs / auditPace };
  return { intervalsMax: 64, replicator, sweep, auditPace };
}

export function channelOf(index: number): ChannelKey {
  return `2/group-${index % CHANNELS}` as ChannelKey;
}

/** Three whole nodes in virtual time, on the ports of the simulator, and nothing that disturbs them. */
export class HealRig {
  readonly sim: Simulation;
  /** What every audit and sweep of every node told. */
  readonly repairs: Repair[] = [];

  private constructor(seed: number, tuning: Tuning) {
    this.sim = new Simulation({ seed, nodes: NODES, clients: 0, channels: 0, tuning });
  }

  static async start(seed: number, tuning: Tuning): Promise<HealRig> {
    const rig = new HealRig(seed, tuning);
    for (const node of rig.sim.nodes) node.start();
    await rig.converge();
    for (let index = 0; index < NODES; index++) {
      rig.core(index).repairs.add({ onRepair: (repair) => void rig.repairs.push(repair) });
    }
    return rig;
  }

  get nowMs(): number {
    return this.sim.world.nowMs;
  }

  core(index: number): NodeCore {
    const { core } = this.sim.nodes[index % NODES]!;
    if (!core) throw new Error(`node ${index % NODES} does not run`);
    return core;
  }

  store(index: number): Store {
    return this.sim.nodes[index % NODES]!.run!.store!;
  }

  run(ms: number): Promise<void> {
    return this.sim.world.run(ms);
  }

  async converge(): Promise<void> {
    if (await this.sim.world.runUntil(() => isConverged(this.sim), SETTLE_MS)) return;
    throw new Error(`the nodes are not equal after ${SETTLE_MS} virtual ms`);
  }

  /** Each user in the channel of its number, written at the node of its number. */
  async subscribeAll(users: readonly Uid[]): Promise<void> {
    for (const [index, uid] of users.entries()) void this.subscribe(index, uid);
    await this.run(1_000);
    await this.converge();
  }

  async subscribe(index: number, uid: Uid): Promise<void> {
    const outcome = await this.core(index).services.subscriptions.subscribe({
      ...{ channel: channelOf(index), uids: [uid], cause: 'admin', waitFor: 'local' },
    });
    if (!outcome.ok) throw new Error(outcome.message);
  }

  async connect(index: number, uid: Uid): Promise<SimulatedSession> {
    const node = this.sim.nodes[index % NODES]!;
    const session = new SimulatedSession({
      ...{ id: this.sim.nextSessionId(), uid, member: node.id, nowMs: () => this.nowMs },
      onDelivered: () => {},
      onKicked: () => {},
    });
    node.run!.fanout.sessions.add(session);
    const attached = this.core(index).services.sessions.attach(session);
    await this.sim.world.runFor(attached, CALL_MS);
    return session;
  }
}
