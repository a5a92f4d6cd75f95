import { EasyClient } from '../../test/support/clients/easy-client.ts';
import type { TestCluster } from '../../test/support/cluster.ts';
import { until } from '../../test/support/until.ts';
import { checkSet, nameOf, type FinalRead, type SetFindings } from './checker.ts';
import type { LiveMessages, LiveVerdict } from './messages.ts';
import { pause, type SetWorkload } from './workload.ts';

export interface Verdict extends SetFindings {
  /** Messages that were sent while faults happened. */
  readonly live: LiveVerdict;
  /** Of the messages sent after the faults, at sessions of every node. */
  readonly messagesMissing: number;
  readonly messagesTwice: number;
  /** From the end of the faults until the set was what it has to be. Absent: it never was. */
  readonly settledMs: number | undefined;
}

export interface JudgedRun {
  readonly cluster: TestCluster;
  readonly workload: SetWorkload;
  readonly messages: LiveMessages;
  /** How long the cluster may take to become what it promises to be. */
  readonly settleMs: number;
}

const AFTER_MS = 30_000;
const MESSAGES = 20;
/** A final read is a whole table of every node. */
const READ_EVERY_MS = 200;

/** All faults are over: waits until the cluster is what it promises to be, at most `settleMs`. */
export async function judge(run: JudgedRun): Promise<Verdict> {
  const { cluster, workload, messages, settleMs } = run;
  const startMs = performance.now();
  await cluster.whenReady();
  await cluster.whenConnected();
  let found: SetFindings | undefined;
  const settled = await until(
    'the set is what was acknowledged, on every node',
    async () => {
      found = checkSet(workload.elements, await finalReads(cluster));
      if (!isCleanSet(found)) await pause(READ_EVERY_MS);
      return isCleanSet(found);
    },
    settleMs,
  ).catch(() => false);
  const settledMs = settled ? Math.round(performance.now() - startMs) : undefined;
  await until(
    'what was sent meanwhile has arrived',
    () => messages.verdict().missing.length === 0,
    Math.min(AFTER_MS, settleMs),
  ).catch(() => undefined);
  const after = await sendAll(cluster);
  found ??= checkSet(workload.elements, await finalReads(cluster));
  return { ...found, live: messages.verdict(), ...after, settledMs };
}

/** Whether a run found nothing to report. */
export function isClean(verdict: Verdict): boolean {
  const { live, messagesMissing, messagesTwice } = verdict;
  if (live.missing.length + live.twice.length + messagesMissing + messagesTwice > 0) return false;
  return isCleanSet(verdict);
}

function isCleanSet({ lostAdds, returnedRemovals, unexpected, unequal }: SetFindings): boolean {
  return [lostAdds, returnedRemovals, unexpected, unequal].every((found) => found.length === 0);
}

async function finalReads(cluster: TestCluster): Promise<readonly FinalRead[]> {
  const digests = await cluster.digests();
  return Promise.all(
    cluster.numbers.map(async (k) => {
      const there = new Set<string>();
      for await (const { channelIds, uids } of cluster.admin(k).listSubscriptions({})) {
        for (const [i, uid] of uids.entries()) there.add(nameOf(channelIds[i]!, uid));
      }
      return { node: cluster.id(k), there, digest: digests.get(k) ?? 'none' };
    }),
  );
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
