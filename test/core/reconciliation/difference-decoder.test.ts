import test from 'ava';
import * as fc from 'fast-check';
import type { ActorId } from '../../../src/core/ids.ts';
import {
  DifferenceDecoder,
  type DecoderState,
} from '../../../src/core/reconciliation/difference-decoder.ts';
import type { SetItem } from '../../../src/core/reconciliation/item.ts';
import {
  HASHED_ITEM_WORDS,
  reconciliationKey,
  writeItem,
} from '../../../src/core/reconciliation/item-hash.ts';
import { decodeSymbols, encodeSymbols } from '../../../src/core/reconciliation/symbol-codec.ts';
import { SYMBOLS_MAX, SymbolTable } from '../../../src/core/reconciliation/symbol-table.ts';

const key = reconciliationKey('test');
const shard = 3;
const words = new Int32Array(HASHED_ITEM_WORDS);

interface Side {
  readonly table: SymbolTable;
  readonly items: Map<string, SetItem>;
}

function side(items: Iterable<SetItem>, from = key): Side {
  const made: Side = { table: new SymbolTable(), items: new Map() };
  for (const item of items) {
    made.items.set(nameOf(item), item);
    toggle(made.table, item, { sign: 1, key: from });
  }
  return made;
}

function toggle(table: SymbolTable, item: SetItem, by: { sign: number; key?: typeof key }): void {
  writeItem(words, item, { shard, key: by.key ?? key });
  table.toggle(words, by.sign);
}

function nameOf({ actor, counter, content }: SetItem): string {
  return `${actor}:${counter}:${content}`;
}

function itemOf(counter: number, content = counter * 77): SetItem {
  return { actor: '0123456789abcdef' as ActorId, counter, content };
}

function decoderOf(a: Side, b: Side, symbolsMax?: number): DifferenceDecoder {
  const counts = { ourCount: a.items.size, theirCount: b.items.size };
  return new DifferenceDecoder({ key, shard, ...counts, symbolsMax });
}

function feed(decoder: DifferenceDecoder, a: Side, b: Side): number {
  let bytes = 0;
  while (decoder.state === 'incomplete') {
    const [from, to] = [decoder.received, decoder.wanted()];
    const theirs = encodeSymbols(b.table.words, to, { from, items: b.items.size });
    bytes += theirs.length;
    decoder.add(encodeSymbols(a.table.words, to, { from, items: a.items.size }), theirs);
  }
  return bytes;
}

/** The dumb twin. */
function minus(a: Side, b: Side): string[] {
  return [...a.items.keys()].filter((name) => !b.items.has(name)).sort();
}

const item = fc.record({
  actor: fc.constantFrom('0'.repeat(16) as ActorId, 'f'.repeat(16) as ActorId),
  counter: fc.integer({ min: 1, max: 200 }),
  content: fc.constantFrom(0, 1, 2 ** 48 - 1),
});

test('what peels is the difference of the sets, whatever they hold in common', (t) => {
  const items = fc.array(item, { maxLength: 120 });
  fc.assert(
    fc.property(items, items, items, (ours, theirs, common) => {
      const [a, b] = [side(unique([...ours, ...common])), side(unique([...theirs, ...common]))];
      const decoder = decoderOf(a, b);
      feed(decoder, a, b);
      t.is(decoder.state, 'complete');
      t.deepEqual(decoder.ours().map(nameOf).sort(), minus(a, b));
      t.deepEqual(decoder.theirs().map(nameOf).sort(), minus(b, a));
    }),
  );
});

test('a table to which items came and went is the table of those that stayed', (t) => {
  fc.assert(
    fc.property(
      fc.array(item, { maxLength: 60 }),
      fc.array(item, { maxLength: 60 }),
      (one, two) => {
        const table = side(unique(one)).table;
        for (const gone of unique(two)) toggle(table, gone, { sign: 1 });
        for (const gone of unique(two)) toggle(table, gone, { sign: -1 });
        t.true(table.equals(side(unique(one)).table));
      },
    ),
  );
});

test('symbols may come in any portions', (t) => {
  const [a, b] = [side(range(1, 300)), side(range(40, 330))];
  const whole = decoderOf(a, b);
  feed(whole, a, b);
  const single = decoderOf(a, b);
  while (single.state === 'incomplete') {
    const [from, to] = [single.received, single.received + 1];
    single.add(
      encodeSymbols(a.table.words, to, { from, items: a.items.size }),
      encodeSymbols(b.table.words, to, { from, items: b.items.size }),
    );
  }
  t.is(single.state, 'complete');
  t.true(single.received <= whole.received);
  t.deepEqual(single.ours().map(nameOf).sort(), whole.ours().map(nameOf).sort());
});

test('sets of wildly different size: an empty one, and one of more than symbols can tell', (t) => {
  const [full, empty] = [side(range(1, 1200)), side([])];
  const decoder = decoderOf(full, empty);
  feed(decoder, full, empty);
  t.is(decoder.state, 'complete');
  t.is(decoder.ours().length, 1199);

  const large = side(range(1, 20_000));
  const exhausted = decoderOf(empty, large);
  feed(exhausted, empty, large);
  t.is(exhausted.state, 'exhausted');
  t.is(exhausted.received, SYMBOLS_MAX);
  t.true(exhausted.theirs().length < SYMBOLS_MAX);
  t.is(exhausted.add(new Uint8Array(0), new Uint8Array(0)), 'exhausted');
});

test('equal sets are known from one symbol', (t) => {
  const [a, b] = [side(range(1, 50)), side(range(1, 50))];
  const decoder = decoderOf(a, b);
  t.true(feed(decoder, a, b) <= 64);
  t.is(decoder.state, 'complete');
  t.deepEqual([...decoder.ours(), ...decoder.theirs()], []);
});

test('symbols under another key never give an item', (t) => {
  const other = reconciliationKey('another cluster');
  for (let d = 1; d <= 40; d++) {
    const [a, b] = [side([]), side(range(1, d + 1), other)];
    const decoder = decoderOf(a, b, 256);
    feed(decoder, a, b);
    t.is(decoder.state, 'exhausted');
    t.deepEqual([...decoder.ours(), ...decoder.theirs()], []);
  }
});

test('items of another shard, and items in symbols that are not theirs, are no items', (t) => {
  const [a, b] = [side([]), side([])];
  writeItem(words, itemOf(1), { shard: 4, key });
  b.table.toggle(words, 1);
  const foreign = decoderOf(a, b, 32);
  feed(foreign, a, b);
  t.is(foreign.state, 'exhausted');
  t.deepEqual(foreign.theirs(), []);

  // The right sums in a place where the item does not go.
  const c = side([itemOf(2)]);
  const free = Array.from({ length: 32 }, (_, i) => i).find((i) => c.table.words[8 * i + 7] === 0)!;
  const misplaced = side([]);
  misplaced.table.words.set(c.table.words.subarray(0, 8), 8 * free);
  const decoder = decoderOf(a, misplaced);
  const bytes = (table: SymbolTable) => encodeSymbols(table.words, 32, { from: 0, items: 0 });
  t.is(decoder.add(bytes(a.table), bytes(misplaced.table)), 'corrupt');
  t.deepEqual(decoder.theirs(), []);
});

test('corrupt symbols never give a false item and always end', (t) => {
  const [a, b] = [side(range(1, 60)), side(range(30, 90))];
  const real = new Set([...minus(a, b), ...minus(b, a)]);
  const flips = fc.array(fc.tuple(fc.nat(128 * 8 - 1), fc.nat(31)), {
    minLength: 1,
    maxLength: 20,
  });
  const states = new Set<DecoderState>();
  fc.assert(
    fc.property(flips, (flipped) => {
      const spoilt: Side = { table: b.table.copy(), items: b.items };
      for (const [word, bit] of flipped) spoilt.table.words[word]! ^= 1 << bit;
      const decoder = decoderOf(a, spoilt, 512);
      feed(decoder, a, spoilt);
      states.add(decoder.state);
      for (const found of [...decoder.ours(), ...decoder.theirs()]) t.true(real.has(nameOf(found)));
    }),
  );
  t.true(states.has('corrupt') || states.has('exhausted'));
});

test('any bytes from a peer end in a state, with no more items than symbols', (t) => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 8 }), (portions) => {
      const decoder = new DifferenceDecoder({ key, shard, ourCount: 0, theirCount: 1e15 });
      for (const bytes of portions) decoder.add(bytes, bytes.slice().reverse());
      for (const bytes of portions) decoder.add(bytes, bytes);
      t.true(decoder.ours().length + decoder.theirs().length <= decoder.received);
    }),
  );
});

test('a stream that gives the same item for ever is refused', (t) => {
  const [a, b] = [side([]), side([itemOf(5)])];
  // Symbol 0 says that there is one more, every other symbol that there is not.
  const decoder = decoderOf(a, b);
  toggle(b.table, itemOf(5), { sign: 1 });
  b.table.words.set(side([itemOf(5)]).table.words.subarray(0, 8));
  feed(decoder, a, b);
  t.is(decoder.state, 'corrupt');
});

test('symbols on the wire come back, counts far from the expected ones too', (t) => {
  const counts = fc.array(fc.integer({ min: -(2 ** 29), max: 2 ** 29 }), { maxLength: 20 });
  fc.assert(
    fc.property(counts, fc.nat(1000), fc.nat(1e8), (values, from, items) => {
      const table = new SymbolTable();
      values.forEach((value, i) => (table.words[(from + i) * 8 + 7] = value));
      const to = from + values.length;
      const bytes = encodeSymbols(table.words, to, { from, items });
      const read = decodeSymbols(bytes, { from, items, symbolsMax: 2048 });
      t.deepEqual([...read!], [...table.words.subarray(from * 8, to * 8)]);
      if (values.length > 0) {
        t.is(decodeSymbols(bytes.subarray(0, -1), { from, items, symbolsMax: 2048 }), undefined);
        t.is(decodeSymbols(bytes, { from, items, symbolsMax: values.length - 1 }), undefined);
      }
    }),
  );
});

test('bytes follow the differences: 1 in 0.2 KB, 62 of 62,500 in 3.5 KB, 62 altered in 7 KB', (t) => {
  const common = range(1, 62_501);
  const a = side(common);
  const bytesOf = (change: (b: Side) => void): number => {
    const b: Side = { table: a.table.copy(), items: new Map(a.items) };
    change(b);
    const decoder = decoderOf(a, b);
    const bytes = feed(decoder, a, b);
    t.is(decoder.state, 'complete');
    return bytes;
  };
  const drop = (b: Side, counter: number): void => {
    b.items.delete(nameOf(itemOf(counter)));
    toggle(b.table, itemOf(counter), { sign: -1 });
  };
  t.true(bytesOf((b) => drop(b, 17)) <= 200);
  const sums = { missing: 0, altered: 0 };
  for (let run = 0; run < 10; run++) {
    const counters = Array.from({ length: 62 }, (_, i) => 1 + run * 100 + i);
    sums.missing += bytesOf((b) => counters.forEach((counter) => drop(b, counter)));
    sums.altered += bytesOf((b) => {
      for (const counter of counters) {
        drop(b, counter);
        const altered = itemOf(counter, 1);
        b.items.set(nameOf(altered), altered);
        toggle(b.table, altered, { sign: 1 });
      }
    });
  }
  t.true(sums.missing / 10 <= 3.5 * 1024, `missing: ${sums.missing / 10}`);
  t.true(sums.altered / 10 <= 7 * 1024, `altered: ${sums.altered / 10}`);
});

function range(from: number, to: number): SetItem[] {
  return Array.from({ length: to - from }, (_, i) => itemOf(from + i));
}

function unique(items: readonly SetItem[]): SetItem[] {
  return [...new Map(items.map((one) => [nameOf(one), one])).values()];
}
