import test, { type ExecutionContext } from 'ava';
import { checkNow, checkAtRest, checkEnd, runSeed } from '../../scripts/simulate/run.ts';
import { FAULTS } from '../../scripts/simulate/faults/schedule.ts';
import { REMOVAL } from '../../src/core/row.ts';
import { reverseKey, subscriptionKey } from '../../src/core/row-key.ts';
import type { Uid } from '../../src/core/ids.ts';
import { shardOf } from '../../src/core/placement.ts';
import { CHANNEL, Scenario } from './scenario.ts';

const DAMAGE = ['lost row', 'flipped bit', 'altered row', 'lost log row', 'lost reverse row'];
const ANN = 'ann' as Uid;
const ROW = subscriptionKey(CHANNEL, ANN);

async function hold(
  t: ExecutionContext,
  options: { seed: number; faults: readonly string[]; rests: boolean },
): Promise<number> {
  const faults = FAULTS.filter((fault) => options.faults.includes(fault.name));
  t.is(faults.length, options.faults.length, 'every named fault exists');
  const { seed, rests } = options;
  const result = await runSeed({ seed, nodes: 3, faults, faultsMs: 10_000, rests });
  t.deepEqual(result.findings, [], `seed ${seed}`);
  return result.damageHealed;
}

test('invariant 7 disk, sums, index and topics agree after rows were damaged', async (t) => {
  t.true((await hold(t, { seed: 701, faults: DAMAGE, rests: false })) > 0);
  t.true((await hold(t, { seed: 702, faults: [...DAMAGE, 'crash'], rests: false })) > 0);
});

test('invariant 8 coded symbols are those made from scratch, through damage and partitions', async (t) => {
  await hold(t, { seed: 801, faults: [...DAMAGE, 'partition'], rests: false });
});

test('invariant 9 evidence goes only when every member has it', async (t) => {
  const faults = ['crash', 'partition', 'wiped disk', 'lost frames'];
  await hold(t, { seed: 901, faults, rests: true });
  const cluster = await Scenario.start(t);
  await cluster.subscribe(1, 'ann');
  await cluster.unsubscribe(1, 'ann');
  await cluster.converge();
  await cluster.run(25_000);
  await cluster.sim.world.runFor(cluster.core(1).sweeps.evidence.collectNow(), 60_000);
  t.true(cluster.core(1).sweeps.evidence.collected > 0, 'what everybody has goes');
  await cluster.subscribe(1, 'bob');
  await cluster.converge();
  cluster.isolate(3);
  await cluster.unsubscribe(1, 'bob');
  await cluster.run(25_000);
  const before = cluster.core(1).sweeps.evidence.collected;
  await cluster.sim.world.runFor(cluster.core(1).sweeps.evidence.collectNow(), 60_000);
  t.is(cluster.core(1).sweeps.evidence.collected, before, 'node 3 has not seen it');
  cluster.sim.network.heal();
  await cluster.end();
});

test('invariant 10 sweeps between equal replicas change nothing', async (t) => {
  await hold(t, { seed: 1001, faults: ['crash', 'partition', 'wiped disk'], rests: true });
});

function invariants(cluster: Scenario): number[] {
  const found = new Set(cluster.sim.findings.list.map(({ invariant }) => invariant));
  return [...found].sort((a, b) => a - b);
}

async function withAnn(t: ExecutionContext): Promise<Scenario> {
  const cluster = await Scenario.start(t);
  await cluster.subscribe(1, 'ann');
  await cluster.run(3_000);
  return cluster;
}

test('planted: a reverse row that is gone is seen (invariant 7)', async (t) => {
  const cluster = await withAnn(t);
  t.true(cluster.node(2).disk.deleteBehindBack(reverseKey(ANN, CHANNEL)));
  await checkEnd(cluster.sim);
  t.deepEqual(invariants(cluster), [7]);
});

test('planted: an index entry that is gone is seen (invariant 7)', async (t) => {
  const cluster = await withAnn(t);
  await cluster.connect(2, 'ann');
  t.true(cluster.core(2).routing.damageEntry(CHANNEL, ANN));
  await checkEnd(cluster.sim);
  t.deepEqual(invariants(cluster), [7]);
});

test('planted: coded symbols that are wrong are seen (invariant 8)', async (t) => {
  const cluster = await withAnn(t);
  const sums = cluster.core(2).upkeep.summary.sumsOf(shardOf(CHANNEL))!;
  const words = new Int32Array(16).fill(7);
  sums.symbols.toggle(words, 1);
  await checkEnd(cluster.sim);
  t.deepEqual(invariants(cluster), [8]);
});

test('planted: evidence that goes too early is seen (invariant 9)', async (t) => {
  const cluster = await withAnn(t);
  cluster.isolate(3);
  await cluster.unsubscribe(1, 'ann');
  const row = cluster.core(1).replica.read(ROW);
  t.true(row.some(({ tag }) => tag === REMOVAL));
  cluster.core(1).replica.replaceRows([[ROW, []]]);
  t.true(invariants(cluster).includes(9));
});

test('planted: a sweep that has something to repair at rest is seen (invariant 10)', async (t) => {
  const cluster = await withAnn(t);
  t.true(cluster.node(2).disk.deleteBehindBack(ROW));
  await checkAtRest(cluster.sim);
  t.deepEqual(invariants(cluster), [10]);
  checkNow(cluster.sim);
  t.deepEqual(invariants(cluster), [10], 'it is healed');
});
