import { EasyClient } from '../../test/support/clients/easy-client.ts';
import type { TestCluster } from '../../test/support/cluster.ts';
import { startSharedCluster } from '../../test/support/cluster.ts';
import { etcdAvailable } from '../../test/support/etcd.ts';
import { until } from '../../test/support/until.ts';
import { pause, SetWorkload, type HistoryLine } from './workload.ts';

export interface ChaosOptions {
  readonly nodes: number;
  readonly seed: number;
  /** Faults stop after so long, or after so many kills. */
  readonly seconds: number;
  readonly killsMax: number;
}

export interface ChaosReport {
  readonly options: ChaosOptions;
  readonly etcd: boolean;
  readonly faults: Readonly<Record<string, number>>;
  readonly elements: number;
  readonly acknowledgedAdds: number;
  readonly lostAdds: readonly string[];
  readonly returnedRemovals: readonly string[];
  readonly equal: boolean;
  /** Of the messages sent after the faults, at sessions of every node. */
  readonly messagesMissing: number;
  readonly messagesTwice: number;
  readonly passed: boolean;
  readonly history: readonly HistoryLine[];
}

const SETTLE_MS = 60_000;

/** Real processes, real clients, faults by the seed; then everything is healed and counted. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const etcd = etcdAvailable();
  const config = { audit: { profile: 'fast', fault_injection: 'on' } };
  const cluster = await startSharedCluster({ nodes: options.nodes, etcd, config });
  try {
    const random = seeded(options.seed);
    const urls = cluster.numbers.map((k) => cluster.addresses(k).client);
    const workload = new SetWorkload(urls, seeded(options.seed + 1));
    const abort = new AbortController();
    const workers = urls.map((_, index) => workload.work(index, abort.signal));
    const faults = await disturb(cluster, workload, { ...options, random });
    abort.abort();
    await Promise.all(workers);
    return await judge(cluster, workload, { options, etcd, faults });
  } finally {
    await cluster.end();
  }
}

type Disturbing = ChaosOptions & { readonly random: () => number };

async function disturb(
  cluster: TestCluster,
  workload: SetWorkload,
  { seconds, killsMax, random }: Disturbing,
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end && (counts['kill'] ?? 0) < killsMax) {
    const k = 1 + Math.floor(random() * cluster.numbers.length);
    const fault = pick(random(), cluster.etcd !== undefined);
    const forMs = 300 + random() * 1_500;
    counts[fault] = (counts[fault] ?? 0) + 1;
    workload.note('fault', { element: cluster.id(k), outcome: fault });
    if (fault === 'kill') {
      await cluster.kill9(k);
      await pause(forMs / 3);
      await cluster.start(k);
    } else if (fault === 'stop') {
      cluster.pause(k);
      await pause(forMs);
      cluster.resume(k);
    } else if (fault === 'etcd-stop') {
      cluster.etcd!.pause();
      await pause(forMs);
      cluster.etcd!.resume();
    } else if (fault === 'etcd-kill') {
      await cluster.etcd!.kill();
      await pause(forMs);
      await cluster.etcd!.restart();
    } else {
      await injectRow(cluster, workload, { k, random });
    }
    await pause(200);
  }
  return counts;
}

function pick(share: number, etcd: boolean): 'kill' | 'stop' | 'etcd-stop' | 'etcd-kill' | 'row' {
  if (share < 0.45) return 'kill';
  if (share < 0.6) return 'stop';
  if (share < 0.8 || !etcd) return 'row';
  return share < 0.92 ? 'etcd-stop' : 'etcd-kill';
}

/** A row goes behind one node's back; a node that does not answer is left alone. */
async function injectRow(
  cluster: TestCluster,
  workload: SetWorkload,
  { k, random }: { k: number; random: () => number },
): Promise<void> {
  const there = workload.elements.filter(
    ({ add, removal }) => add === 'acknowledged' && removal === 'none',
  );
  const element = there[Math.floor(random() * there.length)];
  if (!element) return;
  const kind = random() < 0.5 ? 'delete-row' : 'corrupt-row';
  const { uid, channel: channelId } = element;
  const fault = { kind, uid, channelId, channelType: 2 };
  await cluster
    .admin(k)
    .injectFault(fault)
    .then(
      ({ damage }) => workload.note('damaged', { element: channelId, outcome: damage.join() }),
      (error: Error) =>
        workload.note('not damaged', { element: channelId, outcome: error.message }),
    );
}

async function judge(
  cluster: TestCluster,
  workload: SetWorkload,
  said: { options: ChaosOptions; etcd: boolean; faults: Record<string, number> },
): Promise<ChaosReport> {
  await cluster.whenReady();
  await cluster.whenConnected();
  const equal = await until(
    'tables are equal and hold what was acknowledged',
    async () => {
      const digests = new Set((await cluster.digests()).values());
      const { lost, returned } = await compare(cluster, workload);
      return digests.size === 1 && lost.length + returned.length === 0;
    },
    SETTLE_MS,
  ).catch(() => false);
  const { lost, returned } = await compare(cluster, workload);
  const messages = await sendAll(cluster);
  const acknowledged = workload.elements.filter(({ add }) => add === 'acknowledged');
  const clean = messages.messagesMissing + messages.messagesTwice === 0;
  return {
    ...said,
    elements: workload.elements.length,
    acknowledgedAdds: acknowledged.length,
    ...{ lostAdds: lost, returnedRemovals: returned, equal, ...messages },
    passed: equal && lost.length === 0 && returned.length === 0 && clean,
    history: workload.history,
  };
}

/** The final read, on every node. */
async function compare(cluster: TestCluster, workload: SetWorkload) {
  const [lost, returned] = [new Set<string>(), new Set<string>()];
  for (const k of cluster.numbers) {
    const there = new Set<string>();
    for await (const { channelIds, uids } of cluster.admin(k).listSubscriptions({})) {
      for (const [i, uid] of uids.entries()) there.add(`${channelIds[i]} ${uid}`);
    }
    for (const { channel, uid, add, removal } of workload.elements) {
      const name = `${channel} ${uid}`;
      if (add === 'acknowledged' && removal === 'none' && !there.has(name)) lost.add(name);
      if (removal === 'acknowledged' && there.has(name)) returned.add(name);
    }
  }
  return { lost: [...lost], returned: [...returned] };
}

const MESSAGES = 20;

/** From every node to sessions of every node, each exactly once. */
async function sendAll(cluster: TestCluster) {
  const clients = cluster.numbers.map(
    (k) => new EasyClient({ url: cluster.addresses(k).client, uid: `reader-${k}` }),
  );
  try {
    for (const client of clients) await client.connect();
    for (const client of clients) await client.subscribe('after');
    for (let i = 0; i < MESSAGES; i++) {
      for (const client of clients) await client.send('after', 2, `${client.uid} ${i}`);
    }
    const wanted = MESSAGES * (clients.length - 1);
    await until('all arrive', () =>
      clients.every((client) => foreign(client.texts('after'), client.uid).length >= wanted),
    ).catch(() => undefined);
    let [messagesMissing, messagesTwice] = [0, 0];
    for (const client of clients) {
      const got = foreign(client.texts('after'), client.uid);
      const once = new Set(got).size;
      messagesMissing += wanted - once;
      messagesTwice += got.length - once;
    }
    return { messagesMissing, messagesTwice };
  } finally {
    for (const client of clients) client.stop();
  }
}

/** Whether a sender's own session gets its messages too is not judged here. */
function foreign(texts: readonly string[], uid: string): string[] {
  return texts.filter((text) => !text.startsWith(`${uid} `));
}

/** Mulberry32: the schedule comes from the seed alone. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
