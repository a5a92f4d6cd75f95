import test from 'ava';
import { startSharedCluster, type TestCluster } from '../support/cluster.ts';
import { allLinked, PATIENCE } from '../support/integration.ts';
import { until } from '../support/until.ts';

const PATIENT_MS = 10_000 * PATIENCE;
const group = { channelId: 'g', channelType: 2 };

let cluster: TestCluster;
test.before(async () => {
  const retention = { channel_bytes_max: { group: 20_000 }, check_every_seconds: 1 };
  const config = { retention, sweep: { interval_ms: 1_000 } };
  cluster = await startSharedCluster({ nodes: 3, etcd: false, config });
  await allLinked(cluster);
});
test.after.always(() => cluster?.end());

async function historyAt(k: number) {
  const { messages, cutTo } = await cluster.admin(k).history({ ...group, limit: 1_000 });
  return { cutTo, seqs: messages.map(({ messageSeq }) => messageSeq) };
}

test.serial(
  'a channel above its size is cut alike on three real nodes, on one that was dead too',
  async (t) => {
    const send = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        const payload = Buffer.from('x'.repeat(500));
        await cluster.admin((i % 2) + 1).publish({ ...group, sender: 'ada', payload });
      }
    };
    await send(60);
    await cluster.kill9(3);
    await send(20);
    await until(
      'both have cut',
      async () => {
        const [one, two] = await Promise.all([historyAt(1), historyAt(2)]);
        return one.cutTo > 0 && one.cutTo === two.cutTo;
      },
      PATIENT_MS,
    );
    await cluster.start(3);
    await allLinked(cluster, PATIENT_MS);
    const all = await until(
      'all are the same',
      async () => {
        const pages = await Promise.all(cluster.numbers.map(historyAt));
        const texts = new Set(pages.map((page) => JSON.stringify(page)));
        return texts.size === 1 ? pages[0] : undefined;
      },
      PATIENT_MS,
    );
    t.true(all.seqs.length > 20 && all.seqs.length < 45, `${all.seqs.length} are left`);
    t.true(all.seqs.every((seq) => seq > all.cutTo));
    await until(
      'every node took them off its disk',
      async () => {
        const replies = await Promise.all(
          cluster.numbers.map((k) => cluster.admin(k).retention(group)),
        );
        const removed = replies.map(({ messagesRemoved }) => messagesRemoved);
        return (
          removed.slice(0, 2).every((count) => count >= 80 - all.seqs.length) && removed[2]! > 0
        );
      },
      PATIENT_MS,
    );
    const { seqs } = await historyAt(3);
    t.deepEqual(seqs, all.seqs);
  },
);
