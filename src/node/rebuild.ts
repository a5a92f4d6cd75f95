import type { NodeCore } from './core.ts';
import type { Log } from '../observability/log.ts';
import type { Runtime } from '../runtime/port.ts';
import { factKey } from '../storage/layout.ts';
import type { StoreLocation } from '../storage/port.ts';
import { ASIDE_FACT, restoreFromAside } from '../storage/rebuild.ts';

export interface RebuildOptions {
  readonly core: NodeCore;
  readonly location: StoreLocation;
  readonly runtime: Runtime;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const POLL_MS = 250;

/**
 * The end of a rebuild: once this store has caught up with every live peer, the writes of the store that
 * was set aside and that nobody has are taken from it, with their dots. The name of that store is a fact on disk until
 * then, so a crash on the way only means that it happens after the next start.
 */
export async function finishRebuild(options: RebuildOptions): Promise<void> {
  const { core, location, runtime, log, signal } = options;
  if (!core.replica.fact(ASIDE_FACT)) return;
  try {
    while (!hasCaughtUp(core)) {
      await new Promise<void>((resolve) => {
        runtime.timers.after(POLL_MS, resolve);
      });
      if (signal.aborted) return;
    }
    for (let name = core.replica.fact(ASIDE_FACT); name; name = core.replica.fact(ASIDE_FACT)) {
      const aside = await location.openAside(new TextDecoder().decode(name));
      try {
        const done = await restoreFromAside({ aside, replica: core.replica });
        // A store that was set aside before its own rebuild was complete names the one before it.
        core.replica.setFact(ASIDE_FACT, aside.get(factKey(ASIDE_FACT)));
        log.warn('the rebuild is complete', { ...done, aside: new TextDecoder().decode(name) });
      } finally {
        await aside.close();
      }
    }
  } catch (error) {
    log.error('the store that was set aside could not be read again', { error });
  }
}

/** Nothing is missing that a live peer has, and there is such a peer. */
function hasCaughtUp({ replicator }: NodeCore): boolean {
  const live = replicator.peers().filter((peer) => peer.live);
  return replicator.mayWrite() && live.length > 0 && live.every((peer) => peer.behind === 0);
}
