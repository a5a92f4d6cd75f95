import test from 'ava';
import type { PeerMessage } from '../../../src/cluster/link/message.ts';
import type { Reach } from '../../../src/cluster/replication/port.ts';
import { startAll, TestCluster, type TestNode } from './cluster.ts';
import type { Sent } from './network.ts';

const [X, Y, Z] = ['x', 'y', 'z'] as const;

function carries(sent: Sent, from: string, to: string): boolean {
  const { message } = sent;
  if (sent.from !== from || sent.to !== to || message.type !== 'operations') return false;
  return message.operations.length > 0;
}

test('an operation reaches every peer within a few milliseconds, many to a frame', async (t) => {
  const cluster = await startAll([X, Y, Z]);
  cluster.network.sent.length = 0;
  cluster.write(X, 0, 200);
  await cluster.until(() => cluster.has(Z, 199) && cluster.equal(X, Y, Z), 20);
  t.is(cluster.network.count('operations'), 2);
  t.is(cluster.network.count('pull'), 0);
});

test('a frame lost on an open link is pulled within 2 s', async (t) => {
  const cluster = await startAll([X, Y]);
  let dropped = 0;
  cluster.network.judge = (sent) => (carries(sent, X, Y) && dropped++ === 0 ? 'drop' : 'pass');
  cluster.write(X, 1);
  await cluster.world.run(5);
  t.false(cluster.has(Y, 1));
  const tookMs = await cluster.until(() => cluster.has(Y, 1), 2_000);
  t.true(tookMs <= 2_000);
  t.is(dropped, 1);
  t.true(cluster.live(X, Y), 'the link stays open');
});

test('a lost frame in the middle holds up no acknowledgement for good', async (t) => {
  const cluster = await startAll([X, Y]);
  let dropped = 0;
  cluster.network.judge = (sent) => (carries(sent, X, Y) && dropped++ === 0 ? 'drop' : 'pass');
  cluster.write(X, 1);
  await cluster.world.run(5);
  const ahead = cluster.write(X, 2);
  const reached: Reach[] = [];
  const { replicator } = cluster.node(X);
  replicator.awaitReach(ahead, { disks: 2, timeoutMs: 200 }, (reach) => reached.push(reach));
  await cluster.world.run(4_000);
  t.is(replicator.peers()[0]!.unacknowledgedBytes, 0);
  const late = cluster.write(X, 3);
  replicator.awaitReach(late, { disks: 2, timeoutMs: 200 }, (reach) => reached.push(reach));
  await cluster.world.run(20);
  t.is(reached.at(-1)?.disks, 2, 'the marks go on after the repair');
});

test('an operation that is not on the peer is never counted as a second disk', async (t) => {
  const cluster = await startAll([X, Y]);
  cluster.network.judge = (sent) =>
    carries(sent, X, Y) || sent.message.type === 'pulled' ? 'drop' : 'pass';
  const lost = cluster.write(X, 1);
  const reached: Reach[] = [];
  const { replicator } = cluster.node(X);
  replicator.awaitReach(lost, { disks: 2, timeoutMs: 9_000 }, (reach) => reached.push(reach));
  await cluster.world.run(10_000);
  t.false(cluster.has(Y, 1));
  t.deepEqual(reached, [{ disks: 1, routed: 1, missing: [Y] as never }]);
});

test('a survivor passes on what a dead member wrote', async (t) => {
  const cluster = await startAll([X, Y, Z]);
  cluster.network.judge = (sent) => (carries(sent, X, Z) ? 'drop' : 'pass');
  cluster.write(X, 1);
  await cluster.world.run(10);
  cluster.kill(X);
  t.true(cluster.has(Y, 1));
  t.false(cluster.has(Z, 1));
  const tookMs = await cluster.until(() => cluster.has(Z, 1), 5_000);
  t.true(tookMs <= 2_000, `${tookMs} ms`);
  t.true(cluster.equal(Y, Z));
});

test('a slow peer is marked lagging, its queue is dropped, it pulls, all are equal', async (t) => {
  const cluster = await startAll([X, Y], {
    queueBytesMax: 20_000,
    unacknowledgedBytesMax: 70_000,
  });
  const { replicator } = cluster.node(X);
  cluster.node(Y).process.pause();
  cluster.write(X, 0, 3_000);
  t.true(replicator.peers()[0]!.lagging);
  t.true(replicator.peers()[0]!.unacknowledgedBytes <= 90_000);
  await cluster.world.run(3_000);
  t.is(replicator.livePeers(), 0);
  cluster.node(Y).process.resume();
  await cluster.until(() => cluster.equal(X, Y), 10_000);
  await cluster.until(() => !replicator.peers()[0]!.lagging, 5_000);
  cluster.network.sent.length = 0;
  cluster.write(X, 5_000);
  await cluster.until(() => cluster.equal(X, Y), 20);
  t.is(cluster.network.count('pull'), 0, 'new operations are pushed again');
});

test('F25 send() === false is honoured and memory stays bounded', async (t) => {
  const cluster = await startAll([X, Y], { queueBytesMax: 200_000 });
  cluster.network.bufferMessages = 8;
  cluster.network.highestInbox = 0;
  cluster.network.sentWhileFull = 0;
  for (let round = 0; round < 100; round++) {
    cluster.write(X, round * 100, 100);
    if (round % 10 === 0) cluster.node(Y).process.pause();
    await cluster.world.run(3);
    const [peer] = cluster.node(X).replicator.peers();
    t.true(peer!.unacknowledgedBytes <= 200_000 + 2 * 1024 * 1024);
    if (round % 10 === 5) cluster.node(Y).process.resume();
  }
  t.is(cluster.network.sentWhileFull, 0);
  t.true(cluster.network.highestInbox <= 8, `${cluster.network.highestInbox}`);
  await cluster.until(() => cluster.equal(X, Y), 20_000);
});

test('a heartbeat claims nothing that still waits to be sent', async (t) => {
  const cluster = await startAll([X, Y], { unacknowledgedBytesMax: 70_000, lagAfterMs: 60_000 });
  cluster.network.judge = ({ message }) => (message.type === 'applied' ? 'drop' : 'pass');
  cluster.write(X, 0, 2_000);
  await cluster.world.run(900);
  cluster.network.sent.length = 0;
  t.true(cluster.node(X).replicator.peers()[0]!.unacknowledgedBytes > 70_000, 'some has to wait');
  t.true(cluster.has(Y, 0) && !cluster.has(Y, 1_999));
  cluster.network.judge = () => 'pass';
  cluster.write(X, 3_000);
  await cluster.until(() => cluster.has(Y, 3_000) && cluster.equal(X, Y), 5_000);
  t.is(cluster.network.count('pull'), 0);
});

test('partition and heal: both sides write, then all vectors are equal', async (t) => {
  const cluster = await startAll([X, Y, Z]);
  const [x, y, z] = [X, Y, Z].map((name) => cluster.node(name).id) as [never, never, never];
  cluster.network.partition(x, y);
  cluster.network.partition(x, z);
  await cluster.world.run(1_500);
  t.is(cluster.node(X).replicator.livePeers(), 0);
  t.true(cluster.node(X).replicator.mayWrite(), 'every member serves in every partition');
  cluster.write(X, 0, 300);
  cluster.write(Y, 1_000, 300);
  await cluster.world.run(20_000);
  t.false(cluster.equal(X, Y));
  cluster.network.heal();
  await cluster.until(() => cluster.equal(X, Y, Z), 10_000);
  t.true(cluster.has(Z, 0) && cluster.has(X, 1_299));
});

test('F3 a wiped store with its old name catches up before it takes writes', async (t) => {
  const cluster = await startAll([X, Y, Z]);
  cluster.write(X, 0, 100);
  cluster.write(Z, 1_000, 100);
  await cluster.world.run(100);
  t.true(cluster.equal(X, Y, Z));
  cluster.kill(Z);
  await cluster.world.run(6_000);
  cluster.network.judge = ({ message }) => (message.type === 'pulled' ? 'drop' : 'pass');
  const node = await cluster.startWith(Z, undefined, { catchingUp: true });
  await cluster.world.run(1_000);
  t.false(node.replicator.mayWrite());
  t.is(cluster.node(X).replicator.counters.pulls, 0, 'nobody pulls from it');
  cluster.network.judge = () => 'pass';
  await cluster.until(() => node.replicator.mayWrite(), 10_000);
  t.true(cluster.equal(X, Y, Z));
  t.true(cluster.has(Z, 1_050), 'what it wrote itself came back');
  cluster.write(Z, 2_000);
  await cluster.until(() => cluster.equal(X, Y, Z) && cluster.has(X, 2_000), 2_000);
});

test('a store that was rolled back is detected, refused and told so', async (t) => {
  const cluster = await startAll([X, Y]);
  cluster.write(Y, 0, 10);
  await cluster.world.run(3_000);
  const backup = cluster.node(Y).disk.snapshot();
  cluster.write(Y, 10, 10);
  await cluster.world.run(8_000);
  cluster.kill(Y);
  cluster.kill(X);
  await cluster.start(X);
  const node = await cluster.startWith(Y, backup);
  await cluster.until(() => node.rebuilds.length > 0, 5_000);
  t.regex(node.rebuilds[0]!, /^x: store [0-9a-f]{16} had reported/);
  t.is(cluster.node(X).replicator.livePeers(), 0);
  t.regex(cluster.node(X).replicator.peers()[0]!.lastError ?? '', /refused/);
});

test('a restart of a whole store is no roll back', async (t) => {
  const cluster = await startAll([X, Y]);
  cluster.write(Y, 0, 50);
  await cluster.world.run(8_000);
  cluster.kill(Y);
  await cluster.world.run(100);
  const node = await cluster.start(Y);
  await cluster.until(() => cluster.live(X, Y), 5_000);
  t.deepEqual(node.rebuilds, []);
});

test('a member of another cluster or with other slots is refused with the reason', async (t) => {
  const cluster = new TestCluster([X, Y, Z]);
  await cluster.start(X);
  const stranger = await cluster.start(Y, { cluster: 'other' });
  const odd = await cluster.start(Z, { slots: 1 });
  await cluster.world.run(3_000);
  t.is(cluster.node(X).replicator.livePeers(), 0);
  const errorOf = (node: TestNode): string => node.replicator.peers()[0]!.lastError ?? '';
  t.regex(errorOf(stranger), /cluster/);
  t.regex(errorOf(odd), /slots/);
});

test('a member that was away for 30,000 writes catches up by pulls', async (t) => {
  const cluster = await startAll([X, Y]);
  cluster.kill(Y);
  for (let i = 0; i < 30; i++) {
    cluster.write(X, i * 1_000, 1_000);
    await cluster.world.run(100);
  }
  cluster.network.sent.length = 0;
  await cluster.start(Y);
  await cluster.until(() => cluster.equal(X, Y), 30_000);
  t.true(cluster.has(Y, 29_999));
  t.true(cluster.network.count('pull') >= 3, 'in bounded chunks');
  t.is(cluster.network.count('snapshot-wanted'), 0);
});

test('a new store that misses much starts from a snapshot, then pulls', async (t) => {
  const limits = { snapshotDotsMin: 1_000, snapshotBytesMax: 20_000 };
  const cluster = await startAll([X, Y], limits);
  cluster.kill(Y);
  cluster.write(X, 0, 3_000);
  await cluster.world.run(100);
  const node = await cluster.startWith(Y, undefined, { catchingUp: true });
  for (let i = 0; i < 10; i++) {
    cluster.write(X, 10_000 + i);
    await cluster.world.run(20);
  }
  await cluster.until(() => node.replicator.mayWrite() && cluster.equal(X, Y), 20_000);
  t.true(cluster.has(Y, 2_999) && cluster.has(Y, 10_009));
  t.true(node.replicator.counters.snapshots > 1);
});

test('F6 F9 nothing but heartbeats flows between equal stores', async (t) => {
  const cluster = await startAll([X, Y, Z]);
  cluster.write(X, 0, 100);
  cluster.write(Y, 1_000, 100);
  await cluster.world.run(5_000);
  cluster.network.sent.length = 0;
  await cluster.world.run(10_000);
  const types = new Set(cluster.network.sent.map(({ message }) => message.type));
  t.deepEqual([...types], ['heartbeat']);
  const changed = cluster.network.sent.filter(
    ({ message }) => message.type === 'heartbeat' && message.changed.length > 0,
  );
  t.is(changed.length, 0);
  t.is(cluster.network.sent.length, 10 * 12, 'one a second each way on each of six links');
});

test('stores that are all new start at once; one that is not reached keeps the others waiting', async (t) => {
  const cluster = new TestCluster([X, Y]);
  const x = await cluster.start(X, { catchingUp: true });
  await cluster.world.run(5_000);
  t.false(x.replicator.mayWrite(), 'y may hold anything');
  const y = await cluster.start(Y, { catchingUp: true });
  await cluster.until(() => x.replicator.mayWrite() && y.replicator.mayWrite(), 6_000);
  const alone = new TestCluster([X]);
  const lone = await alone.start(X, { catchingUp: true });
  t.true(lone.replicator.mayWrite());
});

test('what a peer cannot serve is not asked of it for ever', async (t) => {
  const cluster = await startAll([X, Y]);
  cluster.network.judge = (sent) => (carries(sent, X, Y) ? 'drop' : 'pass');
  cluster.write(X, 1);
  await cluster.world.run(5);
  const rows = cluster.node(X).disk.diskRows({ gte: 's', lt: 't' });
  cluster.node(X).disk.deleteBehindBack(rows[0]![0]);
  cluster.network.sent.length = 0;
  await cluster.world.run(20_000);
  t.is(cluster.network.count('pull'), 1);
});

test('a frame on the wrong side of a link closes it, and it opens again', async (t) => {
  const cluster = await startAll([X, Y]);
  const odd: PeerMessage = { type: 'interest-wanted' };
  let sent = 0;
  cluster.network.judge = (message) => {
    if (sent === 0 && message.message.type === 'interest') Object.assign(message.message, odd);
    sent += 1;
    return 'pass';
  };
  cluster.node(X).replicator.announce(['c2/a'], []);
  await cluster.until(() => !cluster.live(X, Y), 10);
  await cluster.until(() => cluster.live(X, Y), 3_000);
  t.pass();
});

test('when every store is new and holds a part, they put the parts together', async (t) => {
  const cluster = await startAll([X, Y]);
  cluster.node(X).process.pause();
  cluster.write(Y, 0, 50);
  await cluster.world.run(2_000);
  const rows = cluster.node(Y).disk.snapshot();
  cluster.kill(X);
  cluster.kill(Y);
  const x = await cluster.startWith(X, undefined, { catchingUp: true });
  const y = await cluster.startWith(Y, rows, { catchingUp: true });
  await cluster.until(() => x.replicator.mayWrite() && y.replicator.mayWrite(), 10_000);
  await cluster.until(() => cluster.has(X, 49) && cluster.equal(X, Y), 3_000);
  t.pass();
});
