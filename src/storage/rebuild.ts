import { contextCovers } from '../core/context.ts';
import type { DotRange } from '../core/dot.ts';
import type { ActorId } from '../core/ids.ts';
import { OPERATION_WRITES_MAX, type Draft } from '../core/operation.ts';
import type { Row } from '../core/row.ts';
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
  readonly replica: Pick<Replica, 'submit' | 'covers' | 'read'>;
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
}

/**
 * Submits again, as new operations with their original context, seq and send key, those writes of a
 * set-aside store that no member has. Call it once the new store has caught up with every live peer.
 * Submitting twice is harmless: the same rows, once more under new dots.
 */
export async function resubmitUncovered(options: Resubmission): Promise<Resubmitted> {
  const { aside, replica, coveredElsewhere } = options;
  const total = { operations: 0, writes: 0, damaged: 0 };
  let lost: Lost | undefined;
  const flush = async (): Promise<void> => {
    if (!lost || lost.drafts.length === 0) return;
    const { shard, drafts } = lost;
    lost = undefined;
    total.operations += 1;
    total.writes += drafts.length;
    await new Promise<void>((resolve) => {
      replica.submit(shard, drafts, resolve);
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
      if (place.ok && isSuperseded(replica.read(place.row.key), { actor, counter })) continue;
      const draft = place.ok ? draftOf(aside, place.row.key, { actor, counter }) : undefined;
      if (!place.ok || !draft) {
        total.damaged += 1;
        continue;
      }
      const first = counter - place.row.offset;
      const same = lost?.actor === actor && lost.shard === shard && lost.first === first;
      if (!same || lost!.drafts.length >= OPERATION_WRITES_MAX) {
        await flush();
        lost = { actor, shard, first, drafts: [] };
      }
      lost!.drafts.push(draft);
    }
  }
  await flush();
  return total;
}

/**
 * True where the row here has seen the write, which a removal with its receipt does without any member
 * having the write itself: under a new dot it would come back.
 */
function isSuperseded(row: Row, { actor, counter }: { actor: ActorId; counter: number }): boolean {
  return row.some((entry) => contextCovers(entry.context, actor, counter));
}

function draftOf(
  aside: Store,
  key: RowKey,
  dot: { actor: ActorId; counter: number },
): Draft | undefined {
  const bytes = aside.get(key);
  const decoded = bytes && splitRowKey(key) ? decodeRow(key, bytes) : undefined;
  if (!decoded?.ok) return undefined;
  const entry = decoded.row.find((e) => e.actor === dot.actor && e.counter === dot.counter);
  return entry && { key, tag: entry.tag, context: entry.context, value: entry.value };
}
