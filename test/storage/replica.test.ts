import test from 'ava';
import { EMPTY_CONTEXT } from '../../src/core/context.ts';
import {
  EMPTY_VALUE,
  remove,
  replace,
  type Draft,
  type Operation,
} from '../../src/core/operation.ts';
import { shardOf } from '../../src/core/placement.ts';
import { isLive } from '../../src/core/row.ts';
import { subscriptionKey, type RowKey } from '../../src/core/row-key.ts';
import { silentLog } from '../../src/observability/log.ts';
import { testRuntime } from '../support/runtime.ts';
import { MemoryStoreLocation } from '../../src/storage/memory-store.ts';
import type { Applied } from '../../src/storage/replica-port.ts';
import { ReplicatedStore } from '../../src/storage/replica.ts';
import { group, uid } from '../support/ids.ts';
import { openReplica as open, receive, submit } from '../support/replica.ts';

const channel = group('g');
const shard = shardOf(channel);
const key = (name: string): RowKey => subscriptionKey(channel, uid(name));

function put(name: string): Draft {
  return { key: key(name), tag: 0, context: EMPTY_CONTEXT, value: EMPTY_VALUE };
}

test('an operation is readable at once, told after it is on disk, and still there after a restart', async (t) => {
  const { location, store, replica } = await open();
  const told: Applied[] = [];
  replica.addListener({ onSubmitted: () => {}, onDurable: (applied) => void told.push(applied) });
  const written = submit(replica, [put('a'), put('b')]);
  t.true(isLive(replica.read(key('a'))));
  t.is(told.length, 0);
  t.is(replica.durableVector().length, 0);
  const operation = await written;
  t.is(told.length, 1);
  t.is(told[0]!.changes.length, 2);
  t.is(operation.first, 1);
  await store.close();

  const again = await open(location);
  t.not(again.replica.actor, replica.actor);
  t.is(again.replica.storeId, replica.storeId);
  t.true(again.replica.covers({ actor: replica.actor, shard, from: 1, to: 2 }));
  t.true(isLive(again.replica.read(key('b'))));
});

test('what a peer has is applied once, and what it removed stays removed in whatever order it comes', async (t) => {
  const a = (await open()).replica;
  const b = (await open()).replica;
  const subscribe = await submit(a, [put('u')]);
  const unsubscribe = await submit(a, [remove(key('u'), a.read(key('u')), a.seen(shard))]);
  await receive(b, unsubscribe);
  await receive(b, subscribe);
  await receive(b, subscribe);
  t.false(isLive(b.read(key('u'))));
  t.deepEqual(b.read(key('u')), a.read(key('u')));
  t.is(b.durableHash(), a.durableHash());
});

test('a concurrent subscribe survives an unsubscribe that has not seen it', async (t) => {
  const a = (await open()).replica;
  const b = (await open()).replica;
  await receive(b, await submit(a, [put('u')]));
  const unsubscribe = await submit(a, [remove(key('u'), a.read(key('u')), a.seen(shard))]);
  const row = b.read(key('u'));
  const resubscribe = await submit(b, [replace(row, put('u'), () => b.seen(shard))]);
  await receive(a, resubscribe);
  await receive(b, unsubscribe);
  t.true(isLive(a.read(key('u'))));
  t.deepEqual(a.read(key('u')), b.read(key('u')));
});

test('the log answers a range with what is still live and covers what was superseded', async (t) => {
  const { replica } = await open();
  await submit(replica, [put('a'), put('b')]);
  await submit(replica, [replace(replica.read(key('a')), put('a'), () => replica.seen(shard))]);
  const range = { actor: replica.actor, shard, from: 1, to: 3 };
  const answer = await replica.operations([range], 1 << 20);
  t.deepEqual(answer.covered, [range]);
  t.deepEqual(
    answer.operations.map(({ first, count, writes }) => [
      first,
      count,
      writes.map((w) => w.offset),
    ]),
    [
      [1, 2, [1]],
      [3, 1, [0]],
    ],
  );
  const other = (await open()).replica;
  for (const operation of answer.operations) await receive(other, operation);
  t.deepEqual(other.read(key('a')), replica.read(key('a')));
  t.deepEqual(other.read(key('b')), replica.read(key('b')));
});

test('a row that came back whole keeps nothing of its operation from who asks for it', async (t) => {
  const names = ['a', 'b', 'c'];
  for (const back of names) {
    const { replica } = await open();
    await submit(replica, names.map(put));
    const row = replica.read(key(back));
    replica.replaceRows([[key(back), []]]);
    replica.replaceRows([[key(back), row]]);
    const answer = await replica.operations(
      [{ actor: replica.actor, shard, from: 1, to: 3 }],
      1 << 20,
    );
    const other = (await open()).replica;
    for (const operation of answer.operations) {
      t.true(operation.writes.every(({ offset }) => offset < operation.count));
      await receive(other, operation);
    }
    for (const name of names) t.deepEqual(other.read(key(name)), replica.read(key(name)));
  }
});

test('F1 a row that was lost is never served as removed', async (t) => {
  const { location, replica } = await open();
  await submit(replica, [put('a')]);
  await submit(replica, [put('b')]);
  await submit(replica, [put('c')]);
  t.true(location.deleteBehindBack(key('b')));
  const { actor } = replica;
  const answer = await replica.operations([{ actor, shard, from: 1, to: 3 }], 1 << 20);
  t.deepEqual(answer.covered, [
    { actor, shard, from: 1, to: 1 },
    { actor, shard, from: 3, to: 3 },
  ]);
});

test('a damaged row is reported, reads as absent and crashes nothing', async (t) => {
  const { location, replica } = await open();
  await submit(replica, [put('a')]);
  t.true(location.flipBit(key('a'), 40));
  t.deepEqual(replica.read(key('a')), []);
  t.is(replica.damagedRows(), 1);
});

test('a range past the limit of intervals is not taken', async (t) => {
  const location = new MemoryStoreLocation({ runtime: testRuntime });
  const store = await location.open();
  const options = { store, runtime: testRuntime, log: silentLog, intervalsMax: 2 };
  const replica = await ReplicatedStore.open(options);
  const other = (await open()).replica;
  const operations: Operation[] = [];
  for (let i = 0; i < 8; i++) operations.push(await submit(other, [put(`u${i}`)]));
  t.is(replica.receive(operations[1]!), 'staged');
  t.is(replica.receive(operations[3]!), 'staged');
  t.is(replica.receive(operations[5]!), 'overflow');
  t.deepEqual(replica.read(key('u5')), []);
  t.is(replica.receive(operations[0]!), 'staged');
  t.is(replica.receive(operations[5]!), 'staged');
});

test('rows of a snapshot merge without touching the vector', async (t) => {
  const a = (await open()).replica;
  await submit(a, [put('a'), put('b')]);
  const chunk = await a.rows(shard, undefined, 1 << 20);
  t.true(chunk.last);
  const b = (await open()).replica;
  await new Promise<void>((resolve) => {
    b.mergeRows(chunk.rows, resolve);
  });
  t.true(isLive(b.read(key('b'))));
  t.deepEqual(b.durableVector(), []);
  await new Promise<void>((resolve) => {
    b.cover([{ actor: a.actor, shard, from: 1, to: 2 }], resolve);
  });
  t.is(b.durableHash(), a.durableHash());
  const served = await b.operations([{ actor: a.actor, shard, from: 1, to: 2 }], 1 << 20);
  t.is(served.operations.flatMap((operation) => operation.writes).length, 2);
});
