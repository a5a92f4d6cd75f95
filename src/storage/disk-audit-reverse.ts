import type { ChannelKey, Uid } from '../core/ids.ts';
import { shardOf, SHARDS } from '../core/placement.ts';
import { startKey } from '../core/reconciliation/content-hash.ts';
import { isLive, liveEntries, type Row } from '../core/row.ts';
import {
  rangeEnd,
  reverseKey,
  SEPARATOR,
  shardPrefix,
  splitRowKey,
  subscriptionKey,
  type RowKey,
} from '../core/row-key.ts';
import type { AuditGround } from './disk-audit.ts';
import type { Change } from './replica-port.ts';
import { LiveScan } from './summary-scan.ts';
import { BucketSums } from './summary-sums.ts';

const REVERSE_RANGE = { gte: 'u' + SEPARATOR, lt: rangeEnd('u' + SEPARATOR) };
const PRESENT = new Uint8Array([1]);

/**
 * Reverse rows (u/) against subscriptions (s/), in one walk over the reverse rows: their sums, in
 * buckets, have to be those that the subscriptions call for. Only buckets that differ are looked at row
 * by row. False where the signal ended it.
 */
export async function checkReverse(ground: AuditGround): Promise<boolean> {
  const { store, runtime, pace, signal, summary } = ground;
  const found = Array.from({ length: SHARDS }, () => new BucketSums());
  const scan = new LiveScan({ store, runtime, ranges: [REVERSE_RANGE], pace, signal });
  const count = (key: RowKey, sign: 1 | -1): void => {
    const { a, b } = startKey(key);
    found[shardOfRow(key)]!.toggle(a, b, sign);
  };
  const forget = summary.watch(({ key, before, after }: Change) => {
    if (key[0] !== 's') return;
    const [was, is] = [isLive(before), isLive(after)];
    if (was !== is && scan.passed(reverseOf(key))) count(key, is ? 1 : -1);
  });
  try {
    const whole = await scan.run((key) => count(subscriptionOf(key), 1));
    if (!whole) return false;
    const unequal = found.map(
      (sums, shard) => new Set(summary.sumsOf(shard)!.reverse.unequal(sums)),
    );
    if (unequal.every((buckets) => buckets.size === 0)) return true;
    return (await dropStale(ground, unequal)) && (await addMissing(ground, unequal));
  } finally {
    forget();
  }
}

type Buckets = readonly ReadonlySet<number>[];

/**
 * Reverse rows whose subscription was removed. Where the subscription's row is not there at all it was
 * lost: its reverse is what still says so and what its user is routed by, and stays until a row comes.
 */
function dropStale(ground: AuditGround, unequal: Buckets): Promise<boolean> {
  const { store, runtime, replica, closePace: pace, signal } = ground;
  const scan = new LiveScan({ store, runtime, ranges: [REVERSE_RANGE], pace, signal });
  return scan.run((reverse) => {
    const key = subscriptionOf(reverse);
    if (!isIn(unequal, key)) return;
    const row = replica.read(key);
    if (isLive(row) || !store.get(reverse)) return;
    if (row.length === 0 && namesChannel(key)) return ground.doubt(key, 'row-lost');
    store.stage([{ key: reverse }]);
    ground.repaired('reverse-row-stale', key);
  });
}

function addMissing(ground: AuditGround, unequal: Buckets): Promise<boolean> {
  const { store, runtime, replica, closePace: pace, signal } = ground;
  const ranges = unequal.flatMap((buckets, shard) => {
    const prefix = shardPrefix('s', shard);
    return buckets.size > 0 ? [{ gte: prefix, lt: rangeEnd(prefix) }] : [];
  });
  return new LiveScan({ store, runtime, ranges, pace, signal }).run((text) => {
    const key = text as RowKey;
    if (!isIn(unequal, key)) return;
    const reverse = reverseOf(key);
    const row = replica.read(key);
    if (store.get(reverse) || !isLive(row)) return;
    // A row that nobody may have written gets nothing that routes by it before the members were asked.
    if (!isKnown(replica, key, row)) return ground.doubt(key, 'row-unknown');
    store.stage([{ key: reverse, value: PRESENT }]);
    ground.repaired('reverse-row-missing', key);
  });
}

/** True where the vector claims one of the writes that make it live. */
function isKnown(replica: AuditGround['replica'], key: RowKey, row: Row): boolean {
  const { shard } = splitRowKey(key)!;
  return liveEntries(row).some(({ actor, counter }) =>
    replica.covers({ actor, shard, from: counter, to: counter }),
  );
}

function isIn(unequal: Buckets, key: RowKey): boolean {
  const buckets = unequal[shardOfRow(key)]!;
  return buckets.size > 0 && buckets.has(startKey(key).a & 255);
}

function reverseOf(key: RowKey): string {
  const [channel, uid] = splitRowKey(key)!.parts as [ChannelKey, Uid];
  return reverseKey(uid, channel);
}

function subscriptionOf(reverse: string): RowKey {
  const [, uid, channel] = reverse.split(SEPARATOR) as [string, Uid, ChannelKey | undefined];
  return subscriptionKey(channel ?? ('' as ChannelKey), uid);
}

/** A reverse row that names none is nobody's. */
function namesChannel(key: RowKey): boolean {
  return splitRowKey(key)!.parts[0] !== '';
}

function shardOfRow(key: RowKey): number {
  return shardOf(splitRowKey(key)!.parts[0] as ChannelKey);
}
