import type { DotRange } from '../core/dot.ts';
import type { ActorId } from '../core/ids.ts';
import { KINDS, kindOf } from '../core/kinds.ts';
import { OPERATION_WRITES_MAX, type Draft } from '../core/operation.ts';
import { hasDot, mergeRows, type Entry, type Row } from '../core/row.ts';
import type { RowKey } from '../core/row-key.ts';
import { splitRowKey } from '../core/row-key.ts';
import { counterOfLogKey, LOG_RANGE } from './layout.ts';
import type { Store } from './port.ts';
import type { Replica } from './replica-port.ts';
import { decodeLogRow, decodeRow } from './row-codec.ts';

/** Name of the fact that says which set-aside store still has to be read. */
export const ASIDE_FACT = 'rebuild-aside';

export interface Resubmission {
  /** The store that was set aside, opened to be read. */
  readonly aside: Store;
  readonly replica: Pick<Replica, 'submit' | 'covers' | 'cover' | 'read'>;
  /** True where some member is known to have the dot: it comes from there, with its own dot. */
  readonly coveredElsewhere: (range: DotRange) => boolean;
}

export interface Resubmitted {
  readonly operations: number;
  readonly writes: number;
  /** Rows of the set-aside store that could not be read. */
  readonly damaged: number;
}

interface Lost {
  readonly actor: ActorId;
  readonly shard: number;
  readonly first: number;
  readonly drafts: Draft[];
  readonly dots: DotRange[];
}

/**
 * Submits again, as new operations with their original context, seq and send key, those writes of a
 * set-aside store that no member has. Call it once the new store has caught up with every live peer.
 *
 * The old dots are covered in the batch that brings the new ones. So a removal that comes after has seen
 * them, and what was submitted before a crash is not submitted again after it, removed or not.
 */
export async function resubmitUncovered(options: Resubmission): Promise<Resubmitted> {
  const { aside, replica, coveredElsewhere } = options;
  const total = { operations: 0, writes: 0, damaged: 0 };
  let lost: Lost | undefined;
  const flush = async (): Promise<void> => {
    if (!lost || lost.drafts.length === 0) return;
    const { shard, drafts, dots } = lost;
    lost = undefined;
    total.operations += 1;
    total.writes += drafts.length;
    await new Promise<void>((resolve) => {
      replica.submit(shard, drafts);
      // The same tick is the same batch.
      replica.cover(dots, resolve);
    });
  };
  for await (const chunk of aside.scan(LOG_RANGE)) {
    for (const [key, bytes] of chunk) {
      const actor = key.slice(1, 17) as ActorId;
      const shard = Number.parseInt(key[17]!, 16);
      const counter = counterOfLogKey(key);
      const range = { actor, shard, from: counter, to: counter };
      if (replica.covers(range) || coveredElsewhere(range)) continue;
      const place = decodeLogRow(key, bytes);
      const entry = place.ok ? entryIn(aside, place.row.key, { actor, counter }) : undefined;
      if (!place.ok || !entry) {
        total.damaged += 1;
        continue;
      }
      const rowKey = place.row.key;
      if (isSuperseded(rowKey, replica.read(rowKey), entry)) continue;
      const first = counter - place.row.offset;
      const same = lost?.actor === actor && lost.shard === shard && lost.first === first;
      if (!same || lost!.drafts.length >= OPERATION_WRITES_MAX) {
        await flush();
        lost = { actor, shard, first, drafts: [], dots: [] };
      }
      const { tag, context, value } = entry;
      lost!.drafts.push({ key: rowKey, tag, context, value });
      lost!.dots.push(range);
    }
  }
  await flush();
  return total;
}

/**
 * True where the row here knows better than the write: a removal with its receipt has seen it, a later
 * writer has set the value. Under a new dot and a new time it would come back.
 */
function isSuperseded(key: RowKey, row: Row, entry: Entry): boolean {
  const merged = mergeRows(KINDS[kindOf(key)!].policy, row, [entry]);
  return !hasDot(merged, entry.actor, entry.counter);
}

function entryIn(
  aside: Store,
  key: RowKey,
  dot: { actor: ActorId; counter: number },
): Entry | undefined {
  const bytes = aside.get(key);
  const decoded = bytes && splitRowKey(key) ? decodeRow(key, bytes) : undefined;
  if (!decoded?.ok) return undefined;
  return decoded.row.find((e) => e.actor === dot.actor && e.counter === dot.counter);
}
