import test from 'ava';
import { EMPTY_CONTEXT } from '../../src/core/context.ts';
import { EMPTY_VALUE, remove, type Draft, type Operation } from '../../src/core/operation.ts';
import { shardOf } from '../../src/core/placement.ts';
import { isLive } from '../../src/core/row.ts';
import { subscriptionKey, type RowKey } from '../../src/core/row-key.ts';
import { silentLog } from '../../src/observability/log.ts';
import { MemoryStoreLocation } from '../../src/storage/memory-store.ts';
import type { Store } from '../../src/storage/port.ts';
import { ReplicatedStore } from '../../src/storage/replica.ts';
import { group, uid } from '../support/ids.ts';
import { receive, submit } from '../support/replica.ts';
import { testRuntime } from '../support/runtime.ts';

const channel = group('g');
const shard = shardOf(channel);
const key = (name: string): RowKey => subscriptionKey(channel, uid(name));

function put(name: string): Draft {
  return { key: key(name), tag: 0, context: EMPTY_CONTEXT, value: EMPTY_VALUE };
}

/** `onGet` runs before every read of the store and may throw. */
async function open(onGet: (key: string) => void = () => {}) {
  const location = new MemoryStoreLocation({ runtime: testRuntime, retryMinMs: 5 });
  const opened = await location.open();
  const store: Store = {
    get(name) {
      onGet(name);
      return opened.get(name);
    },
    stage: (mutations, onDurable) => opened.stage(mutations, onDurable),
    addBeforeFlush: (hook) => opened.addBeforeFlush(hook),
    scan: (range) => opened.scan(range),
    status: () => opened.status(),
    onStatus: (listener) => opened.onStatus(listener),
    stagedBytes: () => opened.stagedBytes(),
    close: () => opened.close(),
  };
  const replica = await ReplicatedStore.open({ store, runtime: testRuntime, log: silentLog });
  return { location, store, replica };
}

function rangeOf({ actor, first, count }: Operation) {
  return { actor, shard, from: first, to: first + count - 1 };
}

test('an operation whose rows cannot be read now is not claimed: it comes again and is applied', async (t) => {
  const a = (await open()).replica;
  let isFailing = false;
  const { replica: b, store } = await open((name) => {
    if (isFailing && name.startsWith('s')) throw new Error('the disk cannot be read');
  });
  const operation = await submit(a, [put('u')]);
  isFailing = true;
  t.is(b.receive(operation), 'overflow');
  isFailing = false;
  t.false(b.covers(rangeOf(operation)));
  await receive(b, operation);
  t.true(isLive(b.read(key('u'))));
  await store.close();
});

test('an own write whose row cannot be read takes no counter', async (t) => {
  let isFailing = false;
  const { replica } = await open((name) => {
    if (isFailing && name.startsWith('s')) throw new Error('the disk cannot be read');
  });
  isFailing = true;
  t.throws(() => replica.submit(shard, [put('u')]));
  isFailing = false;
  t.is((await submit(replica, [put('u')])).first, 1);
});

test('a part of an operation is served as that part: the rest is not covered by who takes it', async (t) => {
  const a = (await open()).replica;
  const b = (await open()).replica;
  const operation = await submit(a, ['1', '2', '3', '4'].map(put));
  const { actor } = operation;
  const middle = await a.operations([{ actor, shard, from: 2, to: 3 }], 1_000_000);
  t.is(middle.operations.length, 1);
  await receive(b, middle.operations[0]!);
  t.deepEqual(b.missing(a.durableVector()), [
    { actor, shard, from: 1, to: 1 },
    { actor, shard, from: 4, to: 4 },
  ]);
  const rest = await a.operations(b.missing(a.durableVector()), 1_000_000);
  for (const part of rest.operations) await receive(b, part);
  for (const name of ['1', '2', '3', '4']) t.true(isLive(b.read(key(name))), name);
});

test('what a write on its way to the disk superseded is not called settled before it is there', async (t) => {
  const { location, replica: a } = await open();
  const subscribe = await submit(a, [put('u')]);
  location.fail();
  a.submit(shard, [remove(key('u'), a.read(key('u')), a.seen(shard))]);
  let isAnswered = false;
  const answer = a.operations([rangeOf(subscribe)], 1_000_000).then((answered) => {
    isAnswered = true;
    return answered;
  });
  let areRowsAnswered = false;
  const rows = a.rows(shard, undefined, 1_000_000).then(() => (areRowsAnswered = true));
  await new Promise((resolve) => setTimeout(resolve, 30));
  t.false(isAnswered);
  t.false(areRowsAnswered);
  location.heal();
  t.deepEqual((await answer).covered, [rangeOf(subscribe)]);
  await rows;
});

test('a dot that was superseded while the log was read is not called lost', async (t) => {
  const state: { beforeRead: (() => void) | undefined } = { beforeRead: undefined };
  const { replica: a } = await open((name) => {
    const run = state.beforeRead;
    if (!run || !name.startsWith('s')) return;
    state.beforeRead = undefined;
    run();
  });
  const subscribe = await submit(a, [put('u')]);
  state.beforeRead = () => {
    a.submit(shard, [remove(key('u'), a.read(key('u')), a.seen(shard))]);
  };
  const answer = await a.operations([rangeOf(subscribe)], 1_000_000);
  t.deepEqual(answer.covered, [rangeOf(subscribe)]);
  t.deepEqual(answer.operations, []);
});

test('rows of which one cannot be read say so: no vector may be adopted on them', async (t) => {
  const { location, replica } = await open();
  await submit(replica, [put('u'), put('v')]);
  t.false((await replica.rows(shard, undefined, 1_000_000)).damaged);
  t.true(location.flipBit(key('u'), 12));
  const chunk = await replica.rows(shard, undefined, 1_000_000);
  t.true(chunk.damaged);
  t.is(chunk.rows.length, 1);
});

test('a listener that throws takes nothing from the others nor from who waits for the disk', async (t) => {
  const { replica, store } = await open();
  let told = 0;
  const broken = (): void => {
    throw new Error('a defect');
  };
  replica.addListener({ onSubmitted: broken, onDurable: broken });
  replica.addListener({ onSubmitted: () => {}, onDurable: () => void (told += 1) });
  await Promise.all([submit(replica, [put('u')]), submit(replica, [put('v')])]);
  t.is(told, 2);
  await store.close();
});
