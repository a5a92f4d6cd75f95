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

const ATTEMPTS_MAX = 3;
const RETRY_MS = 1_000;

/**
 * The end of a rebuild: once this store has caught up with every live peer, the writes of the store that
 * was set aside and that nobody has are taken from it, with their dots. The name of that store is a fact
 * on disk until then, so a crash on the way only means that it happens after the next start, and no
 * writes are taken: a removal without receipt would not cover what only that store has.
 */
export async function finishRebuild(options: RebuildOptions): Promise<void> {
  const { core, log, signal } = options;
  let failures = 0;
  for (let name = asideOf(core); name !== undefined && !signal.aborted; name = asideOf(core)) {
    try {
      while (!core.replicator.hasAll()) {
        await pause(options, POLL_MS);
        if (signal.aborted) return;
      }
      await readAside(options, name);
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      log.error('a store that was set aside cannot be read again', { aside: name, error });
      failures += 1;
      if (failures < ATTEMPTS_MAX) await pause(options, RETRY_MS);
      else await giveUp(options, name);
    }
  }
}

async function readAside({ core, location, log }: RebuildOptions, name: string): Promise<void> {
  const aside = await location.openAside(name);
  let before: Uint8Array | undefined;
  try {
    const done = await restoreFromAside({ aside, replica: core.replica });
    // A store that was set aside before its own rebuild was complete names the one before it.
    before = aside.get(factKey(ASIDE_FACT));
    log.warn('the rebuild is complete', { ...done, aside: name });
  } finally {
    await aside.close();
  }
  await location.noteRead(name);
  await setNext(core, location, before);
}

/** It stays for the operator; whatever only it holds is not in this store. */
async function giveUp({ core, location, log }: RebuildOptions, name: string): Promise<void> {
  log.error('the rebuild goes on without a store that was set aside', { aside: name });
  // A store that is not there any more has no mark either.
  await location.noteRead(name).catch(() => undefined);
  await setNext(core, location, undefined);
}

async function setNext(
  core: NodeCore,
  location: StoreLocation,
  named: Uint8Array | undefined,
): Promise<void> {
  const unread = await location.unreadAside();
  core.replica.setFact(
    ASIDE_FACT,
    named ?? (unread ? new TextEncoder().encode(unread) : undefined),
  );
}

function asideOf({ replica }: NodeCore): string | undefined {
  const name = replica.fact(ASIDE_FACT);
  return name && new TextDecoder().decode(name);
}

function pause({ runtime }: RebuildOptions, ms: number): Promise<void> {
  return new Promise((resolve) => {
    runtime.timers.after(ms, resolve);
  });
}
