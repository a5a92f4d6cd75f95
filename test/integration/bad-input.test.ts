import { connect as connectTcp } from 'node:net';
import test from 'ava';
import { WebSocket } from 'ws';
import { startSharedCluster, type TestCluster } from '../support/cluster.ts';
import { clientOf } from '../support/integration.ts';
import { until } from '../support/until.ts';

const FRAME_BYTES_MAX = 65_536;

let cluster: TestCluster;

test.before(async () => {
  cluster = await startSharedCluster({ nodes: 1, etcd: false });
});

test.after.always(() => cluster.end());

interface Ended {
  readonly code: number;
  readonly replies: readonly Record<string, unknown>[];
  readonly binary: readonly Buffer[];
}

/** Opens a socket, sends the frames and resolves when the node has closed it. */
function fateOf(frames: readonly (string | Buffer)[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const ws = new WebSocket(cluster.addresses(1).client);
    const replies: Record<string, unknown>[] = [];
    const binary: Buffer[] = [];
    ws.on('open', () => frames.forEach((frame) => ws.send(frame)));
    ws.on('message', (data: Buffer, isBinary) => {
      if (isBinary) binary.push(data);
      else replies.push(JSON.parse(data.toString()) as Record<string, unknown>);
    });
    ws.on('error', reject);
    ws.on('close', (code) => resolve({ code, replies, binary }));
  });
}

/** The sum of a metric's series whose labels contain `labels`. */
async function metric(name: string, labels = ''): Promise<number> {
  const text = await (await fetch(`${cluster.addresses(1).http}/metrics`)).text();
  return text
    .split('\n')
    .filter((line) => line.startsWith(name) && line.includes(labels))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

const connectFrame = (uid: unknown, more = {}) =>
  JSON.stringify({
    jsonrpc: '2.0',
    id: 'c',
    method: 'connect',
    params: { uid, token: '', deviceId: 'd', deviceFlag: 1, clientTimestamp: 1, ...more },
  });

test.serial('anything but connect before connect closes the connection with 1008', async (t) => {
  const before = await metric('holdfast_frames_malformed_total');
  const first = [
    'hello',
    '[]',
    '{}',
    '{"method":"ping","id":"1"}',
    '{"id":"1","method":"send","params":{"channelId":"c","channelType":2,"payload":""}}',
    '{"id":"1","method":"nonsense"}',
    '{"method":"recvack","params":{"messageId":"1","messageSeq":1}}',
    Buffer.from('this is not WKProto'),
    Buffer.from([0xf0, 0xff, 0xff, 0xff, 0xff, 0xff]),
    Buffer.from([0x30, 0x01, 0x00]),
    Buffer.from([0x70]),
  ];
  for (const frame of first) t.is((await fateOf([frame])).code, 1008, String(frame));
  t.true((await metric('holdfast_frames_malformed_total')) >= before + first.length - 3);
});

test.serial('a uid that may not be one is refused with reason 2 and closed', async (t) => {
  for (const uid of ['', 'a@b', 'a#b', 'a&b', 'a\u0000b', 'x'.repeat(257), 1, null, ['a'], {}]) {
    const { code, replies } = await fateOf([connectFrame(uid)]);
    t.is(code, 1008, JSON.stringify(uid));
    t.true('error' in replies[0]!, JSON.stringify(uid));
  }
});

test.serial('bad frames of a connected client are answered and the connection stays', async (t) => {
  const client = await clientOf(t, cluster.addresses(1).client, 'clumsy');
  const nested = (open: string, close: string) =>
    `{"id":"n","method":"ping","params":${open.repeat(20_000)}${close.repeat(20_000)}}`;
  const bad: readonly [frame: string, id: string | null][] = [
    ['', null],
    ['{', null],
    ['null', null],
    ['[{"id":"1","method":"ping"}]', null],
    ['"ping"', null],
    ['{"id":"1"}', '1'],
    ['{"id":1.5,"method":"ping"}', null],
    ['{"id":{},"method":"ping"}', null],
    ['{"id":"2","method":"ping","params":[]}', '2'],
    ['{"id":"3","jsonrpc":"1.0","method":"ping"}', '3'],
    ['{"id":"4","method":"__proto__"}', '4'],
    ['{"id":"5","method":"send"}', '5'],
    ['{"id":"6","method":"send","params":{"channelId":1,"channelType":2,"payload":""}}', '6'],
    ['{"id":"7","method":"send","params":{"channelId":"c","channelType":"2","payload":""}}', '7'],
    ['{"id":"8","method":"send","params":{"channelId":"c","channelType":1e400,"payload":""}}', '8'],
    ['{"id":"9","method":"subscribe","params":{"channelId":{},"channelType":2}}', '9'],
    ['{"method":"subscribe","params":{"channelId":"c","channelType":2}}', null],
    [nested('[', ']'), 'n'],
  ];
  for (const [frame, id] of bad) {
    const seen = client.strays.length;
    client.raw(frame);
    const reply = await until(`an error for ${frame.slice(0, 60)}`, () => client.strays[seen]);
    t.is(reply.id, id, frame.slice(0, 60));
    t.is(typeof reply.error?.code, 'number', frame.slice(0, 60));
    t.regex(reply.error?.message ?? '', /\S/);
    // A good frame ends the row of bad ones.
    await client.ping();
  }
  t.true(client.connected);
});

test.serial('sends that are well formed and not allowed are results with a reason', async (t) => {
  const client = await clientOf(t, cluster.addresses(1).client, 'refused');
  const cases: readonly [channel: string, type: number, reason: number][] = [
    ['', 2, 16],
    ['x'.repeat(600), 2, 16],
    ['a\u0007b', 2, 16],
    ['a@b', 1, 16],
    ['c', 0, 23],
    ['c', 11, 23],
    ['c', 255, 23],
  ];
  for (const [channel, type, reason] of cases) {
    t.is((await client.send(channel, type, 'x')).reasonCode, reason, `${channel} ${type}`);
  }
  t.is((await client.send('c', 2, '', { payload: '***' })).reasonCode, 9);
  for (const type of [0, 11]) t.is((await client.subscribe('c', type)).reasonCode, 23);
  t.is((await client.subscribe('', 2)).reasonCode, 16);
  t.true(client.connected);
});

test.serial(
  '20 bad frames in a row close with 1008, a frame over the limit with 1009',
  async (t) => {
    const bad = Array.from({ length: 20 }, () => 'nonsense');
    const ended = await fateOf([connectFrame('rude'), ...bad]);
    t.is(ended.code, 1008);
    t.is(ended.replies.filter((reply) => 'error' in reply).length, 20);
    const nineteen = await clientOf(t, cluster.addresses(1).client, 'almost');
    for (const round of [1, 2]) {
      for (const frame of bad.slice(1)) nineteen.raw(frame);
      await nineteen.ping();
      t.true(nineteen.connected, `round ${round}`);
    }
    const refused = await metric('holdfast_frames_malformed_total', 'too-large');
    const large = await fateOf([connectFrame('large'), 'x'.repeat(FRAME_BYTES_MAX + 1)]);
    t.true(large.code === 1009 || large.code === 1006, String(large.code));
    t.is(large.code, 1009);
    await until(
      'it is counted',
      async () =>
        (await metric('holdfast_frames_malformed_total', 'too-large')) +
          (await metric('holdfast_frames_refused_total', 'too-large')) >
        refused,
    );
  },
);

test.serial('binary: versions, half packets, lengths that lie', async (t) => {
  const text = (value: string) => {
    const bytes = Buffer.from(value);
    return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
  };
  const connect = (version: number, uid = 'wk', key = Buffer.alloc(32, 9).toString('base64')) => {
    const body = Buffer.concat([
      Buffer.from([version, 1]),
      ...[text('device'), text(uid), text('')],
      Buffer.alloc(8),
      text(key),
    ]);
    return Buffer.concat([Buffer.from([0x10, body.length]), body]);
  };
  for (const version of [0, 7, 255]) {
    t.is((await fateOf([connect(version)])).code, 1008, `version ${version}`);
  }
  for (const key of ['', '!!!!', Buffer.alloc(31).toString('base64')]) {
    t.is((await fateOf([connect(2, 'wk', key)])).code, 1008, `key ${key}`);
  }
  const refused = await fateOf([connect(2, 'a@b')]);
  t.is(refused.code, 1008);
  t.is(refused.binary[0]![0]! >> 4, 2, 'a CONNACK with the reason');
  // A remaining length that promises less than the fields need; then one that promises far too much.
  t.is((await fateOf([Buffer.from([0x10, 0x02, 0x02, 0x01])])).code, 1008);
  t.is((await fateOf([Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f])])).code, 1009);
  t.is((await fateOf([Buffer.from([0x10, 0xff, 0xff, 0xff, 0xff, 0x01])])).code, 1009);
  const whole = connect(2, 'halves');
  const ws = new WebSocket(cluster.addresses(1).client);
  t.teardown(() => ws.terminate());
  const answers: Buffer[] = [];
  ws.on('message', (data: Buffer) => answers.push(data));
  await new Promise((resolve) => ws.once('open', resolve));
  for (const byte of whole) ws.send(Buffer.from([byte]));
  const connack = await until('CONNACK to a packet that came byte by byte', () => answers[0]);
  t.is(connack[0]! >> 4, 2);
  ws.send(Buffer.concat([Buffer.from([0x70, 0x70]), Buffer.from([0x70])]));
  await until(
    'three PONGs to one message',
    () => Buffer.concat(answers.slice(1)).equals(Buffer.from([0x80, 0x80, 0x80])) || undefined,
  );
});

test.serial(
  'bytes that are no HTTP, and upgrades that are none, leave nothing behind',
  async (t) => {
    const port = Number(new URL(cluster.addresses(1).client).port);
    const garbage = ['\u0000\u0001\u0002\r\n\r\n', 'GET / HTTP/1.1\r\nhost: x\r\n\r\n', 'GET '];
    await Promise.all(
      garbage.map(
        (bytes) =>
          new Promise<void>((resolve) => {
            const socket = connectTcp(port, '127.0.0.1', () => socket.write(bytes));
            socket.setTimeout(500, () => socket.destroy());
            socket.on('error', () => {});
            socket.on('close', () => resolve());
          }),
      ),
    );
    for (const headers of [{ origin: 'https://evil.example' }, { host: 'evil.example' }]) {
      const status = await new Promise<number | undefined>((resolve) => {
        const ws = new WebSocket(cluster.addresses(1).client, { headers });
        ws.on('unexpected-response', (_, response) => resolve(response.statusCode));
        ws.on('open', () => resolve(101));
        ws.on('error', () => {});
      });
      t.is(status, 403, JSON.stringify(headers));
    }
    t.true((await metric('holdfast_upgrades_refused_total')) >= 2);
  },
);

test.serial('2,000 connections that come and go in every bad way leave nothing', async (t) => {
  const steady = await clientOf(t, cluster.addresses(1).client, 'steady');
  await steady.subscribe('storm');
  const publisher = await clientOf(t, cluster.addresses(1).client, 'publisher');
  const lanes = Array.from({ length: 20 }, async (_, lane) => {
    for (let i = 0; i < 100; i++) {
      const kind = (lane + i) % 4;
      await new Promise<void>((resolve) => {
        const ws = new WebSocket(cluster.addresses(1).client);
        ws.on('error', () => {});
        ws.on('close', () => resolve());
        ws.on('open', () => {
          if (kind === 0) return ws.terminate();
          if (kind === 1) return ws.send('nonsense');
          ws.send(connectFrame(`storm-${lane}-${i}`));
          if (kind === 2) return ws.terminate();
          ws.on('message', () => ws.terminate());
        });
      });
      if (i % 10 === 0 && lane === 0) await publisher.send('storm', 2, `m${i}`);
    }
  });
  await Promise.all(lanes);
  await until('the steady client has all', () => steady.received.length === 10);
  t.deepEqual(
    steady.texts(),
    Array.from({ length: 10 }, (_, i) => `m${10 * i}`),
  );
  await until('the sessions are two again', async () => {
    const sessions = await metric('holdfast_sessions{');
    return sessions === 2 && (await metric('holdfast_users_online ')) === 2;
  });
});
