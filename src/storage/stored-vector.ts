import { VersionVector, type ClosedActor } from '../core/version-vector.ts';
import { closedKey, CLOSED_RANGE, vectorKey, VECTOR_RANGE } from './layout.ts';
import type { KeyValue, Mutation, Store } from './port.ts';
import { decodeClosedRow, decodeVectorRow, encodeClosedRow, type ClosedRow } from './row-codec.ts';

/** A row that cannot be trusted claims nothing: its range is pulled again. */
export type DamageReport = (key: string, error: string) => void;

export interface StoredVector {
  readonly vector: VersionVector;
  /** Closed actors by their order; one whose row is damaged is absent. */
  readonly closed: readonly (ClosedActor | undefined)[];
  /** Never given before, also where the row of the last one is damaged. */
  readonly nextOrder: number;
}

/** The vector as it is stored: closed actors, and the rows of the open ones. */
export async function readVector(
  store: Pick<Store, 'scan'>,
  { intervalsMax, onDamage }: { intervalsMax?: number | undefined; onDamage?: DamageReport } = {},
): Promise<StoredVector> {
  const vector = new VersionVector(intervalsMax);
  const closed: (ClosedActor | undefined)[] = [];
  let rows = 0;
  for (const range of [CLOSED_RANGE, VECTOR_RANGE]) {
    for await (const chunk of store.scan(range)) {
      if (range === CLOSED_RANGE) rows += chunk.length;
      for (const { actor, finals, order } of addVectorRows(vector, chunk, onDamage)) {
        closed[order] = { actor, finals };
      }
    }
  }
  return { vector, closed, nextOrder: Math.max(closed.length, rows) };
}

/** One row for the closed actor, in the place of those that said the same. */
export function closingMutations(closed: ClosedRow): Mutation[] {
  const key = closedKey(closed.actor);
  const rows = closed.finals.map((_, shard) => ({ key: vectorKey(closed.actor, shard) }));
  return [...rows, { key, value: encodeClosedRow(key, closed) }];
}

/** Rows of either kind, in any order; returns those of closed actors. */
export function addVectorRows(
  vector: VersionVector,
  rows: readonly KeyValue[],
  onDamage?: DamageReport,
): readonly ClosedRow[] {
  const closed: ClosedRow[] = [];
  for (const [key, bytes] of rows) {
    const decoded = key[0] === 'x' ? decodeClosedRow(key, bytes) : decodeVectorRow(key, bytes);
    if (!decoded.ok) onDamage?.(key, decoded.error);
    else if ('finals' in decoded.row) {
      vector.close(decoded.row);
      closed.push(decoded.row);
    } else vector.addAll([decoded.row]);
  }
  return closed;
}
