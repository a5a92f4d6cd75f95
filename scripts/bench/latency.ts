import { startBenchCluster } from './cluster.ts';
import { EasySocket } from './easy-socket.ts';
import { pause, waitFor } from './process.ts';
import { quantile } from './quantile.ts';
import type { Row } from './row.ts';

/** The nodes' code is compiled and their heaps have grown to their sizes by then; it is left out. */
const WARM_UP_SECONDS = 3;

/** Publish on one node, receive on another, at `rate` messages a second, durable on two disks. */
export async function benchLatency(rate: number, seconds: number): Promise<Row[]> {
  const cluster = await startBenchCluster(3);
  try {
    const [x, y] = cluster.nodes;
    const publishers: EasySocket[] = [];
    const receivers: EasySocket[] = [];
    const deliveries: number[] = [];
    const acknowledgements: number[] = [];
    for (let i = 0; i < 10; i++) {
      const receiver = await EasySocket.connect(y!.client, `receiver${i}`);
      receiver.subscribe(`latency-${i}`);
      receiver.onMessage = (frame) => {
        const at = frame.indexOf('"payload":"') + 11;
        const text = frame.toString('latin1', at, frame.indexOf(34, at));
        deliveries.push(performance.now() - Number(Buffer.from(text, 'base64').toString()));
      };
      receivers.push(receiver);
      const publisher = await EasySocket.connect(x!.client, `publisher${i}`);
      const sentAt: number[] = [];
      publisher.onReply = () => void acknowledgements.push(performance.now() - sentAt.shift()!);
      publishers.push(publisher);
      Object.assign(publisher, { sentAt });
    }
    await waitFor('everyone has subscribed', () => receivers.every((c) => c.replies === 1));
    const start = performance.now();
    let sent = 0;
    while (performance.now() - start < (WARM_UP_SECONDS + seconds) * 1000) {
      const due = ((performance.now() - start) / 1000) * rate;
      for (; sent < due; sent++) {
        const publisher = publishers[sent % 10]! as EasySocket & { sentAt: number[] };
        const now = performance.now();
        publisher.sentAt.push(now);
        const payload = Buffer.from(String(now)).toString('base64');
        const mark = { clientMsgNo: `m${sent}`, noPersist: false };
        publisher.publish(`latency-${sent % 10}`, payload, mark);
      }
      await pause(1);
    }
    await waitFor('every message arrives', () => deliveries.length >= sent);
    await waitFor('every message is acknowledged', () => acknowledgements.length >= sent);
    for (const client of [...publishers, ...receivers]) client.destroy();
    const warm = WARM_UP_SECONDS * rate;
    return [
      ...quantiles('publish → receive on another node', deliveries.slice(warm)),
      ...quantiles('publish → acknowledged by two disks', acknowledgements.slice(warm)),
    ];
  } finally {
    await cluster.stop();
  }
}

function quantiles(name: string, samples: number[]): Row[] {
  const target = { value: 15, sense: 'at most' } as const;
  return [
    { name: `${name}, p50`, value: quantile(samples, 0.5), unit: 'ms' },
    { name: `${name}, p99`, value: quantile(samples, 0.99), unit: 'ms', target },
  ];
}
