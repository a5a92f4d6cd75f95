import type { Context } from '../../core/context.ts';
import { SHARDS } from '../../core/placement.ts';
import type { Replica } from '../../storage/replica-port.ts';
import type { ReplicaSummary, ShardCopy } from '../../storage/summary-port.ts';
import { contextHash, type ShardDigests } from './wire.ts';

/** A shard's symbols and vector, taken in one tick: what one of them has the other has too. */
export interface ShardCapture {
  readonly copy: ShardCopy;
  readonly vector: Context;
  readonly collections: number;
}

export interface CaptureSource {
  readonly replica: Pick<Replica, 'seen'>;
  readonly summary: ReplicaSummary;
  readonly collections: (shard: number) => number;
}

export function captureShard(source: CaptureSource, shard: number): ShardCapture {
  const { replica, summary, collections } = source;
  return {
    copy: summary.copy(shard),
    vector: replica.seen(shard),
    collections: collections(shard),
  };
}

export interface DigestCapture {
  readonly digests: ShardDigests;
  readonly vectors: readonly Context[];
}

/** Totals and vectors of all shards, in one tick. */
export function captureDigests({ replica, summary }: CaptureSource): DigestCapture {
  const shards = Array.from({ length: SHARDS }, (_, shard) => shard);
  const vectors = shards.map((shard) => replica.seen(shard));
  const digests = shards.map((shard) =>
    summary.ready(shard)
      ? { ...summary.totals(shard), vectorHash: contextHash(vectors[shard]!) }
      : undefined,
  );
  return { digests, vectors };
}
