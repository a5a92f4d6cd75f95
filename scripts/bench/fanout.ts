import type { Uid } from '../../src/core/ids.ts';
import { encodeRecv } from '../../src/gateway/codec/json-rpc-encode.ts';
import { startBenchCluster } from './cluster.ts';
import { EasySocket, isDelivery } from './easy-socket.ts';
import { pause, startNode, waitFor, type Measured } from './process.ts';
import type { Row } from './row.ts';
import { LoadSocket } from './web-socket.ts';

const SERVER_CORE = 0;
const PAYLOAD = Buffer.alloc(128, 120).toString('base64');
/** What our receivers get, byte for byte as long, so that both servers write the same. */
function frameOf(noPersist: boolean): string {
  return encodeRecv({
    message: {
      messageId: 1_790_000_000_000_000_000n,
      messageSeq: noPersist ? 0 : 12_345,
      clientMsgNo: 'm123456',
      fromUid: 'pub1' as Uid,
      timestamp: 1_790_000_000,
      payload: Buffer.from(PAYLOAD, 'base64'),
      noPersist,
      redDot: false,
      syncOnce: false,
      setting: 0,
      topic: '',
      expire: 0,
    },
    channelId: 'c12',
    channelType: 2,
    prevSeq: noPersist ? 0 : 12_344,
  });
}
const SUBSCRIBERS = 1000;

interface Load {
  readonly channels: number;
  readonly pace: 'closed' | 'paced';
  readonly seconds: number;
}

interface Driver {
  readonly server: Measured;
  publish(channel: number): void;
  received(): number;
  /** Replies that are still owed to publishers. */
  owed(): number;
  errors(): number;
}

interface Rate {
  /** Deliveries per second of the server's own CPU time. */
  readonly perCpuSecond: number;
  readonly generatorShare: number;
}

const INFLIGHT = 8000;
const PACED_DELIVERIES = 50_000;

/** Publishes for a while and counts what arrives against the server's CPU. */
async function drive(driver: Driver, load: Load): Promise<Rate> {
  const fan = SUBSCRIBERS / load.channels;
  let sent = driver.received();
  let next = 0;
  const publish = (): void => {
    driver.publish(next++ % load.channels);
    sent += fan;
  };
  let from: { cpu: number; received: number; own: NodeJS.CpuUsage; at: number } | undefined;
  const start = performance.now();
  const end = start + 1000 + load.seconds * 1000;
  let due = start;
  for (let now = start; now < end; now = performance.now()) {
    if (!from && now > start + 1000) {
      const own = process.cpuUsage();
      from = { cpu: driver.server.cpuSeconds(), received: driver.received(), own, at: now };
    }
    if (load.pace === 'closed') {
      while (sent - driver.received() + fan <= INFLIGHT && driver.owed() < 4000) publish();
    } else {
      for (; due <= now; due += (1000 * fan) / PACED_DELIVERIES) publish();
    }
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
  const cpu = driver.server.cpuSeconds() - from!.cpu;
  const delivered = driver.received() - from!.received;
  const own = process.cpuUsage(from!.own);
  const wall = (performance.now() - from!.at) / 1000;
  const settled = (): boolean => driver.received() >= sent || driver.errors() > 0;
  await waitFor('every delivery arrives', settled, 60_000);
  if (driver.errors() > 0) throw new Error(`${driver.errors()} requests were refused`);
  return { perCpuSecond: delivered / cpu, generatorShare: (own.user + own.system) / 1e6 / wall };
}

async function withBare(load: Load, frame: string): Promise<Rate> {
  const server = startNode({
    args: ['--import=tsx', 'scripts/bench/bare-uws.ts'],
    core: SERVER_CORE,
  });
  try {
    await waitFor('the bare server listens', () => server.output().includes('port '));
    const port = Number(/port (\d+)/.exec(server.output())![1]);
    let received = 0;
    let acknowledged = 0;
    const sockets: LoadSocket[] = [];
    for (let i = 0; i < SUBSCRIBERS; i++) {
      const socket = await LoadSocket.open(port, (frame) => {
        // Read as ours are: a receiver that is slower gets more frames with each write of the server.
        if (isDelivery(frame)) received += 1;
        else acknowledged += 1;
      });
      socket.send(`Sc${i % load.channels}`);
      sockets.push(socket);
    }
    const publisher = await LoadSocket.open(port, () => {});
    await waitFor('everyone has subscribed', () => acknowledged === SUBSCRIBERS);
    const rate = await drive(
      {
        server,
        publish: (channel) => publisher.send(`Pc${channel} ${frame}`),
        received: () => received,
        owed: () => 0,
        errors: () => 0,
      },
      load,
    );
    for (const socket of [...sockets, publisher]) socket.destroy();
    return rate;
  } finally {
    await server.stop();
  }
}

interface Variant {
  readonly noPersist: boolean;
  readonly acknowledge: boolean;
}

async function withHoldfast(load: Load, variant: Variant): Promise<Rate> {
  const cluster = await startBenchCluster(1, SERVER_CORE);
  try {
    const node = cluster.nodes[0]!;
    const subscribers: EasySocket[] = [];
    let received = 0;
    for (let i = 0; i < SUBSCRIBERS; i++) {
      const client = await EasySocket.connect(node.client, `user${i}`);
      client.onMessage = (frame) => {
        received += 1;
        if (variant.acknowledge) client.acknowledge(frame);
      };
      client.subscribe(`c${i % load.channels}`);
      subscribers.push(client);
    }
    await waitFor('everyone has subscribed', () => subscribers.every((c) => c.replies === 1));
    const publishers: EasySocket[] = [];
    for (let i = 0; i < 10; i++) publishers.push(await EasySocket.connect(node.client, `pub${i}`));
    let sent = 0;
    const sum = (pick: (client: EasySocket) => number) =>
      publishers.reduce((total, client) => total + pick(client), 0);
    const rate = await drive(
      {
        server: node.process,
        publish: (channel) => {
          const mark = { clientMsgNo: `m${sent}`, noPersist: variant.noPersist };
          publishers[sent++ % 10]!.publish(`c${channel}`, PAYLOAD, mark);
        },
        received: () => received,
        owed: () => sent - sum((client) => client.replies),
        errors: () => sum((client) => client.errors),
      },
      load,
    );
    for (const client of [...subscribers, ...publishers]) client.destroy();
    return rate;
  } finally {
    await cluster.stop();
  }
}

/** CPU seconds that a bare LevelDB batch of a durable message's rows costs. */
export async function bareLevelSeconds(
  kind: 'message' | 'subscription',
  group = 64,
  form: 'array' | 'chained' = 'chained',
): Promise<number> {
  const script = 'scripts/bench/bare-level.ts';
  const args = ['--import=tsx', script, kind, '60000', String(group), form];
  const child = startNode({ args, core: SERVER_CORE });
  await waitFor('the bare batches end', () => child.child.exitCode !== null, 120_000);
  return Number(/seconds ([\d.e-]+)/.exec(child.output())![1]);
}

/**
 * Judged as ../shared/bench does: deliveries per CPU second of the server alone, and only as ratios of one
 * round, because the machine is shared. Each round runs the bare parts and ours side by side; a row is the
 * median of the rounds.
 *
 * The bare parts of a durable message are one publish by a bare uWS server of the same frame, and a
 * message's four rows in a flushed LevelDB batch of 64 messages, in the cheaper of the two ways that the
 * library has (the chained batch). The array of operations is shown beside it.
 */
export async function benchFanout(seconds: number, rounds: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const pace of ['closed', 'paced'] as const) {
    for (const channels of [1, 100]) {
      for (const noPersist of [true, false]) {
        rows.push(...(await compare({ channels, pace, seconds }, noPersist, rounds)));
      }
      await pause(200);
    }
  }
  const load = { channels: 1, pace: 'closed', seconds } as const;
  const acknowledged = await withHoldfast(load, { noPersist: false, acknowledge: true });
  rows.push({
    ...rateRow('Holdfast durable, 1000 sessions, each delivery acknowledged', acknowledged),
    target: { value: 150_000, sense: 'at least' },
  });
  return rows;
}

async function compare(load: Load, noPersist: boolean, rounds: number): Promise<Row[]> {
  const fan = SUBSCRIBERS / load.channels;
  const what = `${noPersist ? 'no-persist' : 'durable'}, ${fan} sessions, ${load.pace}`;
  const bares: Rate[] = [];
  const ours: Rate[] = [];
  const levels: number[] = [];
  const arrays: number[] = [];
  for (let round = 0; round < rounds; round++) {
    bares.push(await withBare(load, frameOf(noPersist)));
    ours.push(await withHoldfast(load, { noPersist, acknowledge: false }));
    if (noPersist) continue;
    levels.push(await bareLevelSeconds('message'));
    arrays.push(await bareLevelSeconds('message', 64, 'array'));
  }
  const ratioTo = (level: readonly number[]): number =>
    median(
      ours.map((our, i) => our.perCpuSecond * (1 / bares[i]!.perCpuSecond + (level[i] ?? 0) / fan)),
    );
  const target = { value: 0.85, sense: 'at least' } as const;
  const rows: Row[] = [
    rateRow(`bare uWS, ${what}`, middleOf(bares)),
    rateRow(`Holdfast ${what}`, middleOf(ours)),
  ];
  if (!noPersist) {
    rows.push({ name: 'bare LevelDB batch of a message', value: median(levels) * 1e6, unit: 'µs' });
    const name = '… of the bare parts, LevelDB by an array of operations';
    rows.push({ name, value: ratioTo(arrays), unit: 'ratio' });
  }
  rows.push({ name: '… of the bare parts', value: ratioTo(levels), unit: 'ratio', target });
  return rows;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}

function middleOf(rates: readonly Rate[]): Rate {
  return {
    perCpuSecond: median(rates.map((rate) => rate.perCpuSecond)),
    generatorShare: median(rates.map((rate) => rate.generatorShare)),
  };
}

function rateRow(name: string, rate: Rate): Row {
  const note = rate.generatorShare > 0.95 ? 'the generator was the limit' : undefined;
  return { name, value: rate.perCpuSecond, unit: 'deliveries/CPU-s', note };
}
