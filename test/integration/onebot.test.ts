import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect as connectTcp, type AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { WebSocket, WebSocketServer, type RawData } from 'ws';
import { startCluster, type TestCluster } from '../support/cluster.ts';
import { allLinked, clientOf } from '../support/integration.ts';
import { freePort } from '../support/ports.ts';
import { until } from '../support/until.ts';

type Frame = Readonly<Record<string, unknown>>;

/** A bot's side of one OneBot socket. */
class Bot {
  readonly frames: Frame[] = [];
  closed: { readonly code: number; readonly reason: string } | undefined;
  readonly #socket: WebSocket;
  #echo = 0;
  /** What the last ping said: how many events had gone before it. */
  #pinged = 0;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('ping', (data) => {
      this.#pinged = Number(data.toString());
    });
    socket.on('message', (data: RawData) => {
      this.frames.push(JSON.parse((data as Buffer).toString()) as Frame);
    });
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
    });
  }

  ask(action: string, params: Frame = {}): Promise<Frame> {
    const echo = { n: ++this.#echo };
    this.#socket.send(JSON.stringify({ action, params, echo }));
    return until(`${action} is answered`, () =>
      this.frames.find((frame) => JSON.stringify(frame['echo']) === JSON.stringify(echo)),
    );
  }

  event(what: string, fits: (frame: Frame) => boolean): Promise<Frame> {
    return until(what, () => this.frames.find(fits), 20_000);
  }

  /** The node knows that all events until now were read: what comes after a pong tells it the pong too. */
  async hasRead(): Promise<void> {
    const events = this.frames.filter((frame) => 'post_type' in frame).length;
    await until('a ping after the events', () => this.#pinged >= events);
    await this.ask('get_status');
  }

  close(): void {
    this.#socket.terminate();
  }
}

/** The status with which an upgrade on a path that no URL can hold is refused. */
async function rawRefusal(port: number, path: string): Promise<number> {
  const socket = connectTcp(port, '127.0.0.1');
  const head = 'Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13';
  socket.write(`GET ${path} HTTP/1.1\r\n${head}\r\nSec-WebSocket-Key: ${'A'.repeat(22)}==\r\n\r\n`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return Number(answer.toString().slice(9, 12));
}

const isLifecycle = (kind: string) => (frame: Frame) =>
  frame['meta_event_type'] === 'lifecycle' && frame['sub_type'] === kind;
const says = (text: string) => (frame: Frame) => frame['raw_message'] === text;

async function stateOf(cluster: TestCluster, id: string): Promise<string | undefined> {
  return (await cluster.admin(1).connection({ id })).standing?.state;
}

const textPayload = (content: string) => JSON.stringify({ type: 1, content });

test.serial(
  'a bot in forward mode: events, actions, recall, disable and enable without a loss',
  async (t) => {
    const cluster = await startCluster(t, { nodes: 1, etcd: false });
    const port = await freePort();
    const target = JSON.stringify({ uid: 'bot', port, accessToken: 'key', heartbeatMs: 1_000 });
    const id = 'forward';
    await cluster.admin(1).createConnection({ id, kind: 'onebot-forward', target });
    await until('it listens', async () => (await stateOf(cluster, id)) === 'CONNECTED');
    const url = `ws://127.0.0.1:${port}`;
    t.is(await refusalOf(url), 401);
    t.is(await refusalOf(`${url}/?access_token=wrong`), 403);
    t.is(await refusalOf(`${url}/other?access_token=key`), 404);
    for (const odd of ['//', '///?x', '//a:b@:1/', '/%'])
      t.is(await rawRefusal(port, odd), 401, odd);
    const bot = await connect(t, `${url}/?access_token=key`);
    const [first] = [await bot.event('connect', isLifecycle('connect'))];
    t.is(bot.frames[0], first);
    const second = await bot.event('enable', isLifecycle('enable'));
    t.is(bot.frames[1], second);
    t.like(await bot.event('a heartbeat', (f) => f['meta_event_type'] === 'heartbeat'), {
      interval: 1_000,
    });
    const ann = await clientOf(t, cluster.addresses(1).client, 'ann');
    for (const uid of ['ann', 'bot']) {
      await cluster.admin(1).subscribe({ channelId: 'room', channelType: 2, uids: [uid] });
    }
    await until('the bot is online', async () => {
      const reply = await bot.ask('get_status');
      return (reply['data'] as Frame)['online'] === true;
    });
    await ann.send('room', 2, textPayload('hello bot'));
    const said = await bot.event('the message', says('hello bot'));
    t.like(said, {
      post_type: 'message',
      message_type: 'group',
      sub_type: 'normal',
      anonymous: null,
    });
    const answer = await bot.ask('send_group_msg', {
      group_id: said['group_id'],
      message: 'hi [CQ:at,qq=7]',
    });
    t.like(answer, { status: 'ok', retcode: 0 });
    const received = await until('ann has the answer', () =>
      ann.received.find(({ fromUid }) => fromUid === 'bot'),
    );
    t.like(JSON.parse(Buffer.from(received.payload, 'base64').toString()), {
      type: 1,
      content: 'hi @7',
    });
    await ann.send('bot', 1, textPayload('in private'));
    const secret = await bot.event('the private message', says('in private'));
    t.like(secret, { message_type: 'private', sub_type: 'friend' });
    t.like(await bot.ask('send_private_msg', { user_id: secret['user_id'], message: 'yes' }), {
      retcode: 0,
    });
    t.like(await bot.ask('get_msg', { message_id: said['message_id'] }), { retcode: 0 });
    const large = 'x'.repeat(70_000);
    t.like(await bot.ask('send_group_msg', { group_id: said['group_id'], message: large }), {
      ...{ status: 'failed', retcode: 1500 },
    });
    const own = (answer['data'] as Frame)['message_id'];
    t.like(await bot.ask('delete_msg', { message_id: own }), { status: 'ok' });
    await bot.event(
      'the recall',
      (f) => f['notice_type'] === 'group_recall' && f['message_id'] === own,
    );
    t.like(await bot.ask('get_msg', { message_id: own }), { status: 'failed', retcode: 1400 });
    const told = bot.frames.filter((f) => f['post_type'] === 'message');
    t.is(told.length, 2, 'the command of the recall is no message');
    t.like(await bot.ask('no_such_thing'), { status: 'failed', retcode: 1404 });
    const members = (await bot.ask('get_group_member_list', { group_id: said['group_id'] }))[
      'data'
    ];
    t.is((members as unknown[]).length, 2);
    const room = { channelId: 'room', channelType: 2 };
    const { group_id } = said;
    const isNotice = (kind: string, sub_type: string, user_id: number) => (f: Frame) =>
      f['notice_type'] === kind &&
      f['sub_type'] === sub_type &&
      f['group_id'] === group_id &&
      f['user_id'] === user_id;
    await cluster.admin(1).subscribe({ ...room, uids: ['7001'] });
    await bot.event('who comes', isNotice('group_increase', 'approve', 7001));
    await cluster.admin(1).unsubscribe({ ...room, uids: ['7001'] });
    await bot.event('who leaves', isNotice('group_decrease', 'leave', 7001));
    await cluster.admin(1).subscribe({ ...room, uids: ['7002'] });
    t.like(await bot.ask('set_group_kick', { group_id, user_id: 7002 }), { status: 'ok' });
    const kick = await bot.event('who is kicked', isNotice('group_decrease', 'kick', 7002));
    t.is(kick['operator_id'], kick['self_id']);
    const reason = async () => (await cluster.admin(1).connection({ id })).standing!.reason;
    await cluster.admin(1).disableListener({ name: 'client' });
    await until('S0-9 it says that the bot is offline', async () =>
      /^listens on .*, but its bot is offline since 20/.test(await reason()),
    );
    await cluster.admin(1).enableListener({ name: 'client' });
    await until('and that it is back', async () => (await reason()).endsWith('is online again'));
    await cluster.admin(1).actOnConnection({ id, action: 'cancel' });
    await until('the bot was closed', () => bot.closed);
    t.is(bot.closed!.code, 1001);
    t.is(bot.closed!.reason, 'cancelled; does not come back until an operator starts it');
    t.is(bot.frames.at(-1)!['sub_type'], 'disable');
    t.is(await refusalOf(`${url}/?access_token=key`), 503);
    const carl = await clientOf(t, cluster.addresses(1).client, 'carl');
    await carl.send('room', 2, textPayload('while you were away'));
    await cluster.admin(1).actOnConnection({ id, action: 'start' });
    await until('it listens again', async () => (await stateOf(cluster, id)) === 'CONNECTED');
    const again = await connect(t, `${url}/?access_token=key`);
    await again.event('what it missed', says('while you were away'));
    t.deepEqual(
      again.frames.slice(0, 2).map((frame) => frame['sub_type']),
      ['connect', 'enable'],
    );
    t.is(again.frames.filter(says('hello bot')).length, 0);
  },
);

test.serial(
  'a bot in reverse mode is dialled again after it was gone, and after kill -9 of the node',
  async (t) => {
    const cluster = await startCluster(t, { nodes: 1, etcd: false });
    await allLinked(cluster);
    const server = createServer();
    const sockets = new WebSocketServer({ server });
    const bots: Bot[] = [];
    const headers: Frame[] = [];
    sockets.on('connection', (socket, request) => {
      headers.push({ ...request.headers });
      bots.push(new Bot(socket));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => {
      for (const bot of bots) bot.close();
      sockets.close();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    const url = `ws://127.0.0.1:${port}/onebot`;
    const target = JSON.stringify({ uid: '10001', url, accessToken: 'key' });
    const id = 'reverse';
    const created = await cluster.admin(1).createConnection({ id, kind: 'onebot-reverse', target });
    t.false(JSON.stringify(created).includes('"key"'), 'secrets are shown to nobody');
    await until('it is connected', async () => (await stateOf(cluster, id)) === 'CONNECTED');
    t.like(headers[0], {
      'x-self-id': '10001',
      'x-client-role': 'Universal',
      authorization: 'Bearer key',
    });
    const ann = await clientOf(t, cluster.addresses(1).client, 'ann');
    await ann.send('10001', 1, textPayload('one'));
    const one = await bots[0]!.event('the first message', says('one'));
    t.is(one['self_id'], 10_001);
    await bots[0]!.hasRead();
    bots[0]!.close();
    await until('the loss is seen', async () => (await stateOf(cluster, id)) !== 'CONNECTED');
    await ann.send('10001', 1, textPayload('two'));
    await until('it was dialled again', () => bots.length === 2, 30_000);
    await bots[1]!.event('what came meanwhile', says('two'));
    t.is(bots[1]!.frames.filter(says('one')).length, 0);
    ann.stop();
    await cluster.kill9(1);
    await cluster.start(1);
    const bea = await clientOf(t, cluster.addresses(1).client, 'bea');
    await bea.send('10001', 1, textPayload('three'));
    await until('it was dialled after the kill', () => bots.length >= 3, 60_000);
    await bots.at(-1)!.event('what came then', says('three'));
  },
);

async function connect(t: ExecutionContext, url: string): Promise<Bot> {
  const socket = new WebSocket(url);
  const bot = new Bot(socket);
  t.teardown(() => bot.close());
  await once(socket, 'open');
  return bot;
}

function refusalOf(url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.on('unexpected-response', (_request, response) => {
      resolve(response.statusCode ?? 0);
      socket.terminate();
    });
    socket.on('error', () => {});
    socket.on('open', () => reject(new Error('let in')));
  });
}
