import { compareKeys } from './key-order.ts';
import type { DiskRange, DiskRows } from './overlay.ts';
import type { KeyValue } from './port.ts';

/** Keys of one block; a full one is split. Short enough to insert into, long enough to have few. */
const BLOCK_KEYS_MAX = 512;

/** An ordered map in memory: a hash map for gets, sorted blocks of keys for ranges. */
export class SortedRows {
  readonly #rows = new Map<string, Uint8Array>();
  #blocks: string[][] = [[]];

  get size(): number {
    return this.#rows.size;
  }

  get(key: string): Uint8Array | undefined {
    return this.#rows.get(key);
  }

  set(key: string, value: Uint8Array): void {
    if (!this.#rows.has(key)) this.#insert(key);
    this.#rows.set(key, value);
  }

  delete(key: string): void {
    if (!this.#rows.delete(key)) return;
    const at = this.#blockOf(key);
    const block = this.#blocks[at]!;
    block.splice(lowerBound(block, key), 1);
    if (block.length === 0 && this.#blocks.length > 1) this.#blocks.splice(at, 1);
  }

  clear(): void {
    this.#rows.clear();
    this.#blocks = [[]];
  }

  /** A copy that shares the values, which nobody changes. */
  clone(): SortedRows {
    const copy = new SortedRows();
    for (const [key, value] of this.#rows) copy.#rows.set(key, value);
    copy.#blocks = this.#blocks.map((block) => [...block]);
    return copy;
  }

  read({ gte, lt, reverse, limit }: DiskRange): DiskRows {
    const rows: KeyValue[] = [];
    for (const key of reverse ? this.#downFrom(lt) : this.#upFrom(gte)) {
      if (reverse ? compareKeys(key, gte) < 0 : compareKeys(key, lt) >= 0) break;
      if (rows.length >= limit) return { rows, end: false };
      rows.push([key, this.#rows.get(key)!]);
    }
    return { rows, end: true };
  }

  *#upFrom(gte: string): Generator<string> {
    const first = this.#blockOf(gte);
    for (let b = first; b < this.#blocks.length; b++) {
      const block = this.#blocks[b]!;
      for (let i = b === first ? lowerBound(block, gte) : 0; i < block.length; i++) yield block[i]!;
    }
  }

  *#downFrom(lt: string): Generator<string> {
    const first = this.#blockOf(lt);
    for (let b = first; b >= 0; b--) {
      const block = this.#blocks[b]!;
      const end = b === first ? lowerBound(block, lt) : block.length;
      for (let i = end - 1; i >= 0; i--) yield block[i]!;
    }
  }

  #insert(key: string): void {
    const at = this.#blockOf(key);
    const block = this.#blocks[at]!;
    block.splice(lowerBound(block, key), 0, key);
    if (block.length <= BLOCK_KEYS_MAX) return;
    this.#blocks.splice(at + 1, 0, block.splice(BLOCK_KEYS_MAX / 2));
  }

  /** The last block that starts at or before the key, or the first one. */
  #blockOf(key: string): number {
    let low = 0;
    let high = this.#blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (compareKeys(this.#blocks[middle]![0]!, key) <= 0) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** Where the first key at or after `key` is, or would be. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys(keys[middle]!, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
