import test from 'ava';
import type { ChannelKey, Uid } from '../../src/core/ids.ts';
import { decrypt, recvMsgKey } from '../../src/gateway/codec/wkproto-crypto.ts';
import { WkReader } from '../../src/gateway/codec/wkproto-bytes.ts';
import { WK } from '../../src/gateway/codec/wkproto.ts';
import { until } from '../support/until.ts';
import { bodyOf, WkClientSide } from './codec/wkproto-client.ts';
import { openRaw } from './raw-socket.ts';
import { ADAPTERS, startGateway } from './fixture.ts';

const [name, factory] = ADAPTERS.at(-1)!;

for (const version of [1, 2, 3, 4, 5, 6]) {
  test(`WKProto ${version}: every packet, cut at every byte or glued together, on ${name}`, async (t) => {
    const { url, fake, client, gateway } = await startGateway(t, factory);
    const raw = await openRaw(t, url);
    const side = new WkClientSide(version);
    for (const byte of side.connect('w')) raw.ws.send(Buffer.of(byte));
    await until('CONNACK', () => raw.frames.length === 1);
    t.deepEqual(side.connack(raw.frames[0]!), {
      serverVersion: version > 3 ? version : 0,
      reasonCode: 1,
      nodeId: version >= 4 ? 4_294_967_301n : 0n,
    });

    const half = side.send({ clientSeq: 10, channelId: '\u0001', text: '' });
    raw.ws.send(
      Buffer.concat([
        Buffer.of(WK.ping << 4),
        side.sub('g', 0),
        side.send({
          clientSeq: 7,
          channelId: 'g',
          text: 'first',
          setting: 0x88,
          topic: 'news',
          expire: 60,
        }),
        side.send({
          clientSeq: 8,
          channelId: 'g',
          text: 'plain',
          setting: 0x10,
          msgKey: 'any',
          flags: 1,
        }),
        side.send({ clientSeq: 9, channelId: 'g', text: 'x', msgKey: 'wrong' }),
        half.subarray(0, 5),
      ]),
    );
    raw.ws.send(half.subarray(5));
    await until('all are answered', () => raw.frames.length === 7);
    t.true(raw.frames.some((frame) => frame.equals(Buffer.of(WK.pong << 4))));
    const suback = new WkReader(bodyOf(raw.frames.find((frame) => frame[0]! >> 4 === WK.suback)!));
    t.deepEqual(
      [suback.string(99), suback.string(99), suback.u8(), suback.u8(), suback.u8()],
      ['sub1', 'g', 2, 0, 1],
    );
    const acks = raw.frames
      .filter((frame) => frame[0]! >> 4 === WK.sendack)
      .map((frame) => {
        const reader = new WkReader(bodyOf(frame));
        reader.u64();
        const clientSeq = reader.u32();
        side.seq(reader);
        const reasonCode = reader.u8();
        reader.end();
        return [clientSeq, reasonCode];
      })
      .sort((a, b) => a[0]! - b[0]!);
    t.deepEqual(acks, [
      [7, 1],
      [8, 1],
      [9, 8],
      [10, 16],
    ]);
    t.like(fake.published[0], {
      clientMsgNo: 'no7',
      channel: '2/g',
      setting: 0x88,
      topic: 'news',
      expire: version >= 3 ? 60 : 0,
      redDot: true,
      noPersist: false,
    });
    t.is(Buffer.from(fake.published[0]!.payload).toString(), 'first');
    t.like(fake.published[1], { setting: 0, noPersist: true, redDot: false });
    t.is(Buffer.from(fake.published[1]!.payload).toString(), 'plain');

    const peer = client('p');
    await peer.connect();
    const sent = await peer.send('g', 2, 'grüße', {
      topic: 'news',
      expire: 9,
      header: { syncOnce: true },
    });
    const recv = await until('RECV', () => raw.frames.find((frame) => frame[0]! >> 4 === WK.recv));
    t.is(recv[0]! & 15, 4);
    const reader = new WkReader(bodyOf(recv));
    const setting = reader.u8();
    const msgKey = reader.string(99);
    const [fromUid, channelId, channelType] = [reader.string(99), reader.string(99), reader.u8()];
    const expire = version >= 3 ? reader.u32() : 0;
    const [clientMsgNo, messageId] = [reader.string(99), reader.u64()];
    const [messageSeq, timestamp] = [side.seq(reader), reader.i32()];
    const topic = reader.string(99);
    const payload = reader.rest();
    t.deepEqual([setting, fromUid, channelId, channelType, topic], [8, 'p', 'g', 2, 'news']);
    t.deepEqual([expire, timestamp], [version >= 3 ? 9 : 0, 1_790_000_000]);
    t.is(String(messageId), sent.messageId);
    t.is(messageSeq, sent.messageSeq);
    t.is(decrypt(side.keys!, payload)!.toString(), 'grüße');
    const flags = 0;
    const rest = { flags, setting, expire, topic, fromUid, channelId, channelType, clientMsgNo };
    t.is(recvMsgKey(side.keys!, { ...rest, messageId, messageSeq, timestamp, payload }), msgKey);
    raw.ws.send(side.recvack(messageId, messageSeq));
    await until('it is acknowledged', () => gateway.counters.acknowledged === 1);

    raw.ws.send(side.sub('g', 1));
    await until(
      'it left',
      () => raw.frames.filter((frame) => frame[0]! >> 4 === WK.suback).length === 2,
    );
    const before = raw.frames.length;
    await peer.send('g', 2, 'not for w');
    raw.ws.send(Buffer.of(WK.ping << 4));
    await until('PONG', () => raw.frames.length > before);
    t.is(raw.frames.length, before + 1);
    t.is(raw.closed, undefined);
  });
}

test('WKProto: what is no packet closes with 1008, one too large with 1009, and nothing is leaked', async (t) => {
  const { url, gateway, fake } = await startGateway(t, factory, {
    limits: { frameBytesMax: 3000 },
  });
  fake.subscribe('2/g' as ChannelKey, 'w' as Uid);
  const cases: [string, Buffer | string, number][] = [
    ['a packet of the server', Buffer.of(WK.connack << 4, 0), 1008],
    ['type 0', Buffer.of(0, 0), 1008],
    ['a SEND that ends early', Buffer.of(WK.send << 4, 3, 0, 0, 0), 1008],
    ['a string past the end', Buffer.of(WK.sub << 4, 4, 0, 0xff, 0xff, 1), 1008],
    [
      'bytes left over',
      Buffer.of(WK.recvack << 4, 13, ...Array.from({ length: 13 }, () => 0)),
      1008,
    ],
    ['a length without end', Buffer.of(WK.send << 4, 0x80, 0x80, 0x80, 0x80, 1), 1008],
    ['a length over the limit', Buffer.of(WK.send << 4, 0xb9, 0x17), 1009],
    ['a text frame', '{"method":"ping","id":"1"}', 1008],
  ];
  for (const [what, bytes, code] of cases) {
    const raw = await openRaw(t, url);
    raw.ws.send(new WkClientSide(5).connect('w'));
    await until('CONNACK', () => raw.frames.length === 1);
    raw.ws.send(bytes);
    await until(`closed after ${what}`, () => raw.closed);
    t.is(raw.closed!.code, code, what);
  }
  await until('nothing is left', () => gateway.counters.sockets === 0);
  t.is(fake.attached.size, 0);
  t.is(gateway.counters.sessions, 0);
});

test('WKProto: a refused CONNECT gets CONNACK with the reason, then the close', async (t) => {
  const { url, fake } = await startGateway(t, factory, { auth: 'token' });
  fake.tokens.set('w/1', { token: 'secret', level: 1 });
  for (const [token, reasonCode] of [
    ['wrong', 2],
    ['secret', 1],
  ] as const) {
    const raw = await openRaw(t, url);
    const side = new WkClientSide(5);
    raw.ws.send(side.connect('w', token));
    await until('CONNACK', () => raw.frames.length === 1);
    t.is(side.connack(raw.frames[0]!).reasonCode, reasonCode);
    if (reasonCode === 2) {
      await until('it is closed', () => raw.closed);
      t.is(raw.closed!.code, 1008);
    }
  }
  for (const version of [0, 9]) {
    const odd = await openRaw(t, url);
    const packet = Buffer.from(new WkClientSide(5).connect('w', 'secret'));
    packet[2] = version;
    odd.ws.send(packet);
    await until('it is closed', () => odd.closed);
    t.is(odd.frames[0]![0]! >> 4, WK.connack, `version ${version}`);
    t.regex(odd.closed!.reason, /outside 1\.\.6/);
  }
  const raw = await openRaw(t, url);
  const key = Buffer.from(new WkClientSide(5).connect('w', 'secret'));
  key.fill(0x21, key.length - 44);
  raw.ws.send(key);
  await until('it is closed', () => raw.closed);
  t.is(raw.frames[0]![0]! >> 4, WK.connack);
});

test('WKProto: a kick is a DISCONNECT with the reason', async (t) => {
  const { url, fake } = await startGateway(t, factory);
  const raw = await openRaw(t, url);
  raw.ws.send(new WkClientSide(2).connect('w'));
  await until('CONNACK', () => raw.frames.length === 1);
  fake.sessionsOf('w')[0]!.kick(12, 'enough');
  await until('it is closed', () => raw.closed);
  const reader = new WkReader(bodyOf(raw.frames[1]!));
  t.is(raw.frames[1]![0]! >> 4, WK.disconnect);
  t.deepEqual([reader.u8(), reader.string(99)], [12, 'enough']);
});
