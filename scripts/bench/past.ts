import { AdminClient } from '../../src/admin/client.ts';
import { startBenchCluster, type BenchCluster } from './cluster.ts';
import { EasySocket } from './easy-socket.ts';
import { quantile } from './quantile.ts';
import type { Row } from './row.ts';
import { LoadSocket } from './web-socket.ts';

const CHANNELS = 400;
const MESSAGES_EACH = 60;
const USERS = 100;
const IN_FLIGHT = 4;
/** Sends while lists are asked for: a list that nothing has changed costs next to nothing. */
const TRICKLE_PER_SECOND = 100;
const PAYLOAD = Buffer.from('{"type":1,"content":"hello there, how are you today?"}');
const P99_MS_MAX = 20;

/** Of 200 channels each, of 20 each: their names say which. */
const LISTS = [
  { size: 200, wanted: 500 },
  { size: 20, wanted: 4_000 },
] as const;
const PAGE = { size: 50, wanted: 5_000 } as const;

const ONE_RESULT: readonly [mark: string, marks: number] = ['"result"', 1];

/** One session that asks, and waits for each answer. */
class Reader {
  readonly #socket: LoadSocket;
  #onAnswer: (frame: Buffer) => void = () => {};

  private constructor(socket: LoadSocket) {
    this.#socket = socket;
  }

  static async connect(port: number, uid: string): Promise<Reader> {
    let reader: Reader | undefined;
    const socket = await LoadSocket.open(port, (frame) => reader!.#onAnswer(frame));
    reader = new Reader(socket);
    const device = { token: '', deviceId: 'bench', deviceFlag: 1, clientTimestamp: 0 };
    await reader.ask('connect', { uid, ...device });
    return reader;
  }

  /** Bytes of the answer. It must have so many of a mark in it. */
  ask(method: string, params: object, [mark, marks] = ONE_RESULT): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#onAnswer = (frame) => {
        const text = frame.subarray(0, 60).toString();
        if (text.includes('"method"')) return;
        const found = frame.toString('latin1').split(mark).length - 1;
        if (found === marks) resolve(frame.length);
        else reject(new Error(`${found} of ${marks} ${mark}: ${frame.toString().slice(0, 300)}`));
      };
      this.#socket.send(JSON.stringify({ jsonrpc: '2.0', id: '1', method, params }));
    });
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

interface Rate {
  readonly perCpuSecond: number;
  readonly samples: readonly number[];
}

/** Closed loop of a few sessions in turn; the node's CPU alone is judged. */
async function measure(
  { nodes }: BenchCluster,
  seconds: number,
  ask: (index: number) => Promise<unknown>,
): Promise<Rate> {
  const node = nodes[0]!.process;
  const samples: number[] = [];
  const start = performance.now();
  let [next, from, cpu] = [0, start, node.cpuSeconds()];
  const end = start + (1 + seconds) * 1000;
  const work = async (): Promise<void> => {
    for (let at = start; at < end;) {
      await ask(next++);
      const now = performance.now();
      if (from === start && now > start + 1000) {
        [from, cpu] = [now, node.cpuSeconds()];
        samples.length = 0;
      }
      samples.push(now - at);
      at = now;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  return { perCpuSecond: samples.length / (node.cpuSeconds() - cpu), samples };
}

async function fill({ nodes }: BenchCluster): Promise<void> {
  const client = new AdminClient({ address: `127.0.0.1:${nodes[0]!.admin}` });
  const tasks: (() => Promise<unknown>)[] = [];
  for (const { size } of LISTS) {
    for (let c = 0; c < CHANNELS; c++) {
      const uids = Array.from({ length: USERS }, (_, u) => u)
        .filter((u) => (c + u) % (CHANNELS / size) === 0)
        .map((u) => `reader-${size}-${u}`);
      if (uids.length > 0) {
        const where = { channelId: `past-${size}-${c}`, channelType: 2 };
        tasks.push(() => client.subscribe({ ...where, uids }));
      }
      for (let m = 0; m < MESSAGES_EACH; m++) {
        const to = { channelId: `past-${size}-${c}`, channelType: 2 };
        const message = { sender: `writer-${m % 7}`, payload: PAYLOAD, clientMsgNo: `n${m}` };
        tasks.push(() => client.publish({ ...to, ...message }));
      }
    }
  }
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < tasks.length) await tasks[next++]!();
  };
  await Promise.all(Array.from({ length: 64 }, work));
  client.close();
}

/** Lists of conversations by a socket, while messages go on coming into their channels. */
async function listRows(
  cluster: BenchCluster,
  { size, wanted }: (typeof LISTS)[number],
  seconds: number,
): Promise<Row[]> {
  const port = cluster.nodes[0]!.client;
  const readers = await Promise.all(
    Array.from({ length: USERS }, (_, u) => Reader.connect(port, `reader-${size}-${u}`)),
  );
  const list = (index: number): Promise<number> =>
    readers[index % USERS]!.ask('conversations', { limit: size }, ['"last":', size]);
  const node = cluster.nodes[0]!.process;
  const cpu = node.cpuSeconds();
  for (let u = 0; u < USERS; u++) await list(u);
  const cold = USERS / (node.cpuSeconds() - cpu);
  const writer = await EasySocket.connect(port, 'trickle');
  let sent = 0;
  const trickle = setInterval(() => {
    const mark = { clientMsgNo: `t${sent}`, noPersist: false };
    writer.publish(`past-${size}-${sent++ % CHANNELS}`, PAYLOAD.toString('base64'), mark);
  }, 1000 / TRICKLE_PER_SECOND);
  const { perCpuSecond, samples } = await measure(cluster, seconds, list);
  clearInterval(trickle);
  for (const reader of readers) reader.destroy();
  writer.destroy();
  const name = `list of ${size} conversations`;
  const target = { value: wanted, sense: 'at least' } as const;
  const note = `while ${TRICKLE_PER_SECOND} messages a second come into ${CHANNELS} channels`;
  const latency = { value: P99_MS_MAX, sense: 'at most' } as const;
  return [
    { name: `${name}, the first of each user`, value: cold, unit: 'a CPU-s' },
    { name, value: perCpuSecond, unit: 'a CPU-s', target, note },
    { name: `${name}, p99`, value: quantile(samples, 0.99), unit: 'ms', target: latency },
  ];
}

async function pageRows(cluster: BenchCluster, seconds: number): Promise<Row[]> {
  const { client, http } = cluster.nodes[0]!;
  const size = 200;
  const channelOf = (index: number): string => `past-${size}-${(index * 7) % CHANNELS}`;
  const readers = await Promise.all(
    Array.from({ length: IN_FLIGHT }, (_, u) => Reader.connect(client, `reader-${size}-${u}`)),
  );
  const idle = [...readers];
  const bySocket = await measure(cluster, seconds, async (index) => {
    const reader = idle.pop()!;
    // Readers are in the channels of their own parity.
    const own = readers.indexOf(reader) % 2;
    const channelId = `past-${size}-${(2 * index * 7 + own) % CHANNELS}`;
    const params = { channelId, channelType: 2, limit: PAGE.size };
    await reader.ask('history', params, ['"payload":', PAGE.size]);
    idle.push(reader);
  });
  for (const reader of readers) reader.destroy();
  const byHttp = await measure(cluster, seconds, async (index) => {
    const response = await fetch(`http://127.0.0.1:${http}/channel/messagesync`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        ...{ login_uid: 'reader-200-0', channel_id: channelOf(index), channel_type: 2 },
        limit: PAGE.size,
      }),
    });
    const { messages } = (await response.json()) as { messages: readonly unknown[] };
    if (messages.length !== PAGE.size) throw new Error(`${messages.length} messages`);
  });
  const target = { value: PAGE.wanted, sense: 'at least' } as const;
  const name = `history page of ${PAGE.size}`;
  return [
    { name: `${name}, by socket`, value: bySocket.perCpuSecond, unit: 'a CPU-s', target },
    {
      ...{ name: `${name}, by HTTP`, value: byHttp.perCpuSecond, unit: 'a CPU-s' },
      note: 'the generator is the limit: what the node does besides counts',
    },
  ];
}

/** What was said before, of one node on disk: lists of conversations and pages of history. */
export async function benchPast(seconds: number): Promise<Row[]> {
  const cluster = await startBenchCluster(1, 0);
  try {
    await fill(cluster);
    const rows: Row[] = [];
    for (const list of LISTS) rows.push(...(await listRows(cluster, list, seconds)));
    rows.push(...(await pageRows(cluster, seconds)));
    return rows;
  } finally {
    await cluster.stop();
  }
}
