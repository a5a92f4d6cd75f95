import type { SetItem } from '../../core/reconciliation/item.ts';
import { liveEntries } from '../../core/row.ts';
import type { RowKey } from '../../core/row-key.ts';
import type { Replica } from '../../storage/replica-port.ts';
import { contentUnder } from './verdict.ts';

const SCAN_BYTES = 256 * 1024;

/** The rows of live dots, as the log has them; where it says nothing or something else, absent. */
export function keysByLog(
  replica: Replica,
  shard: number,
  items: readonly SetItem[],
): Map<SetItem, RowKey> {
  const found = new Map<SetItem, RowKey>();
  for (const item of items) {
    const key = replica.keyOf({ actor: item.actor, shard, counter: item.counter });
    if (key !== undefined && holds(replica, key, item)) found.set(item, key);
  }
  return found;
}

/** The same by one scan of the shard. */
export async function keysByScan(
  replica: Replica,
  shard: number,
  items: readonly SetItem[],
): Promise<Map<SetItem, RowKey>> {
  const found = new Map<SetItem, RowKey>();
  const wanted = new Map(items.map((item) => [nameOf(item, item.content), item]));
  let after: RowKey | undefined;
  while (wanted.size > 0) {
    const { rows, last } = await replica.rows(shard, after, SCAN_BYTES);
    for (const [key, row] of rows) {
      after = key;
      for (const entry of liveEntries(row)) {
        const name = nameOf(entry, contentUnder(key, entry));
        const item = wanted.get(name);
        if (!item) continue;
        found.set(item, key);
        wanted.delete(name);
      }
    }
    if (last || rows.length === 0) break;
  }
  return found;
}

function nameOf({ actor, counter }: Pick<SetItem, 'actor' | 'counter'>, content: number): string {
  return `${actor}:${counter}:${content}`;
}

/** True where the row has this very entry, live. */
export function holds(replica: Replica, key: RowKey, item: SetItem): boolean {
  return liveEntries(replica.read(key)).some(
    (entry) =>
      entry.actor === item.actor &&
      entry.counter === item.counter &&
      contentUnder(key, entry) === item.content,
  );
}
