import { EMPTY_ROW, type Entry } from '../../core/row.ts';
import { shardOfKey, type RowKey } from '../../core/row-key.ts';
import type { RowsClient } from './rows-client.ts';
import { putAside, type StrayParts } from './strays.ts';
import { findDot, isBorrowed } from './verdict.ts';

/**
 * A dot names one write of one key. Where this store has it in two rows, one of them is fabricated: the one that
 * no other member has, while most of the roster, this member included, have the other. That one is put aside.
 * Resolves with whether it was; without such a majority nothing changes.
 */
export async function settleBorrowed(
  parts: StrayParts & { readonly rows: RowsClient },
  key: RowKey,
  entry: Entry,
): Promise<boolean> {
  const { replica, calls, roster } = parts.options;
  const dot = { actor: entry.actor, shard: shardOfKey(key), counter: entry.counter };
  const named = replica.keyOf(dot);
  if (named === undefined || !isBorrowed(replica, key, entry)) return false;
  const answers = await parts.rows.fromAll(calls.reachable(), dot.shard, [key, named]);
  const votes = (wanted: RowKey): number =>
    answers.rows.filter((answer) => findDot(answer.get(wanted) ?? EMPTY_ROW, entry)).length;
  const [forKey, forNamed] = [votes(key), votes(named)];
  if (Math.min(forKey, forNamed) > 0) return false;
  const others = Math.max(forKey, forNamed);
  const isMajority = others > 0 && (others + 1) * 2 > roster().others.length + 1;
  // Both were asked about as they were: a write that came meanwhile settles it itself.
  if (!isMajority || replica.keyOf(dot) !== named || !isBorrowed(replica, key, entry)) return false;
  const fabricated = forKey === 0 ? key : named;
  if (!findDot(replica.read(fabricated), entry)) return false;
  return putAside(parts, { key: fabricated, item: entry, cause: 'dot-of-another-row' });
}
