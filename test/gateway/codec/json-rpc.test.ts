import test from 'ava';
import fc from 'fast-check';
import type { Uid } from '../../../src/core/ids.ts';
import {
  encodeError,
  encodePong,
  encodeRecv,
  encodeSendResult,
} from '../../../src/gateway/codec/json-rpc-encode.ts';
import { parseJsonRpc } from '../../../src/gateway/codec/json-rpc-parse.ts';
import { isUsualRecvack } from '../../../src/gateway/codec/json-rpc-recvack.ts';

test('any bytes and any JSON are parsed to a frame or to an error, never a throw', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      t.truthy(parseJsonRpc(bytes).kind);
      isUsualRecvack(bytes);
    }),
  );
  const method = fc.constantFrom(
    ...[
      'connect',
      'send',
      'ping',
      'recvack',
      'disconnect',
      'subscribe',
      'unsubscribe',
      'history',
      'recall',
      'conversations',
      'read',
      '__proto__',
    ],
  );
  const value = fc.oneof(fc.jsonValue(), fc.string(), fc.nat(), fc.constant(undefined));
  const names = [
    'uid',
    'token',
    'channelId',
    'channelType',
    'payload',
    'header',
    'setting',
    'receipt',
    'messageId',
    'limit',
    'direction',
    'after',
  ];
  const params = fc.record(Object.fromEntries(names.map((name) => [name, value])), {
    requiredKeys: [],
  });
  const frame = fc.record({
    id: fc.oneof(fc.string(), value),
    method,
    params: fc.oneof(params, value),
  });
  fc.assert(
    fc.property(frame, (one) => {
      const parsed = parseJsonRpc(Buffer.from(JSON.stringify(one)));
      if (parsed.kind !== 'bad') return;
      const encoded = JSON.parse(encodeError(parsed.id, parsed.code, parsed.message));
      t.true(encoded.id === null || encoded.id === one.id);
    }),
    { numRuns: 2000 },
  );
});

test('the fast path takes exactly what the usual recvack is, and the long way agrees with it', (t) => {
  const usual = (id: string, seq: string, head = '"jsonrpc":"2.0",'): Buffer =>
    Buffer.from(`{${head}"method":"recvack","params":{"messageId":"${id}","messageSeq":${seq}}}`);
  t.true(isUsualRecvack(usual('1790000000000000000', '42')));
  t.true(isUsualRecvack(usual('1', '0', '')));
  for (const odd of [
    usual('', '1'),
    usual('1', ''),
    usual('1', '01'),
    usual('1', '-1'),
    usual('1x', '1'),
  ]) {
    t.false(isUsualRecvack(odd), odd.toString());
  }
  t.false(isUsualRecvack(usual('1', '1').subarray(0, -1)));
  t.false(isUsualRecvack(Buffer.concat([usual('1', '1'), Buffer.from(' ')])));
  t.false(isUsualRecvack(new Uint8Array(0)));
  const change = fc.record({ at: fc.nat(120), byte: fc.integer({ min: 0, max: 255 }) });
  fc.assert(
    fc.property(change, fc.boolean(), ({ at, byte }, long) => {
      const bytes = usual('1790000000000000000', '42', long ? '"jsonrpc":"2.0",' : '');
      bytes[at % bytes.length] = byte;
      if (isUsualRecvack(bytes)) t.is(parseJsonRpc(bytes).kind, 'recvack');
    }),
    { numRuns: 2000 },
  );
});

test('whatever is in a message, recv is JSON with the same in it', (t) => {
  const text = fc.string({ unit: 'binary', maxLength: 20 });
  const message = fc.record({
    messageId: fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }),
    messageSeq: fc.nat(2 ** 31),
    clientMsgNo: text,
    fromUid: text.map((uid) => uid as Uid),
    timestamp: fc.nat(2 ** 31),
    payload: fc.uint8Array({ maxLength: 50 }),
    noPersist: fc.boolean(),
    redDot: fc.boolean(),
    syncOnce: fc.boolean(),
    setting: fc.constantFrom(0, 0x80, 0x88),
    topic: text,
    expire: fc.nat(1000),
  });
  fc.assert(
    fc.property(message, text, (one, channelId) => {
      const view = { message: one, channelId, channelType: 2, prevSeq: 5 };
      const { jsonrpc, method, params } = JSON.parse(encodeRecv(view));
      t.deepEqual([jsonrpc, method], ['2.0', 'recv']);
      const flags = one.noPersist || one.redDot || one.syncOnce;
      t.deepEqual(params, {
        ...(flags && {
          header: { noPersist: one.noPersist, redDot: one.redDot, syncOnce: one.syncOnce },
        }),
        ...(one.setting !== 0 && {
          setting: one.setting === 0x80 ? { receipt: true } : { receipt: true, topic: true },
        }),
        messageId: String(one.messageId),
        messageSeq: one.messageSeq,
        clientMsgNo: one.clientMsgNo,
        timestamp: one.timestamp,
        channelId,
        channelType: 2,
        fromUid: one.fromUid,
        payload: Buffer.from(one.payload).toString('base64'),
        ...(one.topic !== '' && { topic: one.topic }),
        ...(one.expire !== 0 && { expire: one.expire }),
        prevSeq: 5,
      });
    }),
  );
});

test('payloads are base64 of bytes, and nothing else passes for it', (t) => {
  const payloadOf = (payload: string): unknown => {
    const params = { channelId: 'g', channelType: 2, payload };
    const frame = parseJsonRpc(Buffer.from(JSON.stringify({ id: '1', method: 'send', params })));
    return frame.kind === 'send' ? frame.payload : frame;
  };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const decoded = payloadOf(Buffer.from(bytes).toString('base64'));
      t.deepEqual(Buffer.from(decoded as Uint8Array), Buffer.from(bytes));
    }),
  );
  for (const bad of ['a', 'ab', 'abc', 'a===', '====', 'ab=c', 'a bc', 'äbcd', 'abcd=']) {
    t.is(payloadOf(bad), undefined, bad);
  }
});

test('the reply to a send has the shape of the specification', (t) => {
  const accepted = { messageId: 7n, messageSeq: 3, reasonCode: 1, disks: 2, message: '' };
  t.deepEqual(JSON.parse(encodeSendResult('i"d', accepted)), {
    jsonrpc: '2.0',
    id: 'i"d',
    result: { messageId: '7', messageSeq: 3, reasonCode: 1, disks: 2 },
  });
});

test('a number is an id as JSON-RPC has it, and comes back as a number', (t) => {
  const refOf = (id: string): unknown => {
    const frame = parseJsonRpc(Buffer.from(`{"jsonrpc":"2.0","id":${id},"method":"ping"}`));
    return frame.kind === 'ping' ? frame.ref : frame.kind;
  };
  t.deepEqual(['7', '0', '-3', '9007199254740991', '"7"', '""'].map(refOf), [
    7,
    0,
    -3,
    9007199254740991,
    '7',
    '',
  ]);
  // Each of these would be answered with another id than was asked with.
  t.deepEqual(['9007199254740993', '1e999', '1.5', 'true', '[]'].map(refOf), [
    'bad',
    'bad',
    'bad',
    'bad',
    'bad',
  ]);
  const accepted = { messageId: 7n, messageSeq: 3, reasonCode: 1, disks: 2, message: '' };
  t.is(JSON.parse(encodeSendResult(7, accepted)).id, 7);
  t.is(JSON.parse(encodeError(0, 1, '')).id, 0);
});

test('texts and ids are written as JSON.stringify writes them', (t) => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 80 }),
    fc.stringMatching(/^[ -~]{0,70}$/),
    fc.string({ unit: fc.constantFrom('a', '"', '\\', '\n', '\u007f', '\u2028', '\ud800') }),
  );
  fc.assert(
    fc.property(fc.oneof(text, fc.integer()), (id) => {
      t.is(encodePong(id), JSON.stringify({ jsonrpc: '2.0', id, result: {} }));
    }),
    { numRuns: 2000 },
  );
  const sent = { messageSeq: 1, reasonCode: 1, disks: 1, message: '' };
  fc.assert(
    fc.property(fc.array(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), { maxLength: 4 }), (ids) => {
      for (const messageId of ids.flatMap((id) => [id, id])) {
        const { result } = JSON.parse(encodeSendResult('1', { ...sent, messageId }));
        t.is(result.messageId, String(messageId));
      }
    }),
  );
});
