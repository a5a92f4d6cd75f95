import test from 'ava';
import fc from 'fast-check';
import { pack, unpack } from 'msgpackr';
import { Malformed } from '../../../src/cluster/link/fields.ts';
import {
  open,
  packDigests,
  readCompared,
  readDigests,
  readItems,
  readRowsFound,
  readRowsWanted,
  readShardRows,
  writeCompared,
  writeItems,
  writeRowsWanted,
  type ShardDigests,
} from '../../../src/cluster/sweep/wire.ts';
import type { ActorId } from '../../../src/core/ids.ts';
import type { RowKey } from '../../../src/core/row-key.ts';

const actor = fc.constantFrom('a', 'b').map((letter) => letter.repeat(16) as ActorId);
const item = fc.record({
  actor,
  counter: fc.integer({ min: 1, max: 2 ** 44 - 1 }),
  content: fc.maxSafeNat().map((content) => content % 2 ** 48),
});
const over = (value: unknown): unknown => unpack(pack(value));

test('what was written is read: digests, comparisons, items, questions for rows', (t) => {
  const digest = fc.record({
    count: fc.integer({ min: 0, max: 2 ** 40 }),
    sum: fc.bigInt(0n, 2n ** 64n - 1n),
    vectorHash: fc.nat(),
  });
  const digests = fc.array(fc.option(digest, { nil: undefined }), { minLength: 16, maxLength: 16 });
  fc.assert(
    fc.property(digests, fc.array(item), (given: ShardDigests, items) => {
      t.deepEqual(readDigests(open(over([packDigests(given)]))), given);
      const sorted = items.toSorted((x, y) => (x.actor < y.actor ? -1 : x.actor > y.actor ? 1 : 0));
      const read = readItems(over(writeItems(sorted)));
      t.deepEqual(read, sorted);
      const wanted = { shard: 3, keys: ['s3\u0001k\u0001u' as RowKey], dots: [] };
      t.deepEqual(readRowsWanted(over(writeRowsWanted(wanted))), wanted);
      const compared = { session: 1, epoch: 2, storeId: 'store', mask: 3, unequal: [] };
      t.deepEqual(readCompared(over(writeCompared(compared))), compared);
    }),
    { numRuns: 200 },
  );
});

test('garbage is refused with a name of the field, and nothing else is ever thrown', (t) => {
  const readers = [readCompared, readItems, readRowsWanted, readShardRows].map(
    (read) => (body: unknown) => void read(body),
  );
  readers.push((body) => void readRowsFound(body, 3));
  readers.push((body) => void readDigests(open(body)));
  const field = fc.oneof(
    ...[fc.integer(), fc.string(), fc.boolean(), fc.constant(null), fc.constant('a'.repeat(16))],
    ...[fc.uint8Array({ maxLength: 8 }), fc.double(), fc.nat(3), fc.constant('s3\u0001k\u0001u')],
  );
  fc.assert(
    fc.property(fc.oneof(fc.array(field), field), (body) => {
      for (const read of readers) {
        try {
          read(body);
        } catch (error) {
          t.true(error instanceof Malformed, String(error));
        }
      }
    }),
    { numRuns: 2_000 },
  );
  t.pass();
});
