import test from 'ava';
import { runBulk } from '../../src/admin/bulk-client.ts';
import { startCluster, type TestCluster } from '../support/cluster.ts';
import { etcdAvailable } from '../support/etcd.ts';
import { until } from '../support/until.ts';
import { collect } from './support/start.ts';

const UIDS = Array.from({ length: 500 }, (_, i) => `u${i}`);

async function untilEqual(cluster: TestCluster, subscriptions: number): Promise<void> {
  await until(
    'the tables are equal',
    async () => {
      const digests = new Set((await cluster.digests()).values());
      const counts = cluster.numbers.map(
        async (k) => (await cluster.admin(k).digest()).subscriptions,
      );
      return digests.size === 1 && (await Promise.all(counts)).every((n) => n === subscriptions);
    },
    30_000,
  );
}

test('two real nodes: what one is told the other has, through kill and wipe', async (t) => {
  const cluster = await startCluster(t, { nodes: 2, etcd: etcdAvailable() });
  const channel = { channelId: 'g', channelType: 2 };
  // A machine at work may take longer than the 250 ms that an acknowledgement waits.
  await until('both route by it', async () => {
    const { reached } = await cluster.admin(1).subscribe({ ...channel, uids: UIDS });
    return reached === 'WAIT_FOR_ALL';
  });
  const [page] = await collect(cluster.admin(2).listSubscriptions({ channel, pageSize: 1_000 }));
  t.is(page!.uids.length, 500);
  await cluster.kill9(2);
  const alone = await cluster.admin(1).unsubscribe({ ...channel, uids: ['u0'] });
  t.deepEqual(alone.missing, ['node-2']);
  await cluster.start(2);
  await untilEqual(cluster, 499);
  await cluster.wipe(2);
  await cluster.start(2);
  await untilEqual(cluster, 499);
  const batch = {
    action: 'BULK_ACTION_SUBSCRIBE',
    channelIds: ['h'],
    channelTypes: [2],
    uids: UIDS,
  } as const;
  const totals = await runBulk(cluster.admin(2), [batch, { ...batch, channelIds: ['i'] }]);
  t.like(totals, { applied: 1_000, refused: 0 });
  await untilEqual(cluster, 1_499);
  const { members } = await cluster.admin(1).members();
  t.deepEqual(
    members.map(({ adminAddress }) => adminAddress),
    [cluster.addresses(1).admin, cluster.addresses(2).admin],
  );
});
