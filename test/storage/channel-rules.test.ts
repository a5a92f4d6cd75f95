import test from 'ava';
import { shardOf } from '../../src/core/placement.ts';
import { EMPTY_CONTEXT } from '../../src/core/context.ts';
import { EMPTY_VALUE, type Draft } from '../../src/core/operation.ts';
import { channelFlagKey, denyKey, subscriptionKey, type RowKey } from '../../src/core/row-key.ts';
import { silentLog } from '../../src/observability/log.ts';
import { MemoryStoreLocation } from '../../src/storage/memory-store.ts';
import type { Store } from '../../src/storage/port.ts';
import { ReplicatedStore } from '../../src/storage/replica.ts';
import { group, uid } from '../support/ids.ts';
import { testRuntime } from '../support/runtime.ts';

const location = (): MemoryStoreLocation => new MemoryStoreLocation({ runtime: testRuntime });

function open(store: Store): Promise<ReplicatedStore> {
  return ReplicatedStore.open({ store, runtime: testRuntime, log: silentLog });
}

function put(key: RowKey): Draft {
  return { key, tag: 0, context: EMPTY_CONTEXT, value: EMPTY_VALUE };
}

test('a channel may have rules from the tick in which one is staged, here, by a peer or by a sweep', async (t) => {
  const author = await open(await location().open());
  const [store, other] = [await location().open(), group('elsewhere')];
  const replica = await open(store);
  const banned = group('banned');
  const key = denyKey(banned, uid('u'), 'ban');
  replica.submit(shardOf(other), [put(subscriptionKey(other, uid('u')))]);
  t.false(replica.mayHaveRules(banned));
  t.false(replica.mayHaveRules(other));
  const operation = author.submit(shardOf(banned), [put(key)]);
  t.true(author.mayHaveRules(banned));
  replica.receive(operation);
  t.true(replica.mayHaveRules(banned));
  t.false(replica.mayHaveRules(other));
  const swept = await open(await location().open());
  swept.replaceRows([[key, author.read(key)]]);
  t.true(swept.mayHaveRules(banned));
});

test('what was stored before the start counts, for every channel of thousands', async (t) => {
  const place = location();
  const first = await open(await place.open());
  const named = Array.from({ length: 2_000 }, (_, i) => group(`room ${i}`));
  await Promise.all(
    named.map(
      (channel, i) =>
        new Promise<void>((resolve) => {
          const key =
            i % 2 === 0 ? channelFlagKey(channel, 'ban') : denyKey(channel, uid('u'), 'mute');
          first.submit(shardOf(channel), [put(key)], resolve);
        }),
    ),
  );
  place.crash();
  const again = await open(await place.open());
  t.true(named.every((channel) => again.mayHaveRules(channel)));
  const others = Array.from({ length: 2_000 }, (_, i) => group(`street ${i}`));
  const mistaken = others.filter((channel) => again.mayHaveRules(channel)).length;
  t.true(mistaken < 40, `${mistaken} of 2,000 are said to have rules and have none`);
});

test('until all was read, and where it cannot be read, every channel may have rules', async (t) => {
  const store = await location().open();
  const failing: Store = Object.assign(Object.create(store) as Store, {
    get: (key: string) => store.get(key),
    stage: (...of: Parameters<Store['stage']>) => store.stage(...of),
    addBeforeFlush: (hook: Parameters<Store['addBeforeFlush']>[0]) => store.addBeforeFlush(hook),
    scan(range: Parameters<Store['scan']>[0]) {
      if (range.gte.startsWith('d')) throw new Error('the disk is failing');
      return store.scan(range);
    },
  });
  const replica = await open(failing);
  t.true(replica.mayHaveRules(group('any')));
});
