import { connect as connectTcp } from 'node:net';
import test from 'ava';
import { AdminClient, type AdminCallError } from '../../src/admin/client.ts';
import { GrpcPeerTransport } from '../../src/cluster/link/grpc-transport.ts';
import {
  PROTOCOL,
  type Hello,
  type PeerMessage,
  type Refused,
} from '../../src/cluster/link/message.ts';
import type { ActorId, MemberId } from '../../src/core/ids.ts';
import { systemRuntime } from '../../src/runtime/system.ts';
import { startSharedCluster, type TestCluster } from '../support/cluster.ts';
import { clientOf } from '../support/integration.ts';
import { until } from '../support/until.ts';

const [ADMIN, MANAGER, SECRET] = ['admin-token-1', 'manager-token', 'cluster-secret'];
let cluster: TestCluster;

/** Node 2 is on the roster and never runs: the tests speak in its name. */
test.before(async () => {
  cluster = await startSharedCluster({
    nodes: 2,
    etcd: false,
    config: {
      cluster: { secret: [SECRET] },
      admin: { token: [ADMIN] },
      http: { manager_token: [MANAGER], body_bytes_max: 1_000_000 },
    },
  });
  await cluster.kill9(2);
});

test.after.always(() => cluster.end());

interface Ask {
  readonly method?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

async function http(path: string, { method = 'POST', body, headers = {} }: Ask) {
  const response = await fetch(`${cluster.addresses(1).http}${path}`, {
    method,
    headers: { 'content-type': 'application/json', token: MANAGER, ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, text };
}

async function metric(name: string, labels = ''): Promise<number> {
  const { text } = await http('/metrics', { method: 'GET' });
  return text
    .split('\n')
    .filter((line) => line.startsWith(name) && line.includes(labels))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

test.serial(
  'HTTP: what is malformed is a 400 that names the field, and changes nothing',
  async (t) => {
    const group = { channel_id: 'g', channel_type: 2 };
    const cases: readonly [path: string, body: unknown, found: RegExp][] = [
      ['/channel', '{', /body/],
      ['/channel', '', /body/],
      ['/channel', '[]', /body/],
      ['/channel', 'null', /body/],
      ['/channel', '"x"', /body/],
      ['/channel', { channel_type: 2 }, /channel_id/],
      ['/channel', { channel_id: 'g' }, /channel_type/],
      ['/channel', { ...group, channel_type: '2' }, /channel_type/],
      ['/channel', { ...group, channel_type: 1 }, /channel_type/],
      ['/channel', { ...group, subscribers: 'u' }, /subscribers/],
      ['/channel', { ...group, subscribers: ['ok', 'a@b'] }, /subscribers\[1\]/],
      ['/channel', { ...group, ban: 'yes' }, /ban/],
      ['/channel/subscriber_add', { ...group, subscribers: [] }, /subscribers/],
      ['/channel/subscriber_add', { ...group, reset: 2, subscribers: ['u'] }, /reset/],
      ['/user/token', { uid: 'a#b', token: 't', device_flag: 0, device_level: 0 }, /uid/],
      ['/user/token', { uid: 'u', token: 't', device_flag: -1, device_level: 0 }, /device_flag/],
      ['/message/send', { ...group, from_uid: 'u', payload: 'not base64!' }, /payload/],
      ['/message/send', { ...group, from_uid: 'u' }, /payload/],
      ['/user/onlinestatus', { uid: 'u' }, /list|uids/],
    ];
    for (const [path, body, found] of cases) {
      const { status, text } = await http(path, { body });
      const shown = `${path} ${JSON.stringify(body)} ${text}`;
      t.is(status, 400, shown);
      const answer = JSON.parse(text) as { status: number; msg: string };
      t.is(answer.status, 400, shown);
      t.regex(answer.msg, found, shown);
    }
    t.is((await cluster.admin(1).digest()).subscriptions, 0);
    t.is((await http('/channel', { body: `{"x":"${'y'.repeat(1_100_000)}"}` })).status, 413);
    t.is((await http('/channel', { method: 'GET' })).status, 404);
    t.is((await http('/nonsense', { body: {} })).status, 404);
    for (const token of ['', 'wrong', `${MANAGER}x`]) {
      t.is((await http('/channel', { body: group, headers: { token } })).status, 401);
    }
    const origin = 'https://evil.example';
    t.is((await http('/channel', { body: group, headers: { origin } })).status, 403);
    const many = Array.from({ length: 10_000 }, (_, i) => `bulk-${i}`);
    const all = await http('/channel', { body: { ...group, unknown: 1, subscribers: many } });
    t.is(all.status, 200, all.text);
    t.is((await cluster.admin(1).digest()).subscriptions, 10_000);
    const none = await http('/channel/subscriber_remove_all', { body: group });
    t.is(none.status, 200, none.text);
    t.is((await cluster.admin(1).digest()).subscriptions, 0);
    t.true((await metric('holdfast_http_requests_total', '400')) >= cases.length);
  },
);

test.serial('admin: strangers, wrong fields and broken streams are refused by name', async (t) => {
  for (const token of [undefined, 'wrong', `${ADMIN} `]) {
    const stranger = new AdminClient({ address: cluster.addresses(1).admin, token });
    const error = await t.throwsAsync<AdminCallError>(stranger.members());
    t.is(error?.code, 'UNAUTHENTICATED');
    stranger.close();
  }
  const admin = cluster.admin(1);
  const good = { channelId: 'g', channelType: 2, uids: ['u'] };
  const refused: readonly [Promise<unknown>, string][] = [
    [admin.subscribe({ ...good, channelId: '' }), 'channel_id'],
    [admin.subscribe({ ...good, channelType: 99 }), 'channel_type'],
    [admin.subscribe({ ...good, uids: [] }), 'uids'],
    [admin.subscribe({ ...good, uids: ['ok', 'a@b'] }), 'uids[1]'],
    [admin.subscribe({ ...good, waitFor: 77 as never }), 'wait_for'],
    [admin.unsubscribe({ ...good, receipts: ['nonsense'] }), 'receipts[0]'],
    [admin.publish({ sender: 'a@b', channelId: 'g', channelType: 2 }), 'sender'],
  ];
  for (const [call, field] of refused) {
    const error = await t.throwsAsync<AdminCallError>(call, undefined, field);
    t.is(error?.code, 'INVALID_ARGUMENT', field);
    t.is(error?.field, field);
  }
  const bulk = admin.openBulk();
  const replies: { batchId: number; error: { field: string } | null; applied: number }[] = [];
  bulk.on('data', (reply: (typeof replies)[number]) => replies.push(reply));
  bulk.on('error', () => {});
  const uids = Array.from({ length: 1_001 }, (_, i) => `b${i}`);
  const columns = { channelIds: ['g'], channelTypes: [2], uids };
  bulk.write({ batchId: 1, action: 'BULK_ACTION_SUBSCRIBE', ...columns });
  bulk.write({ batchId: 2, ...columns, uids: ['x'] });
  bulk.write({ batchId: 3, action: 'BULK_ACTION_SUBSCRIBE', ...columns, uids: ['x'] });
  await until('all batches are answered', () => replies.length === 3);
  const byId = new Map(replies.map((reply) => [reply.batchId, reply]));
  t.is(byId.get(1)?.error?.field, 'uids');
  t.is(byId.get(2)?.error?.field, 'action');
  t.is(byId.get(3)?.applied, 1);
  bulk.write({ batchId: 4, action: 'BULK_ACTION_SUBSCRIBE', ...columns, uids: ['y'] });
  bulk.cancel();
  await admin.unsubscribe({ ...good, uids: ['x', 'y'] });
  t.true((await metric('holdfast_admin_calls_total', 'INVALID_ARGUMENT')) >= 0);
});

/** Bytes to a port; resolves when the node has ended the connection. */
function garbage(address: string, bytes: Buffer): Promise<void> {
  const [host, port] = address.split(':');
  return new Promise((resolve) => {
    const socket = connectTcp(Number(port), host, () => socket.write(bytes));
    socket.on('error', () => {});
    socket.on('data', () => {});
    socket.on('close', () => resolve());
  });
}

function hello(change: Partial<Hello>): Hello {
  return {
    ...{ whole: true, closed: { count: 0, low: 0, high: 0 } },
    ...{ type: 'hello', cluster: 'test', protocolMin: PROTOCOL.min, protocolMax: PROTOCOL.max },
    ...{ member: 'node-2' as MemberId, slot: 1, slots: 32, rosterEpoch: 0, lineage: '' },
    ...{ storeId: 'ab'.repeat(8), actor: 'cd'.repeat(8) as ActorId, vector: [], catchingUp: true },
    ...change,
  };
}

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** Dials node 1 as a peer; the answer to the Hello, or why there was no link. */
async function dial(
  as: { readonly self?: string; readonly cluster?: string; readonly secrets?: string[] },
  change: Partial<Hello> = {},
): Promise<PeerMessage | string> {
  const { self = 'node-2', cluster: name = 'test', secrets = [SECRET] } = as;
  const transport = new GrpcPeerTransport({
    ...{ self: self as MemberId, cluster: name, secrets, host: '127.0.0.1', port: 0 },
    runtime: systemRuntime,
    log: { ...quiet, child: () => ({ ...quiet, child: () => undefined as never }) },
  });
  const target = { id: 'node-1' as MemberId, peerAddress: cluster.addresses(1).peer };
  const signal = AbortSignal.timeout(5_000);
  try {
    return await new Promise<PeerMessage | string>((resolve, reject) => {
      const handler = {
        onMessage: (message: PeerMessage) => resolve(message),
        onClose: (reason: string) => resolve(reason),
        onDrain: () => {},
      };
      transport
        .connect(target as never, handler as never, signal)
        .then((link) => void link.send(hello(change)), reject);
    });
  } catch (error) {
    return (error as Error).message;
  } finally {
    await transport.close();
  }
}

test.serial(
  'peers: strangers and members that do not fit are refused with the reason',
  async (t) => {
    const watcher = await clientOf(t, cluster.addresses(1).client, 'watcher');
    await watcher.subscribe('meanwhile');
    const strangers = await metric('holdfast_link_refusals_total', 'stranger');
    const peers = await metric('holdfast_link_refusals_total', '"peer"');
    t.regex(JSON.stringify(await dial({ secrets: ['another-secret'] })), /secret/);
    t.regex(JSON.stringify(await dial({ cluster: 'other' })), /cluster test, not other/);
    const cases: readonly [Partial<Hello>, Refused['code']][] = [
      [{ cluster: 'other' }, 'cluster'],
      [{ protocolMin: 900, protocolMax: 901 }, 'protocol'],
      [{ slots: 7 }, 'slots'],
      [{ slot: 0 }, 'slot'],
      [{ slot: 5 }, 'slot'],
      [{ member: 'node-9' as MemberId }, 'not-on-roster'],
    ];
    for (const [change, code] of cases) {
      const answer = await dial({}, change);
      t.is(typeof answer === 'object' ? answer.type : answer, 'refused', code);
      if (typeof answer === 'object' && answer.type === 'refused') t.is(answer.code, code);
    }
    const unknown = await dial({ self: 'node-9' }, { member: 'node-9' as MemberId, slot: 9 });
    t.is(
      typeof unknown === 'object' && unknown.type === 'refused' && unknown.code,
      'not-on-roster',
    );
    const noise = [Buffer.alloc(100, 0xff), Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.alloc(1)];
    await Promise.all(noise.map((bytes) => garbage(cluster.addresses(1).peer, bytes)));
    await Promise.all(noise.slice(0, 2).map((b) => garbage(cluster.addresses(1).admin, b)));
    t.true((await metric('holdfast_link_refusals_total', 'stranger')) >= strangers + 2);
    t.true((await metric('holdfast_link_refusals_total', '"peer"')) >= peers + cases.length + 2);
    await watcher.send('meanwhile', 2, 'own');
    t.true(watcher.connected);
    await cluster.start(2);
    await cluster.whenConnected();
  },
);
