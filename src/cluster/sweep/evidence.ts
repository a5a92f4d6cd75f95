import { pack, unpack } from 'msgpackr';
import { contextOfRanges, type Context } from '../../core/context.ts';
import type { DotRange } from '../../core/dot.ts';
import { withoutEvidence } from '../../core/evidence.ts';
import { parseActorId } from '../../core/ids.ts';
import { SHARDS } from '../../core/placement.ts';
import { REMOVAL } from '../../core/row.ts';
import type { RowKey } from '../../core/row-key.ts';
import { rangesOf, VersionVector, type VectorRow } from '../../core/version-vector.ts';
import type { Runtime } from '../../runtime/port.ts';
import type { Replica } from '../../storage/replica-port.ts';

export const CUT_FACT = 'cut';
const CHUNK_BYTES = 128 * 1024;

/**
 * Below the cut evidence may have been collected here: a store whose vector does not cover all of it may
 * still have what that evidence kept out, and has to be rebuilt.
 */
export function readCut(replica: Pick<Replica, 'fact'>): readonly VectorRow[] {
  const bytes = replica.fact(CUT_FACT);
  if (!bytes) return [];
  const rows: unknown = unpack(bytes);
  if (!Array.isArray(rows) || !rows.every(isVectorRow)) {
    throw new Error('the cut of collected evidence cannot be read');
  }
  return rows;
}

function isVectorRow(value: unknown): value is VectorRow {
  if (typeof value !== 'object' || value === null) return false;
  const { actor, shard, base, above } = value as Record<string, unknown>;
  const isCounter = (each: unknown): boolean => Number.isSafeInteger(each) && (each as number) >= 0;
  return (
    parseActorId(actor).ok &&
    isCounter(shard) &&
    (shard as number) < SHARDS &&
    isCounter(base) &&
    Array.isArray(above) &&
    above.every(isCounter)
  );
}

/** The cut moves up only; it is on its way to the disk before anything that it covers goes. */
export function raiseCut(replica: Replica, shard: number, settled: Context): void {
  const vector = new VersionVector(Number.POSITIVE_INFINITY);
  for (const { actor, from, to } of settled) vector.add({ actor, shard, from, to });
  adoptCut(replica, [...vector.rows()]);
}

/** Takes over the cut of a peer, so that a store that began empty knows what its peers have forgotten. */
export function adoptCut(replica: Replica, rows: readonly VectorRow[]): void {
  const cut = new VersionVector(Number.POSITIVE_INFINITY);
  cut.addAll(readCut(replica));
  const before = cut.hash();
  cut.addAll(rows);
  if (cut.hash() !== before) replica.setFact(CUT_FACT, pack([...cut.rows()]));
}

/**
 * The part of a peer's cut that its answer rests on. Call it before the answer is claimed: who claims a
 * dot whose evidence is collected and does not know so takes a lagging store's old row for its own loss.
 */
export function adoptCollected(replica: Replica, ranges: readonly DotRange[]): void {
  if (ranges.length === 0) return;
  const vector = new VersionVector(Number.POSITIVE_INFINITY);
  for (const range of ranges) vector.add(range);
  adoptCut(replica, [...vector.rows()]);
}

/** What is on this disk of a shard. */
export function durableContext(replica: Replica, shard: number): Context {
  const rows = replica.durableVector().filter((row) => row.shard === shard);
  return contextOfRanges(rows.flatMap(rangesOf));
}

export interface Collected {
  /** Rows whose evidence went. */
  readonly collected: number;
  /** Rows whose evidence stays. */
  readonly held: number;
}

/**
 * Walks the shard's rows and takes the evidence away that `settled` allows, in chunks with rests, at most
 * a quarter of the time. Each row is judged as it is in the tick in which it is replaced.
 */
export async function collectShard(
  replica: Replica,
  runtime: Runtime,
  { shard, settled, stopped }: { shard: number; settled: Context; stopped: () => boolean },
): Promise<Collected> {
  let [collected, held] = [0, 0];
  let after: RowKey | undefined;
  for (;;) {
    const { rows, last } = await replica.rows(shard, after, CHUNK_BYTES);
    if (stopped()) return { collected, held };
    const startMs = runtime.clock.monotonicMs();
    for (const [key, seen] of rows) {
      after = key;
      if (!seen.some(({ tag }) => tag === REMOVAL)) continue;
      const rest = withoutEvidence(key, replica.read(key), settled);
      if (!rest) {
        held += 1;
        continue;
      }
      if (collected === 0) raiseCut(replica, shard, settled);
      replica.replaceRows([[key, rest]]);
      collected += 1;
    }
    if (last || rows.length === 0) return { collected, held };
    const restMs = 1 + 3 * (runtime.clock.monotonicMs() - startMs);
    await new Promise<void>((resolve) => {
      runtime.timers.after(restMs, resolve);
    });
  }
}
