import test from 'ava';
import * as fc from 'fast-check';
import { contextCovers } from '../../src/core/context.ts';
import type { DotRange } from '../../src/core/dot.ts';
import { rangesOf, VersionVector } from '../../src/core/version-vector.ts';
import { ACTORS, actor } from './arbitraries.ts';

const SHARDS = [0, 7, 15];
const COUNTER_MAX = 24;
const range: fc.Arbitrary<DotRange> = fc
  .tuple(actor, fc.constantFrom(...SHARDS), fc.integer({ min: 1, max: 20 }), fc.nat(4))
  .map(([actor, shard, from, length]) => ({ actor, shard, from, to: from + length }));
const ranges = fc.array(range, { maxLength: 30 });

/** A set of dots: slow, and right by its looks. */
class Twin {
  readonly dots = new Set<string>();

  static name(actor: string, shard: number, counter: number): string {
    return `${actor}/${shard}/${String(counter).padStart(3, '0')}`;
  }

  add({ actor, shard, from, to }: DotRange): void {
    for (let counter = from; counter <= to; counter++) {
      this.dots.add(Twin.name(actor, shard, counter));
    }
  }

  has(actor: string, shard: number, counter: number): boolean {
    return this.dots.has(Twin.name(actor, shard, counter));
  }

  /** Intervals that do not start at 1. */
  intervals(actor: string, shard: number): number {
    let count = 0;
    for (let c = 2; c <= COUNTER_MAX + 1; c++) {
      if (this.has(actor, shard, c) && !this.has(actor, shard, c - 1)) count++;
    }
    return count;
  }
}

function dotsOf(ranges: Iterable<DotRange>): string[] {
  const twin = new Twin();
  for (const range of ranges) twin.add(range);
  return [...twin.dots].sort();
}

function dotsIn(vector: VersionVector): string[] {
  return dotsOf([...vector.rows()].flatMap(rangesOf));
}

test('a vector answers as a set of dots does', (t) => {
  fc.assert(
    fc.property(ranges, range, (added, asked) => {
      const vector = new VersionVector();
      const twin = new Twin();
      for (const one of added) {
        t.true(vector.add(one));
        twin.add(one);
      }
      t.deepEqual(dotsIn(vector), [...twin.dots].sort());
      for (const actor of ACTORS) {
        for (const shard of SHARDS) {
          let highest = 0;
          for (let counter = 1; counter <= COUNTER_MAX; counter++) {
            t.is(vector.covers(actor, shard, counter), twin.has(actor, shard, counter));
            if (twin.has(actor, shard, counter)) highest = counter;
          }
          t.is(vector.highest(actor, shard), highest);
        }
      }
      t.is(
        vector.coversRange(asked),
        dotsOf([asked]).every((name) => twin.dots.has(name)),
      );
      t.false(vector.covers(ACTORS[0]!, 3, 1));
    }),
  );
});

test('intervals are sorted, apart from each other and from the base', (t) => {
  fc.assert(
    fc.property(ranges, (added) => {
      const vector = new VersionVector();
      for (const one of added) vector.add(one);
      for (const { base, above } of vector.rows()) {
        t.is(above.length % 2, 0);
        let last = base;
        for (let i = 0; i < above.length; i += 2) {
          t.true(last + 1 < above[i]! && above[i]! <= above[i + 1]!);
          last = above[i + 1]!;
        }
      }
    }),
  );
});

test('a range that needs an interval past the limit is refused and changes nothing', (t) => {
  fc.assert(
    fc.property(ranges, fc.integer({ min: 1, max: 3 }), (added, intervalsMax) => {
      const vector = new VersionVector(intervalsMax);
      const twin = new Twin();
      for (const one of added) {
        const next = new Twin();
        for (const name of twin.dots) next.dots.add(name);
        next.add(one);
        const fits = next.intervals(one.actor, one.shard) <= intervalsMax;
        const [hash, before] = [vector.hash(), dotsIn(vector)];
        t.is(vector.add(one), fits);
        if (fits) twin.add(one);
        else t.deepEqual([vector.hash(), dotsIn(vector)], [hash, before]);
      }
      t.deepEqual(dotsIn(vector), [...twin.dots].sort());
    }),
  );
});

test('a lone limit of intervals always takes the lowest gap', (t) => {
  const vector = new VersionVector(1);
  const [actor] = ACTORS as [(typeof ACTORS)[0]];
  t.true(vector.add({ actor, shard: 0, from: 5, to: 6 }));
  t.false(vector.add({ actor, shard: 0, from: 9, to: 9 }));
  t.true(vector.add({ actor, shard: 0, from: 1, to: 3 }));
  t.true(vector.add({ actor, shard: 0, from: 4, to: 4 }));
  t.deepEqual(vector.clock(actor, 0), { base: 6, above: [] });
  t.true(vector.add({ actor, shard: 0, from: 9, to: 9 }));
});

test('missing: what the other has and this one has not', (t) => {
  fc.assert(
    fc.property(ranges, ranges, (mine, theirs) => {
      const [vector, other] = [new VersionVector(), new VersionVector()];
      for (const one of mine) vector.add(one);
      for (const one of theirs) other.add(one);
      const missing = vector.missing(other.rows());
      const held = new Set(dotsIn(vector));
      t.deepEqual(
        dotsOf(missing),
        dotsIn(other).filter((name) => !held.has(name)),
      );
      const last = new Map<string, number>();
      for (const { actor, shard, from, to } of missing) {
        t.true(from <= to && from > (last.get(actor + shard) ?? 0));
        last.set(actor + shard, to);
      }
      for (const one of missing) vector.add(one);
      t.deepEqual(vector.missing(other.rows()), []);
    }),
  );
});

test('equal vectors have equal hashes in whatever order they were filled, others differ', (t) => {
  fc.assert(
    fc.property(ranges, ranges, (some, others) => {
      const [a, b, c] = [new VersionVector(), new VersionVector(), new VersionVector()];
      for (const one of some) a.add(one);
      for (const one of [...some].reverse()) b.add(one);
      for (const one of others) c.add(one);
      t.is(a.hash(), b.hash());
      t.is(a.hash() === c.hash(), dotsIn(a).join() === dotsIn(c).join());
    }),
    { numRuns: 300 },
  );
  t.is(new VersionVector().hash(), 0);
});

test('a clone is equal and apart', (t) => {
  fc.assert(
    fc.property(ranges, range, (added, more) => {
      const vector = new VersionVector();
      for (const one of added) vector.add(one);
      const before = dotsIn(vector);
      const clone = vector.clone();
      t.deepEqual(dotsIn(clone), before);
      t.is(clone.hash(), vector.hash());
      clone.add(more);
      t.deepEqual(dotsIn(vector), before);
    }),
  );
});

test('rows read back make the same vector', (t) => {
  fc.assert(
    fc.property(ranges, (added) => {
      const [vector, again] = [new VersionVector(), new VersionVector()];
      for (const one of added) vector.add(one);
      again.addAll([...vector.rows()].reverse());
      t.is(again.hash(), vector.hash());
      t.deepEqual(dotsIn(again), dotsIn(vector));
    }),
  );
});

test('the context of a shard covers what the vector covers there', (t) => {
  fc.assert(
    fc.property(ranges, (added) => {
      const vector = new VersionVector();
      for (const one of added) vector.add(one);
      for (const shard of SHARDS) {
        const context = vector.contextOf(shard);
        for (const actor of ACTORS) {
          for (let c = 1; c <= COUNTER_MAX; c++) {
            t.is(contextCovers(context, actor, c), vector.covers(actor, shard, c));
          }
        }
      }
    }),
    { numRuns: 50 },
  );
});

test('closing actors changes nothing of what a vector answers, before and after more comes', (t) => {
  const steps = fc.array(
    fc.oneof(
      range.map((one) => ({ add: one, close: undefined })),
      actor.map((one) => ({ add: undefined, close: one })),
    ),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(steps, ranges, (taken, asked) => {
      const plain = new VersionVector();
      const closing = new VersionVector();
      for (const { add, close } of taken) {
        if (add) {
          plain.add(add);
          closing.add(add);
          continue;
        }
        const entry = closing.finalsOf(close);
        if (entry) closing.close(entry);
      }
      t.deepEqual(dotsIn(closing), dotsIn(plain));
      t.is(closing.hash(), plain.hash());
      t.is(closing.clone().hash(), plain.hash());
      t.deepEqual(closing.clone().closedDigest(), closing.closedDigest());
      const other = new VersionVector();
      for (const one of asked) other.add(one);
      t.deepEqual(dotsOf(closing.missing(other.rows())), dotsOf(plain.missing(other.rows())));
      t.deepEqual(dotsOf(other.missing(closing.rows())), dotsOf(other.missing(plain.rows())));
      for (const one of asked) {
        t.is(closing.coversRange(one), plain.coversRange(one));
        t.is(closing.highest(one.actor, one.shard), plain.highest(one.actor, one.shard));
      }
      for (const shard of SHARDS) t.deepEqual(closing.contextOf(shard), plain.contextOf(shard));
    }),
  );
});
