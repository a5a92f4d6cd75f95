import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { startCluster, type TestCluster } from '../support/cluster.ts';
import { allLinked, clientOf, sameTables, sameVectors } from '../support/integration.ts';
import { until } from '../support/until.ts';

const DISK_BYTES = 48 * 1024 * 1024;

/** A small file system in the place of node k's store, or undefined where nobody may mount one. */
function mountSmallDisk(t: ExecutionContext, folder: string): string | undefined {
  mkdirSync(folder, { recursive: true });
  const options = ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', folder];
  const mounted = spawnSync('mount', options, { encoding: 'utf8' });
  if (mounted.status !== 0) return undefined;
  // Teardowns run last first: the cluster was started before, so its nodes still run here.
  t.teardown(() => void spawnSync('umount', ['-l', folder]));
  return folder;
}

function fill(file: string): void {
  const chunk = Buffer.alloc(64 * 1024, 1);
  const free = () => statfsSync(join(file, '..')).bavail;
  try {
    while (free() > 0) writeFileSync(file, chunk, { flag: 'a' });
  } catch {
    // Full.
  }
}

async function readiness(cluster: TestCluster, k: number) {
  const response = await fetch(`${cluster.addresses(k).http}/readyz`);
  return { status: response.status, body: await response.text() };
}

test.serial(
  'a full disk: no acknowledgement, not ready, delivery goes on, writes resume',
  async (t) => {
    const cluster = await startCluster(t, { nodes: 3, etcd: false, start: false });
    const disk = mountSmallDisk(t, cluster.storeDir(2));
    if (disk === undefined) {
      t.log('not shown here: this user may not mount a small file system');
      t.pass();
      return;
    }
    await cluster.startAll();
    await allLinked(cluster);
    const full = await clientOf(t, cluster.addresses(2).client, 'full');
    const other = await clientOf(t, cluster.addresses(1).client, 'other');
    t.is((await full.subscribe('room')).reasonCode, 1);
    fill(join(disk, 'filler'));

    const acknowledged: string[] = [];
    const refused = await until(
      'a send is refused',
      async () => {
        const text = `on the full disk ${acknowledged.length}`;
        const sent = await Promise.race([
          full.send('room', 2, 'x'.repeat(20_000)),
          readiness(cluster, 2).then(({ status }) => (status === 503 ? undefined : 'later')),
        ]);
        if (sent === 'later' || sent === undefined) return undefined;
        if (sent.reasonCode === 1) acknowledged.push(text);
        return sent.reasonCode === 1 ? undefined : sent;
      },
      20_000,
    );
    t.is(refused.reasonCode, 15);
    const ready = await until('not ready', async () => {
      const state = await readiness(cluster, 2);
      return state.status === 503 ? state : undefined;
    });
    t.regex(ready.body, /cannot write|space/i);
    t.is((await full.subscribe('another room')).reasonCode, 15);
    const sent = await other.send('room', 2, 'from a healthy node');
    t.is(sent.reasonCode, 1);
    t.is(sent.disks, 2, 'the third node has a disk');
    await until('delivered on the node whose disk is full', () =>
      full.texts().includes('from a healthy node'),
    );
    // A client that comes now finds its channels, and gets what others send.
    const late = await clientOf(t, cluster.addresses(2).client, 'full');
    await other.send('room', 2, 'to a late session');
    await until('delivered to a late session', () => late.texts().includes('to a late session'));

    rmSync(join(disk, 'filler'));
    await until(
      'writes resume by themselves',
      async () => {
        const { reasonCode } = await full.send('room', 2, 'there is room again');
        return reasonCode === 1;
      },
      20_000,
    );
    await until('ready again', async () => (await readiness(cluster, 2)).status === 200);
    await sameTables(cluster);
    await sameVectors(cluster);
    // What was delivered ahead of the disk is not delivered again when the disk has it.
    await other.send('room', 2, 'the last one');
    await until('the last one', () => full.texts().includes('the last one'));
    const texts = full
      .texts()
      .filter((text) => text.startsWith('from') || text.startsWith('the last'));
    t.deepEqual(texts, ['from a healthy node', 'the last one']);
  },
);
