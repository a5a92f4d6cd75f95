import { EasyClient } from '../../test/support/clients/easy-client.ts';
import type { TestCluster } from '../../test/support/cluster.ts';
import { until } from '../../test/support/until.ts';
import type { LiveMessages, LiveVerdict } from './messages.ts';
import type { SetWorkload } from './workload.ts';

export interface Verdict {
  readonly lostAdds: readonly string[];
  readonly returnedRemovals: readonly string[];
  readonly equal: boolean;
  /** Messages that were sent while faults happened. */
  readonly live: LiveVerdict;
  /** Of the messages sent after the faults, at sessions of every node. */
  readonly messagesMissing: number;
  readonly messagesTwice: number;
}

const SETTLE_MS = 90_000;
const AFTER_MS = 30_000;
const MESSAGES = 20;

/** All faults are over: waits until the cluster is what it promises to be, at most `SETTLE_MS`. */
export async function judge(
  cluster: TestCluster,
  workload: SetWorkload,
  messages: LiveMessages,
): Promise<Verdict> {
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
  await until(
    'what was sent meanwhile has arrived',
    () => messages.verdict().missing.length === 0,
    AFTER_MS,
  ).catch(() => undefined);
  const after = await sendAll(cluster);
  return { lostAdds: lost, returnedRemovals: returned, equal, live: messages.verdict(), ...after };
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

/** From every node to sessions of every node, each exactly once. */
async function sendAll(cluster: TestCluster) {
  const clients = cluster.numbers.map(
    (k) => new EasyClient({ url: cluster.addresses(k).client, uid: `after-${k}` }),
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
