import type { ActorId } from '../core/ids.ts';
import type { Runtime } from '../runtime/port.ts';
import { factKey } from './layout.ts';
import type { Store } from './port.ts';

export interface StoreIdentity {
  readonly actor: ActorId;
  readonly storeId: string;
}

/** A new actor with each call: no run of a node continues another's counters. The store's id stays. */
export function drawIdentity(store: Store, runtime: Runtime): StoreIdentity {
  const known = store.get(factKey('store-id'));
  const storeId = known ? new TextDecoder().decode(known) : randomHex(runtime);
  if (!known) {
    store.stage([{ key: factKey('store-id'), value: new TextEncoder().encode(storeId) }]);
  }
  return { actor: randomHex(runtime) as ActorId, storeId };
}

function randomHex(runtime: Runtime): string {
  return Array.from(runtime.random.bytes(8), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
