import test from 'ava';
import fc from 'fast-check';
import {
  dotsIn,
  intersect,
  planPull,
  subtract,
  type PullQuestion,
} from '../../../../src/cluster/replication/pull/pull-plan.ts';
import type { DotRange } from '../../../../src/core/dot.ts';
import type { ActorId } from '../../../../src/core/ids.ts';

const A = 'a'.repeat(16) as ActorId;
const B = 'b'.repeat(16) as ActorId;
const range = (from: number, to: number, actor = A): DotRange => ({ actor, shard: 0, from, to });

const ask = (change: Partial<PullQuestion>): PullQuestion => ({
  missing: [],
  lost: () => true,
  deferred: new Map(),
  taken: [],
  nowMs: 1_000,
  deferMs: 900,
  rangesMax: 10,
  ...change,
});

test('what cannot be on its way is asked for at once', (t) => {
  const plan = planPull(ask({ missing: [range(5, 9), range(12, 12)] }));
  t.deepEqual(plan.ranges, [range(5, 9), range(12, 12)]);
  t.is(plan.behind, 6);
  t.is(plan.deferred.size, 0);
});

test('what a live stream may bring is asked for after it stayed missing, and only that', (t) => {
  const streamed = { lost: () => false };
  const first = planPull(ask({ ...streamed, missing: [range(5, 9)] }));
  t.deepEqual(first.ranges, []);
  const { deferred } = first;
  const early = planPull(ask({ ...streamed, missing: [range(8, 20)], deferred, nowMs: 1_500 }));
  t.deepEqual(early.ranges, []);
  const late = planPull(ask({ ...streamed, missing: [range(8, 20)], deferred, nowMs: 2_000 }));
  t.deepEqual(late.ranges, [range(8, 9)], 'counters above 9 were not missing then');
  const gone = planPull(ask({ ...streamed, missing: [], deferred, nowMs: 2_000 }));
  t.is(gone.deferred.size, 0);
});

test('several gaps of one actor are deferred together', (t) => {
  const lost = (actor: ActorId): boolean => actor === B;
  const missing = [range(1, 2), range(5, 6), range(1, 1, B)];
  const first = planPull(ask({ lost, missing }));
  t.deepEqual(first.ranges, [range(1, 1, B)]);
  const then = planPull(ask({ lost, missing, deferred: first.deferred, nowMs: 2_000 }));
  t.deepEqual(then.ranges, missing);
});

test('nothing is asked that is asked elsewhere, and never more ranges than allowed', (t) => {
  const missing = Array.from({ length: 50 }, (_, i) => range(i * 10, i * 10 + 5));
  const plan = planPull(ask({ missing, taken: [range(2, 3), range(10, 15)] }));
  t.is(plan.ranges.length, 10);
  t.deepEqual(plan.ranges.slice(0, 3), [range(0, 1), range(4, 5), range(20, 25)]);
});

const ranges = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 0, max: 8 })), {
    maxLength: 8,
  })
  .map((pairs) => pairs.map(([from, more]) => range(from, from + more)));
const dots = (list: readonly DotRange[]): number[] =>
  Array.from({ length: 60 }, (_, dot) => dot).filter((dot) =>
    list.some(({ from, to }) => from <= dot && dot <= to),
  );

test('subtract and intersect do what sets do', (t) => {
  fc.assert(
    fc.property(ranges, ranges, (left, right) => {
      const [has, cut] = [dots(left), dots(right)];
      const minus = left.flatMap((each) => subtract(each, right));
      t.deepEqual(
        dots(minus),
        has.filter((dot) => !cut.includes(dot)),
      );
      t.deepEqual(
        dots(intersect(left, right)),
        has.filter((dot) => cut.includes(dot)),
      );
    }),
  );
  t.is(dotsIn([range(1, 3), range(7, 7)]), 4);
});
