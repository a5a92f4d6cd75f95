import type { Runtime } from '../../src/runtime/port.ts';
import { keyAfter } from '../../src/storage/key-order.ts';
import type { ScanRange, Store } from '../../src/storage/port.ts';

/**
 * The store with scans as a busy disk serves them: chunks of a few rows, each delivered a while after
 * it was read, so that writes fall before, into and behind the chunk on its way.
 */
export function slowScans(store: Store, runtime: Runtime, rows = 3): Store {
  return {
    get: (key) => store.get(key),
    stage: (mutations, onDurable) => store.stage(mutations, onDurable),
    addBeforeFlush: (hook) => store.addBeforeFlush(hook),
    scan: (range) => slowScan(range),
    status: () => store.status(),
    onStatus: (listener) => store.onStatus(listener),
    stagedBytes: () => store.stagedBytes(),
    close: () => store.close(),
  };

  async function* slowScan({ gte, lt }: ScanRange) {
    let from = gte;
    for (;;) {
      let chunk: readonly (readonly [string, Uint8Array])[] = [];
      for await (const read of store.scan({ gte: from, lt, limit: rows })) chunk = read;
      await new Promise<void>((resolve) => {
        runtime.timers.after(1 + Math.floor(3 * runtime.random.fraction()), resolve);
      });
      if (chunk.length === 0) return;
      yield chunk;
      // As the stores do: who has read the end of the range does not look again.
      if (chunk.length < rows) return;
      from = keyAfter(chunk.at(-1)![0]);
    }
  }
}
