import test, { type ExecutionContext } from 'ava';
import { decodeMessage } from '../../src/core/kinds/message.ts';
import { systemRuntime } from '../../src/runtime/system.ts';
import { LevelStoreLocation } from '../../src/storage/level-store.ts';
import { decodeRow } from '../../src/storage/row-codec.ts';
import { EasyClient } from '../support/clients/easy-client.ts';
import { startCluster, type TestCluster } from '../support/cluster.ts';
import { allLinked, clientOf, sameTables, sameVectors } from '../support/integration.ts';
import { until } from '../support/until.ts';

/** Client numbers of the messages in the store of a stopped node, by channel, seq and actor. */
async function messagesOf(cluster: TestCluster, k: number): Promise<Map<string, string>> {
  const location = new LevelStoreLocation({
    path: cluster.storeDir(k),
    runtime: systemRuntime,
  });
  const store = await location.open();
  const messages = new Map<string, string>();
  for await (const chunk of store.scan({ gte: 'm', lt: 'n' })) {
    for (const [key, bytes] of chunk) {
      const decoded = decodeRow(key, bytes);
      if (!decoded.ok) throw new Error(`${key}: ${decoded.error}`);
      messages.set(key, decodeMessage(decoded.row[0]!.value)!.clientMsgNo);
    }
  }
  await store.close();
  return messages;
}

/** Some 200 messages a second in all: more would only measure the machine. */
const LANE_PAUSE_MS = 25;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Publishes on any node that answers until told to stop; remembers what two disks had. */
class Load {
  readonly acknowledged: string[] = [];
  #stopped = false;
  readonly #done: Promise<unknown>;

  constructor(t: ExecutionContext, cluster: TestCluster, lanes: number) {
    this.#done = Promise.all(Array.from({ length: lanes }, (_, i) => this.#lane(t, cluster, i)));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }

  async #lane(t: ExecutionContext, cluster: TestCluster, lane: number): Promise<void> {
    let k = lane % cluster.numbers.length;
    let client: EasyClient | undefined;
    t.teardown(() => client?.stop());
    for (let i = 0; !this.#stopped; i++) {
      const text = `lane ${lane} message ${i}`;
      try {
        if (!client?.connected) {
          client?.stop();
          k += 1;
          const url = cluster.addresses((k % cluster.numbers.length) + 1).client;
          client = new EasyClient({ url, uid: `lane-${lane}` });
          await client.connect();
        }
        const more = { clientMsgNo: text };
        const sent = await client.send(`load-${lane % 4}`, 2, text, more);
        if (sent.reasonCode === 1 && sent.disks === 2) this.acknowledged.push(text);
        await pause(LANE_PAUSE_MS);
      } catch {
        client?.stop();
        client = undefined;
        await pause(50);
      }
    }
  }
}

async function checkReplicas(t: ExecutionContext, cluster: TestCluster, load: Load): Promise<void> {
  await sameVectors(cluster);
  await sameTables(cluster);
  t.log(`${load.acknowledged.length} messages were acknowledged with two disks`);
  for (const k of cluster.numbers) await cluster.stop(k);
  const [first, ...others] = await Promise.all(cluster.numbers.map((k) => messagesOf(cluster, k)));
  for (const other of others) t.deepEqual(other, first);
  const stored = new Set(first!.values());
  t.deepEqual(
    load.acknowledged.filter((text) => !stored.has(text)),
    [],
  );
}

test.serial('S2-5 a rolling restart under load loses no acknowledged message', async (t) => {
  const cluster = await startCluster(t, { nodes: 3, etcd: false });
  await allLinked(cluster);
  const reader = await clientOf(t, cluster.addresses(1).client, 'reader-1');
  for (let i = 0; i < 4; i++) await reader.subscribe(`load-${i}`);
  const load = new Load(t, cluster, 6);
  for (const k of [2, 3, 1]) {
    const before = load.acknowledged.length;
    await until('load flows', () => load.acknowledged.length > before + 50, 20_000);
    await cluster.stop(k);
    await cluster.start(k);
    await allLinked(cluster);
    if (k !== 3) continue;
    // Node 1 has not been restarted yet: its reader has all that was acknowledged by now.
    const sofar = [...load.acknowledged];
    await until('the reader has all', () => {
      const texts = new Set(reader.texts());
      return sofar.every((text) => texts.has(text));
    });
    t.is(new Set(reader.texts()).size, reader.received.length, 'nothing came twice');
  }
  await load.stop();
  await checkReplicas(t, cluster, load);
});

test.serial('S2-5 ten times kill -9 under load: nothing acknowledged is missing', async (t) => {
  const cluster = await startCluster(t, { nodes: 3, etcd: false });
  await allLinked(cluster);
  const load = new Load(t, cluster, 6);
  for (let kill = 0; kill < 10; kill++) {
    const k = (kill % 3) + 1;
    const before = load.acknowledged.length;
    await until('load flows', () => load.acknowledged.length > before + 20, 20_000);
    await cluster.kill9(k);
    await cluster.start(k);
    await allLinked(cluster);
  }
  await load.stop();
  await checkReplicas(t, cluster, load);
});

test.serial('S2-5 back after 20,000 writes, then all wiped one after another: equal', async (t) => {
  const cluster = await startCluster(t, { nodes: 3, etcd: false });
  await allLinked(cluster);
  await cluster.kill9(3);
  for (const channel of ['one', 'two']) {
    const subscribers = Array.from({ length: 10_000 }, (_, i) => `u${i}`);
    const response = await fetch(`${cluster.addresses(1).http}/channel`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ channel_id: channel, channel_type: 2, subscribers }),
    });
    t.is(response.status, 200);
  }
  await cluster.start(3);
  const digest = await sameTables(cluster);
  t.is((await cluster.admin(3).digest()).subscriptions, 20_000);
  for (const k of cluster.numbers) {
    await cluster.wipe(k);
    await cluster.start(k);
    await allLinked(cluster);
    t.is(await sameTables(cluster), digest);
    await sameVectors(cluster);
  }
  const user = await clientOf(t, cluster.addresses(3).client, 'u9999');
  const sender = await clientOf(t, cluster.addresses(1).client, 'u0');
  t.is((await sender.send('two', 2, 'still subscribed')).reasonCode, 1);
  await until('delivered', () => user.texts('two').includes('still subscribed'));
});
