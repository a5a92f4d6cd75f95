import test from 'ava';
import fc from 'fast-check';
import { contextOfRanges, uniteContexts, type Context } from '../../src/core/context.ts';
import type { ActorId } from '../../src/core/ids.ts';
import { remove } from '../../src/core/operation.ts';
import { shardOf, SHARDS } from '../../src/core/placement.ts';
import { subscriptionKey } from '../../src/core/row-key.ts';
import { VersionVector, type ClosedActor } from '../../src/core/version-vector.ts';
import { ClosedContexts } from '../../src/storage/closed-contexts.ts';
import { closedKey } from '../../src/storage/layout.ts';
import { restoreFromAside } from '../../src/storage/rebuild.ts';
import { ReplicatedStore } from '../../src/storage/replica.ts';
import { decodeRow, encodeRow } from '../../src/storage/row-codec.ts';
import { group, uid } from '../support/ids.ts';
import { openReplica as open } from '../support/replica.ts';

const channel = group('g');
const shard = shardOf(channel);
const key = subscriptionKey(channel, uid('u'));

const actorOf = (n: number): ActorId => n.toString(16).padStart(16, '0') as ActorId;
const finals = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: SHARDS, maxLength: SHARDS });
const table = fc
  .uniqueArray(fc.integer({ min: 0, max: 40 }), { maxLength: 24, size: 'max' })
  .chain((actors) =>
    fc.tuple(...actors.map((n) => finals.map((all) => ({ actor: actorOf(n), finals: all })))),
  );
const spans = fc.array(
  fc.record({
    actor: fc.integer({ min: 0, max: 40 }).map(actorOf),
    shard: fc.constant(0),
    from: fc.integer({ min: 1, max: 6 }),
    to: fc.integer({ min: 6, max: 9 }),
  }),
  { maxLength: 8 },
);

function rowOf(context: Context) {
  return [{ actor: actorOf(99), counter: 1, hlc: 5, tag: 255, context, value: new Uint8Array(0) }];
}

/** Of the first `count` closed actors all, and something besides. */
function contextOf(closed: readonly ClosedActor[], at: number): Context {
  const ranges = closed.flatMap(({ actor, finals: all }) =>
    all[at]! > 0 ? [{ actor, shard: at, from: 1, to: all[at]! }] : [],
  );
  return contextOfRanges(ranges);
}

test('a context is read as it was written, by any table, and after the table has grown', (t) => {
  let split = 0;
  fc.assert(
    fc.property(
      fc.record({
        closed: table,
        at: fc.nat({ max: SHARDS - 1 }),
        others: spans,
        first: fc.nat(),
        known: fc.nat(),
      }),
      ({ closed, at, others, first, known }) => {
        const place = `s${at.toString(16)}rest`;
        const context = uniteContexts(
          contextOf(closed.slice(0, closed.length === 0 ? 0 : first % (closed.length + 1)), at),
          contextOfRanges(others),
        );
        const some = closed.slice(0, closed.length === 0 ? 0 : known % (closed.length + 1));
        const contexts = new ClosedContexts(some);
        const bytes = encodeRow(place, rowOf(context), contexts);
        if (bytes[0] === 2) split += 1;
        t.deepEqual(decodeRow(place, bytes, contexts), { ok: true, row: rowOf(context) });
        for (const [order, entry] of closed.entries()) {
          if (order >= some.length) contexts.add(entry, order);
        }
        t.deepEqual(decodeRow(place, bytes, contexts), { ok: true, row: rowOf(context) });
        t.deepEqual(decodeRow(place, encodeRow(place, rowOf(context))), {
          ok: true,
          row: rowOf(context),
        });
      },
    ),
    { numRuns: 1_000 },
  );
  t.true(split > 100, `${split} contexts were split`);
});

test('another table, a shorter one and none read no context instead of a wrong one', (t) => {
  const closed = Array.from({ length: 8 }, (_, n) => ({
    actor: actorOf(n),
    finals: Array.from({ length: SHARDS }, () => n + 1),
  }));
  const place = 's0rest';
  const bytes = encodeRow(place, rowOf(contextOf(closed, 0)), new ClosedContexts(closed));
  t.is(bytes[0], 2);
  const swapped = [closed[1]!, closed[0]!, ...closed.slice(2)];
  for (const other of [closed.slice(0, 7), swapped, [undefined, ...closed.slice(1)], []]) {
    const contexts = new ClosedContexts(other);
    t.deepEqual(decodeRow(place, bytes, contexts), { ok: false, error: 'closed' });
  }
  t.deepEqual(decodeRow(place, bytes), { ok: false, error: 'closed' });
});

function settle(replica: ReplicatedStore): Promise<void> {
  return new Promise((resolve) => {
    replica.cover([], resolve);
  });
}

async function withEnded(count: number) {
  const opened = await open();
  const { replica } = opened;
  for (let n = 0; n < count; n++) {
    replica.cover(
      Array.from({ length: SHARDS }, (_, at) => {
        return { actor: actorOf(n * 7919), shard: at, from: 1, to: 1 + ((n + at) % 200) };
      }),
    );
  }
  await settle(replica);
  return {
    ...opened,
    close: () =>
      replica
        .closedActors()
        .openActors()
        .map((a) => replica.close(a)),
  };
}

test('after 600 ended actors a removal is short on disk, and read again by whoever opens the store', async (t) => {
  const { location, store, replica, close } = await withEnded(600);
  replica.submit(shard, [remove(key, [], replica.seen(shard))]);
  const explicit = store.get(key)!.length;
  close();
  replica.submit(shard, [remove(key, replica.read(key), replica.seen(shard))]);
  const row = replica.read(key);
  t.is(row.at(-1)!.context.length, 601);
  const short = store.get(key)!.length;
  t.log(`${explicit} bytes before, ${short} after`);
  t.true(explicit > 6_000 && short < 120);
  await settle(replica);
  t.deepEqual((await replica.rows(shard, undefined, 1 << 20)).rows, [[key, row]]);
  await store.close();
  const aside = await open(location);
  t.deepEqual(aside.replica.read(key), row);
  // A store that was set aside is read by its own table.
  const fresh = (await open()).replica;
  await restoreFromAside({ aside: aside.store, replica: fresh });
  t.deepEqual(fresh.read(key), row);
});

test('a place in the order is not given twice, also where the row of the last one is damaged', async (t) => {
  const { location, store, replica, close } = await withEnded(6);
  close();
  replica.submit(shard, [remove(key, [], replica.seen(shard))]);
  await settle(replica);
  const last = replica.closedActors().closedLog().at(-1)!;
  await store.close();
  t.true(location.flipBit(closedKey(last.actor), 90));
  const again = (await open(location)).replica;
  t.deepEqual(again.read(key), [], 'it counts on what cannot be read, and peers are asked');
  const ended = actorOf(12345);
  again.cover([{ actor: ended, shard, from: 1, to: 3 }]);
  await settle(again);
  t.true(again.close(ended));
  await settle(again);
  t.is(again.closedActors().closedLog().length, 7);
});

test('S2-3 a damaged row of a closed actor claims nothing of it; what counts on it comes back from a peer', async (t) => {
  const { location, store, replica, close } = await withEnded(600);
  close();
  replica.submit(shard, [remove(key, [], replica.seen(shard))]);
  await settle(replica);
  const row = replica.read(key);
  const [first] = replica.closedActors().closedLog();
  const { actor, finals: all } = first!;
  const range = { actor, shard, from: 1, to: all[shard]! };
  await store.close();
  t.true(location.flipBit(closedKey(actor), 90));

  const { store: opened, replica: again } = await open(location);
  t.false(again.covers(range), 'so it is pulled again');
  t.true(again.covers({ ...range, actor: replica.closedActors().closedLog()[1]!.actor }));
  const damaged: string[] = [];
  again.addListener({
    onSubmitted: () => {},
    onDurable: () => {},
    onDamaged: (name) => void damaged.push(name),
  });
  t.deepEqual(again.read(key), []);
  t.deepEqual(damaged, [key], 'peers are asked for it');
  again.mergeRows([[key, row]]);
  again.cover([range]);
  await settle(again);
  t.deepEqual(again.read(key), row);
  await opened.close();
  const last = (await open(location)).replica;
  t.deepEqual(last.read(key), row, 'and stays readable without the entry');
  t.true(last.covers(range));
});

test('the context of a removal is the whole vector, whatever of it is closed', (t) => {
  fc.assert(
    fc.property(
      table,
      spans,
      fc.array(fc.nat({ max: 40 }), { maxLength: 20 }),
      (all, more, some) => {
        const vector = new VersionVector();
        const twin = new VersionVector();
        const add = (range: Parameters<VersionVector['add']>[0]): void => {
          vector.add(range);
          twin.add(range);
        };
        for (const { actor, finals: to } of all) {
          to.forEach((base, at) => base > 0 && add({ actor, shard: at, from: 1, to: base }));
        }
        vector.contextOf(0);
        for (const n of some) {
          const closed = vector.finalsOf(actorOf(n));
          if (closed) vector.close(closed);
          t.deepEqual(vector.contextOf(0), twin.contextOf(0));
        }
        for (const range of more) {
          add(range);
          t.deepEqual(vector.contextOf(0), twin.contextOf(0));
        }
      },
    ),
  );
});
