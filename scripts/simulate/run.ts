import { allRows, checkEqual, isConverged, isSweptClean } from './checks/convergence.ts';
import { checkLayers } from './checks/layers.ts';
import { checkDelivered, checkResumed, checkStored } from './checks/messages.ts';
import { checkTopics, checkUsers } from './checks/subscriptions.ts';
import { checkLimits, checkLiveness, checkVectors } from './checks/vectors.ts';
import type { Fault } from './faults/fault.ts';
import { FaultSchedule, type AppliedFault } from './faults/schedule.ts';
import { PUT_ASIDE_WITHIN_MS } from './model/damage.ts';
import type { Finding } from './model/findings.ts';
import type { DamagedLayer } from './model/layer-ledger.ts';
import { Simulation, type SimulationOptions } from './simulation.ts';
import type { Row } from '../../src/core/row.ts';
import type { RowKey } from '../../src/core/row-key.ts';

export interface RunOptions extends SimulationOptions {
  /** How long faults come. Virtual ms. */
  readonly faultsMs?: number | undefined;
  /** Mean pause between faults. Virtual ms. */
  readonly faultMeanMs?: number | undefined;
  /** Chosen from; all by default. */
  readonly faults?: readonly Fault[] | undefined;
  /** Numbers of faults to leave out. */
  readonly omit?: ReadonlySet<number> | undefined;
  /** Whether sweeps between equal replicas are watched at the end; one seed in four by default. */
  readonly rests?: boolean | undefined;
  /** Called once the cluster is made: for tests that plant a bug. */
  readonly prepare?: ((sim: Simulation) => void) | undefined;
}

export interface RunResult {
  readonly seed: number;
  readonly findings: readonly Finding[];
  readonly faults: readonly AppliedFault[];
  /** Equal for equal seeds: invariant 14. */
  readonly traceHash: string;
  readonly events: number;
  readonly operations: number;
  readonly messages: number;
  readonly rebuilds: number;
  /** Virtual ms from heal to equal tables, nothing damaged, and clean sweeps between all. */
  readonly convergedMs: number | undefined;
  /** Rows that were damaged behind a node's back and healed. */
  readonly damageHealed: number;
  /** Layers that were held to their bounds and healed, and how long the slowest of each took. Virtual ms. */
  readonly layersHealed: number;
  readonly slowestMs: ReadonlyMap<DamagedLayer, number>;
}

/** Everything is equal, repaired, found equal by sweeps and delivered this long after the heal. Virtual ms. */
export const HEALED_WITHIN_MS = 30_000;
/** Sweeps between equal replicas change nothing: checked for this long, at least two of each pair. */
const AT_REST_MS = 22_000;
const CALM_MS = 4_000;
const AFTERMATH_MS = 1_500;

/**
 * One seed: a calm start, a phase of faults with a check after each, the heal, a bounded time to become
 * equal, a last message on every channel, and everything that can be checked then.
 */
export async function runSeed(options: RunOptions): Promise<RunResult> {
  const sim = new Simulation(options);
  const { faultMeanMs: meanMs, omit } = options;
  const faults = new FaultSchedule(sim, { faults: options.faults, meanMs, omit });
  const { world } = sim;
  options.prepare?.(sim);
  const rests = options.rests ?? options.seed % 4 === 0;
  const healedAtMs = await phases(sim, faults, { faultsMs: options.faultsMs ?? 25_000, rests });
  return {
    seed: options.seed,
    findings: sim.findings.list,
    faults: faults.applied,
    traceHash: world.trace.hash(),
    events: world.events,
    operations: sim.registry.size,
    messages: sim.messages.acknowledged().length,
    rebuilds: sim.nodes.reduce((sum, node) => sum + node.rebuilds, 0),
    convergedMs: healedAtMs,
    damageHealed: sim.damage.healed,
    layersHealed: sim.layers.healed,
    slowestMs: sim.layers.slowestMs,
  };
}

async function phases(
  sim: Simulation,
  faults: FaultSchedule,
  { faultsMs, rests }: { readonly faultsMs: number; readonly rests: boolean },
): Promise<number | undefined> {
  const { world } = sim;
  for (const node of sim.nodes) node.start();
  await world.run(500);
  for (const client of sim.clients) client.start();
  sim.backend.start();
  sim.recaller?.start();
  await world.run(CALM_MS);
  faults.start(() => checkNow(sim));
  await world.run(faultsMs);
  checkNow(sim);
  faults.heal();
  sim.backend.fallQuiet();
  sim.recaller?.fallQuiet();
  sim.retention?.fallQuiet();
  for (const client of sim.clients) client.fallQuiet();
  const healMs = world.nowMs;
  const settled = (): boolean =>
    isConverged(sim) && sim.clients.every((client) => client.isSettled);
  const whole = (): boolean => {
    if (!settled()) return false;
    sim.damage.look();
    if (sim.damage.open().length > 0 || sim.layers.isOpen()) return false;
    return isSweptClean(sim, healMs);
  };
  const withinMs = boundOf(sim);
  const healed = await world.runUntil(whole, withinMs);
  if (!healed) sim.findings.report(3, `not equal ${withinMs} ms after the heal`);
  for (const text of [...sim.damage.describe(), ...sim.layers.describe()]) {
    sim.findings.report(7, `still damaged: ${text}`);
  }
  const convergedMs = healed ? world.nowMs - healMs : undefined;
  if (healed) {
    await lastMessages(sim);
    // Half a minute of virtual rest costs as much as the faults: one seed in four.
    if (rests) await checkAtRest(sim);
  }
  await checkEnd(sim);
  return convergedMs;
}

function boundOf(sim: Simulation): number {
  const inserted = sim.damage.open().some(({ kind }) => kind === 'inserted');
  return inserted ? PUT_ASIDE_WITHIN_MS : HEALED_WITHIN_MS;
}

/** Invariant 10: a sweep between equal replicas changes nothing. Evidence goes first, where it may. */
export async function checkAtRest(sim: Simulation): Promise<void> {
  const cores = sim.nodes.flatMap(({ core }) => core ?? []);
  for (const core of cores) await sim.world.runFor(core.sweeps.evidence.collectNow(), 60_000);
  const repairs = sim.nodes.map((node) => node.repairs);
  const rows = await readTables(sim);
  await sim.world.run(AT_REST_MS);
  sim.nodes.forEach((node, at) => {
    const more = node.repairs - repairs[at]!;
    if (more > 0) sim.findings.report(10, `${node.id} repaired ${more} times what was equal`);
  });
  for (const [name, table] of await readTables(sim)) {
    const before = rows.get(name);
    if (before)
      checkEqual(
        sim,
        new Map([
          [`${name} before`, before],
          [name, table],
        ]),
        10,
      );
  }
}

async function readTables(sim: Simulation): Promise<Map<string, Map<RowKey, Row>>> {
  const tables = new Map<string, Map<RowKey, Row>>();
  for (const { id, core } of sim.nodes) {
    if (core) tables.set(id, await sim.world.runFor(allRows(core), 10_000));
  }
  return tables;
}

/** One message on every channel, from somewhere: now every session has to get it. */
async function lastMessages(sim: Simulation): Promise<void> {
  sim.refreshKnown();
  await sim.world.run(10);
  for (const channel of sim.channels) {
    sim.world.random.pick(sim.clients).publishNow(channel);
    await sim.world.run(100);
  }
  const sent = (): boolean => sim.clients.every((client) => client.isSettled);
  await sim.world.runUntil(sent, 10_000);
  await sim.world.run(AFTERMATH_MS);
}

/** What holds at any time. */
export function checkNow(sim: Simulation): void {
  sim.damage.look();
  checkVectors(sim);
  checkLimits(sim);
}

/** What holds once everything has come to rest. */
export async function checkEnd(sim: Simulation): Promise<void> {
  checkNow(sim);
  const tables = await readTables(sim);
  for (const node of sim.nodes) {
    const table = tables.get(node.id);
    if (!table) {
      sim.findings.report(0, `${node.id} does not run at the end`);
      continue;
    }
    for (const [key, row] of table) sim.registry.seeRow(key, row, node.id);
    checkLayers(sim, node, table);
  }
  checkEqual(sim, tables);
  const cores = sim.nodes.flatMap(({ id, core }) => (core ? [[id, core] as const] : []));
  checkLiveness(sim, cores);
  checkUsers(sim);
  checkTopics(sim);
  checkStored(sim, tables);
  checkDelivered(sim);
  checkResumed(sim);
}
