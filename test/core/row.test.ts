import test from 'ava';
import * as fc from 'fast-check';
import { EMPTY_CONTEXT } from '../../src/core/context.ts';
import type { ActorId } from '../../src/core/ids.ts';
import {
  EMPTY_ROW,
  hasDot,
  isLive,
  liveEntries,
  mergeRows,
  RECALL,
  REMOVAL,
  type Entry,
  type MergePolicy,
  type Row,
} from '../../src/core/row.ts';
import { ACTORS, rowsOf } from './arbitraries.ts';

const POLICIES: MergePolicy[] = ['observed', 'last', 'once', 'all', 'peaks'];
const [A, B] = ACTORS as [ActorId, ActorId];

function entry(part: Partial<Entry>): Entry {
  const empty = { hlc: 0, tag: 0, context: EMPTY_CONTEXT, value: new Uint8Array(0) };
  return { actor: A, counter: 1, ...empty, ...part };
}

for (const policy of POLICIES) {
  test(`${policy}: merging is commutative, and stable on what is merged already`, (t) => {
    fc.assert(
      fc.property(rowsOf(2), ([a, b]) => {
        const merged = mergeRows(policy, a!, b!);
        t.deepEqual(mergeRows(policy, b!, a!), merged);
        t.deepEqual(mergeRows(policy, merged, merged), merged);
        const alone = mergeRows(policy, a!, EMPTY_ROW);
        t.deepEqual(mergeRows(policy, alone, a!), alone);
      }),
    );
  });

  test(`${policy}: a merged row is sorted by dot, holds none twice and none of its own making`, (t) => {
    fc.assert(
      fc.property(rowsOf(2), ([a, b]) => {
        const merged = mergeRows(policy, a!, b!);
        const names = merged.map((e) => `${e.actor}:${String(e.counter).padStart(3, '0')}`);
        t.deepEqual(names, [...new Set(names)].sort());
        for (const e of merged)
          t.true(hasDot(a!, e.actor, e.counter) || hasDot(b!, e.actor, e.counter));
        if (policy !== 'observed') t.is(merged.length === 0, a!.length + b!.length === 0);
      }),
    );
  });
}

for (const policy of ['last', 'once', 'all', 'peaks'] as const) {
  test(`${policy}: merging is associative for any rows`, (t) => {
    fc.assert(
      fc.property(rowsOf(3), ([a, b, c]) => {
        const left = mergeRows(policy, mergeRows(policy, a!, b!), c!);
        t.deepEqual(mergeRows(policy, a!, mergeRows(policy, b!, c!)), left);
      }),
    );
  });
}

test('observed: what a context covers goes, what is concurrent stays', (t) => {
  const first = entry({ counter: 1 });
  const second = entry({ counter: 2, context: [{ actor: A, from: 1, to: 1 }] });
  const concurrent = entry({ actor: B, counter: 1 });
  t.deepEqual(mergeRows('observed', [first], [second]), [second]);
  t.deepEqual(mergeRows('observed', [second], [concurrent]), [second, concurrent]);
  const removal = entry({ counter: 3, tag: REMOVAL, context: [{ actor: A, from: 1, to: 2 }] });
  t.deepEqual(mergeRows('observed', [second, concurrent], [removal]), [removal, concurrent]);
  t.deepEqual(mergeRows('observed', [removal], [first]), [removal]);
});

test('observed: a put does not take away evidence, and lesser evidence yields to greater', (t) => {
  const removal = entry({ counter: 3, tag: REMOVAL, context: [{ actor: A, from: 1, to: 2 }] });
  const put = entry({ counter: 4, context: [{ actor: A, from: 1, to: 3 }] });
  t.deepEqual(mergeRows('observed', [removal], [put]), [removal, put]);
  const narrow = entry({ counter: 5, tag: REMOVAL, context: [{ actor: A, from: 3, to: 4 }] });
  // The put stays, hidden: what it had seen may still come, and nothing else keeps it out.
  t.deepEqual(mergeRows('observed', [removal, put], [narrow]), [removal, put, narrow]);
  t.false(isLive([removal, put, narrow]));
  const wide = entry({ counter: 5, tag: REMOVAL, context: [{ actor: A, from: 1, to: 4 }] });
  t.deepEqual(mergeRows('observed', [removal, put], [wide]), [wide]);
});

test('last: the later writer wins, a tie goes to the higher actor', (t) => {
  const early = entry({ actor: B, hlc: 1 });
  const late = entry({ actor: A, hlc: 2 });
  t.deepEqual(mergeRows('last', [early], [late]), [late]);
  const tie = entry({ actor: B, hlc: 2 });
  t.deepEqual(mergeRows('last', [late], [tie]), [tie]);
});

test('once: the first write stays, and a recall wins over it whenever it comes', (t) => {
  const first = entry({ actor: B, hlc: 1 });
  const again = entry({ actor: A, hlc: 2 });
  const recall = entry({ actor: A, counter: 9, hlc: 9, tag: RECALL });
  t.deepEqual(mergeRows('once', [first], [again]), [first]);
  t.deepEqual(mergeRows('once', [first], [recall]), [recall]);
  t.deepEqual(mergeRows('once', [recall], [first]), [recall]);
});

test('a row is live while it has an entry that is no removal', (t) => {
  const put = entry({ counter: 2 });
  const removal = entry({ tag: REMOVAL });
  const rows: [Row, Row][] = [
    [[], []],
    [[removal], []],
    [[removal, put], [put]],
    [[put], [put]],
  ];
  for (const [row, live] of rows) {
    t.is(isLive(row), live.length > 0);
    t.deepEqual(liveEntries(row), live);
  }
});
