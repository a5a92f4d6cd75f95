import test from 'ava';
import { openAfterAside, openStore } from '../../src/node/open-store.ts';
import { finishRebuild } from '../../src/node/rebuild.ts';
import type { NodeCore } from '../../src/node/core.ts';
import { EMPTY_CONTEXT } from '../../src/core/context.ts';
import { EMPTY_VALUE } from '../../src/core/operation.ts';
import { shardOf } from '../../src/core/placement.ts';
import { isLive } from '../../src/core/row.ts';
import { subscriptionKey } from '../../src/core/row-key.ts';
import { silentLog } from '../../src/observability/log.ts';
import { untilAsideWasRead } from '../../src/node/services.ts';
import { MemoryStoreLocation } from '../../src/storage/memory-store.ts';
import { ASIDE_FACT } from '../../src/storage/rebuild.ts';
import { ReplicatedStore } from '../../src/storage/replica.ts';
import { group, uid } from '../support/ids.ts';
import { testRuntime } from '../support/runtime.ts';

const channel = group('g');
const key = subscriptionKey(channel, uid('u'));
const log = silentLog;

async function withWrite(): Promise<MemoryStoreLocation> {
  const location = new MemoryStoreLocation({ runtime: testRuntime });
  const store = await openStore(location);
  const replica = await ReplicatedStore.open({ store, runtime: testRuntime, log });
  await new Promise<void>((resolve) => {
    const draft = { key, tag: 0, context: EMPTY_CONTEXT, value: EMPTY_VALUE };
    replica.submit(shardOf(channel), [draft], resolve);
  });
  await store.close();
  return location;
}

async function rebuilt(location: MemoryStoreLocation) {
  const store = await openStore(location);
  const replica = await ReplicatedStore.open({ store, runtime: testRuntime, log });
  const core = { replica, replicator: { hasAll: () => true } } as unknown as NodeCore;
  const heldBack = untilAsideWasRead(replica);
  const { signal } = new AbortController();
  const finish = () => finishRebuild({ core, location, runtime: testRuntime, log, signal });
  return { store, replica, heldBack, finish };
}

test('a crash after a store was set aside, before the new one said so, orphans nothing', async (t) => {
  const location = await withWrite();
  await openAfterAside(location, 'rolled-back');
  location.crash();
  const { replica, heldBack, finish } = await rebuilt(location);
  t.true(heldBack(), 'an unsubscribe now would not cover what only the other store has');
  await finish();
  t.true(isLive(replica.read(key)));
  t.false(heldBack());
  t.is(await location.unreadAside(), undefined);
});

test('a crash between the decision and the setting aside: the next start sets it aside', async (t) => {
  const location = await withWrite();
  await location.condemn('forgotten');
  location.crash();
  const { store, replica, finish } = await rebuilt(location);
  t.false(isLive(replica.read(key)), 'it started empty');
  await finish();
  t.true(isLive(replica.read(key)));
  await store.close();
});

test('a set-aside store that cannot be read is given up, and writes are taken again', async (t) => {
  const location = await withWrite();
  await location.setAside('damaged');
  const { store, replica, heldBack, finish } = await rebuilt(location);
  replica.setFact(ASIDE_FACT, new TextEncoder().encode('not there'));
  const named = await location.unreadAside();
  await location.noteRead(named!);
  t.true(heldBack());
  await finish();
  t.false(heldBack());
  await store.close();
});
