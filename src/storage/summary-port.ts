import type { SetItem } from '../core/reconciliation/item.ts';

/** What two replicas of a shard compare first: equal sets have equal totals. */
export interface ShardTotals {
  /** Live dots of the shard. */
  readonly count: number;
  /** Sum, modulo 2^64, of their hashes under the cluster's key. */
  readonly sum: bigint;
}

/** Everything that a sweep needs of one shard, copied in one tick; later writes do not change it. */
export interface ShardCopy {
  readonly shard: number;
  readonly totals: ShardTotals;
  /** Coded symbols `from` (included) to `to` (not included) as bytes; at most `symbolsMax` in all. */
  symbols(from: number, to: number): Uint8Array;
  readonly symbolsMax: number;
  /** One 64-bit sum a bucket, as bytes. */
  bucketSums(): Uint8Array;
}

/**
 * The sums and coded symbols of the live dots of each shard, kept up to date as rows are staged, built
 * in one paced scan after the start. Local, never replicated.
 */
export interface ReplicaSummary {
  /** False while the shard's sums are being built: it is not swept yet. */
  ready(shard: number): boolean;
  totals(shard: number): ShardTotals;
  copy(shard: number): ShardCopy;
  /** Builds the shard's sums again from the disk; resolves with true where they had been different. */
  rebuild(shard: number): Promise<boolean>;
  /** Live dots of these buckets, read from the disk. */
  itemsOf(shard: number, buckets: ReadonlySet<number>): Promise<readonly SetItem[]>;
}
