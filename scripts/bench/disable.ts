import { readdirSync } from 'node:fs';
import { AdminClient } from '../../src/admin/client.ts';
import { startBenchCluster, type BenchNode } from './cluster.ts';
import { EasySocket } from './easy-socket.ts';
import { pause, waitFor } from './process.ts';
import { quantile } from './quantile.ts';
import type { Row } from './row.ts';

const BATCH = 100;
const MB = 1024 * 1024;
/** A node collects its garbage when it has been idle for a moment. */
const SETTLE_MS = 20_000;
/** It gives it back in steps. */
const SETTLE_MS_MAX = 60_000;
const BACK = 1.1;

/** Opens them a hundred at a time. */
export async function connectMany(
  port: number,
  count: number,
  name: string,
): Promise<EasySocket[]> {
  const clients: EasySocket[] = [];
  while (clients.length < count) {
    const some = Array.from({ length: Math.min(BATCH, count - clients.length) }, (_, k) =>
      EasySocket.connect(port, `${name}${clients.length + k}`),
    );
    clients.push(...(await Promise.all(some)));
  }
  return clients;
}

/** S3-1 with many: from the operator's call to each client's Close frame, and what stays of them. */
export async function benchDisable(count: number): Promise<Row[]> {
  const cluster = await startBenchCluster(1, 0);
  const node = cluster.nodes[0]!;
  const admin = new AdminClient({ address: `127.0.0.1:${node.admin}` });
  try {
    // What a first round leaves compiled and allocated, and its subscriptions in the store's write buffer, is no
    // part of what these connections leave.
    await disableOnce({ node, admin, count, subscribe: true });
    const { before, open, after, afterMs, frames } = await disableOnce({ node, admin, count });
    return [
      {
        name: `${count} connections: Close frame of the last one`,
        value: frames.length === count ? Math.max(...frames) / 1000 : Infinity,
        unit: 's after the call',
        target: { value: 3, sense: 'at most' },
        note: `median ${Math.round(quantile(frames, 0.5))} ms; without one: ${count - frames.length}`,
      },
      {
        name: 'memory afterwards',
        value: (after / before) * 100,
        unit: '% of before',
        target: { value: 100 * BACK, sense: 'at most' },
        note:
          [before, open, after].map((bytes) => `${Math.round(bytes / MB)} MB`).join(' → ') +
          ` after ${Math.round(afterMs / 1000)} s`,
      },
    ];
  } finally {
    admin.close();
    await cluster.stop();
  }
}

async function disableOnce({
  node,
  admin,
  count,
  subscribe = false,
}: {
  readonly node: BenchNode;
  readonly admin: AdminClient;
  readonly count: number;
  /** Otherwise they are subscribed since the last time. */
  readonly subscribe?: boolean;
}) {
  await pause(SETTLE_MS);
  const before = node.process.rssBytes();
  const clients = await connectMany(node.client, count, 'user');
  if (subscribe) {
    for (const client of clients) client.subscribe('all');
    await waitFor('everyone has subscribed', () => clients.every((c) => c.replies === 1), 120_000);
  }
  await pause(2_000);
  const open = node.process.rssBytes();
  const calledMs = performance.now();
  await admin.disableListener({ name: 'client' });
  await waitFor('all are over', () => clients.every(({ socket }) => socket.closed), 30_000);
  const frames = clients.flatMap(({ socket }) =>
    socket.closeFrameMs === undefined ? [] : [socket.closeFrameMs - calledMs],
  );
  await admin.enableListener({ name: 'client' });
  const overMs = performance.now();
  await pause(SETTLE_MS);
  let after = node.process.rssBytes();
  while (after > BACK * before && performance.now() - overMs < SETTLE_MS_MAX) {
    await pause(1_000);
    after = node.process.rssBytes();
  }
  return { before, open, after, afterMs: performance.now() - overMs, frames };
}

const TOGGLES_A_SECOND = 10;
const CLIENTS = 20;

/** Ten disables or enables a second while clients come back all the while: nothing may pile up. */
export async function benchToggles(seconds: number): Promise<Row[]> {
  const cluster = await startBenchCluster(1, 0);
  const node = cluster.nodes[0]!;
  const admin = new AdminClient({ address: `127.0.0.1:${node.admin}` });
  try {
    // The first ones compile the code.
    await toggle({ node, admin, seconds: 5 });
    await pause(SETTLE_MS);
    const before = await look(node);
    const toggles = await toggle({ node, admin, seconds });
    await pause(SETTLE_MS);
    const after = await look(node);
    const grown = (what: keyof typeof before): number => after[what] - before[what];
    return [
      { name: 'toggles', value: toggles, unit: `in ${seconds} s` },
      {
        name: 'file descriptors more than before',
        ...{ value: grown('fds'), unit: '', target: { value: 1, sense: 'at most' } },
        note: `${before.fds} → ${after.fds}`,
      },
      {
        name: 'active resources more than before (sockets, timers, requests)',
        ...{ value: grown('resources'), unit: '', target: { value: 1, sense: 'at most' } },
        note: `${before.resources} → ${after.resources}`,
      },
      {
        name: 'heap in use more than before',
        ...{ value: grown('heap') / MB, unit: 'MB', target: { value: 2, sense: 'at most' } },
        note: `${(before.heap / MB).toFixed(1)} → ${(after.heap / MB).toFixed(1)} MB`,
      },
    ];
  } finally {
    admin.close();
    await cluster.stop();
  }
}

async function toggle({
  node,
  admin,
  seconds,
}: {
  readonly node: BenchNode;
  readonly admin: AdminClient;
  readonly seconds: number;
}): Promise<number> {
  const over = new AbortController();
  const clients = Array.from({ length: CLIENTS }, async (_, k) => {
    while (!over.signal.aborted) {
      const client = await EasySocket.connect(node.client, `user${k}`).catch(() => undefined);
      if (client)
        await waitFor('its end', () => over.signal.aborted || client.socket.closed, 60_000);
      client?.destroy();
      await pause(10);
    }
  });
  const beganMs = performance.now();
  let toggles = 0;
  while (performance.now() - beganMs < seconds * 1000) {
    if (toggles % 2 === 0) await admin.disableListener({ name: 'client' });
    else await admin.enableListener({ name: 'client' });
    toggles += 1;
    await pause(Math.max(0, beganMs + (toggles * 1000) / TOGGLES_A_SECOND - performance.now()));
  }
  over.abort();
  await admin.enableListener({ name: 'client' });
  await Promise.all(clients);
  return toggles;
}

async function look({ process, http }: BenchNode) {
  // Garbage that waits is no leak: the least of some looks.
  const heaps: number[] = [];
  let resources = Infinity;
  for (let i = 0; i < 5; i++) {
    const text = await (await fetch(`http://127.0.0.1:${http}/metrics`)).text();
    const valueOf = (name: string): number =>
      Number(new RegExp(`^${name}(?:{[^}]*})? (\\S+)`, 'm').exec(text)?.[1] ?? NaN);
    heaps.push(valueOf('nodejs_heap_size_used_bytes'));
    resources = Math.min(resources, valueOf('nodejs_active_resources_total'));
    await pause(1_000);
  }
  const fds = readdirSync(`/proc/${process.pid}/fd`).length;
  return { fds, resources, heap: Math.min(...heaps) };
}
