import { hash32 } from '../../../core/placement.ts';
import type { InterestItem } from '../../link/message.ts';

const BUCKETS = 64;

/**
 * A set with the sum of its items' hashes, kept by its own mutations, and the means to find that what is
 * there is not what the mutations put there: each bucket is added up again in its turn.
 */
export class SummedItems implements Iterable<InterestItem> {
  readonly #buckets: (Set<InterestItem> | undefined)[] = [];
  readonly #sums = new Uint32Array(BUCKETS);
  #size = 0;
  #digest = 0;
  #next = 0;

  get size(): number {
    return this.#size;
  }

  /** The order in which the items came does not matter. */
  get digest(): number {
    return this.#digest;
  }

  has(item: InterestItem): boolean {
    return this.#buckets[hash32(item) % BUCKETS]?.has(item) ?? false;
  }

  /** False where it was there. */
  add(item: InterestItem): boolean {
    const hash = hash32(item);
    const bucket = (this.#buckets[hash % BUCKETS] ??= new Set());
    if (bucket.has(item)) return false;
    bucket.add(item);
    this.#account(hash, 1);
    return true;
  }

  delete(item: InterestItem): boolean {
    const hash = hash32(item);
    if (!this.#buckets[hash % BUCKETS]?.delete(item)) return false;
    this.#account(hash, -1);
    return true;
  }

  clear(): void {
    this.#buckets.length = 0;
    this.#sums.fill(0);
    this.#size = 0;
    this.#digest = 0;
  }

  *[Symbol.iterator](): Iterator<InterestItem> {
    for (const bucket of this.#buckets) if (bucket) yield* bucket;
  }

  /**
   * Adds up the next `share` of the buckets, 0 to 1, from what is really there. False where a sum is not
   * the one that was kept. About 0.06 µs an item.
   */
  audit(share: number): boolean {
    for (let left = Math.ceil(BUCKETS * share); left > 0; left--) {
      const at = this.#next;
      this.#next = (at + 1) % BUCKETS;
      let sum = 0;
      for (const item of this.#buckets[at] ?? []) sum = (sum + hash32(item)) >>> 0;
      if (sum !== this.#sums[at]) return false;
    }
    return true;
  }

  /** Fault injection alone calls it: changes what is there and none of the sums. */
  damage(item: InterestItem, change: 'add' | 'drop'): void {
    const bucket = (this.#buckets[hash32(item) % BUCKETS] ??= new Set());
    if (change === 'add') bucket.add(item);
    else bucket.delete(item);
  }

  #account(hash: number, sign: 1 | -1): void {
    const at = hash % BUCKETS;
    this.#size += sign;
    this.#digest = (this.#digest + sign * hash) >>> 0;
    this.#sums[at] = this.#sums[at]! + sign * hash;
  }
}
