import { bulkSubscribe } from './subscribe.ts';
import { startBenchCluster, type BenchCluster } from './cluster.ts';
import { EasySocket } from './easy-socket.ts';
import { pause } from './process.ts';
import { quantile } from './quantile.ts';
import type { Row } from './row.ts';

const SESSIONS = 64;
const IN_FLIGHT = 16;
const WARM_UP_SECONDS = 3;
const PAYLOAD = Buffer.alloc(128, 120).toString('base64');
const WANTED = { 1: 30_000, 3: 15_000 } as const;
const P99_MS_MAX = 50;
const OFFLINE = 100_000;

/** One session with a channel of its own: sends, and when each was acknowledged. */
class Sender {
  readonly #socket: EasySocket;
  readonly #name: string;
  readonly #channel: string;
  readonly #sentAt: number[] = [];
  readonly #due: number[] = [];
  #sent = 0;
  acknowledged = 0;
  onAcknowledged: ((ms: number) => void) | undefined;

  constructor(socket: EasySocket, name: string, channel: string) {
    this.#socket = socket;
    this.#name = name;
    this.#channel = channel;
    socket.onReply = () => {
      this.acknowledged += 1;
      this.onAcknowledged?.(performance.now() - this.#sentAt.shift()!);
      const due = this.#due.shift();
      if (due !== undefined) this.send(due);
    };
  }

  get inFlight(): number {
    return this.#sentAt.length + this.#due.length;
  }

  get errors(): number {
    return this.#socket.errors;
  }

  /** `dueAt`: when it should have been sent; what a late generator or a full session adds counts. */
  send(dueAt = performance.now()): void {
    if (this.#sentAt.length >= IN_FLIGHT) {
      this.#due.push(dueAt);
      return;
    }
    this.#sentAt.push(dueAt);
    const mark = { clientMsgNo: `${this.#name}-${this.#sent++}`, noPersist: false };
    this.#socket.publish(this.#channel, PAYLOAD, mark);
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

async function startSenders(
  { nodes }: BenchCluster,
  channelOf: (index: number) => string,
): Promise<Sender[]> {
  return Promise.all(
    Array.from({ length: SESSIONS }, async (_, i) => {
      const socket = await EasySocket.connect(nodes[i % nodes.length]!.client, `sender-${i}`);
      return new Sender(socket, `m${i}`, channelOf(i));
    }),
  );
}

/** Each session keeps 16 in flight. Acknowledged sends per second, and per CPU second of all nodes. */
async function closed(cluster: BenchCluster, senders: readonly Sender[], seconds: number) {
  const total = (): number => senders.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
  let going = true;
  for (const sender of senders) {
    sender.onAcknowledged = () => {
      if (going) sender.send();
    };
    for (let i = 0; i < IN_FLIGHT; i++) sender.send();
  }
  await pause(WARM_UP_SECONDS * 1000);
  const [from, cpu, start] = [total(), cpuOf(cluster), performance.now()];
  await pause(seconds * 1000);
  const count = total() - from;
  const wall = (performance.now() - start) / 1000;
  const used = cpuOf(cluster) - cpu;
  going = false;
  await settled(senders);
  return { perSecond: count / wall, perCpuSecond: count / used };
}

/** Sends at `rate` in total. Milliseconds from when a send was due to its acknowledgement. */
async function paced(senders: readonly Sender[], rate: number, seconds: number): Promise<number[]> {
  const samples: number[] = [];
  const start = performance.now();
  const warm = start + WARM_UP_SECONDS * 1000;
  const end = warm + seconds * 1000;
  for (const sender of senders) {
    sender.onAcknowledged = (ms) => {
      if (performance.now() - ms > warm) samples.push(ms);
    };
  }
  for (let sent = 0, now = start; now < end; now = performance.now()) {
    for (let due = start; due <= now; sent++) {
      due = start + (sent * 1000) / rate;
      if (due > now) break;
      senders[sent % SESSIONS]!.send(due);
    }
    await pause(1);
  }
  await settled(senders);
  return samples;
}

async function settled(senders: readonly Sender[]): Promise<void> {
  while (senders.some(({ inFlight }) => inFlight > 0)) await pause(10);
  const errors = senders.reduce((sum, sender) => sum + sender.errors, 0);
  if (errors > 0) throw new Error(`${errors} sends were refused`);
}

function cpuOf({ nodes }: BenchCluster): number {
  return nodes.reduce((sum, node) => sum + node.process.cpuSeconds(), 0);
}

async function sendRows(size: 1 | 3, seconds: number): Promise<Row[]> {
  const cluster = await startBenchCluster(size);
  try {
    const senders = await startSenders(cluster, (i) => `sends-${i}`);
    const rate = await closed(cluster, senders, seconds);
    const half = Math.floor(WANTED[size] / 2);
    const samples = await paced(senders, half, seconds);
    for (const sender of senders) sender.destroy();
    const where = size === 1 ? 'one node' : 'three nodes, two disks';
    const name = `durable sends, ${where}`;
    const target = { value: WANTED[size], sense: 'at least' } as const;
    const p99 = `${name}, p99 at ${half} a second`;
    const note = 'with the generator on the same two cores';
    return [
      { name, value: rate.perSecond, unit: 'a second', target, note },
      { name, value: rate.perCpuSecond, unit: 'a CPU-s of all nodes' },
      { name: `${name}, p50 at ${half} a second`, value: quantile(samples, 0.5), unit: 'ms' },
      {
        ...{ name: p99, value: quantile(samples, 0.99), unit: 'ms' },
        target: { value: P99_MS_MAX, sense: 'at most' },
      },
    ];
  } finally {
    await cluster.stop();
  }
}

/** The same sends into channels without members and into channels with many who are offline. */
async function offlineRow(seconds: number): Promise<Row> {
  const cluster = await startBenchCluster(1, 0);
  try {
    // `bulkSubscribe` puts each thousand of users into the next of the channels group-0, group-1, …
    await bulkSubscribe(`127.0.0.1:${cluster.nodes[0]!.admin}`, OFFLINE);
    const rates: number[] = [];
    for (const prefix of ['empty', 'group', 'empty', 'group']) {
      const senders = await startSenders(cluster, (i) => `${prefix}-${i % (OFFLINE / 1000)}`);
      const { perCpuSecond } = await closed(cluster, senders, seconds);
      rates.push(perCpuSecond);
      for (const sender of senders) sender.destroy();
    }
    const [empty, full] = [rates[0]! + rates[2]!, rates[1]! + rates[3]!];
    return {
      name: 'cost of a send into a channel of 1,000 offline members to one of none',
      ...{ value: empty / full, unit: 'ratio', target: { value: 1.1, sense: 'at most' } },
    };
  } finally {
    await cluster.stop();
  }
}

/** Durable sends of 64 sessions, 16 in flight each, and what they cost where nobody is online. */
export async function benchSends(seconds: number): Promise<Row[]> {
  return [
    ...(await sendRows(1, seconds)),
    ...(await sendRows(3, seconds)),
    await offlineRow(Math.min(seconds, 4)),
  ];
}
