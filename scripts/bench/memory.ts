import { startBenchCluster } from './cluster.ts';
import { EasySocket } from './easy-socket.ts';
import { pause, waitFor } from './process.ts';
import type { Row } from './row.ts';
import { bulkSubscribe } from './subscribe.ts';

/** Idle sessions with one channel of their own and one that all share. */
export async function benchIdleSessions(count: number): Promise<Row[]> {
  const cluster = await startBenchCluster(1, 0);
  try {
    const node = cluster.nodes[0]!;
    // What starting touches is there with one session as with many.
    await pause(2500);
    const before = node.process.rssBytes();
    const clients: EasySocket[] = [];
    for (let i = 0; i < count; i += 100) {
      const some = Array.from({ length: Math.min(100, count - i) }, (_, k) =>
        EasySocket.connect(node.client, `user${i + k}`),
      );
      for (const client of await Promise.all(some)) {
        client.subscribe(`own${clients.length}`);
        client.subscribe('all');
        clients.push(client);
      }
    }
    await waitFor('everyone has subscribed', () => clients.every((c) => c.replies === 2), 120_000);
    await pause(6000);
    const after = node.process.rssBytes();
    for (const client of clients) client.destroy();
    return [
      {
        name: `${count} idle sessions with two subscriptions`,
        value: (after - before) / count,
        unit: 'bytes a session',
        target: { value: 4096, sense: 'at most' },
      },
    ];
  } finally {
    await cluster.stop();
  }
}

/** Subscriptions of users who are offline, and the start on a store that holds them. */
export async function benchStoredSubscriptions(count: number): Promise<Row[]> {
  const cluster = await startBenchCluster(1, 0);
  try {
    let node = await cluster.restart(0);
    await pause(2000);
    const empty = node.process.rssBytes();
    await bulkSubscribe(`127.0.0.1:${node.admin}`, count);
    const from = performance.now();
    node = await cluster.restart(0);
    const ready = (performance.now() - from) / 1000;
    await pause(2000);
    return [
      {
        name: `start with ${count} subscriptions, stopping included`,
        value: ready,
        unit: 's',
        target: { value: 5, sense: 'at most' },
      },
      {
        name: `memory of ${count} stored subscriptions`,
        value: (node.process.rssBytes() - empty) / 1024 / 1024,
        unit: 'MB over an empty node',
        target: { value: 64, sense: 'at most' },
      },
    ];
  } finally {
    await cluster.stop();
  }
}
