import { AdminClient } from '../../src/admin/client.ts';
import { startBenchCluster, type BenchCluster } from './cluster.ts';
import { EasySocket } from './easy-socket.ts';
import { waitFor } from './process.ts';
import type { Row } from './row.ts';
import { LoadSocket } from './web-socket.ts';

const CLIENTS = 1_000;
const CHANNELS_EACH = 100;
const MISSED_EACH = 10;
/** Client c is in the channels of its class: those that are c modulo the number of classes. */
const CLASSES = 10;
const CHANNELS = CHANNELS_EACH * CLASSES;
const CONNECTING_AT_ONCE = 50;
const IN_FLIGHT = 8;
const ALL_LIVE_SECONDS_MAX = 5;

const RECV = Buffer.from('"method":"recv"');

/** One that comes back: its token, and what came. */
class Returning {
  readonly #uid: string;
  #token = '';
  #socket: LoadSocket | undefined;
  received = 0;
  /** As the answer to connect says. */
  replayed = 0;

  constructor(uid: string) {
    this.#uid = uid;
  }

  async connect(port: number): Promise<void> {
    this.received = 0;
    let answer: Buffer | undefined;
    let onAnswer = (): void => {};
    const socket = await LoadSocket.open(port, (frame) => {
      if (frame.subarray(0, 40).includes(RECV)) {
        this.received += 1;
        return;
      }
      answer = Buffer.from(frame);
      onAnswer();
    });
    this.#socket = socket;
    const device = { deviceId: 'bench', deviceFlag: 1, clientTimestamp: 0 };
    const params = { uid: this.#uid, token: '', ...device, resume: this.#token };
    await new Promise<void>((resolve) => {
      onAnswer = resolve;
      socket.send(JSON.stringify({ jsonrpc: '2.0', method: 'connect', id: '1', params }));
    });
    this.#connected(answer!.toString());
  }

  destroy(): void {
    this.#socket?.destroy();
  }

  #connected(text: string): void {
    const { result } = JSON.parse(text) as { result?: { resume?: Answer } };
    const resume = result?.resume;
    if (!resume || resume.snapshot) throw new Error(`not resumed: ${text.slice(0, 200)}`);
    this.#token = resume.token;
    this.replayed = resume.channels.reduce((sum, { count = 0 }) => sum + count, 0);
  }
}

interface Answer {
  readonly token: string;
  readonly snapshot?: string;
  readonly channels: readonly { readonly status: string; readonly count?: number }[];
}

/** All clients of one of three nodes come back to the other two, after it was ended. */
export async function benchResume(): Promise<Row[]> {
  const cluster = await startBenchCluster(3);
  const clients = Array.from({ length: CLIENTS }, (_, i) => new Returning(`user-${i}`));
  try {
    const [first, second, third] = cluster.nodes.map(({ client }) => client) as [
      number,
      number,
      number,
    ];
    await subscribeAll(cluster);
    await together(clients, (client) => client.connect(first));
    await cluster.nodes[0]!.process.stop('SIGKILL');
    for (const client of clients) client.destroy();
    await publishMissed(second);
    const start = performance.now();
    await together(clients, (client, i) => client.connect(i % 2 === 0 ? second : third));
    await waitFor(
      'every client has what it missed',
      () => Promise.resolve(clients.every(({ received }) => received === MISSED_EACH)),
      60_000,
    );
    const seconds = (performance.now() - start) / 1000;
    const replayed = clients.reduce((sum, client) => sum + client.replayed, 0);
    const name = `${CLIENTS} clients of ${CHANNELS_EACH} channels come back to other nodes`;
    const target = { value: ALL_LIVE_SECONDS_MAX, sense: 'at most' } as const;
    const note = `${replayed} messages replayed, ${MISSED_EACH} a client; sockets opened within it`;
    return [{ name, value: seconds, unit: 's until all are live', target, note }];
  } finally {
    for (const client of clients) client.destroy();
    await cluster.stop();
  }
}

async function together(
  clients: readonly Returning[],
  task: (client: Returning, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < clients.length) {
      const index = next++;
      await task(clients[index]!, index);
    }
  };
  await Promise.all(Array.from({ length: CONNECTING_AT_ONCE }, work));
}

async function subscribeAll({ nodes }: BenchCluster): Promise<void> {
  const client = new AdminClient({ address: `127.0.0.1:${nodes[0]!.admin}` });
  const stream = client.openBulk();
  let [sent, done] = [0, 0];
  await new Promise<void>((resolve, reject) => {
    const send = (): void => {
      const uids = Array.from(
        { length: CLIENTS / CLASSES },
        (_, i) => `user-${i * CLASSES + (sent % CLASSES)}`,
      );
      const named = { channelIds: [`group-${sent}`], channelTypes: [2], uids };
      const how = { action: 'BULK_ACTION_SUBSCRIBE', waitFor: 'WAIT_FOR_ALL' } as const;
      stream.write({ batchId: sent, ...named, ...how });
      sent += 1;
    };
    stream.on('error', reject);
    stream.on('data', (reply: { error: unknown }) => {
      if (reply.error) return reject(new Error(JSON.stringify(reply.error)));
      done += 1;
      if (done === CHANNELS) resolve();
      else if (sent < CHANNELS) send();
    });
    for (let i = 0; i < IN_FLIGHT; i++) send();
  });
  stream.end();
  client.close();
}

/** One message in each of so many channels of every class. */
async function publishMissed(port: number): Promise<void> {
  const publisher = await EasySocket.connect(port, 'publisher');
  for (let channel = 0; channel < MISSED_EACH * CLASSES; channel++) {
    const mark = { clientMsgNo: `missed-${channel}`, noPersist: false };
    publisher.publish(`group-${channel}`, Buffer.alloc(128).toString('base64'), mark);
  }
  const acknowledged = (): Promise<boolean> =>
    Promise.resolve(publisher.replies === MISSED_EACH * CLASSES);
  await waitFor('what will be missed is stored', acknowledged, 30_000);
  publisher.destroy();
}
