import type { Hlc } from '../hybrid-clock.ts';
import { EMPTY_VALUE } from '../operation.ts';
import { liveEntries, type Row } from '../row.ts';

/**
 * Kind `s`, key (channel, uid). The value of a first subscribe is empty; one that renews a live
 * subscription carries when that began, because what came since is still to be read.
 */
export function renewalOf(row: Row): Uint8Array {
  if (row.length === 0) return EMPTY_VALUE;
  const since = sinceOf(row);
  return since === undefined ? EMPTY_VALUE : valueSince(since);
}

/** Of a subscription that is written later than it began. */
export function valueSince(since: Hlc): Uint8Array {
  const value = new Uint8Array(8);
  new DataView(value.buffer).setFloat64(0, since);
  return value;
}

/** Since when the row has been live without a break; undefined where it is not. */
export function sinceOf(row: Row): Hlc | undefined {
  let since: Hlc | undefined;
  for (const { hlc, value } of liveEntries(row)) {
    const began = beganAt(value) ?? hlc;
    if (since === undefined || began < since) since = began;
  }
  return since;
}

function beganAt(value: Uint8Array): Hlc | undefined {
  if (value.length !== 8) return undefined;
  const began = new DataView(value.buffer, value.byteOffset, 8).getFloat64(0);
  return Number.isSafeInteger(began) && began >= 0 ? began : undefined;
}
