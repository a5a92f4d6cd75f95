import { AdminClient } from '../../src/admin/client.ts';
import { startBenchCluster, type BenchCluster } from './cluster.ts';
import { EasySocket } from './easy-socket.ts';
import { bareLevelSeconds } from './fanout.ts';
import { waitFor } from './process.ts';
import type { Row } from './row.ts';

const BATCH = 1000;
const IN_FLIGHT = 8;

/** Subscribes `count` users of a few channels through one admin stream; resolves when all are durable. */
export async function bulkSubscribe(
  address: string,
  count: number,
  waitFor_: 'WAIT_FOR_LOCAL' | 'WAIT_FOR_ALL' = 'WAIT_FOR_LOCAL',
): Promise<void> {
  const client = new AdminClient({ address });
  const stream = client.openBulk();
  let sent = 0;
  let done = 0;
  await new Promise<void>((resolve, reject) => {
    const send = (): void => {
      const size = Math.min(BATCH, count - sent);
      const uids = Array.from({ length: size }, (_, i) => `user-${sent + i}`);
      const channelIds = [`group-${Math.floor(sent / BATCH) % 1000}`];
      const action = 'BULK_ACTION_SUBSCRIBE';
      stream.write({
        batchId: sent,
        action,
        channelIds,
        channelTypes: [2],
        uids,
        waitFor: waitFor_,
      });
      sent += size;
    };
    stream.on('error', reject);
    stream.on('data', (reply: { applied: number; error: unknown }) => {
      if (reply.error) {
        reject(new Error(JSON.stringify(reply.error)));
        return;
      }
      done += reply.applied;
      if (done >= count) resolve();
      else if (sent < count) send();
    });
    for (let i = Math.min(IN_FLIGHT, Math.ceil(count / BATCH)); i > 0; i--) send();
  });
  stream.end();
  client.close();
}

function cpuOf(cluster: BenchCluster): number {
  return cluster.nodes.reduce((sum, node) => sum + node.process.cpuSeconds(), 0);
}

async function bulkRow(size: number, count: number): Promise<Row[]> {
  const cluster = await startBenchCluster(size);
  try {
    const address = `127.0.0.1:${cluster.nodes[0]!.admin}`;
    await bulkSubscribe(address, 20_000);
    const [cpu, start] = [cpuOf(cluster), performance.now()];
    await bulkSubscribe(address, count);
    await waitFor('every node has the table', () => sameTables(cluster), 120_000);
    const wall = (performance.now() - start) / 1000;
    const used = cpuOf(cluster) - cpu;
    const where = size === 1 ? 'one node' : `replicated to ${size - 1} peers`;
    const target = { value: size === 1 ? 50_000 : 20_000, sense: 'at least' } as const;
    const name = `bulk subscribe, ${where}`;
    return [
      { name, value: count / wall, unit: 'a second', target: size === 1 ? undefined : target },
      {
        name,
        value: count / used,
        unit: size === 1 ? 'a CPU-s' : 'a CPU-s of all nodes',
        target: size === 1 ? target : undefined,
      },
    ];
  } finally {
    await cluster.stop();
  }
}

export async function sameTables(cluster: BenchCluster): Promise<boolean> {
  if (cluster.nodes.length === 1) return true;
  const hashes = await Promise.all(
    cluster.nodes.map(async (node) => {
      const client = new AdminClient({ address: `127.0.0.1:${node.admin}` });
      const reply = await client.members();
      client.close();
      return reply.vectorDigest;
    }),
  );
  return hashes.every((hash) => hash === hashes[0]);
}

async function socketRow(count: number): Promise<Row> {
  const cluster = await startBenchCluster(1, 0);
  try {
    const node = cluster.nodes[0]!;
    const clients: EasySocket[] = [];
    for (let i = 0; i < 200; i++) clients.push(await EasySocket.connect(node.client, `user${i}`));
    const per = Math.ceil(count / clients.length);
    const cpu = node.process.cpuSeconds();
    await Promise.all(
      clients.map(
        (client, c) =>
          new Promise<void>((resolve) => {
            let next = 0;
            const ask = (): void => client.subscribe(`own-${c}-${next++}`);
            client.onReply = () => {
              if (client.replies >= per) resolve();
              else if (next < per) ask();
            };
            for (let i = Math.min(50, per); i > 0; i--) ask();
          }),
      ),
    );
    const used = node.process.cpuSeconds() - cpu;
    const errors = clients.reduce((sum, client) => sum + client.errors, 0);
    if (errors > 0) throw new Error(`${errors} subscribes were refused`);
    for (const client of clients) client.destroy();
    return {
      name: 'subscribe over the socket, durable when acknowledged',
      value: (per * clients.length) / used,
      unit: 'a CPU-s',
      target: { value: 30_000, sense: 'at least' },
    };
  } finally {
    await cluster.stop();
  }
}

export async function benchSubscribe(count: number): Promise<Row[]> {
  const bare = await bareLevelSeconds('subscription', 256);
  return [
    { name: 'bare LevelDB batch of a subscription', value: 1 / bare, unit: 'a CPU-s' },
    ...(await bulkRow(1, count)),
    ...(await bulkRow(3, count)),
    await socketRow(Math.min(count, 100_000)),
  ];
}
