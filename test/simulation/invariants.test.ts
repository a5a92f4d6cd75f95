import test, { type ExecutionContext } from 'ava';
import { FAULTS } from '../../scripts/simulate/faults/schedule.ts';
import { MIXES } from '../../scripts/simulate/faults/mixes.ts';
import { floorAt } from '../../scripts/simulate/model/retention.ts';
import type { Simulation } from '../../scripts/simulate/simulation.ts';
import type { Tuning } from '../../scripts/simulate/cluster/tuning.ts';
import { runSeed, type RunResult } from '../../scripts/simulate/run.ts';

/** What a node lacks comes in snapshots and small answers, as it would after a long absence. */
const FAR_BEHIND: Tuning = {
  intervalsMax: 5,
  replicator: { nearDots: 5, snapshotDotsMin: 1, snapshotBytesMax: 1_000, pullBytesMax: 1_000 },
};

/** Fixed seeds; every check of the simulator runs on each, whatever invariant the title is about. */
async function hold(
  t: ExecutionContext,
  options: {
    seeds: readonly number[];
    faults: readonly string[];
    nodes?: number;
    tuning?: Tuning;
    pauseMs?: number;
  },
): Promise<readonly RunResult[]> {
  const faults = FAULTS.filter((fault) => options.faults.includes(fault.name));
  t.is(faults.length, options.faults.length, 'every named fault exists');
  const results: RunResult[] = [];
  for (const seed of options.seeds) {
    const { nodes = 3, tuning, pauseMs } = options;
    const result = await runSeed({ seed, nodes, faults, faultsMs: 12_000, tuning, pauseMs });
    t.deepEqual(result.findings, [], `seed ${seed}`);
    t.true(result.messages > 50, 'something was published');
    t.true(result.faults.length > 2, 'something was broken');
    results.push(result);
  }
  return results;
}

test('invariant 1 no dot names two different writes, through crashes, wiped and old disks', async (t) => {
  const faults = ['crash', 'wiped disk', 'lost tail', 'backup', 'rolled-back disk'];
  await hold(t, { seeds: [101, 102], faults });
});

test('invariant 2 no vector claims a dot without its effect, through losses on the wire', async (t) => {
  const faults = ['lost frames', 'reordered frames', 'duplicated frames', 'crash', 'lost tail'];
  await hold(t, { seeds: [201, 202], faults });
});

test('invariant 3 a subscribe is visible at its acknowledgement, and everywhere after heal', async (t) => {
  const faults = ['partition', 'one-way partition', 'slow path', 'connection reset', 'freeze'];
  const results = await hold(t, { seeds: [301, 302], faults });
  for (const { convergedMs } of results) t.true(convergedMs! <= 30_000);
});

test('invariant 4 nobody is unsubscribed without an unsubscribe, whatever replica loses its data', async (t) => {
  const faults = ['wiped disk', 'backup', 'rolled-back disk', 'lost tail', 'partition'];
  await hold(t, { seeds: [401, 402], faults });
  await hold(t, { seeds: [404, 405], faults, tuning: FAR_BEHIND });
});

test('invariant 5 a node that has applied a ban routes nothing to the banned', async (t) => {
  const faults = ['clock step', 'clock drift', 'partition', 'backup', 'rolled-back disk', 'crash'];
  await hold(t, { seeds: [501, 502], faults });
});

test('invariant 6 a removal that was seen does not come back', async (t) => {
  const faults = ['backup', 'rolled-back disk', 'clock step', 'freeze', 'connection reset'];
  await hold(t, { seeds: [601, 602], faults });
});

test('invariant 11 queues and interval lists stay within their limits', async (t) => {
  const faults = ['lost frames', 'slow path', 'freeze', 'failing disk', 'one-way partition'];
  await hold(t, { seeds: [1101, 1102], faults });
  // Limits that are soon reached, and more than fits.
  const replicator = { frameBytesMax: 300, unacknowledgedBytesMax: 1_200, queueBytesMax: 2_000 };
  const tuning = { intervalsMax: 2, replicator };
  await hold(t, { seeds: [1103, 1104], faults, tuning, pauseMs: 40 });
});

test('invariant 13 with recall, resume and retention in the mix: what is cut is cut everywhere, and nothing else is missing', async (t) => {
  const cut: number[] = [];
  for (const [seed, nodes] of [
    [110, 3],
    [109, 2],
    [111, 5],
    [7107, 2],
    [7227, 2],
    [7110, 5],
  ] as const) {
    const { meanMs: faultMeanMs, ...mix } = MIXES.retention;
    let sim: Simulation | undefined;
    const prepare = (made: Simulation): void => void (sim = made);
    const { findings } = await runSeed({ seed, nodes, tuned: true, faultMeanMs, ...mix, prepare });
    t.deepEqual(findings, [], `seed ${seed}`);
    cut.push(...sim!.channels.map((channel) => floorAt(sim!.nodes[0]!, channel)));
  }
  t.true(cut.filter((floor) => floor > 0).length > 5, 'channels were cut');
});

test('invariant 13 who resumes at a node whose disk fails is sent nothing twice at the next', async (t) => {
  const { findings } = await runSeed({ seed: 9104, nodes: 3, faultsMs: 16_000, tuned: true });
  t.deepEqual(findings, []);
});

test('invariant 12 etcd and its absence lose nothing', async (t) => {
  const faults = ['etcd down', 'lease lost while alive', 'missed watch events', 'crash'];
  await hold(t, { seeds: [1201], faults });
});

test('invariant 13 every acknowledged message is on every replica and reached every open session', async (t) => {
  const faults = ['crash', 'partition', 'freeze', 'lost frames', 'failing disk'];
  await hold(t, { seeds: [1301, 1302], faults });
  await hold(t, { seeds: [1303, 1304], faults, tuning: FAR_BEHIND });
});

test('invariant 13 the text of a recalled message is nowhere after heal, and handed to nobody who knows', async (t) => {
  const options = { seed: 2, nodes: 3, faultsMs: 8_000, tuned: true, recalls: true };
  const { findings, messages } = await runSeed(options);
  t.deepEqual(findings, []);
  t.true(messages > 50, 'something was published');
});

test('invariant 14 the same seed gives the same trace, another seed another', async (t) => {
  const options = { nodes: 3, faultsMs: 8_000 };
  const first = await runSeed({ seed: 1401, ...options });
  const second = await runSeed({ seed: 1401, ...options });
  t.is(first.traceHash, second.traceHash);
  t.is(first.events, second.events);
  const other = await runSeed({ seed: 1402, ...options });
  t.not(first.traceHash, other.traceHash);
});

test('two nodes, and five, hold as three do', async (t) => {
  const faults = FAULTS.map((fault) => fault.name);
  await hold(t, { seeds: [21], nodes: 2, faults });
  await hold(t, { seeds: [51], nodes: 5, faults });
});
