import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { WebSocket, WebSocketServer } from 'ws';
import { OPEN_WAY, TcpProxy } from '../../scripts/chaos/proxy.ts';
import { EasyClient } from '../support/clients/easy-client.ts';
import { startSharedCluster, type TestCluster } from '../support/cluster.ts';
import { allLinked, clientOf, PATIENCE } from '../support/integration.ts';
import { freePort } from '../support/ports.ts';
import { until } from '../support/until.ts';

const IDLE_MS = 8_000;
const HEARTBEAT_MS = 1_000;
/** Until the node has the pong as well: what was heard without it is told once more. */
const PONG_MS = 500;
/** uWS looks for idle sockets every 4 s; the rest is what a slow machine takes. */
const LIMIT_MS = IDLE_MS + 4_000 * PATIENCE;

/** Lines of user.onlinestatus, as they came. */
const told: string[] = [];
const receiver = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (request.url?.includes('user.onlinestatus') === true) {
      told.push(...(JSON.parse(Buffer.concat(chunks).toString()) as string[]));
    }
    response.end('ok');
  });
});
let cluster: TestCluster;

test.before(async () => {
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
  const webhooks = { endpoints: [{ name: 'backend', url }], secret: 'of-the-test' };
  const gateway = { idle_seconds: IDLE_MS / 1000 };
  cluster = await startSharedCluster({ nodes: 2, etcd: false, config: { webhooks, gateway } });
  await allLinked(cluster);
});
test.after.always(async () => {
  await cluster?.end();
  receiver.closeAllConnections();
  receiver.close();
});

/** A way to a port that can fall silent: no byte passes either way, and nobody sees an end. */
async function silentWay(t: ExecutionContext, targetPort: number) {
  const proxy = new TcpProxy(targetPort);
  const port = await proxy.listen();
  t.teardown(() => proxy.close());
  return {
    port,
    fallSilent: () => proxy.rule(() => ({ toTarget: 'held', fromTarget: 'held', delayMs: 0 })),
    /** What was held is lost, as behind a firewall that forgot its connections. */
    speak() {
      proxy.reset();
      proxy.rule(() => OPEN_WAY);
    },
  };
}

/** Flags of the devices that node k says are online. */
async function online(k: number, uid: string): Promise<readonly number[]> {
  const url = `${cluster.addresses(k).http}/user/onlinestatus`;
  const response = await fetch(url, { method: 'POST', body: JSON.stringify([uid]) });
  const list = (await response.json()) as { readonly device_flag: number }[];
  return list.map(({ device_flag: flag }) => flag).toSorted((x, y) => x - y);
}

const onlineAre = (uid: string, flags: readonly number[]) =>
  until(
    `${uid} is online with ${flags.join() || 'nothing'} at both nodes`,
    async () => {
      const both = await Promise.all([online(1, uid), online(2, uid)]);
      return both.every((found) => found.join() === flags.join());
    },
    LIMIT_MS,
  );

const toldOf = (uid: string): readonly string[] =>
  told
    .filter((line) => line.startsWith(`${uid}-`))
    .map((line) => line.replace(/-\d+-(\d+-\d+)$/, ':$1'));

test.serial(
  'S2-7 presence is honest: a device that falls silent is offline within the limit, once; the others stay',
  async (t) => {
    t.timeout(180_000);
    const way = await silentWay(t, Number(new URL(cluster.addresses(1).client).port));
    // Each node tells of its own sessions: the order of the lines of two is that in which they are waited for.
    const toldTimes = (count: number) =>
      until(`it was told ${count} times`, () => toldOf('ann').length >= count);
    const device = async (url: string, deviceFlag: number) => {
      const one = new EasyClient({ url, uid: 'ann', deviceFlag, pingMs: 2_000, reconnect: false });
      t.teardown(() => one.stop());
      await one.connect();
    };
    await device(`ws://127.0.0.1:${way.port}`, 0);
    await onlineAre('ann', [0]);
    await toldTimes(1);
    await device(cluster.addresses(1).client, 1);
    await onlineAre('ann', [0, 1]);
    await toldTimes(2);
    await device(cluster.addresses(2).client, 2);
    await onlineAre('ann', [0, 1, 2]);
    await toldTimes(3);
    way.fallSilent();
    const atMs = performance.now();
    await onlineAre('ann', [1, 2]);
    t.log(`offline after ${Math.round(performance.now() - atMs)} ms of silence`);
    await toldTimes(4);
    way.speak();
    await device(cluster.addresses(2).client, 0);
    await onlineAre('ann', [0, 1, 2]);
    await toldTimes(5);
    // Uid, device flag, online or not : sessions of that device, sessions of the user.
    t.deepEqual(toldOf('ann'), [
      ...['ann-0-1:1-1', 'ann-1-1:1-2', 'ann-2-1:1-3'],
      ...['ann-0-0:0-2', 'ann-0-1:1-3'],
    ]);
  },
);

const isBotOffline = async (uid: string) => {
  const atMs = performance.now();
  await onlineAre(uid, []);
  return Math.round(performance.now() - atMs);
};

test.serial(
  'S2-7 a bot that falls silent is offline within two heartbeats and hears afterwards what it missed: forward',
  async (t) => {
    t.timeout(180_000);
    const port = await freePort();
    const way = await silentWay(t, port);
    const target = JSON.stringify({
      uid: 'fbot',
      port,
      accessToken: 'k',
      heartbeatMs: HEARTBEAT_MS,
    });
    await cluster.admin(1).createConnection({ id: 'f', kind: 'onebot-forward', target });
    const heard: string[] = [];
    const listen = () =>
      until('the bot is let in', async () => {
        const socket = new WebSocket(`ws://127.0.0.1:${way.port}/event?access_token=k`);
        t.teardown(() => socket.terminate());
        socket.on('message', (data) => note(heard, data as Buffer));
        socket.on('error', () => {});
        await once(socket, 'open');
        return true;
      });
    await listen();
    await onlineAre('fbot', [2]);
    const ann = await clientOf(t, cluster.addresses(2).client, 'friend');
    await ann.send('fbot', 1, text('one'));
    await until('it hears', () => heard.includes('one'));
    await new Promise((resolve) => setTimeout(resolve, PONG_MS));
    way.fallSilent();
    await ann.send('fbot', 1, text('into the silence'));
    t.log(`offline after ${await isBotOffline('fbot')} ms of silence`);
    await ann.send('fbot', 1, text('while away'));
    way.speak();
    heard.length = 0;
    await listen();
    await until('it hears what it missed', () => heard.includes('while away'));
    await onlineAre('fbot', [2]);
    t.deepEqual(heard, ['into the silence', 'while away']);
    await until('it was told', () => toldOf('fbot').length >= 3);
    t.deepEqual(toldOf('fbot'), ['fbot-2-1:1-1', 'fbot-2-0:0-0', 'fbot-2-1:1-1']);
  },
);

test.serial(
  'S2-7 a bot that falls silent is offline within two heartbeats and hears afterwards what it missed: reverse',
  async (t) => {
    t.timeout(180_000);
    const server = createServer();
    const sockets = new WebSocketServer({ server });
    const heard: string[] = [];
    sockets.on('connection', (socket) =>
      socket.on('message', (data) => note(heard, data as Buffer)),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => {
      for (const socket of sockets.clients) socket.terminate();
      server.close();
    });
    const way = await silentWay(t, (server.address() as AddressInfo).port);
    const url = `ws://127.0.0.1:${way.port}/`;
    const target = JSON.stringify({ uid: 'rbot', url, heartbeatMs: HEARTBEAT_MS });
    await cluster.admin(1).createConnection({ id: 'r', kind: 'onebot-reverse', target });
    await onlineAre('rbot', [2]);
    const ann = await clientOf(t, cluster.addresses(2).client, 'pal');
    await ann.send('rbot', 1, text('one'));
    await until('it hears', () => heard.includes('one'));
    await new Promise((resolve) => setTimeout(resolve, PONG_MS));
    way.fallSilent();
    await ann.send('rbot', 1, text('into the silence'));
    t.log(`offline after ${await isBotOffline('rbot')} ms of silence`);
    await until('its connection is not shown as open', async () => {
      const { standing } = await cluster.admin(2).connection({ id: 'r' });
      return standing !== null && standing?.state !== 'CONNECTED';
    });
    await ann.send('rbot', 1, text('while away'));
    heard.length = 0;
    way.speak();
    await until('it hears what it missed', () => heard.includes('while away'), 60_000);
    await onlineAre('rbot', [2]);
    t.deepEqual([...new Set(heard)], ['into the silence', 'while away']);
    await until('it was told', () => toldOf('rbot').length >= 3);
    t.deepEqual(toldOf('rbot'), ['rbot-2-1:1-1', 'rbot-2-0:0-0', 'rbot-2-1:1-1']);
  },
);

const text = (content: string): string => JSON.stringify({ type: 1, content });

function note(heard: string[], data: Buffer): void {
  const { raw_message: said } = JSON.parse(data.toString()) as { raw_message?: string };
  if (said !== undefined) heard.push(said);
}
