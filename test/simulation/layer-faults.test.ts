import test, { type ExecutionContext } from 'ava';
import type { Fault } from '../../scripts/simulate/faults/fault.ts';
import { LAYER_FAULTS } from '../../scripts/simulate/faults/layer-faults.ts';
import { FAULTS } from '../../scripts/simulate/faults/schedule.ts';
import { runSeed } from '../../scripts/simulate/run.ts';
import { PeerInterest } from '../../src/cluster/replication/interest/interest.ts';
import { CHANNEL, Scenario } from './scenario.ts';

/** Ann is in one channel, with one session at node 2. */
async function withAnn(t: ExecutionContext): Promise<Scenario> {
  const cluster = await Scenario.start(t);
  await cluster.subscribe(1, 'ann');
  await cluster.connect(2, 'ann');
  for (const session of cluster.node(2).run!.fanout.sessions) session.attachedMs = 0;
  await cluster.run(12_000);
  return cluster;
}

function inject({ sim }: Scenario, name: string): string | undefined {
  const fault = LAYER_FAULTS.find((one) => one.name === name) as Fault;
  return fault.apply({
    ...{ sim, random: sim.world.random.fork(name) },
    later: (delayMs, task) => void sim.world.after(delayMs, 'later', task),
    isHealed: () => false,
  });
}

test('S2-3 damaged layers heal within their times in random runs', async (t) => {
  t.true(
    LAYER_FAULTS.every((fault) => FAULTS.includes(fault)),
    'among the faults of every seed',
  );
  const options = { nodes: 3, faults: LAYER_FAULTS, faultsMs: 10_000, faultMeanMs: 400 };
  const result = await runSeed({ seed: 31, ...options, rests: false });
  t.deepEqual(result.findings, []);
  t.true(result.layersHealed > 10);
  for (const layer of ['index', 'sockets', 'interest', 'delta'] as const) {
    t.true(result.slowestMs.has(layer), layer);
  }
});

test('a session whose topic was dropped misses nothing: the next message puts it right', async (t) => {
  const cluster = await withAnn(t);
  const [session] = cluster.node(2).run!.fanout.sessions;
  t.truthy(inject(cluster, 'lost topic'));
  t.false(session!.hasJoined(CHANNEL));
  await cluster.publish(1, 'now');
  await cluster.run(100);
  t.deepEqual(cluster.received(session!), ['now']);
  t.deepEqual(cluster.sim.findings.list, []);
});

const PLANTED = [
  ['lost index entry', /^index: .*more than 2000 ms/, 3_000],
  ['lost topic', /^sockets: .*more than 10000 ms/, 11_000],
] as const;

for (const [name, expected, afterMs] of PLANTED) {
  test(`planted: a ${name} that is not repaired in time is seen (invariant 7)`, async (t) => {
    const cluster = await withAnn(t);
    cluster.core(2).sessions.stop();
    t.truthy(inject(cluster, name));
    await cluster.run(afterMs);
    t.regex(cluster.sim.findings.list[0]?.text ?? '', expected);
    t.is(cluster.sim.findings.list[0]?.invariant, 7);
  });
}

test('planted: a delta that stays lost is seen (invariant 7)', async (t) => {
  const cluster = await withAnn(t);
  const { sim } = cluster;
  t.truthy(inject(cluster, 'lost delta'));
  const ways = [1, 2, 3].flatMap((from) => [1, 2, 3].map((to) => [from, to] as const));
  const idOf = (number: number): string => cluster.node(number).id;
  const isArmed = (way: readonly [number, number]): boolean =>
    sim.network.path(idOf(way[0]), idOf(way[1])).loseNext !== undefined;
  const [from, to] = ways.find(isArmed)!;
  const { replica } = cluster.core(to);
  const old = replica.durableVector();
  replica.durableVector = () => old;
  await cluster.subscribe(from, 'bob', 'local');
  await cluster.run(3_000);
  t.regex(sim.findings.list[0]?.text ?? '', /^delta: .*more than 2000 ms/);
});

test.serial('planted: interest that is never added up again is seen (invariant 7)', async (t) => {
  const audit = Object.getOwnPropertyDescriptor(PeerInterest.prototype, 'audit')!;
  PeerInterest.prototype.audit = () => true;
  t.teardown(() => Object.defineProperty(PeerInterest.prototype, 'audit', audit));
  const faults = LAYER_FAULTS.filter(({ name }) => name === 'altered interest');
  const options = { faults, faultsMs: 15_000, faultMeanMs: 1_000, rests: false };
  const { findings } = await runSeed({ seed: 32, nodes: 2, clients: 2, ...options });
  t.regex(findings[0]?.text ?? '', /^interest: .*more than 10000 ms/);
});
