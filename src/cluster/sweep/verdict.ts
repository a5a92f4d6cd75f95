import { KINDS, kindOf } from '../../core/kinds.ts';
import { contentOf, startKey } from '../../core/reconciliation/content-hash.ts';
import { liveEntries, mergeRows, type Entry, type Row } from '../../core/row.ts';
import { shardOfKey, type RowKey } from '../../core/row-key.ts';
import type { Replica } from '../../storage/replica-port.ts';

/**
 * What two rows under one key say about each other. Rows are joins and carry their evidence, so the join
 * decides: a row that gains nothing by it had everything, and nothing is ever lost because a row lacks it.
 */
export function join(key: RowKey, rows: readonly Row[]): Row {
  const { policy } = KINDS[kindOf(key)!];
  return rows.reduce((all, row) => mergeRows(policy, all, row), []);
}

export interface LiveChange {
  /** Live after and not before. */
  readonly gained: readonly Entry[];
  /** Live before and not after: something that has seen them came. */
  readonly lost: readonly Entry[];
}

/** Undefined where the same entries are live: evidence alone changes nothing for anyone. */
export function liveChange(before: Row, after: Row): LiveChange | undefined {
  const [had, has] = [liveEntries(before), liveEntries(after)];
  const gained = has.filter((entry) => !findDot(had, entry));
  const lost = had.filter((entry) => !findDot(has, entry));
  return gained.length + lost.length > 0 ? { gained, lost } : undefined;
}

export function findDot(
  row: Row,
  { actor, counter }: Pick<Entry, 'actor' | 'counter'>,
): Entry | undefined {
  return row.find((entry) => entry.actor === actor && entry.counter === counter);
}

/**
 * True where this store holds the entry's dot in another row, by its own log. A dot names one write of
 * one key, so one of the two rows is fabricated, and it is not the one that came with its log.
 */
export function isBorrowed(
  replica: Pick<Replica, 'keyOf' | 'read'>,
  key: RowKey,
  entry: Entry,
): boolean {
  const { actor, counter } = entry;
  const home = replica.keyOf({ actor, shard: shardOfKey(key), counter });
  return home !== undefined && home !== key && findDot(replica.read(home), entry) !== undefined;
}

/** Hash of what an entry says under its key: equal for equal writes. */
export function contentUnder(key: RowKey, entry: Entry): number {
  startKey(key);
  return contentOf(entry);
}

/** Dots that are in both rows and say different things: one of the two was altered. */
export function conflictsOf(key: RowKey, a: Row, b: Row): readonly Entry[] {
  return a.filter((entry) => {
    const other = findDot(b, entry);
    return other !== undefined && contentUnder(key, entry) !== contentUnder(key, other);
  });
}

/**
 * What more than half of those who hold the dot say; undefined where no content has a majority. Rows
 * without the dot have no vote.
 */
export function majorityOf(
  key: RowKey,
  dot: Pick<Entry, 'actor' | 'counter'>,
  rows: readonly Row[],
): Entry | undefined {
  const votes = new Map<number, { entry: Entry; count: number }>();
  let voters = 0;
  for (const row of rows) {
    const entry = findDot(row, dot);
    if (!entry) continue;
    voters += 1;
    const content = contentUnder(key, entry);
    const known = votes.get(content);
    if (known) known.count += 1;
    else votes.set(content, { entry, count: 1 });
  }
  for (const { entry, count } of votes.values()) if (2 * count > voters) return entry;
  return undefined;
}

/** The row with this entry in the place of the one of the same dot. */
export function replaceEntry(row: Row, entry: Entry): Row {
  return row.map((each) =>
    each.actor === entry.actor && each.counter === entry.counter ? entry : each,
  );
}
