import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Where what was just made lives: it fills up and is emptied many times an hour on any node. */
const YOUNG = 'new_space';

/** Bytes of the JavaScript heap's old generation in use, garbage that was not collected included. */
export function oldHeapBytes(): number {
  let bytes = 0;
  for (const { space_name, space_used_size } of getHeapSpaceStatistics()) {
    if (space_name !== YOUNG) bytes += space_used_size;
  }
  return bytes;
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
  // Without this the pages of the heap stay, each with a little in it that still lives.
  setFlagsFromString('--compact-on-every-full-gc');
  try {
    (gc as () => void)();
  } finally {
    setFlagsFromString('--no-compact-on-every-full-gc');
  }
  return true;
}
