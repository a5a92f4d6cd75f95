import { DifferenceDecoder } from '../../core/reconciliation/difference-decoder.ts';
import type { SetItem } from '../../core/reconciliation/item.ts';
import { BUCKETS } from '../../core/reconciliation/item-hash.ts';
import type { SweepOptions } from './options.ts';
import type { ShardCapture } from './capture.ts';
import { METHODS, readItems, type PeerShard } from './wire.ts';

export interface Difference {
  /** We have, the peer has not. */
  readonly ours: readonly SetItem[];
  readonly theirs: readonly SetItem[];
  /** More differs than this sweep looks at. */
  readonly partial: boolean;
  readonly overflow: boolean;
}

export interface DifferenceParts {
  readonly options: Pick<SweepOptions, 'key' | 'summary'>;
  readonly itemsMax: number;
  readonly session: number;
  readonly ours: ShardCapture;
  readonly theirs: PeerShard;
  readonly ask: (method: string, body: unknown) => Promise<unknown>;
}

/** What differs in one shard: from coded symbols, or where those overflow from the unequal buckets. */
export async function findDifference(parts: DifferenceParts): Promise<Difference> {
  const { options, session, ours, theirs, ask } = parts;
  const { shard } = theirs;
  const decoder = new DifferenceDecoder({
    ...{ key: options.key, shard },
    ...{ ourCount: ours.copy.totals.count, theirCount: theirs.count },
  });
  let state = decoder.add(ours.copy.symbols(0, theirs.symbolsTo), theirs.symbols);
  while (state === 'incomplete') {
    const [from, to] = [decoder.received, decoder.wanted()];
    const symbols = await ask(METHODS.symbols, [session, shard, from, to]);
    if (!(symbols instanceof Uint8Array)) break;
    state = decoder.add(ours.copy.symbols(from, to), symbols);
    if (decoder.received === from) break;
  }
  if (state === 'complete') {
    return { ours: decoder.ours(), theirs: decoder.theirs(), partial: false, overflow: false };
  }
  return compareBuckets(parts);
}

async function compareBuckets(parts: DifferenceParts): Promise<Difference> {
  const { options, itemsMax, session, ours, theirs, ask } = parts;
  const { shard } = theirs;
  const sums = await ask(METHODS.buckets, [session, shard]);
  const own = ours.copy.bucketSums();
  if (!(sums instanceof Uint8Array) || sums.length !== own.length) {
    throw new Error('the bucket sums are not of this format');
  }
  const bytes = own.length / BUCKETS;
  const unequal: number[] = [];
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    for (let i = bucket * bytes; i < (bucket + 1) * bytes; i++) {
      if (own[i] === sums[i]) continue;
      unequal.push(bucket);
      break;
    }
  }
  // A bucket is as large as its share of the shard; so many of them that both lists stay bounded.
  const each = Math.max(ours.copy.totals.count, theirs.count, 1) / BUCKETS;
  const taken = new Set(unequal.slice(0, Math.max(1, Math.floor(itemsMax / each))));
  const theirItems = readItems(await ask(METHODS.items, [shard, taken.size, ...taken]));
  const ourItems = await options.summary.itemsOf(shard, taken);
  const [have, their] = [new Set(ourItems.map(nameOf)), new Set(theirItems.map(nameOf))];
  return {
    ours: ourItems.filter((item) => !their.has(nameOf(item))),
    theirs: theirItems.filter((item) => !have.has(nameOf(item))),
    partial: taken.size < unequal.length,
    overflow: true,
  };
}

function nameOf({ actor, counter, content }: SetItem): string {
  return `${actor}:${counter}:${content}`;
}
