import test, { type ExecutionContext } from 'ava';
import { WebSocket } from 'ws';
import { HoldfastClient } from '../../src/client/client.ts';
import type { ClientOptions, ReceivedMessage } from '../../src/client/client.ts';
import { startCluster, type TestCluster } from '../support/cluster.ts';
import { allLinked, clientOf } from '../support/integration.ts';
import { until } from '../support/until.ts';

const CHANNELS = ['one', 'two', 'three', 'four'];
const PACE_MS = 20;

/** Numbers of the messages, by channel, as the application was handed them. */
class Heard {
  readonly byChannel = new Map<string, number[]>();

  add({ channelId, payload }: ReceivedMessage): void {
    const number = Number(Buffer.from(payload, 'base64').toString());
    const numbers = this.byChannel.get(channelId);
    if (numbers) numbers.push(number);
    else this.byChannel.set(channelId, [number]);
  }
}

function clientAt(
  t: ExecutionContext,
  cluster: TestCluster,
  { first, ...options }: Partial<ClientOptions> & { readonly uid: string; readonly first: number },
): HoldfastClient {
  const { numbers } = cluster;
  const turned = [...numbers.slice(first), ...numbers.slice(0, first)];
  const one = new HoldfastClient({
    addresses: turned.map((k) => cluster.addresses(k).client),
    openSocket: (address) => new WebSocket(address),
    ...{ pingMs: 500, answerWithinMs: 5_000, backoffMinMs: 50, backoffMaxMs: 400 },
    onMessage: () => {},
    ...options,
  });
  t.teardown(() => one.stop());
  one.start();
  return one;
}

test('S3-8 F29 kill -9 of every node in turn under a stream of messages: the client is handed each once, in order', async (t) => {
  t.timeout(180_000);
  const cluster = await startCluster(t, { nodes: 3, etcd: false });
  await allLinked(cluster);
  const setup = await clientOf(t, cluster.addresses(1).client, 'ann');
  for (const channel of CHANNELS) await setup.subscribe(channel);
  setup.stop();

  const heard = new Heard();
  const ends: string[] = [];
  const resumed: string[] = [];
  const ann = clientAt(t, cluster, {
    ...{ uid: 'ann', first: 0, deviceId: 'of ann' },
    onMessage: (message) => heard.add(message),
    onState: (state, reason) => state === 'waiting' && ends.push(reason),
    onResumed: (what) => resumed.push(JSON.stringify(what)),
  });
  await until('she is there', () => ann.channels().length === CHANNELS.length);

  const ending = new AbortController();
  const lanes = CHANNELS.map(async (channel, lane) => {
    const sender = clientAt(t, cluster, { uid: `sender-${lane}`, first: lane % 3 });
    let number = 0;
    while (!ending.signal.aborted) {
      const payload = Buffer.from(String(number)).toString('base64');
      await sender.send(channel, 2, { payload, clientMsgNo: `${channel}-${number}` });
      number += 1;
      await new Promise((resolve) => setTimeout(resolve, PACE_MS));
    }
    return number;
  });
  for (const k of cluster.numbers) {
    const before = ends.length;
    await until('messages flow', () => (heard.byChannel.get('one')?.length ?? 0) > 30 * k, 60_000);
    await cluster.kill9(k);
    if (k === 1) await until('she notices', () => ends.length > before, 60_000);
    await until('she is back', () => ann.state === 'connected', 60_000);
    if (k === cluster.numbers.length) break;
    await cluster.start(k);
    await allLinked(cluster, 60_000);
  }
  ending.abort();
  const sent = await Promise.all(lanes);
  const total = sent.reduce((sum, count) => sum + count, 0);
  const count = (): number => [...heard.byChannel.values()].flat().length;
  await until('all came', () => count() >= total, 60_000);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  t.log(`${total} messages, ${ends.length} connections ended, ${resumed.join(' ')}`);
  for (const [lane, channel] of CHANNELS.entries()) {
    const expected = Array.from({ length: sent[lane]! }, (_, i) => i);
    t.deepEqual(heard.byChannel.get(channel), expected, channel);
  }
  t.true(ends.length >= 1);
});
