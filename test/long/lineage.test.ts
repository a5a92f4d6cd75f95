import test, { type ExecutionContext } from 'ava';
import { startCluster } from '../support/cluster.ts';
import { etcdAvailable } from '../support/etcd.ts';
import { allLinked, clientOf, sameTables } from '../support/integration.ts';
import { until } from '../support/until.ts';

/** The store of a lone node in which `uid` subscribed and spoke. */
async function loneStore(t: ExecutionContext, uid: string): Promise<string> {
  const lone = await startCluster(t, { nodes: 1, etcd: false });
  const user = await clientOf(t, lone.addresses(1).client, uid);
  for (let i = 0; i < 5; i++) await user.subscribe(`${uid}-room-${i}`);
  for (let i = 0; i < 5; i++) await user.send(`${uid}-room-0`, 2, `m${i}`);
  user.stop();
  await lone.stop(1);
  return lone.copyStore(1);
}

test.serial(
  'a lone node with data grows to three: all have it, numbers go on above it',
  async (t) => {
    const store = await loneStore(t, 'ann');
    const cluster = await startCluster(t, { nodes: 3, etcd: false, start: false });
    cluster.restoreStore(1, store);
    await cluster.startAll();
    await allLinked(cluster);
    await sameTables(cluster);
    const moved = await clientOf(t, cluster.addresses(3).client, 'ann');
    const other = await clientOf(t, cluster.addresses(2).client, 'other');
    const sent = await other.send('ann-room-0', 2, 'after growing');
    t.true(sent.messageSeq > 5);
    await until('ann receives on another node', () => moved.texts().includes('after growing'));
  },
);

const run = etcdAvailable() ? test.serial : test.serial.skip;

run('a lone node with data grows to three that find each other by etcd', async (t) => {
  const store = await loneStore(t, 'ann');
  const cluster = await startCluster(t, { nodes: 3, etcd: true, start: false });
  cluster.restoreStore(1, store);
  // The others are there first and have slot 0, which was the lone node's.
  for (const k of [2, 3]) cluster.launch(k);
  const listens = /^node-[23] .*client gateway listens/;
  await until(
    'the others are on the roster',
    () => cluster.logs(200).filter((line) => listens.test(line)).length === 2,
    30_000,
  );
  cluster.launch(1);
  await allLinked(cluster);
  await sameTables(cluster);
  for (const k of cluster.numbers) t.is((await cluster.admin(k).digest()).subscriptions, 5);
  const moved = await clientOf(t, cluster.addresses(3).client, 'ann');
  const other = await clientOf(t, cluster.addresses(2).client, 'other');
  t.true((await other.send('ann-room-0', 2, 'after growing')).messageSeq > 5);
  await until('ann receives on another node', () => moved.texts().includes('after growing'));
});

test.serial('two stores with data of their own never merge in silence', async (t) => {
  const [first, second] = [await loneStore(t, 'ann'), await loneStore(t, 'bea')];
  const pair = await startCluster(t, { nodes: 2, etcd: false, start: false });
  pair.restoreStore(1, first);
  pair.restoreStore(2, second);
  for (const k of pair.numbers) pair.launch(k);
  await until(
    'both say why they do not talk',
    () =>
      pair.logs(500).filter((line) => line.includes('two stores with data never merge')).length >=
      2,
    30_000,
  );
  for (const k of pair.numbers) {
    t.is((await pair.admin(k).digest()).subscriptions, 5);
  }
  const { members } = await pair.admin(1).members();
  t.regex(members.map((member) => member.peer?.lastError ?? '').join(), /another cluster/);
});
