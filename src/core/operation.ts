import { EMPTY_CONTEXT, uniteContexts, type Context } from './context.ts';
import type { Hlc } from './hybrid-clock.ts';
import type { ActorId } from './ids.ts';
import { liveEntries, REMOVAL, type Entry, type Row } from './row.ts';
import type { RowKey } from './row-key.ts';

/** One write of an operation; its dot is (operation.actor, operation.shard, operation.first + offset). */
export interface Write {
  readonly offset: number;
  readonly key: RowKey;
  readonly tag: number;
  readonly context: Context;
  readonly value: Uint8Array;
}

/**
 * Writes that are applied in one batch on every replica. They take the counters first to
 * first + count − 1 of one (actor, shard); a write that has been superseded may be absent from `writes`,
 * the counters are covered all the same.
 */
export interface Operation {
  readonly actor: ActorId;
  readonly shard: number;
  readonly first: number;
  readonly count: number;
  readonly hlc: Hlc;
  readonly writes: readonly Write[];
}

/** A write before it has a dot. */
export interface Draft {
  readonly key: RowKey;
  readonly tag: number;
  readonly context: Context;
  readonly value: Uint8Array;
  /**
   * The row under this key, where the author has read it in the same tick as it submits (or knows that
   * there is none), so that it is not read again. An older one would lose what was written since.
   */
  readonly row?: Row | undefined;
}

export const EMPTY_VALUE = new Uint8Array(0);

/** Most writes one operation may hold; larger calls are split into several operations. */
export const OPERATION_WRITES_MAX = 256;
/** A context with more spans than this is replaced by the node's whole vector, which includes it. */
const CONTEXT_SPANS_MAX = 16;

/** Throws a RangeError where the drafts are none or more than `OPERATION_WRITES_MAX`. */
export function operationOf(
  { actor, shard, first, hlc }: Pick<Operation, 'actor' | 'shard' | 'first' | 'hlc'>,
  drafts: readonly Draft[],
): Operation {
  const count = drafts.length;
  if (count === 0 || count > OPERATION_WRITES_MAX) {
    throw new RangeError(`an operation has 1 to ${OPERATION_WRITES_MAX} writes, not ${count}`);
  }
  const writes = drafts.map(({ key, tag, context, value }, offset): Write => ({
    offset,
    key,
    tag,
    context,
    value,
  }));
  return { actor, shard, first, count, hlc, writes };
}

/** A put that replaces what it sees in the row: its live dots, and all that those had replaced. */
export function replace(
  row: Row,
  put: Omit<Draft, 'context' | 'row'>,
  vector: () => Context,
): Draft {
  const live = liveEntries(row);
  if (live.length === 0) return { ...put, context: EMPTY_CONTEXT };
  const context = uniteContexts(seenIn(live), ...live.map((entry) => entry.context));
  if (context.length <= CONTEXT_SPANS_MAX) return { ...put, context };
  return { ...put, context: uniteContexts(context, vector()) };
}

/**
 * A removal. `seen` is the node's whole vector of the shard, so it removes also what this node should
 * have had and lost, and any receipts presented; what the row's entries had seen is added, so that this
 * evidence can take the place of older evidence.
 */
export function remove(key: RowKey, row: Row, seen: Context): Draft {
  const context = uniteContexts(seen, seenIn(row), ...row.map((entry) => entry.context));
  return { key, tag: REMOVAL, context, value: EMPTY_VALUE };
}

/** A removal that removes only the dots it sees in the row: for denials, so that a ban is never lost. */
export function removeSeen(key: RowKey, row: Row): Draft {
  return remove(key, row, EMPTY_CONTEXT);
}

export function entryOf(operation: Operation, write: Write): Entry {
  return {
    actor: operation.actor,
    counter: operation.first + write.offset,
    hlc: operation.hlc,
    tag: write.tag,
    context: write.context,
    value: write.value,
  };
}

function seenIn(row: Row): Context {
  return uniteContexts(...row.map(({ actor, counter }) => [{ actor, from: counter, to: counter }]));
}
