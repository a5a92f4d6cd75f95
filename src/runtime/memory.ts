import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bytes of the JavaScript heap in use, garbage that was not collected included. */
export function heapBytes(): number {
  return process.memoryUsage().heapUsed;
}

/**
 * Collects the garbage of this process at once, about 50 ms for each 100 MB in use. V8 leaves what many
 * connections made when they were set up until it needs the room, which an idle node never does. Returns
 * false where this engine does not let us.
 */
export function collectGarbage(): boolean {
  setFlagsFromString('--expose-gc');
  const gc: unknown = runInNewContext('globalThis.gc');
  if (typeof gc !== 'function') return false;
  (gc as () => void)();
  return true;
}
