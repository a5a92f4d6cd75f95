import test from 'ava';
import { startCluster, type TestCluster } from '../support/cluster.ts';
import { etcdAvailable } from '../support/etcd.ts';
import { allLinked, clientOf, PATIENCE, sameTables, sameVectors } from '../support/integration.ts';
import { until } from '../support/until.ts';

const run = etcdAvailable() ? test.serial : test.serial.skip;

/** 250 ms are the bound of a machine of its own; this one is shared with other tests. */
const PATIENT = { replication: { acknowledge_timeout_ms: 250 * PATIENCE * 4 } };

run(
  'S2-1 needs etcd: acknowledged on X, published on Y at once, delivered on X and Z',
  async (t) => {
    const cluster = await startCluster(t, { nodes: 3, etcd: true, config: PATIENT });
    await allLinked(cluster);
    const alice = await clientOf(t, cluster.addresses(1).client, 'alice');
    const bob = await clientOf(t, cluster.addresses(2).client, 'bob');
    const carol = await clientOf(t, cluster.addresses(3).client, 'carol');
    for (let i = 0; i < 50; i++) {
      const channel = `room-${i}`;
      const [a, c] = await Promise.all([alice.subscribe(channel), carol.subscribe(channel)]);
      t.is(a.reasonCode, 1);
      t.is(a.reached, 'all');
      t.is(c.reached, 'all');
      const sent = await bob.send(channel, 2, `hello ${i}`);
      t.is(sent.reasonCode, 1);
      t.is(sent.disks, 2);
    }
    await until('alice has all', () => alice.received.length === 50);
    await until('carol has all', () => carol.received.length === 50);
    t.deepEqual(
      alice.texts(),
      Array.from({ length: 50 }, (_, i) => `hello ${i}`),
    );
    t.is(bob.received.length, 0);
  },
);

run(
  'needs etcd: kill -9 of any node: its users reconnect elsewhere and receive; it comes back equal',
  async (t) => {
    const cluster = await startCluster(t, { nodes: 3, etcd: true, config: PATIENT });
    await allLinked(cluster);
    const publisher = await clientOf(t, cluster.addresses(1).client, 'publisher');
    for (const k of cluster.numbers) {
      const other = (k % 3) + 1;
      const channel = `kill-${k}`;
      const user = await clientOf(t, cluster.addresses(k).client, `user-${k}`);
      t.is((await user.subscribe(channel)).reached, 'all');
      const survivor =
        k === 1 ? await clientOf(t, cluster.addresses(3).client, 'stand-in') : publisher;
      await cluster.kill9(k);
      const moved = await clientOf(t, cluster.addresses(other).client, `user-${k}`);
      const sent = await survivor.send(channel, 2, `after the death of ${k}`);
      t.is(sent.reasonCode, 1);
      await until('the moved user receives', () => moved.texts().length === 1);
      await moved.subscribe(`while-${k}-was-away`);
      await cluster.start(k);
      await sameTables(cluster);
      await sameVectors(cluster);
      await allLinked(cluster);
      if (k === 1) await publisher.connect();
      const home = await clientOf(t, cluster.addresses(k).client, `user-${k}`);
      await publisher.send(channel, 2, 'home again');
      await publisher.send(`while-${k}-was-away`, 2, 'and this');
      await until('the user receives at home', () => home.texts().length === 2);
    }
  },
);

run(
  'S2-2 needs etcd: 1,000 subscribe and unsubscribe cycles over all nodes lose and leak nothing',
  async (t) => {
    const cluster = await startCluster(t, { nodes: 3, etcd: true, config: PATIENT });
    await allLinked(cluster);
    const results = await Promise.all(
      Array.from({ length: 10 }, (_, lane) => cycles(t, cluster, { lane, count: 100 })),
    );
    t.is(
      results.reduce((sum, cycle) => sum + cycle, 0),
      1000,
    );
    await sameTables(cluster);
    const digest = await cluster.admin(1).digest();
    t.is(digest.subscriptions, 0);
  },
);

/** Subscribes on one node, publishes on another, unsubscribes on a third with the receipt. */
async function cycles(
  t: Parameters<typeof clientOf>[0],
  cluster: TestCluster,
  { lane, count }: { lane: number; count: number },
): Promise<number> {
  const user = `lane-${lane}`;
  const clients = await Promise.all(
    cluster.numbers.map((k) => clientOf(t, cluster.addresses(k).client, user)),
  );
  const publisher = await clientOf(t, cluster.addresses((lane % 3) + 1).client, `pub-${lane}`);
  for (let i = 0; i < count; i++) {
    const on = clients[i % 3]!;
    const off = clients[(i + 1) % 3]!;
    const channel = `cycle-${lane}-${i % 7}`;
    const seen = clients.map((client) => client.texts(channel).length);
    const subscribed = await on.subscribe(channel);
    t.is(subscribed.reached, 'all', `missing: ${subscribed.missing?.join()}`);
    await publisher.send(channel, 2, `in ${lane} ${i}`);
    await until(`cycle ${i} of lane ${lane} is delivered everywhere`, () =>
      clients.every((client, c) => client.texts(channel).length === seen[c]! + 1),
    );
    const gone = await off.unsubscribe(channel, 2, subscribed.receipt);
    t.is(gone.reached, 'all', `missing: ${gone.missing?.join()}`);
    await publisher.send(channel, 2, `out ${lane} ${i}`);
  }
  for (const client of clients) t.false(client.texts().some((text) => text.startsWith('out ')));
  return count;
}
