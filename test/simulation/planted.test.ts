import test, { type ExecutionContext } from 'ava';
import { checkEnd, checkNow } from '../../scripts/simulate/run.ts';
import type { Uid } from '../../src/core/ids.ts';
import { contextOfDots } from '../../src/core/context.ts';
import { denyKey, subscriptionKey } from '../../src/core/row-key.ts';
import { shardOf } from '../../src/core/placement.ts';
import type { Delivery } from '../../src/messaging/port.ts';
import { CHANNEL, Scenario } from './scenario.ts';

/** The simulator has to see what is wrong: each test plants one fault that a correct node never has. */
function invariants(cluster: Scenario): number[] {
  return [...new Set(cluster.sim.findings.list.map(({ invariant }) => invariant))].sort(
    (a, b) => a - b,
  );
}

async function withAnn(t: ExecutionContext): Promise<Scenario> {
  const cluster = await Scenario.start(t);
  await cluster.subscribe(1, 'ann');
  await cluster.converge();
  return cluster;
}

const ANN = 'ann' as Uid;
const ROW = subscriptionKey(CHANNEL, ANN);

test('planted: a dot that names two writes is seen (invariant 1)', async (t) => {
  const cluster = await withAnn(t);
  const [write] = cluster.sim.registry.writesOf(ROW);
  const { actor, counter } = write!.entry;
  const other = { offset: 0, key: ROW, tag: 0, context: [], value: new Uint8Array([1]) };
  cluster.sim.registry.see(
    { actor, shard: write!.dot.shard, first: counter, count: 1, hlc: 1, writes: [other] },
    'a planted node',
  );
  t.deepEqual(invariants(cluster), [1]);
});

test('planted: a row that is lost behind the back is seen (invariants 2, 3 and 4)', async (t) => {
  const cluster = await withAnn(t);
  t.true(cluster.node(3).disk.deleteBehindBack(ROW));
  checkNow(cluster.sim);
  t.deepEqual(invariants(cluster), [2]);
  const pair = cluster.sim.subscriptions.pair(CHANNEL, ANN);
  const [write] = cluster.sim.registry.writesOf(ROW);
  const node = cluster.node(1).id;
  pair.subscribed({ receipt: write!.dot, at: node, knownBy: [node], nowMs: 0 });
  await checkEnd(cluster.sim);
  t.true(invariants(cluster).includes(3), 'the tables differ');
  t.true(invariants(cluster).includes(4), 'the user is unsubscribed');
});

test('planted: a vector that claims what never came is seen (invariant 2)', async (t) => {
  const cluster = await withAnn(t);
  cluster.isolate(3);
  const receipt = await cluster.subscribe(1, 'bob', 'local');
  const { actor, shard, counter } = receipt;
  cluster.core(3).replica.cover([{ actor, shard, from: counter, to: counter }]);
  await cluster.run(50);
  checkNow(cluster.sim);
  t.deepEqual(invariants(cluster), [2]);
});

test('planted: a removal of what nobody removed is seen as a loss (invariant 4)', async (t) => {
  const cluster = await withAnn(t);
  const pair = cluster.sim.subscriptions.pair(CHANNEL, ANN);
  const [write] = cluster.sim.registry.writesOf(ROW);
  const node = cluster.node(1).id;
  pair.subscribed({ receipt: write!.dot, at: node, knownBy: [node], nowMs: 0 });
  await cluster.unsubscribe(2, 'ann');
  await cluster.converge();
  await checkEnd(cluster.sim);
  t.deepEqual(invariants(cluster), [4]);
});

test('planted: a delivery to a banned user is seen (invariant 5)', async (t) => {
  const cluster = await withAnn(t);
  const session = await cluster.connect(1, 'ann');
  const draft = {
    key: denyKey(CHANNEL, ANN, 'ban'),
    tag: 0,
    context: contextOfDots([]),
    value: new Uint8Array(0),
  };
  cluster.core(1).replica.submit(shardOf(CHANNEL), [draft]);
  await cluster.run(50);
  // Else the fan-out would see that it is one too many.
  cluster.node(1).run!.fanout.registry = undefined;
  session.topics.add(CHANNEL);
  await cluster.publish(1, 'not for ann');
  await cluster.run(50);
  t.deepEqual(invariants(cluster), [5]);
});

test('planted: a delivery after an acknowledged unsubscribe is seen (invariant 6)', async (t) => {
  const cluster = await withAnn(t);
  const session = await cluster.connect(1, 'ann');
  const [write] = cluster.sim.registry.writesOf(ROW);
  await cluster.unsubscribe(1, 'ann');
  const pair = cluster.sim.subscriptions.pair(CHANNEL, ANN);
  const node = cluster.node(1).id;
  const answer = { at: node, knownBy: [node], nowMs: 0 };
  pair.subscribed({ ...answer, receipt: write!.dot });
  pair.unsubscribed({ ...answer, presented: [], hasSeen: () => true });
  // Else the fan-out would see that it is one too many.
  cluster.node(1).run!.fanout.registry = undefined;
  session.topics.add(CHANNEL);
  await cluster.publish(1, 'not for ann');
  await cluster.run(50);
  t.true(invariants(cluster).includes(6));
});

test('planted: a session that is in no topic is seen (invariants 7 and 13)', async (t) => {
  const cluster = await withAnn(t);
  const session = await cluster.connect(2, 'ann');
  session.attachedMs = cluster.sim.world.nowMs;
  cluster.sim.sessions.push(session);
  const pair = cluster.sim.subscriptions.pair(CHANNEL, ANN);
  const [write] = cluster.sim.registry.writesOf(ROW);
  const knownBy = cluster.sim.nodes.map(({ id }) => id);
  pair.subscribed({ receipt: write!.dot, at: knownBy[0]!, knownBy, nowMs: 0 });
  await cluster.run(10);
  session.topics.delete(CHANNEL);
  // It is wrong in what it tells of itself, too: what an audit sees it repairs.
  session.hasJoined = () => true;
  session.joinedChannels = () => [CHANNEL];
  await cluster.publish(1, 'missed');
  await cluster.run(100);
  await checkEnd(cluster.sim);
  t.true(invariants(cluster).includes(7));
  t.true(invariants(cluster).includes(13));
});

test('planted: a message that is delivered twice, or too late, is seen (invariant 13)', async (t) => {
  const cluster = await withAnn(t);
  const session = await cluster.connect(2, 'ann');
  const given: Delivery[] = [];
  const receive = session.receive.bind(session);
  session.receive = (delivery) => {
    given.push(delivery);
    receive(delivery);
  };
  await cluster.publish(1, 'first');
  await cluster.publish(1, 'second');
  await cluster.run(100);
  t.deepEqual(cluster.sim.findings.list, []);
  session.messageIds.clear();
  cluster.sim.onDelivered(session, given[0]!);
  t.regex(cluster.sim.findings.list[0]!.text, /after what its node learned later/);
  cluster.sim.onDelivered(session, given[0]!);
  t.regex(cluster.sim.findings.list[1]!.text, /twice/);
  t.deepEqual(invariants(cluster), [13]);
});

test('planted: a link that is given too much is seen (invariant 11)', async (t) => {
  const cluster = await withAnn(t);
  Object.defineProperty(cluster.sim.network, 'highestBufferedBytes', { value: 1e9 });
  checkNow(cluster.sim);
  t.deepEqual(invariants(cluster), [11]);
});
