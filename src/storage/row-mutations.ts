import type { Dot, DotRange } from '../core/dot.ts';
import { KINDS, kindOf } from '../core/kinds.ts';
import { entryOf, type Operation, type Write } from '../core/operation.ts';
import { hasDot, isLive, mergeRows, type Row } from '../core/row.ts';
import { pairOf, reverseKey, shardOfKey, splitRowKey, type RowKey } from '../core/row-key.ts';
import type { VersionVector } from '../core/version-vector.ts';
import type { ClosedContexts } from './closed-contexts.ts';
import { logKey } from './layout.ts';
import type { Mutation } from './port.ts';
import type { Change } from './replica-port.ts';
import { encodeLogRow, encodeRow } from './row-codec.ts';

const PRESENT = new Uint8Array([1]);

/** What an operation does to the rows, before it is staged. */
export interface Merged {
  readonly mutations: readonly Mutation[];
  readonly changes: readonly Change[];
}

/** True where every write is of the operation's shard. */
export function isWellFormed({ writes, shard }: Operation): boolean {
  return writes.every(({ key }) => kindOf(key) && shardOfKey(key) === shard);
}

export function rangeOf({ actor, shard, first, count }: Operation): DotRange {
  return { actor, shard, from: first, to: first + count - 1 };
}

/** The rows that an operation meets, and what their contexts are written with. */
export interface MergeGround {
  readonly contexts: ClosedContexts;
  /** The row of a write before the operation. */
  readonly read: (write: Write) => Row;
}

/** Throws where a number cannot be stored. */
export function mergeOperation(operation: Operation, { contexts, read }: MergeGround): Merged {
  const mutations: Mutation[] = [];
  const out = { mutations, contexts };
  const changes: Change[] = [];
  const pending = operation.writes.length > 1 ? new Map<RowKey, Row>() : undefined;
  for (const write of operation.writes) {
    const entry = entryOf(operation, write);
    const before = pending?.get(write.key) ?? read(write);
    const after = mergeRows(KINDS[kindOf(write.key)!].policy, before, [entry]);
    pending?.set(write.key, after);
    if (hasDot(after, entry.actor, entry.counter)) {
      const place = { offset: write.offset, count: operation.count };
      mutations.push({
        key: logKey(entry.actor, operation.shard, entry.counter),
        value: encodeLogRow(write.key, place),
      });
    }
    const change = { key: write.key, before, after };
    changes.push(change);
    addRowMutations(out, change, operation.shard);
  }
  return { mutations, changes };
}

export interface MutationsOut {
  readonly mutations: Mutation[];
  readonly contexts: ClosedContexts;
  /** True of a dot that the log names for another row: its log row stays. By default none is. */
  readonly isElsewhere?: ((key: RowKey, dot: Dot) => boolean) | undefined;
}

/** The row, the log rows of what it lost, and the reverse row of a subscription. */
function addRowMutations(out: MutationsOut, change: Change, shard: number): void {
  const { mutations, contexts, isElsewhere } = out;
  const { key, before, after } = change;
  mutations.push({ key, value: after.length > 0 ? encodeRow(key, after, contexts) : undefined });
  for (const { actor, counter } of before) {
    if (hasDot(after, actor, counter) || isElsewhere?.(key, { actor, shard, counter })) continue;
    mutations.push({ key: logKey(actor, shard, counter) });
  }
  if (key[0] !== 's') return;
  const { channel, uid } = pairOf(key);
  if (!isLive(after)) mutations.push({ key: reverseKey(uid, channel) });
  else if (!isLive(before)) mutations.push({ key: reverseKey(uid, channel), value: PRESENT });
}

/** The same for a row that comes whole, not by an operation; every entry it gains gets a log row. */
export function addReplacement(out: MutationsOut, change: Change): void {
  const { key, before, after } = change;
  const { shard } = splitRowKey(key)!;
  for (const { actor, counter } of after) {
    if (hasDot(before, actor, counter)) continue;
    const value = encodeLogRow(key, { offset: 0, count: 1 });
    out.mutations.push({ key: logKey(actor, shard, counter), value });
  }
  addRowMutations(out, change, shard);
}

/** What a merge of whole rows changed; undefined for nothing. `seen`: every dot that ever came here. */
export function changeOf(
  seen: Pick<VersionVector, 'covers'>,
  { key, before, after }: Change,
): Change | undefined {
  const gained = after.filter((entry) => !hasDot(before, entry.actor, entry.counter));
  if (gained.length === 0) return undefined;
  const { shard } = splitRowKey(key)!;
  const restored = gained.every(({ actor, counter }) => seen.covers(actor, shard, counter));
  return { key, before, after, restored };
}
