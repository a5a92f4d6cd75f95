import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import test from 'ava';
import { startSharedCluster, type TestCluster } from '../support/cluster.ts';
import { allLinked, clientOf, PATIENCE } from '../support/integration.ts';
import { until } from '../support/until.ts';

const SECRET = 'webhook-secret-of-the-test';
const PATIENT_MS = 20_000 * PATIENCE;

/** A real receiver: what it took, each signature checked. */
class Receiver {
  readonly ids = new Map<string, string[]>();
  readonly bodies = new Map<string, unknown[]>();
  unsigned = 0;
  refused = 0;
  status = 200;
  readonly #server = createServer((request, response) => {
    void this.#take(request).then((status) => response.writeHead(status).end('ok'));
  });

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  told(event: string): readonly string[] {
    return this.ids.get(event) ?? [];
  }

  async #take(request: IncomingMessage): Promise<number> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const { headers } = request;
    const timestamp = String(headers['holdfast-timestamp']);
    const wanted = createHmac('sha256', SECRET).update(`${timestamp}.`).update(body).digest();
    const signature = Buffer.from(String(headers['holdfast-signature']).slice(3), 'hex');
    if (signature.length !== wanted.length || !timingSafeEqual(signature, wanted)) {
      this.unsigned += 1;
      return 401;
    }
    if (this.status !== 200) {
      this.refused += 1;
      return this.status;
    }
    const event = new URL(request.url!, 'http://receiver').searchParams.get('event')!;
    const ids = String(headers['holdfast-event-ids']).split(',');
    this.ids.set(event, [...this.told(event), ...ids]);
    const said = JSON.parse(body.toString()) as unknown;
    this.bodies.set(event, [...(this.bodies.get(event) ?? []), said].flat());
    return 200;
  }
}

const receiver = new Receiver();
let cluster: TestCluster;
test.before(async () => {
  const url = await receiver.start();
  const webhooks = { endpoints: [{ name: 'backend', url }], secret: SECRET, backoff_max_ms: 500 };
  cluster = await startSharedCluster({ nodes: 3, etcd: false, config: { webhooks } });
  await allLinked(cluster);
});
test.after.always(async () => {
  await cluster?.end();
  receiver.stop();
});

async function post(k: number, path: string, body: object): Promise<Record<string, unknown>> {
  const url = `${cluster.addresses(k).http}${path}`;
  const response = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${path} at node ${k}: ${text}`);
  return JSON.parse(text) as Record<string, unknown>;
}

async function isOnline(k: number, uid: string): Promise<boolean> {
  const url = `${cluster.addresses(k).http}/user/onlinestatus`;
  const response = await fetch(url, { method: 'POST', body: JSON.stringify([uid]) });
  return ((await response.json()) as unknown[]).length > 0;
}

const group = { channel_id: 'g', channel_type: 2 };

async function send(k: number, text: string): Promise<string> {
  const payload = Buffer.from(text).toString('base64');
  const { data } = await post(k, '/message/send', { ...group, from_uid: 'ada', payload });
  return (data as { message_idstr: string }).message_idstr;
}

/** On the running nodes nothing is left, neither to deliver nor kept for another node. */
function nothingWaits(): Promise<unknown> {
  const running = cluster.numbers.filter((k) => cluster.pid(k) !== undefined);
  return until(
    'nothing waits anywhere',
    async () => {
      const replies = await Promise.all(running.map((k) => cluster.admin(k).webhooks()));
      return replies.every(({ endpoints: [one] }) => one!.waiting + one!.copies === 0);
    },
    PATIENT_MS,
  );
}

const named = (event: string, ids: readonly string[]): string[] =>
  ids.map((id) => `${event}:${id}`).toSorted();

test.serial(
  'F31 three nodes tell each event once: messages, who is offline, who connects, recalls',
  async (t) => {
    await post(1, '/channel/subscriber_add', { ...group, subscribers: ['ada', 'ben', 'cy'] });
    await clientOf(t, cluster.addresses(2).client, 'ben');
    await until('every node has ben online', async () => {
      const found = await Promise.all(cluster.numbers.map((k) => isOnline(k, 'ben')));
      return found.every(Boolean);
    });
    const ids: string[] = [];
    for (let i = 0; i < 15; i++) ids.push(await send((i % 3) + 1, `m${i}`));
    await post(3, '/message/revoke', { ...group, message_id: ids[0], client_msg_no: '' });
    await until('all were told', () => receiver.told('message.recalled').length > 0, PATIENT_MS);
    await nothingWaits();
    t.deepEqual(receiver.told('msg.notify').toSorted(), named('msg.notify', ids));
    t.deepEqual(receiver.told('message.recalled'), [`message.recalled:${ids[0]}`]);
    const status = receiver.bodies.get('user.onlinestatus') as string[];
    t.is(status.length, 1);
    t.regex(status[0]!, /^ben-\d-1-\d+-1-1$/);
    t.deepEqual(receiver.told('msg.offline').toSorted(), named('msg.offline', ids));
    const offline = receiver.bodies.get('msg.offline') as { to_uids: string[] }[];
    for (const { to_uids: uids } of offline) t.deepEqual(uids, ['cy']);
    t.is(receiver.unsigned, 0);
  },
);

test.serial(
  'S1-9 S1-1 a receiver that is down gets everything later; kill -9 of the node that owed it: another delivers; the restarted node repeats nothing',
  async (t) => {
    receiver.ids.clear();
    receiver.status = 503;
    const ids: string[] = [];
    for (let i = 0; i < 12; i++) ids.push(await send((i % 2) + 1, `n${i}`));
    await post(1, '/message/revoke', { ...group, message_id: ids[0], client_msg_no: '' });
    await until('it was tried again and again', () => receiver.refused > 5, PATIENT_MS);
    await cluster.kill9(1);
    receiver.status = 200;
    await until('all were told', () => receiver.told('msg.notify').length >= 12, PATIENT_MS);
    await until('the recall too', () => receiver.told('message.recalled').length > 0, PATIENT_MS);
    await nothingWaits();
    await cluster.start(1);
    await allLinked(cluster, PATIENT_MS);
    await nothingWaits();
    t.deepEqual(receiver.told('msg.notify').toSorted(), named('msg.notify', ids));
    t.deepEqual(receiver.told('message.recalled'), [`message.recalled:${ids[0]}`]);
    t.deepEqual(receiver.told('msg.offline').toSorted(), named('msg.offline', ids.slice(1)));
    t.is(receiver.unsigned, 0);
  },
);
