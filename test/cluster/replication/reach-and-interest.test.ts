import test from 'ava';
import type { Reach } from '../../../src/cluster/replication/port.ts';
import { group, uid } from '../../support/ids.ts';
import { startAll, TestCluster } from './cluster.ts';

const [X, Y, Z] = ['x', 'y', 'z'] as const;

test('reach: every live peer, within a round trip', async (t) => {
  const cluster = await startAll([X, Y, Z]);
  const operation = cluster.write(X, 1);
  const reached: Reach[] = [];
  const start = cluster.world.nowMs;
  cluster
    .node(X)
    .replicator.awaitReach(operation, { disks: 2, routed: 'all', timeoutMs: 250 }, (reach) =>
      reached.push(reach),
    );
  await cluster.until(() => reached.length > 0, 250);
  t.deepEqual(reached, [{ disks: 3, routed: 3, missing: [] }]);
  t.true(cluster.world.nowMs - start < 50);
});

test('reach: a peer that dies is not waited for; a frozen one until the deadline', async (t) => {
  const cluster = await startAll([X, Y, Z]);
  const { replicator } = cluster.node(X);
  cluster.node(Z).process.pause();
  const reached: Reach[] = [];
  replicator.awaitReach(cluster.write(X, 1), { routed: 'all', timeoutMs: 250 }, (reach) =>
    reached.push(reach),
  );
  await cluster.world.run(240);
  t.deepEqual(reached, []);
  await cluster.world.run(20);
  t.deepEqual(reached, [{ disks: 2, routed: 2, missing: [Z] as never }]);
  replicator.awaitReach(cluster.write(X, 2), { routed: 'all', timeoutMs: 60_000 }, (reach) =>
    reached.push(reach),
  );
  await cluster.world.run(20);
  cluster.kill(Z);
  await cluster.until(() => reached.length === 2, 5);
  t.deepEqual(reached[1]?.missing, [Z] as never);
  t.is(replicator.livePeers(), 1);
});

test('reach: with no live peer it is done at once and names the rostered others', async (t) => {
  const cluster = new TestCluster([X, Y, Z]);
  await cluster.start(X);
  const reached: Reach[] = [];
  cluster
    .node(X)
    .replicator.awaitReach(
      cluster.write(X, 1),
      { disks: 2, routed: 'all', timeoutMs: 250 },
      (reach) => reached.push(reach),
    );
  t.deepEqual(reached, [{ disks: 1, routed: 1, missing: [Y, Z] as never }]);
});

test('interest: a lost announcement shows in the digest and all is told again', async (t) => {
  const cluster = await startAll([X, Y]);
  await cluster.world.run(2_000);
  let dropped = 0;
  cluster.network.judge = ({ message }) =>
    message.type === 'interest' && dropped++ === 0 ? 'drop' : 'pass';
  const x = cluster.node(X);
  x.replicator.announce(['c2/a', 'c2/b'], []);
  await cluster.world.run(5);
  t.is(cluster.node(Y).replicator.interestOf(x.id).size, 0);
  await cluster.until(() => cluster.node(Y).replicator.interestOf(x.id).size === 2, 1_500);
  t.true(cluster.node(Y).replicator.counters.interestAsked >= 1);
  x.replicator.announce([], ['c2/a']);
  await cluster.world.run(5);
  t.deepEqual([...cluster.node(Y).replicator.interestOf(x.id)], ['c2/b']);
  cluster.kill(X);
  await cluster.world.run(10);
  t.is(cluster.node(Y).replicator.interestOf(x.id).size, 1, 'it may be back at once');
  await cluster.world.run(1_500);
  t.is(cluster.node(Y).interest.at(-1), 'x -c2/b', 'gone with its run');
});

test('transients: filtered by verified interest, in doubt sent to all, none twice', async (t) => {
  const cluster = await startAll([X, Y, Z]);
  const [x, y, z] = [X, Y, Z].map((name) => cluster.node(name));
  const say = (text: string): void =>
    x!.replicator.sendTransient(group('a'), uid('u'), () => new TextEncoder().encode(text));
  y!.replicator.announce(['c2/a'], []);
  say('one');
  await cluster.world.run(5);
  t.deepEqual([y!.transients, z!.transients], [['2/a u one'], ['2/a u one']], 'nobody is verified');
  await cluster.world.run(2_500);
  say('two');
  await cluster.world.run(5);
  t.deepEqual(y!.transients, ['2/a u one', '2/a u two']);
  t.is(z!.transients.length, 1, 'z is known to have no session');
  cluster.network.judge = ({ message }) => (message.type === 'interest' ? 'drop' : 'pass');
  z!.replicator.announce(['c2/a'], []);
  await cluster.world.run(1_500);
  say('three');
  await cluster.world.run(5);
  t.is(z!.transients.at(-1), '2/a u three', 'its digest differs: everything is sent');
  cluster.network.judge = ({ message }) => (message.type === 'transient' ? 'twice' : 'pass');
  say('four');
  await cluster.world.run(5);
  t.is(y!.transients.filter((line) => line.endsWith('four')).length, 1);
});

test('stop closes the links and answers who waits', async (t) => {
  const cluster = await startAll([X, Y]);
  const reached: Reach[] = [];
  cluster.node(Y).process.pause();
  cluster
    .node(X)
    .replicator.awaitReach(cluster.write(X, 1), { disks: 2, timeoutMs: 60_000 }, (reach) =>
      reached.push(reach),
    );
  await cluster.node(X).replicator.stop();
  t.is(reached.length, 1);
  cluster.node(Y).process.resume();
  await cluster.world.run(100);
  t.is(cluster.node(Y).replicator.livePeers(), 0);
});
