import test from 'ava';
import { EMPTY_CONTEXT } from '../../src/core/context.ts';
import { EMPTY_VALUE } from '../../src/core/operation.ts';
import { shardOf } from '../../src/core/placement.ts';
import { isLive } from '../../src/core/row.ts';
import { subscriptionKey } from '../../src/core/row-key.ts';
import type { NodeCore } from '../../src/node/core.ts';
import { finishRebuild } from '../../src/node/rebuild.ts';
import { silentLog } from '../../src/observability/log.ts';
import { MemoryStoreLocation } from '../../src/storage/memory-store.ts';
import { ASIDE_FACT } from '../../src/storage/rebuild.ts';
import { ReplicatedStore } from '../../src/storage/replica.ts';
import { group, uid } from '../support/ids.ts';
import { testRuntime } from '../support/runtime.ts';

const channel = group('g');

test('a store that was set aside before its rebuild was complete leads to the one before it', async (t) => {
  const location = new MemoryStoreLocation({ runtime: testRuntime });
  const log = silentLog;
  const life = async () => {
    const store = await location.open();
    return { store, replica: await ReplicatedStore.open({ store, runtime: testRuntime, log }) };
  };
  const write = (replica: ReplicatedStore, name: string): Promise<void> =>
    new Promise((resolve) => {
      const key = subscriptionKey(channel, uid(name));
      const draft = { key, tag: 0, context: EMPTY_CONTEXT, value: EMPTY_VALUE };
      replica.submit(shardOf(channel), [draft], resolve);
    });
  for (const name of ['first', 'second']) {
    const { store, replica } = await life();
    await write(replica, name);
    await store.close();
    const aside = await location.setAside('rolled-back');
    const next = await life();
    next.replica.setFact(ASIDE_FACT, new TextEncoder().encode(aside));
    await next.store.close();
  }
  const { store, replica } = await life();
  const replicator = { hasAll: () => true };
  const core = { replica, replicator } as unknown as NodeCore;
  const { signal } = new AbortController();
  await finishRebuild({ core, location, runtime: testRuntime, log, signal });
  for (const name of ['first', 'second']) {
    t.true(isLive(replica.read(subscriptionKey(channel, uid(name)))), name);
  }
  t.is(replica.fact(ASIDE_FACT), undefined);
  await store.close();
});
