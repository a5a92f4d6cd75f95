import { factKey } from '../storage/layout.ts';
import type { Store, StoreLocation } from '../storage/port.ts';
import { ASIDE_FACT } from '../storage/rebuild.ts';

/**
 * Opens the store, and first finishes what a crash cut short: a store that was condemned is set aside,
 * and one that was set aside and not read yet is named by a fact of the new one. Rejects as `open` does.
 */
export async function openStore(location: StoreLocation): Promise<Store> {
  const reason = await location.condemned();
  if (reason !== undefined) await location.setAside(reason);
  const store = await location.open();
  const name = await location.unreadAside();
  if (name !== undefined && store.get(factKey(ASIDE_FACT)) === undefined) {
    store.stage([{ key: factKey(ASIDE_FACT), value: new TextEncoder().encode(name) }]);
  }
  return store;
}

/** Sets the closed store aside and opens an empty one in its place. */
export async function openAfterAside(location: StoreLocation, reason: string): Promise<Store> {
  await location.setAside(reason);
  return openStore(location);
}
