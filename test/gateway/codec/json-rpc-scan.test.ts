import test from 'ava';
import fc from 'fast-check';
import { parseJsonRpc } from '../../../src/gateway/codec/json-rpc-parse.ts';
import { scanUsual } from '../../../src/gateway/codec/json-rpc-scan.ts';

const word = fc.oneof(
  { weight: 8, arbitrary: fc.stringMatching(/^[a-z0-9 :/-]{1,12}$/) },
  fc.string({ maxLength: 20 }),
  fc.constantFrom('g1', '', 'ä', '"', '\\', '\u007f', '\ud83d\ude00', '#'.repeat(1025)),
);
const payload = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .uint8Array({ maxLength: 60 })
      .map((bytes) => Buffer.from(bytes).toString('base64')),
  },
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('base64url')),
  fc.constantFrom('QR==', 'QQ=', '=', '====', 'QUJD\\', 'QUJD\nQUJD', 'QQ==QQ=='),
);
const number = fc.oneof(
  { weight: 6, arbitrary: fc.nat(10) },
  fc.constantFrom(-1, 1.5, 1e15, 1e16, 2 ** 53, 1e21, '2'),
);
const header = fc.record(
  { noPersist: fc.boolean(), redDot: fc.boolean(), syncOnce: fc.boolean() },
  { requiredKeys: [] },
);
const send = fc.record(
  {
    clientMsgNo: word,
    channelId: word,
    channelType: number,
    payload,
    header: fc.oneof({ weight: 5, arbitrary: header }, fc.constant(null)),
    topic: word,
  },
  { requiredKeys: ['channelId', 'channelType', 'payload'] },
);
const subscription = fc.record(
  { subNo: word, channelId: word, channelType: number, receipt: word },
  { requiredKeys: [] },
);
const frame = fc
  .record({
    jsonrpc: fc.constantFrom('2.0', '2.0', '2.0', '1.0'),
    id: fc.oneof(word, word, fc.nat()),
    call: fc.oneof(
      fc.tuple(fc.constantFrom('send', 'send', 'ping'), send),
      fc.tuple(fc.constantFrom('subscribe', 'unsubscribe'), subscription),
    ),
  })
  .map(({ jsonrpc, id, call: [method, params] }) =>
    JSON.stringify({ jsonrpc, id, method, params }),
  );

/** What an SDK sends day in, day out: the scan has to take it, or it is of no use. */
const usual = [
  '{"jsonrpc":"2.0","id":"1","method":"send","params":{"clientMsgNo":"m1","channelId":"g1","channelType":2,"payload":"eHh4"}}',
  '{"jsonrpc":"2.0","id":"a-b","method":"send","params":{"clientMsgNo":"m1","channelId":"g1","channelType":2,"payload":"eA==","header":{"noPersist":true,"redDot":false}}}',
  '{"jsonrpc":"2.0","id":"2","method":"subscribe","params":{"subNo":"1","channelId":"g1","channelType":2}}',
  '{"jsonrpc":"2.0","id":"3","method":"unsubscribe","params":{"channelId":"g1","channelType":2}}',
];

test('the scan takes what is usual, and says what the parser says', (t) => {
  for (const text of usual) {
    const bytes = Buffer.from(text);
    t.truthy(scanUsual(bytes), text);
    t.deepEqual(scanUsual(bytes), parseJsonRpc(bytes) as never);
  }
});

test('whatever the scan takes, the parser reads the same', (t) => {
  let taken = 0;
  fc.assert(
    fc.property(frame, (text) => {
      const bytes = Buffer.from(text);
      const scanned = scanUsual(bytes);
      if (!scanned) return;
      taken += 1;
      t.deepEqual(scanned, parseJsonRpc(bytes) as never);
    }),
    { numRuns: 3000 },
  );
  t.true(taken > 30, `${taken} frames were usual`);
});

test('a usual frame with bytes changed, cut out or put in is read as the parser reads it', (t) => {
  const edit = fc.record({
    at: fc.nat(250),
    cut: fc.nat(3),
    put: fc.oneof(
      fc.uint8Array({ maxLength: 3 }),
      fc
        .constantFrom(...['"', ',', '{', '}', '0', 'true', '\\"', ' ', ',"channelId":"x"'])
        .map((text) => new Uint8Array(Buffer.from(text))),
    ),
  });
  fc.assert(
    fc.property(fc.constantFrom(...usual, ...usual), edit, (text, { at, cut, put }) => {
      const bytes = Buffer.from(text);
      const from = at % (bytes.length + 1);
      const edited = Buffer.concat([bytes.subarray(0, from), put, bytes.subarray(from + cut)]);
      const scanned = scanUsual(edited);
      if (scanned) t.deepEqual(scanned, parseJsonRpc(edited) as never);
    }),
    { numRuns: 5000 },
  );
});

test('a frame that reaches for the prototype, or names a field twice, is left to the parser', (t) => {
  for (const text of [
    usual[2]!.replace('"subNo"', '"__proto__"'),
    usual[2]!.replace('"channelType":2', '"channelType":2,"channelType":3'),
    usual[0]!.replace('"m1"', '"m1","clientMsgNo":"m2"'),
    usual[1]!.replace('"redDot":false', '"noPersist":false'),
  ]) {
    t.is(scanUsual(Buffer.from(text)), undefined, text);
  }
});
