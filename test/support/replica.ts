import type { Draft, Operation } from '../../src/core/operation.ts';
import { shardOfKey } from '../../src/core/row-key.ts';
import { silentLog } from '../../src/observability/log.ts';
import { MemoryStoreLocation } from '../../src/storage/memory-store.ts';
import { ReplicatedStore } from '../../src/storage/replica.ts';
import { testRuntime } from './runtime.ts';

/** A replica over a store in memory. */
export async function openReplica(location = new MemoryStoreLocation({ runtime: testRuntime })) {
  const store = await location.open();
  const replica = await ReplicatedStore.open({ store, runtime: testRuntime, log: silentLog });
  return { location, store, replica };
}

/** Resolves when the operation is on disk; the drafts are of one shard. */
export function submit(replica: ReplicatedStore, drafts: readonly Draft[]): Promise<Operation> {
  return new Promise((resolve) => {
    const shard = shardOfKey(drafts[0]!.key);
    const operation = replica.submit(shard, drafts, () => resolve(operation));
  });
}

/** Resolves when the operation is on disk. */
export function receive(replica: ReplicatedStore, operation: Operation): Promise<void> {
  return new Promise((resolve) => {
    replica.receive(operation, resolve);
  });
}
