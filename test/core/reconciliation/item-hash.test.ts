import test from 'ava';
import * as fc from 'fast-check';
import type { ActorId } from '../../../src/core/ids.ts';
import { IndexSequence } from '../../../src/core/reconciliation/index-sequence.ts';
import {
  bucketOf,
  CONTENT_MAX,
  COUNTER_MAX,
  hashItem,
  HASHED_ITEM_WORDS,
  readItem,
  reconciliationKey,
  shardOfItem,
  writeItem,
} from '../../../src/core/reconciliation/item-hash.ts';

const key = reconciliationKey('test');
const words = new Int32Array(HASHED_ITEM_WORDS);
const MASK = 0xffffffffn;

/** HalfSipHash-2-4 from its description, in big integers. */
function halfSipHash(
  message: readonly bigint[],
  k0: bigint,
  k1: bigint,
): readonly [bigint, bigint] {
  const left = (x: bigint, by: bigint): bigint => ((x << by) | (x >> (32n - by))) & MASK;
  let [v0, v1, v2, v3] = [k0, k1 ^ 0xeen, 0x6c796765n ^ k0, 0x74656462n ^ k1];
  const round = (): void => {
    v0 = (v0 + v1) & MASK;
    v1 = left(v1, 5n) ^ v0;
    v0 = left(v0, 16n);
    v2 = (v2 + v3) & MASK;
    v3 = left(v3, 8n) ^ v2;
    v0 = (v0 + v3) & MASK;
    v3 = left(v3, 7n) ^ v0;
    v2 = (v2 + v1) & MASK;
    v1 = left(v1, 13n) ^ v2;
    v2 = left(v2, 16n);
  };
  for (const block of [...message, BigInt(4 * message.length) << 24n]) {
    v3 ^= block;
    round();
    round();
    v0 ^= block;
  }
  v2 ^= 0xeen;
  for (let i = 0; i < 4; i++) round();
  const first = v1 ^ v3;
  v1 ^= 0xddn;
  for (let i = 0; i < 4; i++) round();
  return [first, v1 ^ v3];
}

const item = fc.record({
  actor: fc
    .bigInt({ min: 0n, max: 2n ** 64n - 1n })
    .map((bits) => bits.toString(16).padStart(16, '0') as ActorId),
  counter: fc.integer({ min: 1, max: COUNTER_MAX }),
  content: fc.integer({ min: 0, max: CONTENT_MAX }),
});

test('an item comes back from its words', (t) => {
  fc.assert(
    fc.property(item, fc.nat(15), (one, shard) => {
      writeItem(words, one, { shard, key });
      t.deepEqual(readItem(words, 0), one);
      t.is(shardOfItem(words, 0), shard);
    }),
  );
  const beyond = { actor: '0'.repeat(16) as ActorId, counter: COUNTER_MAX + 1, content: 0 };
  t.throws(() => writeItem(words, beyond, { shard: 0, key }), { instanceOf: RangeError });
});

test('the hash is HalfSipHash-2-4 under the key of the cluster', (t) => {
  const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  const five = fc.array(word, { minLength: 5, maxLength: 5 });
  fc.assert(
    fc.property(five, word, word, (message, k0, k1) => {
      words.set(message);
      hashItem(words, { k0, k1 });
      const unsigned = (value: number): bigint => BigInt(value >>> 0);
      t.deepEqual(
        [unsigned(words[5]!), unsigned(words[6]!)],
        [...halfSipHash(message.map(unsigned), unsigned(k0), unsigned(k1))],
      );
    }),
  );
  t.notDeepEqual(reconciliationKey('a'), reconciliationKey('b'));
});

test('an item is in symbol i with probability 1 / (1 + i/2)', (t) => {
  const [items, symbols] = [100_000, 1024];
  const hits = new Float64Array(symbols);
  const sequence = new IndexSequence();
  for (let i = 1; i <= items; i++) {
    const one = { actor: '00000000000000ab' as ActorId, counter: i, content: 7 };
    writeItem(words, one, { shard: 0, key });
    sequence.reset(words[5]!, words[6]!);
    let last = -1;
    while (sequence.index < symbols) {
      if (sequence.index <= last) t.fail('indexes rise');
      last = sequence.index;
      hits[last]! += 1;
      sequence.next();
    }
  }
  t.is(hits[0], items);
  for (let i = 1; i < symbols; i++) {
    const chance = 1 / (1 + i / 2);
    const deviation = Math.sqrt(items * chance * (1 - chance));
    t.true(Math.abs(hits[i]! - items * chance) < 5 * deviation, `symbol ${i}: ${hits[i]}`);
  }
});

test('skips are independent of where the sequence stands: pairs of symbols meet as often as they should', (t) => {
  const items = 50_000;
  const sequence = new IndexSequence();
  let both = 0;
  for (let i = 1; i <= items; i++) {
    sequence.reset(Math.imul(i, 0x9e3779b1), i);
    const seen = new Set<number>();
    for (; sequence.index < 21; sequence.next()) seen.add(sequence.index);
    if (seen.has(5) && seen.has(20)) both += 1;
  }
  const chance = (1 / 3.5) * (1 / 11);
  t.true(Math.abs(both / items - chance) < 5 * Math.sqrt((chance * (1 - chance)) / items));
});

test('a hash of zero has a sequence too', (t) => {
  const sequence = new IndexSequence();
  sequence.reset(0, 0);
  sequence.next();
  const first = sequence.index;
  sequence.next();
  t.true(first >= 1 && sequence.index > first);
});

test('a bucket depends on the dot alone, and all buckets are used alike', (t) => {
  const counts = new Int32Array(256);
  for (let counter = 1; counter <= 25_600; counter++) {
    writeItem(words, { actor: 'f'.repeat(16) as ActorId, counter, content: 1 }, { shard: 1, key });
    const bucket = bucketOf(words);
    counts[bucket]! += 1;
    if (counter % 100 > 0) continue;
    writeItem(words, { actor: 'f'.repeat(16) as ActorId, counter, content: 2 }, { shard: 1, key });
    t.is(bucketOf(words), bucket);
  }
  t.true(Math.min(...counts) > 50 && Math.max(...counts) < 160);
});
