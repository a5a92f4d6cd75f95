import test from 'ava';
import { CALL_LIMITS } from '../../../src/cluster/calls/link-calls.ts';
import type { PeerCallError, PeerRequest } from '../../../src/cluster/calls/port.ts';
import type { MemberId } from '../../../src/core/ids.ts';
import { plain } from '../../support/peer-messages.ts';
import { startAll, type TestCluster } from '../replication/cluster.ts';

const [X, Y] = ['x', 'y'] as MemberId[] as [MemberId, MemberId];
const ask = (method: string, body: unknown = null, timeoutMs = 1_000): PeerRequest => ({
  ...{ method, body, timeoutMs },
});

async function outcome(cluster: TestCluster, promise: Promise<unknown>): Promise<unknown> {
  const settled = promise.catch((error: unknown) => (error as PeerCallError).code);
  return cluster.world.runFor(settled, 30_000);
}

const never = (): Promise<unknown> => new Promise(() => {});

test('a question is answered by the member that was asked, in both directions', async (t) => {
  const cluster = await startAll(['x', 'y', 'z']);
  for (const name of ['x', 'y', 'z']) {
    cluster.node(name).calls.answer('who', (from, body) => ({ me: name, from, body }));
  }
  const { calls } = cluster.node('x');
  t.deepEqual([...calls.reachable()].sort(), ['y', 'z']);
  const body = { bytes: new Uint8Array([1, 2]), list: [1, 'two', null] };
  t.deepEqual(plain(await outcome(cluster, calls.call(Y, ask('who', body)))), {
    ...{ me: 'y', from: 'x', body: plain(body) },
  });
  const back = cluster.node('y').calls.call(X, ask('who'));
  t.deepEqual(await outcome(cluster, back), { me: 'x', from: 'y', body: null });
});

test('no link, an unknown method, a handler that throws and too much have codes of their own', async (t) => {
  const cluster = await startAll(['x', 'y']);
  const [x, y] = [cluster.node('x').calls, cluster.node('y').calls];
  y.answer('throw', () => {
    throw new Error('broken');
  });
  y.answer('much', () => new Uint8Array(CALL_LIMITS.bodyBytesMax + 1));
  t.is(await outcome(cluster, x.call('nobody' as MemberId, ask('throw'))), 'unreachable');
  t.is(await outcome(cluster, x.call(Y, ask('what'))), 'unknown-method');
  t.is(await outcome(cluster, x.call(Y, ask('throw'))), 'failed');
  t.is(await outcome(cluster, x.call(Y, ask('much'))), 'too-large');
  const large = new Uint8Array(CALL_LIMITS.bodyBytesMax + 1);
  t.is(await outcome(cluster, x.call(Y, ask('throw', large))), 'too-large');
  t.true(cluster.live('x', 'y'), 'none of it closed a link');
});

test('a question without answer ends at its deadline; a late answer reaches nobody', async (t) => {
  const cluster = await startAll(['x', 'y']);
  const answers: ((value: unknown) => void)[] = [];
  cluster.node('y').calls.answer('slow', () => new Promise((resolve) => answers.push(resolve)));
  const start = cluster.world.nowMs;
  const call = cluster.node('x').calls.call(Y, ask('slow', null, 700));
  t.is(await outcome(cluster, call), 'timeout');
  t.true(cluster.world.nowMs - start <= 701);
  answers[0]!('late');
  await cluster.world.run(100);
  t.true(cluster.live('x', 'y'));
});

test('a link that ends fails its calls at once, and the peer can be asked again after it', async (t) => {
  const cluster = await startAll(['x', 'y']);
  cluster.node('y').calls.answer('slow', never);
  const call = cluster.node('x').calls.call(Y, ask('slow', null, 20_000));
  await cluster.world.run(10);
  const start = cluster.world.nowMs;
  cluster.network.partition(X, Y);
  t.is(await outcome(cluster, call), 'unreachable');
  t.true(cluster.world.nowMs - start < 50);
  t.deepEqual(cluster.node('x').calls.reachable(), []);
  cluster.network.heal();
  await cluster.until(() => cluster.live('x', 'y'), 20_000);
  cluster.node('y').calls.answer('echo', (_from, body) => body);
  t.is(await outcome(cluster, cluster.node('x').calls.call(Y, ask('echo', 7))), 7);
});

test('questions in flight are bounded on both sides, and a repeated frame is answered once', async (t) => {
  const cluster = await startAll(['x', 'y']);
  cluster.node('y').calls.answer('slow', never);
  let answered = 0;
  cluster.node('y').calls.answer('count', () => ++answered);
  const { calls } = cluster.node('x');
  cluster.network.judge = ({ message }) => (message.type === 'call' ? 'twice' : 'pass');
  t.is(await outcome(cluster, calls.call(Y, ask('count'))), 1);
  t.is(answered, 1);
  const open = Array.from({ length: CALL_LIMITS.askedMax }, () => calls.call(Y, ask('slow')));
  t.is(await outcome(cluster, calls.call(Y, ask('count'))), 'busy');
  for (const call of open) t.is(await outcome(cluster, call), 'timeout');
  // The peer still holds them: it says so, and does not take more than its limit.
  t.is(await outcome(cluster, calls.call(Y, ask('count'))), 'busy');
});
