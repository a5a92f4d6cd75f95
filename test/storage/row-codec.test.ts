import test from 'ava';
import * as fc from 'fast-check';
import { crc32, crc32Text } from '../../src/core/checksum.ts';
import type { Row } from '../../src/core/row.ts';
import type { RowKey } from '../../src/core/row-key.ts';
import type { VectorRow } from '../../src/core/version-vector.ts';
import {
  decodeLogRow,
  decodeRow,
  decodeClosedRow,
  decodeVectorRow,
  encodeLogRow,
  encodeRow,
  encodeClosedRow,
  encodeVectorRow,
} from '../../src/storage/row-codec.ts';

const actor = fc
  .uint8Array({ minLength: 8, maxLength: 8 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));
const integer = fc.oneof(fc.nat(300), fc.nat(), fc.maxSafeNat());
const span = fc
  .tuple(actor, fc.nat(), integer)
  .map(([actor, from, length]) => ({ actor, from, to: Math.min(from + length, 2 ** 53 - 1) }));
const entry = fc.record({
  actor,
  counter: integer,
  hlc: integer,
  tag: fc.nat(255),
  context: fc.array(span, { maxLength: 20 }),
  value: fc.uint8Array({ maxLength: 200 }),
});
const row = fc.array(entry, { maxLength: 6 }) as unknown as fc.Arbitrary<Row>;
const key = fc.string({ unit: 'binary', maxLength: 60 });
const vectorRow = fc
  .tuple(actor, fc.nat(15), integer, fc.uniqueArray(fc.nat(), { maxLength: 20 }))
  .map(([actor, shard, base, bounds]) => {
    const sorted = bounds.sort((a, b) => a - b).slice(0, bounds.length & ~1);
    const above = sorted.map((bound) => Math.min(base, 2 ** 40) + 2 + bound);
    return { actor, shard, base: Math.min(base, 2 ** 40), above } as unknown as VectorRow;
  });

const closedRow = fc.record({
  actor: vectorRow.map((row) => row.actor),
  order: fc.nat(),
  finals: fc.array(fc.maxSafeNat(), { minLength: 16, maxLength: 16 }),
});

const codecs = {
  row: {
    encoded: fc.tuple(key, row).map(([key, row]) => ({ key, bytes: encodeRow(key, row) })),
    decode: decodeRow,
  },
  vector: {
    encoded: fc
      .tuple(key, vectorRow)
      .map(([key, row]) => ({ key, bytes: encodeVectorRow(key, row) })),
    decode: decodeVectorRow,
  },
  closed: {
    encoded: fc
      .tuple(key, closedRow)
      .map(([key, row]) => ({ key, bytes: encodeClosedRow(key, row) })),
    decode: decodeClosedRow,
  },
  log: {
    encoded: fc.tuple(key, fc.nat(255)).map(([key, offset]) => ({
      key,
      bytes: encodeLogRow(key as RowKey, { offset, count: offset + 1 }),
    })),
    decode: decodeLogRow,
  },
};

test('a row comes back as it was', (t) => {
  fc.assert(
    fc.property(key, row, (key, row) => {
      t.deepEqual(decodeRow(key, encodeRow(key, row)), { ok: true, row });
    }),
  );
});

test('the row of a closed actor comes back as it was', (t) => {
  fc.assert(
    fc.property(key, closedRow, (key, row) => {
      t.deepEqual(decodeClosedRow(key, encodeClosedRow(key, row)), { ok: true, row });
    }),
  );
});

test('a vector row comes back as it was', (t) => {
  fc.assert(
    fc.property(key, vectorRow, (key, row) => {
      t.deepEqual(decodeVectorRow(key, encodeVectorRow(key, row)), { ok: true, row });
    }),
  );
});

test('a log row comes back as it was', (t) => {
  fc.assert(
    fc.property(key, fc.nat(255), integer, (key, offset, more) => {
      const count = Math.min(offset + 1 + more, 2 ** 53 - 1);
      const bytes = encodeLogRow(key as RowKey, { offset, count });
      t.deepEqual(decodeLogRow('', bytes), {
        ok: true,
        row: { key: key as RowKey, offset, count },
      });
    }),
  );
});

for (const [name, { encoded, decode }] of Object.entries(codecs)) {
  test(`every flipped bit of a ${name} row is reported`, (t) => {
    fc.assert(
      fc.property(encoded, ({ key, bytes }) => {
        for (let bit = 0; bit < bytes.length * 8; bit++) {
          const flipped = bytes.slice();
          flipped[bit >> 3]! ^= 1 << (bit & 7);
          if (decode(key, flipped).ok) throw new Error(`bit ${bit} was not noticed`);
        }
      }),
      { numRuns: 20 },
    );
    t.pass();
  });

  test(`a ${name} row that was cut short is reported`, (t) => {
    fc.assert(
      fc.property(encoded, ({ key, bytes }) => {
        for (let length = 0; length < bytes.length; length++) {
          if (decode(key, bytes.subarray(0, length)).ok) throw new Error(`cut at ${length}`);
        }
      }),
      { numRuns: 50 },
    );
    t.deepEqual(decode('key', new Uint8Array(0)), { ok: false, error: 'truncated' });
  });

  test(`random bytes with a right checksum never throw as a ${name} row`, (t) => {
    fc.assert(
      fc.property(key, fc.uint8Array({ minLength: 2, maxLength: 80 }), (key, body) => {
        body[0] = 1;
        const bytes = new Uint8Array(body.length + 4);
        bytes.set(body);
        const seed = name === 'log' ? 0 : crc32Text(key);
        new DataView(bytes.buffer).setUint32(body.length, crc32(body, seed), true);
        const decoded = decode(key, bytes);
        if (!decoded.ok && decoded.error !== 'format') throw new Error(decoded.error);
        decode(key, body);
      }),
      { numRuns: 2_000 },
    );
    t.pass();
  });
}

test('a row under another key is reported', (t) => {
  fc.assert(
    fc.property(fc.tuple(key, key), row, vectorRow, ([one, other], row, vector) => {
      fc.pre(one !== other);
      t.deepEqual(decodeRow(other, encodeRow(one, row)), { ok: false, error: 'checksum' });
      t.false(decodeVectorRow(other, encodeVectorRow(one, vector)).ok);
    }),
  );
});

test('a decoded value keeps nothing of the buffer that it came from', (t) => {
  const value = new Uint8Array([1, 2, 3]);
  const row = [{ actor: '00000000000000ff', counter: 1, hlc: 1, tag: 0, context: [], value }];
  const bytes = Buffer.from(encodeRow('k', row as unknown as Row));
  const decoded = decodeRow('k', bytes);
  encodeRow('k', []);
  bytes.fill(0);
  t.deepEqual(decoded, { ok: true, row: row as unknown as Row });
});

test('a huge row does not keep its buffer, and a number that is none is refused', (t) => {
  const entry = { actor: '00000000000000ff', counter: 1, hlc: 1, tag: 0, context: [] };
  const huge = [{ ...entry, value: new Uint8Array(1 << 20).fill(7) }] as unknown as Row;
  t.deepEqual(decodeRow('k', encodeRow('k', huge)), { ok: true, row: huge });
  for (const wrong of [-1, 0.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY]) {
    const row = [{ ...entry, value: new Uint8Array(0), counter: wrong }] as unknown as Row;
    t.throws(() => encodeRow('k', row), { instanceOf: RangeError });
    const late = [{ ...entry, value: new Uint8Array(0), hlc: wrong }] as unknown as Row;
    t.throws(() => encodeRow('k', late), { instanceOf: RangeError });
  }
});
