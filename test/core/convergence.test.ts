import test from 'ava';
import * as fc from 'fast-check';
import { contextCovers } from '../../src/core/context.ts';
import {
  entryOf,
  remove,
  removeSeen,
  replace,
  type Draft,
  type Operation,
} from '../../src/core/operation.ts';
import { EMPTY_ROW, isLive, mergeRows, type Entry, type Row } from '../../src/core/row.ts';
import type { RowKey } from '../../src/core/row-key.ts';
import { VersionVector } from '../../src/core/version-vector.ts';
import { ACTORS } from './arbitraries.ts';

/**
 * Replicas that write one row as the authors of writes do, and hand their writes to each other in any
 * order, late, and more than once.
 */
type Step =
  | {
      readonly do: 'put' | 'remove' | 'removeSeen' | 'merge';
      readonly at: number;
      readonly by: number;
    }
  | { readonly do: 'deliver'; readonly at: number; readonly by: number };

const step: fc.Arbitrary<Step> = fc.record({
  do: fc.constantFrom(
    'put',
    'put',
    'remove',
    'removeSeen',
    'deliver',
    'deliver',
    'deliver',
    'merge',
  ),
  at: fc.nat(2),
  by: fc.nat(50),
});
const history = fc.array(step, { maxLength: 30 });
const KEY = 's0\u0001c\u0001u' as RowKey;

class Replica {
  row: Row = EMPTY_ROW;
  readonly vector = new VersionVector();

  apply(operation: Operation): void {
    const { actor, shard, first, count } = operation;
    if (this.vector.covers(actor, shard, first)) return;
    this.vector.add({ actor, shard, from: first, to: first + count - 1 });
    for (const write of operation.writes) {
      this.row = mergeRows('observed', this.row, [entryOf(operation, write)]);
    }
  }
}

interface Played {
  readonly replicas: readonly Replica[];
  readonly operations: readonly Operation[];
  /** The rows as they were on the way. */
  readonly rows: readonly Row[];
}

function play(steps: readonly Step[]): Played {
  const replicas = ACTORS.map(() => new Replica());
  const operations: Operation[] = [];
  const rows: Row[] = [];
  for (const { do: what, at, by } of steps) {
    const replica = replicas[at]!;
    if (what === 'deliver') {
      if (operations.length > 0) replica.apply(operations[by % operations.length]!);
    } else if (what === 'merge') {
      // A snapshot: the row alone, its vector comes later.
      replica.row = mergeRows('observed', replica.row, replicas[by % 3]!.row);
    } else {
      const actor = ACTORS[at]!;
      const write = { offset: 0, ...draft(what, replica) };
      const first = replica.vector.highest(actor, 0) + 1;
      const operation = { actor, shard: 0, first, count: 1, hlc: by, writes: [write] };
      operations.push(operation);
      replica.apply(operation);
    }
    rows.push(replica.row);
  }
  return { replicas, operations, rows };
}

function draft(what: 'put' | 'remove' | 'removeSeen', replica: Replica): Draft {
  const seen = () => replica.vector.contextOf(0);
  if (what === 'remove') return remove(KEY, replica.row, seen());
  if (what === 'removeSeen') return removeSeen(KEY, replica.row);
  return replace(replica.row, { key: KEY, tag: 0, value: new Uint8Array(0) }, seen);
}

test('replicas that have the same writes have the same row, whatever order they came in', (t) => {
  fc.assert(
    fc.property(history, fc.infiniteStream(fc.nat()), (steps, chance) => {
      const { replicas, operations } = play(steps);
      for (const replica of replicas) {
        for (const operation of shuffled(operations, chance)) replica.apply(operation);
      }
      for (const replica of replicas) {
        t.deepEqual(replica.row, replicas[0]!.row);
        t.is(replica.vector.hash(), replicas[0]!.vector.hash());
      }
    }),
    { numRuns: 500 },
  );
});

test('merging rows of one history is associative', (t) => {
  fc.assert(
    fc.property(history, fc.tuple(fc.nat(), fc.nat(), fc.nat()), (steps, picks) => {
      const { rows } = play(steps);
      if (rows.length === 0) return;
      const [a, b, c] = picks.map((pick) => rows[pick % rows.length]!) as [Row, Row, Row];
      const left = mergeRows('observed', mergeRows('observed', a, b), c);
      t.deepEqual(mergeRows('observed', a, mergeRows('observed', b, c)), left);
    }),
    { numRuns: 1_000 },
  );
});

test('what converges is live exactly where some put is seen by no other write', (t) => {
  fc.assert(
    fc.property(history, (steps) => {
      const { operations } = play(steps);
      const fresh = new Replica();
      for (const operation of operations) fresh.apply(operation);
      const entries: Entry[] = operations.map((o) => entryOf(o, o.writes[0]!));
      const seen = (e: Entry) => entries.some((o) => contextCovers(o.context, e.actor, e.counter));
      t.is(
        isLive(fresh.row),
        entries.some((e) => e.tag === 0 && !seen(e)),
      );
    }),
    { numRuns: 500 },
  );
});

function shuffled<Item>(items: readonly Item[], chance: fc.Stream<number>): Item[] {
  const result: Item[] = [];
  for (const item of items) {
    result.splice(chance.next().value! % (result.length + 1), 0, item);
  }
  return result;
}
