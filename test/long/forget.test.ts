import { execFile } from 'node:child_process';
import { join } from 'node:path';
import test from 'ava';
import { startCluster, type TestCluster } from '../support/cluster.ts';
import { etcdAvailable } from '../support/etcd.ts';
import { allLinked, clientOf, sameTables, sameVectors } from '../support/integration.ts';
import { ROOT } from '../support/tree.ts';
import { until } from '../support/until.ts';

const run = etcdAvailable() ? test.serial : test.serial.skip;
const BOUND_MS = 60_000;

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function forget(cluster: TestCluster, args: readonly string[]): Promise<Ended> {
  const program = [join(ROOT, 'scripts', 'holdfast.js'), 'forget', ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, [...program, '-a', cluster.addresses(1).admin], (error, out, err) =>
      resolve({ code: error ? Number(error.code) : 0, out, err }),
    );
  });
}

/** True once node k has let go of the evidence of a removal. */
function hasCollected(cluster: TestCluster, k: number): boolean {
  return cluster
    .logs(3_000)
    .some((line) => line.startsWith(`node-${k} `) && line.includes('evidence was collected'));
}

run(
  'F11 F12 F14 needs etcd: a dead member is forgotten, evidence goes, it returns: rebuilt, nothing comes back',
  async (t) => {
    t.timeout(200_000);
    const cluster = await startCluster(t, {
      ...{ nodes: 3, etcd: true },
      // A shard's evidence is looked at each 100 ms.
      config: { audit: { profile: 'fast' }, sweep: { interval_ms: 500 } },
    });
    await allLinked(cluster);
    const user = await clientOf(t, cluster.addresses(1).client, 'user');
    for (const room of ['kept', 'left']) await user.subscribe(room);
    await sameVectors(cluster);

    t.regex((await forget(cluster, ['node-3'])).err, /node-3 is connected: stop it first/);
    t.regex((await forget(cluster, ['node-9'])).err, /which has node-1, node-2, node-3/);
    t.regex((await forget(cluster, ['node-1', '--force'])).err, /ask another one/);

    await cluster.kill9(3);
    await user.unsubscribe('left');
    t.false(hasCollected(cluster, 1) || hasCollected(cluster, 2), 'kept for who is away');
    const gone = await until(
      'its lease has run out',
      async () => {
        const ended = await forget(cluster, ['node-3']);
        if (ended.code !== 0 && /lease of node-3/.test(ended.err)) return undefined;
        return ended;
      },
      BOUND_MS,
    );
    t.is(gone.code, 0, gone.err);
    t.regex(gone.out, /node-3 is off the roster; it has node-1, node-2 now/);
    await until(
      'evidence is collected by those that stay',
      () => hasCollected(cluster, 1) && hasCollected(cluster, 2),
      BOUND_MS,
    );

    await cluster.start(3);
    await allLinked(cluster);
    await sameVectors(cluster, BOUND_MS);
    await sameTables(cluster);
    t.true(cluster.logs(3_000).some((line) => line.includes('the cluster forgot this member')));
    const rooms: string[] = [];
    for await (const page of cluster.admin(3).listSubscriptions({})) rooms.push(...page.channelIds);
    t.deepEqual(rooms, ['kept']);

    // Forced while it runs: it takes note, and joins anew by itself.
    const { rosterEpoch } = await cluster.admin(1).members();
    const forced = await forget(cluster, ['node-3', '--force']);
    t.is(forced.code, 0, forced.err);
    await until(
      'it is on the roster again',
      async () => {
        const reply = await cluster.admin(1).members();
        return reply.rosterEpoch >= rosterEpoch + 2 && reply.members.length === 3;
      },
      BOUND_MS,
    );
    await cluster.whenReady(3);
    await allLinked(cluster, BOUND_MS);
    await sameVectors(cluster, BOUND_MS);
    await sameTables(cluster);
    t.true(cluster.logs(3_000).some((line) => line.includes('forgot this member while it ran')));

    await cluster.etcd!.kill();
    const frozen = await until(
      'the roster is frozen',
      async () => {
        const ended = await forget(cluster, ['node-3', '--force']);
        return ended.code === 0 ? undefined : ended;
      },
      BOUND_MS,
    );
    t.regex(frozen.err, /etcd does not answer|cannot be removed/);
  },
);
