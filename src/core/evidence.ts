import { contextIncludes, type Context } from './context.ts';
import { KINDS, kindOf } from './kinds.ts';
import { liveEntries, type Entry, type Row } from './row.ts';
import type { RowKey } from './row-key.ts';

/**
 * The row without its evidence and what that hides; undefined where there is none or it is still needed.
 *
 * Evidence keeps out the dots of its context. Where every member has seen all of those, and the evidence
 * itself, none of them can come any more and nothing is left to keep out. All of a row's evidence goes at
 * once or none: a hidden write that outlived what hides it would be live. Only where writes combine by
 * what they have seen: elsewhere the clock decides, and what is in flight may be older than a removal.
 */
export function withoutEvidence(key: RowKey, row: Row, settled: Context): Row | undefined {
  const kind = kindOf(key);
  if (!kind || KINDS[kind].policy !== 'observed') return undefined;
  const live = liveEntries(row);
  if (live.length === row.length) return undefined;
  const dead = row.filter((entry) => !live.includes(entry));
  return dead.every((entry) => isSettled(entry, settled)) ? live : undefined;
}

function isSettled({ actor, counter, context }: Entry, settled: Context): boolean {
  const own = [{ actor, from: counter, to: counter }];
  return contextIncludes(settled, own) && contextIncludes(settled, context);
}
