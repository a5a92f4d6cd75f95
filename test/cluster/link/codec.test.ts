import test from 'ava';
import fc from 'fast-check';
import { pack, unpack } from 'msgpackr';
import { decodePeerMessage, encodePeerMessage } from '../../../src/cluster/link/codec.ts';
import type { PeerMessage } from '../../../src/cluster/link/message.ts';
import { EMPTY_CONTEXT } from '../../../src/core/context.ts';
import type { ActorId, ChannelKey, Uid } from '../../../src/core/ids.ts';
import { EMPTY_VALUE, type Operation } from '../../../src/core/operation.ts';
import { shardOf } from '../../../src/core/placement.ts';
import { subscriptionKey } from '../../../src/core/row-key.ts';
import { anyMessage, anyMessageOf, plain } from '../../support/peer-messages.ts';

const decodeFields = (kind: number, fields: unknown): ReturnType<typeof decodePeerMessage> =>
  decodePeerMessage(kind, pack(fields));

for (const [type, messages] of Object.entries(anyMessageOf)) {
  test(`what was encoded is decoded: ${type}`, (t) => {
    fc.assert(
      fc.property(messages, (message) => {
        const { kind, payload } = encodePeerMessage(message);
        const decoded = decodePeerMessage(kind, payload);
        t.deepEqual(plain(decoded), plain({ ok: true, value: message }));
      }),
      { numRuns: 200 },
    );
  });
}

test('garbage, cut and altered payloads are errors or valid messages, never exceptions', (t) => {
  fc.assert(
    fc.property(fc.nat(16), fc.uint8Array({ maxLength: 200 }), (kind, payload) => {
      t.is(typeof decodePeerMessage(kind, payload).ok, 'boolean');
    }),
    { numRuns: 3_000 },
  );
  fc.assert(
    fc.property(anyMessage, fc.nat(), fc.nat(255), (message, place, byte) => {
      const { kind, payload } = encodePeerMessage(message);
      const altered = Uint8Array.from(payload);
      altered[place % altered.length] = byte;
      t.is(typeof decodePeerMessage(kind, altered).ok, 'boolean');
      t.false(decodePeerMessage(kind, payload.subarray(0, place % payload.length)).ok);
    }),
    { numRuns: 1_000 },
  );
});

test('any field of another type is refused, or read as what it may be', (t) => {
  const strange = fc.oneof(
    fc.constantFrom(undefined, null, NaN, -1, 0.5, 2 ** 60, '', 'x', [], [[]], new Date(0)),
    fc.uint8Array({ maxLength: 3 }),
    fc.double(),
    fc.boolean(),
  );
  fc.assert(
    fc.property(anyMessage, fc.nat(), strange, (message, place, field) => {
      const { kind, payload } = encodePeerMessage(message);
      const fields = decodeArray(payload);
      if (fields.length === 0) return;
      fields[place % fields.length] = field;
      const decoded = decodeFields(kind, fields);
      if (!decoded.ok) return t.false(/\n/.test(decoded.error));
      const again = encodePeerMessage(decoded.value);
      t.deepEqual(plain(decodePeerMessage(again.kind, again.payload)), plain(decoded));
    }),
    { numRuns: 2_000 },
  );
});

test('errors name message and field, and quote no content', (t) => {
  const { kind } = encodePeerMessage({ type: 'operations', frame: 1, operations: [] });
  const error = (fields: unknown): string => {
    const decoded = decodeFields(kind, fields);
    return decoded.ok ? 'accepted' : decoded.error;
  };
  const actor = 'a'.repeat(16);
  const head = [1, 1, actor, 3, 1, 1, 5, 1];
  t.is(error([1, 0]), 'accepted');
  t.is(error([...head, 0, 's3\u0001k', 0, 0, Buffer.from('v')]), 'accepted');
  t.is(
    error([...head, 0, 's4\u0001secret', 0, 0, Buffer.from('v')]),
    'operations: field 10 (key): expected a row key of shard 3, found string',
  );
  t.regex(error([...head, 1, 's3\u0001k', 0, 0, Buffer.from('v')]), /field 9 \(offset\)/);
  t.regex(error([...head, 0, 'z3\u0001k', 0, 0, Buffer.from('v')]), /\(key\)/);
  t.regex(error([1, 1, actor.toUpperCase(), 3, 1, 1, 5, 0]), /\(actor\)/);
  t.regex(error([1, 1, actor, 16, 1, 1, 5, 0]), /\(shard\)/);
  t.regex(error([1, 1, actor, 3, 0, 1, 5, 0]), /\(first\)/);
  t.regex(error([1, 1, actor, 3, 1, 257, 5, 0]), /\(count\)/);
  t.regex(error([1, 1e9]), /\(operations\)/);
  t.is(error([1, 0, 0]), 'operations: 1 fields more than expected');
  t.is(error({}), 'operations: the payload is no array');
  const unknown = decodePeerMessage(99, EMPTY_VALUE);
  t.deepEqual(unknown, { ok: false, error: 'unknown kind of message: 99' });
});

test('an operation of one write costs at most 2 µs each way', (t) => {
  const operations = Array.from({ length: 500 }, (_, i) => subscribe(i));
  const message: PeerMessage = { type: 'operations', frame: 1, operations };
  const { kind, payload } = encodePeerMessage(message);
  const encodeUs = bestOf(20, () => encodePeerMessage(message)) / operations.length;
  const decodeUs = bestOf(20, () => decodePeerMessage(kind, payload)) / operations.length;
  const bytes = payload.length / operations.length;
  t.log(`${encodeUs.toFixed(2)} µs to encode, ${decodeUs.toFixed(2)} µs to decode, ${bytes} bytes`);
  t.true(encodeUs <= 2 && decodeUs <= 2);
  t.true(bytes < 100);
});

function subscribe(i: number): Operation {
  const channel = `2/group-${i % 7}` as ChannelKey;
  const shard = shardOf(channel);
  const key = subscriptionKey(channel, `user-${i}` as Uid);
  const write = { offset: 0, key, tag: 0, context: EMPTY_CONTEXT, value: EMPTY_VALUE };
  const actor = '0123456789abcdef' as ActorId;
  return { actor, shard, first: i + 1, count: 1, hlc: 1.7e15 + i, writes: [write] };
}

/**
 * Microseconds of the processor's own time for the best of some runs: others use the machine too.
 */
function bestOf(runs: number, work: () => void): number {
  let best = Infinity;
  for (let i = 0; i < runs; i++) {
    const before = process.cpuUsage();
    for (let repeat = 0; repeat < 10; repeat++) work();
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / 10);
  }
  return best;
}

function decodeArray(payload: Uint8Array): unknown[] {
  return unpack(payload) as unknown[];
}
