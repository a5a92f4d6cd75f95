import { DELETED, type StagedRows } from './group.ts';
import { compareKeys, keyAfter } from './key-order.ts';
import type { KeyValue, ScanRange } from './port.ts';

export const CHUNK_ROWS_MAX = 1_000;

export interface DiskRange {
  readonly gte: string;
  readonly lt: string;
  readonly reverse: boolean;
  readonly limit: number;
}

export interface DiskRows {
  readonly rows: readonly KeyValue[];
  /** True where the disk holds nothing more of the range; false only where `rows` has some. */
  readonly end: boolean;
}

/** What a scan reads from: the groups that are staged (oldest first), and the disk beneath. */
export interface ScanSource {
  groups(): readonly StagedRows[];
  /**
   * The first rows of the range. Has to see the disk as it is at the call, not later: what is staged is
   * looked at in the same tick, and a group between the two would be missed.
   */
  read(range: DiskRange): Promise<DiskRows> | DiskRows;
  /** Before each read: resolves when it may begin, undefined for at once. `done` follows each, whatever became of it. */
  turn?(): Promise<void> | undefined;
  done?(): void;
  /** After a failed read: resolves when reading again may succeed; undefined where it would not. */
  readable?(error: unknown): Promise<void> | undefined;
}

/** Reads that may be cut off by a disk that is opened again, before the scan gives up. */
const READS_MAX = 4;

/** The scan of the store port: the disk's rows with the staged ones over them, in chunks. */
export async function* scanMerged(
  source: ScanSource,
  { gte, lt, reverse = false, limit = Number.POSITIVE_INFINITY }: ScanRange,
): AsyncGenerator<readonly KeyValue[]> {
  let [from, to, left] = [gte, lt, limit];
  while (left > 0 && compareKeys(from, to) < 0) {
    const most = Math.min(left, CHUNK_ROWS_MAX);
    const range = { gte: from, lt: to, reverse, limit: most };
    const { staged, rows, end } = await readPortion(source, range);
    const merged = merge(staged, rows, { reverse, end });
    const chunk = merged.length > most ? merged.slice(0, most) : merged;
    const last = chunk.length < merged.length ? chunk.at(-1) : rows.at(-1);
    if (chunk.length > 0) yield chunk;
    if ((end && chunk.length === merged.length) || !last) return;
    left -= chunk.length;
    if (reverse) to = last[0];
    else from = keyAfter(last[0]);
  }
}

/** What is staged is looked at again with every read: the two have to be of one tick. */
async function readPortion(
  source: ScanSource,
  range: DiskRange,
): Promise<DiskRows & { readonly staged: KeyValue[] }> {
  for (let reads = 1; ; reads++) {
    const turn = source.turn?.();
    if (turn) await turn;
    const staged = stagedIn(source.groups(), range.gte, range.lt);
    try {
      return { staged, ...(await source.read(range)) };
    } catch (error) {
      const readable = reads < READS_MAX ? source.readable?.(error) : undefined;
      if (!readable) throw error;
      await readable;
    } finally {
      source.done?.();
    }
  }
}

/** The staged rows of a range in key order. */
function stagedIn(groups: readonly StagedRows[], gte: string, lt: string): KeyValue[] {
  const latest = new Map<string, Uint8Array>();
  // Most ranges are of one kind, and most of what is staged is of others.
  const kind = gte[0] === lt[0] ? gte.charCodeAt(0) : undefined;
  for (const group of groups) {
    // Called for every read of a range, whatever is staged: an iterator would make an array of each entry.
    group.forEach((value, key) => {
      if (kind !== undefined && key.charCodeAt(0) !== kind) return;
      if (compareKeys(key, gte) >= 0 && compareKeys(key, lt) < 0) latest.set(key, value);
    });
  }
  return [...latest].sort((a, b) => compareKeys(a[0], b[0]));
}

/**
 * Staged rows win over the disk's. Where the disk has more, what is staged past its last row waits for
 * the next chunk.
 */
function merge(
  staged: KeyValue[],
  rows: readonly KeyValue[],
  { reverse, end }: { readonly reverse: boolean; readonly end: boolean },
): readonly KeyValue[] {
  if (staged.length === 0) return rows;
  if (reverse) staged.reverse();
  const sign = reverse ? -1 : 1;
  const result: KeyValue[] = [];
  let next = 0;
  for (const row of rows) {
    let order = -1;
    while (next < staged.length) {
      order = sign * compareKeys(staged[next]![0], row[0]);
      if (order > 0) break;
      pushLive(result, staged[next++]!);
      if (order === 0) break;
    }
    if (order !== 0) result.push(row);
  }
  if (end) while (next < staged.length) pushLive(result, staged[next++]!);
  return result;
}

function pushLive(rows: KeyValue[], row: KeyValue): void {
  if (row[1] !== DELETED) rows.push(row);
}
