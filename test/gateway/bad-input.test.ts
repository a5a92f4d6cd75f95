import { once } from 'node:events';
import test from 'ava';
import { until } from '../support/until.ts';
import { RawSocket, openRaw } from './raw-socket.ts';
import { ADAPTERS, startGateway } from './fixture.ts';

const CONNECT = JSON.stringify({ id: 'c', method: 'connect', params: { uid: 'a', deviceFlag: 1 } });

for (const [name, factory] of ADAPTERS) {
  test(`${name}: what does not parse is answered with an error and the id; the connection stays`, async (t) => {
    const { url, gateway } = await startGateway(t, factory);
    const raw = await openRaw(t, url);
    raw.ws.send(CONNECT);
    await until('it is connected', () => raw.frames.length === 1);
    const bad: [unknown, string | number | null, number][] = [
      ['{', null, -32700],
      ['', null, -32700],
      ['[]', null, -32600],
      ['null', null, -32600],
      [{ id: 7.5, method: 'ping' }, null, -32600],
      [{ id: 2 ** 60, method: 'ping' }, null, -32600],
      [{ id: 9, method: 'send' }, 9, -32602],
      [{ id: 'm' }, 'm', -32600],
      [{ id: 'v', jsonrpc: '1.0', method: 'ping' }, 'v', -32600],
      [{ id: 'u', method: 'dance' }, 'u', -32601],
      [{ id: 'p', method: 'send', params: [] }, 'p', -32602],
      [
        { id: 's', method: 'send', params: { channelId: 5, channelType: 2, payload: '' } },
        's',
        -32602,
      ],
      [
        { id: 's2', method: 'send', params: { channelId: 'g', channelType: '2', payload: '' } },
        's2',
        -32602,
      ],
      [{ method: 'send', params: { channelId: 'g', channelType: 2, payload: '' } }, null, -32602],
      [{ method: 'recvack', params: { messageId: 12, messageSeq: 1 } }, null, -32602],
      [{ id: 'x', method: 'subscribe', params: { channelType: 2 } }, 'x', -32602],
    ];
    for (const [frame] of bad)
      raw.ws.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
    await until('all are answered', () => raw.frames.length === 1 + bad.length);
    const replies = raw.json().slice(1) as {
      id: unknown;
      error: { code: number; message: string };
    }[];
    t.deepEqual(
      replies.map(({ id, error }) => [id, error.code]),
      bad.map(([, id, code]) => [id, code]),
    );
    t.true(replies.every(({ error }) => error.message.length > 5));
    raw.ws.send(Buffer.from('binary in a text session'));
    await until('it is answered', () => raw.frames.length === 2 + bad.length);
    raw.ws.send(JSON.stringify({ id: 12, method: 'ping' }));
    await until('it is answered', () => raw.frames.length === 3 + bad.length);
    t.like(raw.json().at(-1), { id: 12, result: {} });
    t.is(gateway.counters.frameErrors.get('malformed'), bad.length);
    t.is(gateway.counters.frameErrors.get('unknown-method'), 1);
  });

  test(`${name}: 20 malformed frames in a row close the connection with 1008, 19 and a good one do not`, async (t) => {
    const { url } = await startGateway(t, factory);
    const raw = await openRaw(t, url);
    raw.ws.send(CONNECT);
    for (let i = 0; i < 19; i++) raw.ws.send('nonsense');
    raw.ws.send('{"method":"recvack","params":{"messageId":"1","messageSeq":1}}');
    for (let i = 0; i < 19; i++) raw.ws.send('nonsense');
    raw.ws.send('{"method":"ping","id":"p"}');
    await until('the ping is answered', () => raw.frames.length === 40);
    t.is(raw.closed, undefined);
    for (let i = 0; i < 20; i++) raw.ws.send('nonsense');
    await until('it is closed', () => raw.closed);
    t.is(raw.closed!.code, 1008);
    t.is(raw.frames.length, 60);
  });

  test(`${name}: anything but connect before connect closes with 1008`, async (t) => {
    const { url, gateway } = await startGateway(t, factory);
    const first: (string | Buffer)[] = [
      '{"method":"ping","id":"p"}',
      '{"method":"recvack","params":{"messageId":"1","messageSeq":1}}',
      '{"method":"send","id":"s","params":{"channelId":"g","channelType":2,"payload":""}}',
      'nonsense',
      Buffer.of(7 << 4),
      Buffer.of(3 << 4, 0),
      Buffer.from('nonsense'),
      Buffer.of(1 << 4, 0xff, 0xff, 0xff, 0xff, 0x01),
    ];
    for (const frame of first) {
      const raw = await openRaw(t, url);
      raw.ws.send(frame);
      await until(`closed after ${frame.toString()}`, () => raw.closed);
      t.is(raw.closed!.code, frame.length > 5 && frame[0] === 0x10 ? 1009 : 1008);
    }
    await until('nothing is left', () => gateway.counters.sockets === 0);
    t.is(gateway.counters.sessions, 0);
  });

  test(`${name}: silence instead of connect closes with 1008 at the deadline`, async (t) => {
    const { url } = await startGateway(t, factory, { limits: { connectWithinMs: 300 } });
    const raw = await openRaw(t, url);
    await until('it is closed', () => raw.closed, 3000);
    t.deepEqual(raw.closed, { code: 1008, reason: 'no connect within 300 ms' });
  });

  test(`${name}: a frame over the limit closes with 1009`, async (t) => {
    const { url, gateway } = await startGateway(t, factory, { limits: { frameBytesMax: 2000 } });
    const raw = await openRaw(t, url);
    raw.ws.send(CONNECT);
    raw.ws.send('x'.repeat(2001));
    await until('it is closed', () => raw.closed);
    t.is(raw.closed!.code, 1009);
    await until('it is counted', () => gateway.counters.frameErrors.get('too-large') === 1);
  });

  test(`${name}: connect is refused with code 2 for a bad uid or token, and then closed`, async (t) => {
    const { url, fake, gateway, client } = await startGateway(t, factory, { auth: 'token' });
    fake.tokens.set('a/1', { token: 'secret', level: 0 });
    for (const params of [
      { uid: 'a@b' },
      { uid: '' },
      { uid: 'a', token: 'wrong', deviceFlag: 1 },
      { uid: 'a', token: 'secret', deviceFlag: 2 },
    ]) {
      const raw = await openRaw(t, url);
      raw.ws.send(JSON.stringify({ id: 'c', method: 'connect', params }));
      await until('it is closed', () => raw.closed);
      t.is(raw.closed!.code, 1008);
      t.like(raw.json()[0], { id: 'c', error: { code: 2 } });
    }
    t.is(gateway.counters.connectsRefused, 4);
    t.is(fake.attached.size, 0);
    await client('a', { token: 'secret' }).connect();
    t.is(fake.attached.size, 1);
  });

  test(`${name}: too many sends get reason 22, too many requests an error, and time mends it`, async (t) => {
    const { client, gateway } = await startGateway(t, factory, {
      limits: { sendsPerSecondMax: 2, framesPerSecondMax: 20 },
    });
    const a = client('a');
    await a.connect();
    const codes = async (): Promise<number[]> =>
      (await Promise.all([1, 2, 3, 4, 5].map(() => a.send('g', 2, 'x')))).map((r) => r.reasonCode);
    t.deepEqual(await codes(), [1, 1, 1, 1, 22]);
    const pings = await Promise.all(Array.from({ length: 60 }, () => a.ping()));
    t.true(pings.some(({ error }) => error?.code === 22));
    t.true(gateway.counters.frameErrors.get('rate')! > 1);
    await until('it may send again', async () => (await a.send('g', 2, 'x')).reasonCode === 1);
    t.is(a.closes.length, 0);
  });

  test(`${name}: requests without an answer are bounded`, async (t) => {
    const { client, fake } = await startGateway(t, factory, { limits: { pendingRequestsMax: 3 } });
    const a = client('a');
    await a.connect();
    let open = (): void => {};
    fake.gate = new Promise((resolve) => (open = resolve));
    const replies = [1, 2, 3, 4].map(() => a.send('g', 2, 'x'));
    t.is((await replies[3]!).reasonCode, 22);
    t.is((await a.subscribe('g')).reasonCode, 22);
    open();
    t.deepEqual(
      (await Promise.all(replies)).map((r) => r.reasonCode),
      [1, 1, 1, 22],
    );
    t.is((await a.subscribe('g')).reasonCode, 1);
  });

  test(`${name}: upgrades are refused over the session limit, from a strange Origin, for a strange Host`, async (t) => {
    const { url, client, gateway } = await startGateway(t, factory, {
      limits: { sessionsMax: 1 },
      originsAllowed: ['https://chat.example'],
      hostsAllowed: ['127.0.0.1'],
    });
    const status = async (options: object): Promise<number> => {
      const ws = new RawSocket(url, options).ws;
      const [, response] = await once(ws, 'unexpected-response');
      ws.terminate();
      return response.statusCode;
    };
    t.is(await status({ origin: 'https://evil.example' }), 403);
    t.is(await status({ headers: { host: 'evil.example' } }), 403);
    const good = new RawSocket(url, { origin: 'https://chat.example' });
    await once(good.ws, 'open');
    t.is(await status({}), 503);
    good.ws.terminate();
    await until('it went', () => gateway.counters.sockets === 0);
    await client('a').connect();
    t.is(gateway.counters.upgradesRefused, 3);
  });
}
