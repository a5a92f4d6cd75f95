import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import { Backoff } from '../../src/client/backoff.ts';
import { HoldfastClient } from '../../src/client/client.ts';
import { startBenchCluster, type BenchCluster } from './cluster.ts';
import { connectMany } from './disable.ts';
import { EasySocket } from './easy-socket.ts';
import { pause, waitFor } from './process.ts';
import { quantile } from './quantile.ts';
import type { Row } from './row.ts';

/** Whole clients of ours among those that fall off: they check that nothing is lost. */
const WITNESSES = 50;
const RATE = 50;
const CHANNEL = 'storm';

/**
 * kill -9 of the node that has them all: how long until each is connected to one of the other two, waiting
 * as our client does, and what the users who were there before notice of it.
 */
export async function benchStorm(count: number): Promise<Row[]> {
  const cluster = await startBenchCluster(3);
  const others = new Others(cluster);
  let bystanders: ChildProcess | undefined;
  try {
    const [victim, ...left] = cluster.nodes;
    const clients = await connectMany(victim!.client, count - WITNESSES, 'user');
    const witnesses = await startWitnesses(cluster);
    await others.start();
    bystanders = await startBystanders(cluster);
    await pause(5_000);
    const killedMs = performance.now();
    bystanders.send('mark');
    const back = clients.map((client, i) =>
      comeBack(client, { ports: left.map(({ client: port }) => port), uid: `user${i}` }),
    );
    await victim!.process.stop('SIGKILL');
    const durations = (await Promise.all(back)).map((atMs) => atMs - killedMs);
    await waitFor('the witnesses are back', () => witnesses.every((one) => one.isConnected()));
    const reported = once(bystanders, 'message') as Promise<[number[]]>;
    bystanders.send('report');
    const [latencies] = await reported;
    await others.stop();
    await waitFor(
      'all has come',
      () => witnesses.every((one) => others.missing(one) === 0),
      60_000,
    ).catch(() => undefined);
    const lost = witnesses.reduce((sum, one) => sum + others.missing(one), 0);
    const twice = witnesses.reduce((sum, one) => sum + one.twice(), 0);
    for (const one of witnesses) one.stop();
    return [
      {
        name: `${count} clients after kill -9 of their node: the last one is connected`,
        ...{ value: Math.max(...durations) / 1000, unit: 's' },
        target: { value: 10, sense: 'at most' },
        note: `median ${(quantile(durations, 0.5) / 1000).toFixed(1)} s`,
      },
      {
        name: 'delivery to other clients meanwhile, p99',
        ...{ value: quantile(latencies, 0.99), unit: 'ms' },
        target: { value: 100, sense: 'at most' },
        note: `median ${quantile(latencies, 0.5).toFixed(1)} ms of ${latencies.length}`,
      },
      {
        name: 'acknowledged messages lost',
        ...{ value: lost, unit: '', target: { value: 0, sense: 'at most' } },
        note: `of ${others.acknowledged.size} to ${WITNESSES} clients that fell off; twice: ${twice}`,
      },
    ];
  } finally {
    if (bystanders?.connected) bystanders.disconnect();
    await cluster.stop();
  }
}

/** Clients of the nodes that stay, see storm-others.ts. */
async function startBystanders({ nodes }: BenchCluster): Promise<ChildProcess> {
  const ports = nodes.slice(1).map(({ client }) => String(client));
  const file = fileURLToPath(new URL('storm-others.ts', import.meta.url));
  const child = fork(file, ports, { execArgv: ['--import=tsx'] });
  await once(child, 'message');
  return child;
}

/** When it was connected again. */
async function comeBack(
  first: EasySocket,
  { ports, uid }: { readonly ports: readonly number[]; readonly uid: string },
): Promise<number> {
  await new Promise<void>((resolve) => {
    if (first.socket.closed) resolve();
    else first.socket.onEnd = resolve;
  });
  const backoff = new Backoff({});
  for (let attempt = Math.floor(Math.random() * ports.length); ; attempt++) {
    await pause(backoff.waitMs(0, Math.random()));
    const client = await EasySocket.connect(ports[attempt % ports.length]!, uid).catch(
      () => undefined,
    );
    if (client) return performance.now();
  }
}

interface Witness {
  readonly heard: Map<string, number>;
  isConnected(): boolean;
  twice(): number;
  stop(): void;
}

async function startWitnesses({ nodes }: BenchCluster): Promise<readonly Witness[]> {
  const addresses = nodes.map(({ client }) => `ws://127.0.0.1:${client}`);
  const witnesses = Array.from(
    { length: WITNESSES },
    (_, i): Witness & { client: HoldfastClient } => {
      const heard = new Map<string, number>();
      const client = new HoldfastClient({
        ...{ addresses, uid: `witness${i}`, deviceId: `witness${i}` },
        openSocket: (address) => new WebSocket(address),
        onMessage({ clientMsgNo }) {
          heard.set(clientMsgNo, (heard.get(clientMsgNo) ?? 0) + 1);
        },
      });
      client.start();
      return {
        ...{ client, heard },
        isConnected: () => client.state === 'connected',
        twice: () => [...heard.values()].filter((times) => times > 1).length,
        stop: () => client.stop(),
      };
    },
  );
  await waitFor('the witnesses are connected', () => witnesses.every((one) => one.isConnected()));
  await Promise.all(witnesses.map(({ client }) => client.subscribe(CHANNEL, 2)));
  return witnesses;
}

/** A writer on one survivor and a reader on the other. */
class Others {
  readonly acknowledged = new Set<string>();
  readonly #cluster: BenchCluster;
  #timer: NodeJS.Timeout | undefined;

  constructor(cluster: BenchCluster) {
    this.#cluster = cluster;
  }

  async start(): Promise<void> {
    const [, one, other] = this.#cluster.nodes;
    const reader = await EasySocket.connect(other!.client, 'reader');
    reader.subscribe(CHANNEL);
    await waitFor('the reader has subscribed', () => reader.replies === 1);
    const writer = await EasySocket.connect(one!.client, 'writer');
    const waiting: string[] = [];
    // Answers come in the order of the questions.
    writer.onReply = () => void this.acknowledged.add(waiting.shift()!);
    const beganMs = performance.now();
    let sent = 0;
    this.#timer = setInterval(() => {
      const now = performance.now();
      for (; sent < ((now - beganMs) / 1000) * RATE; sent++) {
        const clientMsgNo = `storm-${sent}`;
        waiting.push(clientMsgNo);
        const payload = Buffer.from(String(now)).toString('base64');
        writer.publish(CHANNEL, payload, { clientMsgNo, noPersist: false });
      }
    }, 5);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await pause(2_000);
  }

  missing({ heard }: Witness): number {
    return [...this.acknowledged].filter((number) => !heard.has(number)).length;
  }
}
