import test from 'ava';
import { runRolling } from '../../scripts/rolling-restart/run.ts';
import { startCluster } from '../support/cluster.ts';
import { etcdAvailable } from '../support/etcd.ts';
import { allLinked, clientOf, PATIENCE } from '../support/integration.ts';
import { until } from '../support/until.ts';

test.serial(
  'S2-5 a rolling restart under load: nothing lost, nothing twice, nobody waits long',
  async (t) => {
    t.timeout(240_000);
    const report = await runRolling({
      ...{ etcd: false, clients: 12, channels: 3, sendsPerSecond: 20, sdks: 1, betweenMs: 500 },
    });
    t.log(report);
    t.true(report.acknowledged > 20);
    t.deepEqual([report.lost, report.twice, report.refused], [[], [], 0]);
    t.true(report.reconnects >= 12, 'each client was at a node that was restarted');
    t.true(report.longestWaitMs <= 2_000 * PATIENCE);
    t.deepEqual(
      report.restarts.map(({ exit }) => exit),
      ['exit code 0', 'exit code 0', 'exit code 0'],
    );
  },
);

const run = etcdAvailable() ? test.serial : test.serial.skip;

run(
  'needs etcd: a drained node hands its connections over, leaves the live set, not the roster',
  async (t) => {
    t.timeout(240_000);
    const cluster = await startCluster(t, { nodes: 3, etcd: true });
    await allLinked(cluster);
    const stays = await clientOf(t, cluster.addresses(2).client, 'stays');
    await cluster.admin(1).createConnection({ id: 'bot', kind: 'external', target: '' });
    await cluster.stop(1);
    t.is(cluster.lastExit(1), 'exit code 0');
    const { connection } = await until('it has another owner', async () => {
      const connection = await cluster.admin(2).connection({ id: 'bot' });
      return connection.standing!.owner === 'node-1' ? undefined : { connection };
    });
    t.true(connection.journal.some(({ event }) => event === 'hand-over'));
    const { members } = await until('it left the live set', async () => {
      const reply = await cluster.admin(2).members();
      return reply.members.find(({ id }) => id === 'node-1')?.live ? undefined : reply;
    });
    t.is(members.length, 3, 'it stays on the roster');
    t.true(stays.connected);
  },
);
