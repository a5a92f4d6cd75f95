import test from 'ava';
import { startCluster, type TestCluster } from '../support/cluster.ts';
import { etcdAvailable } from '../support/etcd.ts';
import { allLinked, clientOf, sameTables, sameVectors } from '../support/integration.ts';
import { until } from '../support/until.ts';

/** `channel uid` of every subscription that node k has. */
async function subscriptionsOf(cluster: TestCluster, k: number): Promise<Set<string>> {
  const all = new Set<string>();
  for await (const page of cluster.admin(k).listSubscriptions({})) {
    for (const [i, uid] of page.uids.entries()) all.add(`${page.channelIds[i]} ${uid}`);
  }
  return all;
}

const run = etcdAvailable() ? test.serial : test.serial.skip;

test.serial('S2-5 a wiped disk with its old name catches up and loses nothing', async (t) => {
  const cluster = await startCluster(t, { nodes: 3, etcd: false });
  await allLinked(cluster);
  const user = await clientOf(t, cluster.addresses(2).client, 'user');
  for (let i = 0; i < 20; i++) t.is((await user.subscribe(`room-${i}`)).reached, 'all');
  for (let i = 0; i < 20; i++) t.is((await user.unsubscribe(`room-${i * 2}`)).reached, 'all');
  const before = await sameTables(cluster);
  await cluster.wipe(2);
  await cluster.start(2);
  t.is(await sameTables(cluster), before);
  await sameVectors(cluster);
  const again = await clientOf(t, cluster.addresses(2).client, 'user');
  const other = await clientOf(t, cluster.addresses(1).client, 'other');
  await other.send('room-1', 2, 'still here');
  await other.send('room-2', 2, 'not this');
  await until('the user receives', () => again.texts().length === 1);
  t.deepEqual(again.texts(), ['still here']);
});

test.serial(
  'S2-5 a store rolled back to a backup is set aside and rebuilt; what only it had is submitted again',
  async (t) => {
    const cluster = await startCluster(t, { nodes: 3, etcd: false });
    await allLinked(cluster);
    const user = await clientOf(t, cluster.addresses(2).client, 'user');
    await user.subscribe('old');
    await user.subscribe('left');
    await sameVectors(cluster);
    await cluster.stop(2);
    const early = cluster.copyStore(2);
    // A write that only one disk ever had: the others are down while it is made.
    await cluster.stop(1);
    await cluster.stop(3);
    await cluster.start(2);
    const lonely = await clientOf(t, cluster.addresses(2).client, 'lonely');
    t.deepEqual((await lonely.subscribe('only-here')).missing, ['node-1', 'node-3']);
    await cluster.stop(2);
    const backup = cluster.copyStore(2);
    cluster.restoreStore(2, early);
    await Promise.all([1, 2, 3].map((k) => cluster.start(k)));
    await allLinked(cluster);
    // Three heartbeats' worth of work: what the store reports of itself reaches the peers.
    const later = await clientOf(t, cluster.addresses(2).client, 'later');
    await later.unsubscribe('left');
    const from = performance.now();
    await until('three heartbeats have gone out', async () => {
      await later.subscribe(`after-${Math.floor((performance.now() - from) / 500)}`);
      return performance.now() - from > 3_000;
    });
    await cluster.stop(2);
    cluster.restoreStore(2, backup);
    cluster.launch(2);
    await until(
      'node 2 says that its rebuild is complete',
      () => cluster.logs(2000).some((line) => line.includes('the rebuild is complete')),
      60_000,
    );
    await cluster.whenReady(2);
    await sameVectors(cluster, 60_000);
    await sameTables(cluster);
    const channels = await subscriptionsOf(cluster, 1);
    t.true(channels.has('only-here lonely'));
    t.true(channels.has('old user'));
    t.true(channels.has('after-0 later'));
  },
);

test.serial(
  'S2-5 a member that was frozen misses nothing when it goes on, and others serve meanwhile',
  async (t) => {
    const cluster = await startCluster(t, { nodes: 3, etcd: false });
    await allLinked(cluster);
    const a = await clientOf(t, cluster.addresses(1).client, 'a');
    const c = await clientOf(t, cluster.addresses(3).client, 'c');
    await c.subscribe('room');
    cluster.pause(3);
    const during = await a.subscribe('during');
    t.is(during.reasonCode, 1);
    const sent = await a.send('room', 2, 'sent while frozen');
    t.is(sent.reasonCode, 1);
    t.is(sent.disks, 2);
    await until('the frozen member is no longer waited for', async () => {
      const reply = await a.subscribe('later');
      return reply.missing?.includes('node-3');
    });
    cluster.resume(3);
    await until('the message arrives', () => c.texts().includes('sent while frozen'), 30_000);
    await sameTables(cluster);
  },
);

run(
  'S2-5 needs etcd: etcd down loses no delivery and no operation; a restart works on the last roster',
  async (t) => {
    const cluster = await startCluster(t, { nodes: 3, etcd: true });
    await allLinked(cluster);
    const a = await clientOf(t, cluster.addresses(1).client, 'a');
    const b = await clientOf(t, cluster.addresses(2).client, 'b');
    await cluster.etcd!.kill();
    t.is((await b.subscribe('room')).reached, 'all');
    t.is((await a.send('room', 2, 'no etcd')).disks, 2);
    await until('delivered', () => b.texts().includes('no etcd'));
    await cluster.kill9(3);
    await b.subscribe('more');
    await cluster.start(3);
    await allLinked(cluster);
    await sameTables(cluster);
    const c = await clientOf(t, cluster.addresses(3).client, 'b');
    await a.send('more', 2, 'to the restarted node');
    await until('delivered there', () => c.texts().includes('to the restarted node'));
    await cluster.etcd!.restart();
  },
);

test.serial('a second process on the same store is refused with a clear error', async (t) => {
  const cluster = await startCluster(t, { nodes: 1, etcd: false });
  const { spawnSync } = await import('node:child_process');
  const config = cluster.storeDir(1).replace(/store$/, 'cluster.yml');
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import=tsx', 'src/main.ts', 'start', '--config', config],
    { env: { ...process.env, HOLDFAST_LISTEN_HTTP_PORT: '0' }, encoding: 'utf8', timeout: 20_000 },
  );
  t.is(status, 3);
  t.regex(stdout + stderr, /STORE_LOCKED/);
});
