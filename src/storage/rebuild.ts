import type { DotRange } from '../core/dot.ts';
import type { Operation } from '../core/operation.ts';
import { EMPTY_ROW, type Row } from '../core/row.ts';
import type { RowKey } from '../core/row-key.ts';
import { ClosedContexts } from './closed-contexts.ts';
import type { Store } from './port.ts';
import { readOperations } from './replica-reader.ts';
import type { Replica } from './replica-port.ts';
import { decodeRow } from './row-codec.ts';
import { readVector } from './stored-vector.ts';

/** Name of the fact that says which set-aside store still has to be read. */
export const ASIDE_FACT = 'rebuild-aside';

export interface Restoring {
  /** The store that was set aside, opened to be read. */
  readonly aside: Store;
  readonly replica: Pick<Replica, 'receive' | 'cover' | 'missing'>;
}

export interface Restored {
  readonly operations: number;
  /** Counters that the set-aside store had claimed and whose writes could not be read in it. */
  readonly damaged: number;
}

const BYTES_MAX = 1024 * 1024;

/**
 * Takes from a set-aside store, as from one more peer, the writes that the new store still lacks: those
 * that no member had which it caught up with. They keep their dots, which no run ever gives again, so a
 * removal that has seen one of them (on a member that cannot be reached now, or by its receipt) removes
 * it when they meet; under a new dot it would come back. Restoring twice changes nothing. Call it once
 * the new store has caught up with every live peer: what those have seen and removed is not asked for.
 */
export async function restoreFromAside({ aside, replica }: Restoring): Promise<Restored> {
  const stored = await readVector(aside, { intervalsMax: Number.POSITIVE_INFINITY });
  const rows = [...stored.vector.rows()];
  // Its rows count on the actors that it had closed, in its own order.
  const contexts = new ClosedContexts(stored.closed);
  const read = (key: RowKey): Row => {
    const bytes = aside.get(key);
    const decoded = bytes && decodeRow(key, bytes, contexts);
    return decoded?.ok ? decoded.row : EMPTY_ROW;
  };
  const source = { store: aside, read };
  let operations = 0;
  for (let missing = replica.missing(rows); missing.length > 0;) {
    const answer = await readOperations(source, missing, BYTES_MAX);
    for (const range of answer.covered) operations += adopt(replica, range, answer.operations);
    await new Promise<void>((resolve) => {
      replica.cover([], resolve);
    });
    const left = replica.missing(rows);
    if (!answer.more || countersIn(left) === countersIn(missing)) {
      return { operations, damaged: countersIn(left) };
    }
    missing = left;
  }
  return { operations, damaged: 0 };
}

/**
 * Lowest counters first, with the superseded ones between the operations covered in their turn, so that
 * the vector needs no interval more. Returns how many operations were new here.
 */
function adopt(
  replica: Restoring['replica'],
  { actor, shard, from, to }: DotRange,
  answer: readonly Operation[],
): number {
  let next = from;
  let staged = 0;
  for (const operation of answer) {
    const { first, count } = operation;
    const within = first >= from && first + count - 1 <= to;
    if (operation.actor !== actor || operation.shard !== shard || !within) continue;
    if (first > next) replica.cover([{ actor, shard, from: next, to: first - 1 }]);
    const received = replica.receive(operation);
    if (received === 'overflow') return staged;
    if (received === 'staged') staged += 1;
    next = first + count;
  }
  if (next <= to) replica.cover([{ actor, shard, from: next, to }]);
  return staged;
}

function countersIn(ranges: readonly DotRange[]): number {
  return ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0);
}
