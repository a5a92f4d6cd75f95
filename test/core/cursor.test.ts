import test from 'ava';
import * as fc from 'fast-check';
import {
  cursorOf,
  encodeHidden,
  encodeRead,
  encodeUnread,
  HIDDEN,
  READ,
  UNREAD,
} from '../../src/core/kinds/cursor.ts';
import { mergeRows, type Entry, type Row } from '../../src/core/row.ts';
import { ACTORS } from './arbitraries.ts';

const NOBODY = { read: undefined, hiddenTo: 0, override: undefined, hlc: 0 };

function entry(counter: number, tag: number, value: Uint8Array): Entry {
  return { actor: ACTORS[0]!, counter, hlc: counter, tag, context: [], value };
}

function merged(entries: readonly Entry[]): Row {
  return entries.reduce<Row>((row, each) => mergeRows('peaks', row, [each]), []);
}

const seq = fc.oneof(fc.nat(1000), fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }));

test('a read position comes back as it was written, whatever its size', (t) => {
  fc.assert(
    fc.property(seq, seq, fc.nat(0xffff_ffff), (at, from, count) => {
      const row = [entry(1, READ, encodeRead({ seq: at, from, count }))];
      t.deepEqual(cursorOf(row).read, { seq: at, from, count });
    }),
  );
});

test('positions only move up, in whatever order the writes of devices meet', (t) => {
  const kind = fc.constantFrom(READ, HIDDEN);
  fc.assert(
    fc.property(fc.array(fc.tuple(kind, seq), { minLength: 1, maxLength: 8 }), (writes) => {
      const entries = writes.map(([tag, at], index) => {
        const value = tag === READ ? encodeRead({ seq: at, from: 0, count: 0 }) : encodeHidden(at);
        return entry(index + 1, tag, value);
      });
      const highest = (tag: number): number =>
        Math.max(0, ...writes.filter(([of]) => of === tag).map(([, at]) => at));
      for (const order of [entries, entries.toReversed()]) {
        const cursor = cursorOf(merged(order));
        t.is(cursor.read?.seq ?? 0, highest(READ));
        t.is(cursor.hiddenTo, highest(HIDDEN));
      }
    }),
  );
});

test('of two counts that were set at one message the last one holds, also where it takes back', (t) => {
  const [first, second] = [
    entry(1, UNREAD, encodeUnread({ seq: 9, unread: 3 })),
    entry(2, UNREAD, encodeUnread({ seq: 9, unread: undefined })),
  ];
  for (const order of [
    [first, second],
    [second, first],
  ]) {
    t.deepEqual(cursorOf(merged(order)).override, { seq: 9, unread: undefined });
  }
});

test('what is no cursor says nothing and throws nothing', (t) => {
  fc.assert(
    fc.property(fc.nat(255), fc.uint8Array({ maxLength: 30 }), (tag, value) => {
      const sizes = new Map([
        [READ, 20],
        [HIDDEN, 8],
        [UNREAD, 12],
      ]);
      if (sizes.get(tag) === value.length) return;
      t.deepEqual({ ...cursorOf([entry(0, tag, value)]) }, NOBODY);
    }),
  );
});
