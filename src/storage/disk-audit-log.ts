import { contextCovers } from '../core/context.ts';
import type { ActorId } from '../core/ids.ts';
import type { Kind } from '../core/kinds.ts';
import { KINDS } from '../core/kinds.ts';
import { SHARDS } from '../core/placement.ts';
import { startKey } from '../core/reconciliation/content-hash.ts';
import { hasDot, type Row } from '../core/row.ts';
import { rangeEnd, shardPrefix, splitRowKey, type RowKey } from '../core/row-key.ts';
import type { AuditGround, LogPlace as Place } from './disk-audit.ts';
import { counterOfLogKey, logKey, LOG_RANGE } from './layout.ts';
import { decodeLogRow, encodeLogRow } from './row-codec.ts';
import { LiveScan } from './summary-scan.ts';
import { BucketSums, logHash } from './summary-sums.ts';

/**
 * The delta log (l/) against the rows, in one walk over the log: its sums, in buckets, have to be those
 * that the rows' dots call for. Only buckets that differ are looked at row by row. False where the
 * signal ended it.
 */
export async function checkLog(ground: AuditGround): Promise<boolean> {
  const { store, runtime, pace, signal, summary } = ground;
  const found = Array.from({ length: SHARDS }, () => new BucketSums());
  const scan = new LiveScan({ store, runtime, ranges: [LOG_RANGE], pace, signal });
  const count = (place: Place, key: RowKey, sign: 1 | -1): void => {
    const hash = startKey(key);
    found[place.shard]!.toggle(logHash(place.actor, place.counter, hash), hash.b, sign);
  };
  const forget = summary.watch(({ key, before, after }) => {
    const { shard } = splitRowKey(key)!;
    eachGone(before, after, (place) => {
      if (scan.passed(logKey(place.actor, shard, place.counter)))
        count({ ...place, shard }, key, -1);
    });
    eachGone(after, before, (place) => {
      if (scan.passed(logKey(place.actor, shard, place.counter)))
        count({ ...place, shard }, key, 1);
    });
  });
  try {
    const whole = await scan.run((text, bytes) => {
      const decoded = decodeLogRow(text, bytes);
      // One that is damaged is missing in the sums, and so is looked at.
      if (decoded.ok) count(placeOf(text), decoded.row.key, 1);
    });
    if (!whole) return false;
    const unequal = found.map((sums, shard) => new Set(summary.sumsOf(shard)!.log.unequal(sums)));
    if (unequal.every((buckets) => buckets.size === 0)) return true;
    return (await findLost(ground, unequal)) && (await addMissing(ground, unequal));
  } finally {
    forget();
  }
}

type Buckets = readonly ReadonlySet<number>[];

/**
 * Log rows whose dot is not in its row: the row was lost, unless what is there has seen the dot. The log row stays, for without it this node
 * would call the dot superseded, and a loss would spread as a removal.
 */
function findLost(ground: AuditGround, unequal: Buckets): Promise<boolean> {
  const { store, runtime, replica, closePace: pace, signal } = ground;
  const scan = new LiveScan({ store, runtime, ranges: [LOG_RANGE], pace, signal });
  return scan.run((text, bytes) => {
    const decoded = decodeLogRow(text, bytes);
    const place = placeOf(text);
    if (!decoded.ok || !isIn(unequal, place, decoded.row.key)) return;
    const { key } = decoded.row;
    if (!splitRowKey(key)) return;
    const row = replica.read(key);
    if (hasDot(row, place.actor, place.counter) || !store.get(text)) return;
    const isSucceeded = row.some(({ context }) =>
      contextCovers(context, place.actor, place.counter),
    );
    if (isSucceeded) {
      // Its row was lost before the successor came, which would have taken the log row with it.
      store.stage([{ key: text }]);
      ground.repaired('log-row-left-over', key);
    } else if (row.length === 0 && ground.isPutOut(key, place)) {
      // What is left of a damaged row goes too: nobody could read from it that it is cut.
      store.stage([{ key: text }, ...(store.get(key) ? [{ key }] : [])]);
      ground.repaired('log-row-left-over', key);
    } else {
      ground.doubt(key, 'row-lost');
    }
  });
}

/** Dots without a log row that names them. Who the vector does not know, nobody may vouch for. */
function addMissing(ground: AuditGround, unequal: Buckets): Promise<boolean> {
  const { store, runtime, replica, closePace: pace, signal } = ground;
  const kinds = (Object.keys(KINDS) as Kind[]).sort();
  const shards = unequal.flatMap((buckets, shard) => (buckets.size > 0 ? [shard] : []));
  const ranges = kinds.flatMap((kind) =>
    shards.map((shard) => {
      const prefix = shardPrefix(kind, shard);
      return { gte: prefix, lt: rangeEnd(prefix) };
    }),
  );
  return new LiveScan({ store, runtime, ranges, pace, signal }).run((text, bytes) => {
    const key = text as RowKey;
    const decoded = replica.decode(key, bytes);
    if (!decoded.ok) return;
    const { shard } = splitRowKey(key)!;
    for (const { actor, counter } of decoded.row) {
      if (!isIn(unequal, { actor, shard, counter }, key)) continue;
      const name = logKey(actor, shard, counter);
      const stored = store.get(name);
      const known = stored && decodeLogRow(name, stored);
      if (known?.ok && known.row.key === key) continue;
      // The scan may be older than the row.
      if (!hasDot(replica.read(key), actor, counter)) continue;
      // One dot in two rows: one of them is fabricated, and the other members know which.
      const isElsewhere = known?.ok && hasDot(replica.read(known.row.key), actor, counter);
      if (isElsewhere || !replica.covers({ actor, shard, from: counter, to: counter })) {
        ground.doubt(key, 'row-unknown');
        continue;
      }
      store.stage([{ key: name, value: encodeLogRow(key, { offset: 0, count: 1 }) }]);
      ground.repaired('log-row-missing', key);
    }
  });
}

function isIn(unequal: Buckets, { actor, shard, counter }: Place, key: RowKey): boolean {
  const buckets = unequal[shard]!;
  return buckets.size > 0 && buckets.has(logHash(actor, counter, startKey(key)) & 255);
}

function eachGone(from: Row, to: Row, visit: (place: Omit<Place, 'shard'>) => void): void {
  for (const { actor, counter } of from) if (!hasDot(to, actor, counter)) visit({ actor, counter });
}

function placeOf(key: string): Place {
  const shard = Number.parseInt(key[17]!, 16);
  return { actor: key.slice(1, 17) as ActorId, shard, counter: counterOfLogKey(key) };
}
