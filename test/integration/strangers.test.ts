import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect as connectTcp } from 'node:net';
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import test from 'ava';
import { WebSocket } from 'ws';
import { AdminClient, type AdminCallError } from '../../src/admin/client.ts';
import { connectMethod, OPENING } from '../../src/cluster/link/envelope.ts';
import { startSharedCluster, type TestCluster } from '../support/cluster.ts';
import { EasyClient } from '../support/clients/easy-client.ts';
import { freePort } from '../support/ports.ts';
import { until } from '../support/until.ts';

/** What strangers do not have. */
const MANAGER = 'token-of-the-manager';
const OPERATOR = 'token-of-the-operator';

let cluster: TestCluster;
test.before(async () => {
  cluster = await startSharedCluster({
    ...{ nodes: 1, etcd: false },
    config: {
      cluster: { id: 'test', secret: 'secret-of-the-cluster' },
      gateway: { auth: 'token', connect_deadline_ms: 500 },
      http: { manager_token: MANAGER },
      admin: { token: OPERATOR },
    },
  });
});
test.after.always(() => cluster?.end());

/** The sum of a family's samples whose labels fit. */
async function counted(name: string, labels = ''): Promise<number> {
  const { http } = cluster.addresses(1);
  const text = await (await fetch(`${http}/metrics`, { headers: { token: MANAGER } })).text();
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) && line.includes(labels))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

async function more(name: string, labels: string, before: number): Promise<boolean> {
  return until(`${name} counts`, async () => (await counted(name, labels)) > before);
}

async function upgradeStatus(url: string, headers: Record<string, string>): Promise<number> {
  const socket = new WebSocket(url, { headers });
  socket.on('error', () => {});
  return new Promise((resolve) => {
    socket.once('unexpected-response', (_, response: IncomingMessage) => {
      response.resume();
      resolve(response.statusCode!);
    });
    socket.once('open', () => {
      socket.terminate();
      resolve(101);
    });
  });
}

test.serial(
  'a stranger on the client port: no token, no name; a foreign page or Host not even a socket',
  async (t) => {
    const { client } = cluster.addresses(1);
    const refused = await counted('holdfast_connects_total', 'refused');
    for (const token of ['', 'a-guess']) {
      const guess = new EasyClient({ url: client, uid: 'ann', token, reconnect: false });
      t.teardown(() => guess.stop());
      await t.throwsAsync(guess.connect());
    }
    t.is(await counted('holdfast_connects_total', 'refused'), refused + 2);

    const upgrades = await counted('holdfast_upgrades_refused_total');
    t.is(await upgradeStatus(client, { origin: 'https://evil.example' }), 403);
    t.is(await upgradeStatus(client, { origin: 'null' }), 403);
    t.is(await upgradeStatus(client, { host: 'rebound.example' }), 403);
    t.is(await counted('holdfast_upgrades_refused_total'), upgrades + 3);

    const silent = new WebSocket(client);
    const [code] = (await once(silent, 'close')) as [number];
    t.not(code, 1006, 'whoever says nothing is told why it is closed');
    const asking = new WebSocket(client);
    const heard: string[] = [];
    asking.on('message', (data) => heard.push((data as Buffer).toString()));
    await once(asking, 'open');
    asking.send('{"id":"1","method":"history","params":{"channelId":"room","channelType":2}}');
    await once(asking, 'close');
    t.true(heard.every((frame) => !frame.includes('"messages"')));
  },
);

test.serial(
  'a stranger on the HTTP port: probes and the page, and 401 or 403 for all else',
  async (t) => {
    const { http } = cluster.addresses(1);
    const get = async (path: string, headers: Record<string, string> = {}) => {
      const response = await fetch(`${http}${path}`, { headers });
      return { status: response.status, text: await response.text() };
    };
    const before = await counted('holdfast_http_requests_total', 'status="401"');
    for (const path of ['/metrics', '/route?uid=ann', '/page/cluster']) {
      t.is((await get(path)).status, 401, path);
      t.is((await get(path, { token: 'a-guess' })).status, 401, path);
      t.is((await get(path, { authorization: `Bearer ${MANAGER}x` })).status, 401, path);
    }
    const body = JSON.stringify({ uid: 'ann', token: 'mine', device_flag: 1, device_level: 1 });
    t.is((await fetch(`${http}/user/token`, { method: 'POST', body })).status, 401);
    await more('holdfast_http_requests_total', 'status="401"', before + 9);
    const foreign = await get('/route?uid=ann', { token: MANAGER, origin: 'https://evil.example' });
    t.is(foreign.status, 403);
    for (const path of ['/healthz', '/readyz']) {
      const { status, text } = await get(path, { origin: 'https://evil.example' });
      t.is(status, 200, path);
      t.notRegex(text, /node-1|ann|127\.0\.0\.1/, path);
    }
    t.is((await get('/')).status, 200);
    t.is((await get('/../../etc/passwd')).status, 404);
  },
);

test.serial(
  'a stranger on the admin port: no call without a token, and no list of what there is',
  async (t) => {
    const { admin } = cluster.addresses(1);
    const before = await counted('holdfast_admin_calls_total', 'status="16"');
    for (const token of [undefined, 'a-guess', `${OPERATOR}x`]) {
      const client = new AdminClient({ address: admin, token });
      t.teardown(() => client.close());
      for (const ask of [() => client.members(), () => client.digest()]) {
        const error = await t.throwsAsync<AdminCallError>(ask);
        t.is(error.code, 'UNAUTHENTICATED');
      }
    }
    t.is(await counted('holdfast_admin_calls_total', 'status="16"'), before + 6);
    const raw = new Client(admin, credentials.createInsecure());
    t.teardown(() => raw.close());
    const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
    const reflection = raw.makeBidiStreamRequest(
      path,
      (bytes: Buffer) => bytes,
      (bytes) => bytes,
    );
    const [error] = (await once(reflection, 'error')) as [ServiceError];
    t.is(error.code, 16);
    const health = await new Promise<Buffer>((resolve, reject) => {
      raw.makeUnaryRequest(
        ...([
          '/grpc.health.v1.Health/Check',
          (bytes: Buffer) => bytes,
          (bytes: Buffer) => bytes,
        ] as const),
        Buffer.alloc(0),
        (failure, reply) => (failure ? reject(failure) : resolve(reply!)),
      );
    });
    t.deepEqual([...health], [8, 1], 'SERVING, and nothing else');
  },
);

test.serial(
  'a stranger on the peer port: noise, a guess and silence end without a word of the cluster',
  async (t) => {
    const { peer } = cluster.addresses(1);
    const before = await counted('holdfast_link_refusals_total', 'stranger');
    const noise = connectTcp(Number(peer.split(':')[1]), '127.0.0.1');
    noise
      .resume()
      .on('error', () => {})
      .write('GET / HTTP/1.1\r\n\r\n');
    await new Promise((resolve) => noise.once('close', resolve));
    await more('holdfast_link_refusals_total', 'stranger', before);
    const raw = new Client(peer, credentials.createInsecure());
    t.teardown(() => raw.close());
    const { requestSerialize, responseDeserialize } = connectMethod;
    const call = raw.makeBidiStreamRequest(
      connectMethod.path,
      requestSerialize,
      responseDeserialize,
    );
    call.write({ kind: OPENING, payload: Buffer.from('what opens here?') });
    call.on('data', () => t.fail('a stranger was told something'));
    const [error] = (await once(call, 'error')) as [ServiceError];
    t.deepEqual([error.code, error.details], [16, 'the secret of the cluster was not proved']);
    await more('holdfast_link_refusals_total', 'stranger', before + 1);
  },
);

test.serial(
  'a stranger on the port of a OneBot bridge: the access token, and no page of a browser',
  async (t) => {
    const status = async (id: string, accessToken: string) => {
      const port = await freePort();
      const target = JSON.stringify({ uid: `bot-${id}`, port, accessToken });
      await cluster.admin(1).createConnection({ id, kind: 'onebot-forward', target });
      const url = `ws://127.0.0.1:${port}/`;
      const accepting = (): Promise<unknown> => fetch(`http://127.0.0.1:${port}/`);
      await until('it listens', () =>
        accepting().then(
          () => true,
          () => false,
        ),
      );
      return (query: string, headers: Record<string, string>) =>
        upgradeStatus(url + query, headers);
    };
    const guarded = await status('guarded', 'the-key-of-the-bot');
    t.is(await guarded('', {}), 401);
    t.is(await guarded('?access_token=a-guess', {}), 403);
    t.is(await guarded('', { authorization: 'Bearer a-guess' }), 403);
    const open = await status('open', '');
    t.is(await open('', { origin: 'https://evil.example' }), 403);
    await more('holdfast_bridge_refusals_total', 'status="401"', 0);
    t.is(await counted('holdfast_bridge_refusals_total', 'status="403"'), 3);
    const exposed = JSON.stringify({ uid: 'bot', port: 1234, host: '0.0.0.0' });
    const create = cluster
      .admin(1)
      .createConnection({ id: 'x', kind: 'onebot-forward', target: exposed });
    await t.throwsAsync(create, { message: /accessToken: needed where strangers can connect/ });
  },
);
