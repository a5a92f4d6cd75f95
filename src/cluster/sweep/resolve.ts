import type { MemberId } from '../../core/ids.ts';
import { contextCovers, type Context } from '../../core/context.ts';
import { isBelowFloor } from '../../core/kinds/floor.ts';
import { EMPTY_ROW, type Row } from '../../core/row.ts';
import type { RowKey } from '../../core/row-key.ts';
import { settleBorrowed } from './borrowed.ts';
import type { Alarms } from './alarms.ts';
import type { Applier } from './apply.ts';
import type { SweepLimits, SweepOptions } from './options.ts';
import type { SweepCounters } from './port.ts';
import type { RateLimit } from './rate-limit.ts';
import type { RowsClient } from './rows-client.ts';
import { conflictsOf, findDot, isBorrowed, join, liveChange, majorityOf } from './verdict.ts';
import { METHODS, writeShardRows, type KeyedRow } from './wire.ts';

export interface ResolveParts {
  readonly options: SweepOptions;
  readonly limits: SweepLimits;
  readonly applier: Applier;
  readonly alarms: Alarms;
  readonly rate: RateLimit;
  readonly rows: RowsClient;
  readonly counters: SweepCounters;
}

/** One shard of one sweep. */
export interface ShardWork {
  readonly peer: MemberId;
  readonly session: number;
  readonly shard: number;
  /** The peer's vector, as it captured it. */
  readonly theirVector: Context;
  readonly collections: number;
  readonly ask: (method: string, body: unknown) => Promise<unknown>;
}

/** A key under which the two differ, with both rows. */
export interface Pair {
  readonly key: RowKey;
  readonly ours: Row;
  readonly theirs: Row;
}

export interface Resolved {
  /** Rows changed here and at the peer. */
  changed: number;
  /** Keys that stay different, and not because something is in flight. */
  open: number;
  /** Keys of differences that the rows do not confirm: the symbols may be wrong. */
  readonly nothing: RowKey[];
}

/**
 * Brings the two rows of each key to their join, with all that any live member knows about the key. Only
 * a lost row needs the others; what one side just missed is in the other's row.
 *
 * Invariant: nothing is taken away but by evidence, and a row is restored only after every live member
 * was asked for evidence against it.
 */
export async function resolvePairs(
  parts: ResolveParts,
  work: ShardWork,
  pairs: readonly Pair[],
): Promise<Resolved> {
  const resolved: Resolved = { changed: 0, open: 0, nothing: [] };
  const simple: Joined[] = [];
  const lost: Joined[] = [];
  const altered: Pair[] = [];
  const read = (key: RowKey): Row => parts.options.replica.read(key);
  for (const pair of pairs) {
    // Absent by rule: each side takes it off its disk in its own time.
    const some = pair.ours.length > 0 ? pair.ours : pair.theirs;
    if (isBelowFloor(pair.key, some, read)) continue;
    const borrowed = [...pair.ours, ...pair.theirs].find((entry) =>
      isBorrowed(parts.options.replica, pair.key, entry),
    );
    if (borrowed) {
      if (findDot(pair.ours, borrowed) && (await settleBorrowed(parts, pair.key, borrowed))) {
        resolved.changed += 1;
        continue;
      }
      const about = { cause: 'dot-of-another-row', peer: work.peer, dots: [borrowed] } as const;
      parts.alarms.raise(parts.applier.repair(pair.key, { action: 'alarm', ...about }));
      resolved.open += 1;
      continue;
    }
    if (conflictsOf(pair.key, pair.ours, pair.theirs).length > 0) {
      altered.push(pair);
      continue;
    }
    const joined = joinPair(parts, work, { ...pair, others: [] });
    if (joined.equal) resolved.nothing.push(pair.key);
    else if (!joined.gainsHere && !joined.gainsThere) parts.counters.inFlight += 1;
    else if (isLoss(parts, work, joined)) lost.push(joined);
    else simple.push(joined);
  }
  const known = await askOthers(parts, work, [...lost, ...altered.map(({ key }) => ({ key }))]);
  const complete = lost.map(({ key, ours, theirs }) =>
    joinPair(parts, work, { key, ours, theirs, others: known.get(key) ?? [] }),
  );
  const joins = [...simple, ...complete];
  const settled = await settle(parts, work, joins);
  resolved.changed += settled;
  if (settled === 0) resolved.open += joins.length;
  for (const pair of altered) {
    const put = await settleAltered(parts, work, { ...pair, others: known.get(pair.key) });
    if (put === 0) resolved.open += 1;
    resolved.changed += put;
  }
  return resolved;
}

interface Joined extends Pair {
  readonly full: Row;
  /** The same is live in both. */
  readonly equal: boolean;
  /** A side would change by what its vector covers already; anything else is on its way to it. */
  readonly gainsHere: boolean;
  readonly gainsThere: boolean;
}

function joinPair(
  { options }: ResolveParts,
  { shard, theirVector }: ShardWork,
  { key, ours, theirs, others }: Pair & { readonly others: readonly Row[] },
): Joined {
  const full = join(key, [ours, theirs, ...others]);
  const [here, there] = [liveChange(ours, full), liveChange(theirs, full)];
  const newIn = (row: Row): Row => full.filter((entry) => !findDot(row, entry));
  return {
    ...{ key, ours, theirs, full, equal: !here && !there },
    gainsHere:
      here !== undefined &&
      newIn(ours).some(({ actor, counter }) =>
        options.replica.covers({ actor, shard, from: counter, to: counter }),
      ),
    gainsThere:
      there !== undefined &&
      newIn(theirs).some(({ actor, counter }) => contextCovers(theirVector, actor, counter)),
  };
}

/** True where a side would get back what its vector covers. */
function isLoss({ options }: ResolveParts, work: ShardWork, { ours, theirs, full }: Joined) {
  const { shard, theirVector } = work;
  const here = liveChange(ours, full)?.gained ?? [];
  const there = liveChange(theirs, full)?.gained ?? [];
  return (
    here.some(({ actor, counter }) =>
      options.replica.covers({ actor, shard, from: counter, to: counter }),
    ) || there.some(({ actor, counter }) => contextCovers(theirVector, actor, counter))
  );
}

async function askOthers(
  { options, rows }: ResolveParts,
  { peer, shard }: ShardWork,
  wanted: readonly { readonly key: RowKey }[],
): Promise<ReadonlyMap<RowKey, readonly Row[]>> {
  const known = new Map<RowKey, Row[]>();
  if (wanted.length === 0) return known;
  const others = options.calls.reachable().filter((member) => member !== peer);
  const keys = wanted.map(({ key }) => key);
  const answers = await rows.fromAll(others, shard, keys);
  for (const key of keys) {
    known.set(
      key,
      answers.rows.map((answer) => answer.get(key) ?? EMPTY_ROW),
    );
  }
  return known;
}

async function settle(
  { applier, rate, limits }: ResolveParts,
  { peer, session, shard, collections, ask }: ShardWork,
  joined: readonly Joined[],
): Promise<number> {
  let changed = 0;
  for (const batch of batchesOf(joined, limits)) {
    await rate.take(batch.length);
    const rowsOf = (pairs: readonly Joined[]): KeyedRow[] =>
      pairs.map(({ key, full }) => [key, full]);
    const here = rowsOf(batch.filter(({ gainsHere }) => gainsHere));
    changed += applier.merge({ shard, rows: here, peer, collections }).length;
    const there = rowsOf(batch.filter(({ gainsThere }) => gainsThere));
    if (there.length === 0) continue;
    const taken = await ask(METHODS.offer, writeShardRows(shard, there, session));
    if (typeof taken === 'number') changed += taken;
  }
  return changed;
}

function* batchesOf(joined: readonly Joined[], limits: SweepLimits): Generator<readonly Joined[]> {
  let batch: Joined[] = [];
  let bytes = 0;
  for (const one of joined) {
    const size = one.full.reduce((sum, { value }) => sum + value.length + 100, one.key.length);
    if (
      batch.length > 0 &&
      (bytes + size > limits.batchBytes || batch.length >= limits.batchKeys)
    ) {
      yield batch;
      [batch, bytes] = [[], 0];
    }
    batch.push(one);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

/** The same dot says different things: what most live members say holds; without a majority nothing. */
async function settleAltered(
  { applier, alarms }: ResolveParts,
  { peer, shard, ask }: ShardWork,
  { key, ours, theirs, others = [] }: Pair & { readonly others: readonly Row[] | undefined },
): Promise<number> {
  let changed = 0;
  for (const dot of conflictsOf(key, ours, theirs)) {
    const good = majorityOf(key, dot, [ours, theirs, ...others]);
    if (!good) {
      const about = { action: 'alarm', cause: 'no-majority', peer, dots: [dot] } as const;
      alarms.raise(applier.repair(key, about));
      continue;
    }
    changed += applier.replace([[key, [good]]], peer);
    if (
      conflictsOf(
        key,
        [good],
        theirs.filter((each) => findDot([dot], each)),
      ).length === 0
    )
      continue;
    const taken = await ask(METHODS.replace, writeShardRows(shard, [[key, [good]]]));
    if (typeof taken === 'number') changed += taken;
  }
  return changed;
}
