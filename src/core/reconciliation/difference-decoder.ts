import { IndexSequence } from './index-sequence.ts';
import type { SetItem } from './item.ts';
import {
  HASHED_ITEM_WORDS,
  hashItem,
  ITEM_WORDS,
  readItem,
  shardOfItem,
  type ReconciliationKey,
} from './item-hash.ts';
import { decodeSymbols } from './symbol-codec.ts';
import { COUNT_WORD, SYMBOL_WORDS, SYMBOLS_MAX } from './symbol-table.ts';

/**
 * - incomplete: more symbols are needed.
 * - complete: all differences are known.
 * - exhausted: there are no more symbols and some differences are still mixed: compare bucket sums.
 * - corrupt: these are not the symbols of two sets under this key; nothing of the result may be used.
 */
export type DecoderState = 'incomplete' | 'complete' | 'exhausted' | 'corrupt';

export interface DecoderOptions {
  readonly key: ReconciliationKey;
  readonly shard: number;
  /** Items of either set, as the captured totals have them. */
  readonly ourCount: number;
  readonly theirCount: number;
  readonly symbolsMax?: number | undefined;
}

/**
 * Takes our coded symbols and a peer's, as they arrive, and tells what either set has and the other has
 * not. Peeling: a symbol of the difference that holds one single item gives it away, and the item then
 * leaves the other symbols it is in, which may leave one in those.
 *
 * Nothing is taken for an item unless the sum hashes, under the cluster's key, to the symbol's check,
 * is of this shard, and belongs into that very symbol. That leaves one false item in 2^64: who acts on
 * an item compares it with the record first.
 *
 * Bounded: as many items as symbols, each once; about 1 µs a symbol and item, 64 bytes a symbol.
 */
export class DifferenceDecoder {
  readonly #key: ReconciliationKey;
  readonly #shard: number;
  readonly #counts: { readonly ours: number; readonly theirs: number };
  readonly #symbolsMax: number;
  readonly #found: { readonly item: SetItem; readonly ours: boolean }[] = [];
  readonly #hashes = new Set<string>();
  readonly #pending: number[] = [];
  #symbols: Int32Array;
  #items: Int32Array;
  #sequences: IndexSequence[] = [];
  #received = 0;
  #state: DecoderState = 'incomplete';

  constructor({ key, shard, ourCount, theirCount, symbolsMax = SYMBOLS_MAX }: DecoderOptions) {
    this.#key = key;
    this.#shard = shard;
    this.#counts = { ours: ourCount, theirs: theirCount };
    this.#symbolsMax = symbolsMax;
    this.#symbols = new Int32Array(16 * SYMBOL_WORDS);
    this.#items = new Int32Array(16 * SYMBOL_WORDS);
  }

  get state(): DecoderState {
    return this.#state;
  }

  /** Symbols taken so far: the index of the next one. */
  get received(): number {
    return this.#received;
  }

  /** What we have and they have not; final where the state is `complete`, else a part of it. */
  ours(): readonly SetItem[] {
    return this.#found.filter(({ ours }) => ours).map(({ item }) => item);
  }

  theirs(): readonly SetItem[] {
    return this.#found.filter(({ ours }) => !ours).map(({ item }) => item);
  }

  /**
   * How many symbols to have in all before trying again. The counts give a first guess, which is right
   * where one side just lacks items; then it doubles until symbols begin to peel, then grows by a sixth.
   */
  wanted(): number {
    const received = this.#received;
    const apart = Math.abs(this.#counts.ours - this.#counts.theirs);
    const first = apart <= 1 ? 2 : Math.ceil(1.3 * apart) + 2;
    const begun = this.#found.length > received / 16;
    const more = begun ? Math.ceil(received * 1.16) + 1 : 2 * received;
    return Math.min(this.#symbolsMax, received === 0 ? first : more);
  }

  /** The same symbols of both sides, from `received` on. Both as `encodeSymbols` made them. */
  add(ours: Uint8Array, theirs: Uint8Array): DecoderState {
    if (this.#state !== 'incomplete') return this.#state;
    const from = this.#received;
    const symbolsMax = this.#symbolsMax - from;
    const left = decodeSymbols(ours, { from, symbolsMax, items: this.#counts.ours });
    const right = decodeSymbols(theirs, { from, symbolsMax, items: this.#counts.theirs });
    if (!left || !right || left.length !== right.length) return this.#end('corrupt');
    this.#append(left, right);
    this.#state = this.#peel();
    return this.#state;
  }

  #append(left: Int32Array, right: Int32Array): void {
    const start = this.#received * SYMBOL_WORDS;
    if (start + left.length > this.#symbols.length) {
      const length = Math.max(start + left.length, 2 * this.#symbols.length);
      this.#symbols = grown(this.#symbols, length);
      this.#items = grown(this.#items, length);
    }
    for (let i = 0; i < left.length; i++) {
      const isCount = (i & (SYMBOL_WORDS - 1)) === COUNT_WORD;
      this.#symbols[start + i] = isCount ? left[i]! - right[i]! : left[i]! ^ right[i]!;
    }
    const before = this.#received;
    this.#received += left.length / SYMBOL_WORDS;
    for (let item = 0; item < this.#sequences.length; item++) this.#subtract(item);
    for (let index = before; index < this.#received; index++) this.#pending.push(index);
  }

  #peel(): DecoderState {
    while (this.#pending.length > 0) {
      const index = this.#pending.pop()!;
      const count = this.#symbols[index * SYMBOL_WORDS + COUNT_WORD]!;
      if ((count !== 1 && count !== -1) || !this.#isItem(index)) continue;
      if (!this.#take(count)) return this.#end('corrupt');
    }
    if (this.#isEmpty(0)) {
      // Every item is in symbol 0, so all are found: what is left elsewhere belongs to none.
      for (let i = 1; i < this.#received; i++) if (!this.#isEmpty(i)) return this.#end('corrupt');
      return 'complete';
    }
    return this.#received >= this.#symbolsMax ? 'exhausted' : 'incomplete';
  }

  #isItem(index: number): boolean {
    const at = index * SYMBOL_WORDS;
    for (let i = 0; i < ITEM_WORDS; i++) candidate[i] = this.#symbols[at + i]!;
    hashItem(candidate, this.#key);
    if (candidate[5] !== this.#symbols[at + 5] || candidate[6] !== this.#symbols[at + 6]) {
      return false;
    }
    if (shardOfItem(candidate, 0) !== this.#shard) return false;
    probe.reset(candidate[5]!, candidate[6]!);
    probe.skipTo(index);
    return probe.index === index;
  }

  /** False where the item was found before, or there are more items than symbols: no set gives that. */
  #take(count: number): boolean {
    const hash = `${candidate[5]}:${candidate[6]}`;
    const item = this.#sequences.length;
    if (this.#hashes.has(hash) || item >= this.#received) return false;
    this.#hashes.add(hash);
    const at = item * SYMBOL_WORDS;
    this.#items.set(candidate, at);
    this.#items[at + COUNT_WORD] = count;
    const sequence = new IndexSequence();
    sequence.reset(candidate[5]!, candidate[6]!);
    this.#sequences.push(sequence);
    this.#found.push({ item: readItem(candidate, 0), ours: count > 0 });
    this.#subtract(item);
    return true;
  }

  /** Takes the item out of the symbols that came since it was last here; those may be single now. */
  #subtract(item: number): void {
    const sequence = this.#sequences[item]!;
    const symbols = this.#symbols;
    const source = item * SYMBOL_WORDS;
    while (sequence.index < this.#received) {
      const at = sequence.index * SYMBOL_WORDS;
      for (let i = 0; i < COUNT_WORD; i++) symbols[at + i]! ^= this.#items[source + i]!;
      const count = symbols[at + COUNT_WORD]! - this.#items[source + COUNT_WORD]!;
      symbols[at + COUNT_WORD] = count;
      if (count === 1 || count === -1) this.#pending.push(sequence.index);
      sequence.next();
    }
  }

  #isEmpty(index: number): boolean {
    const at = index * SYMBOL_WORDS;
    for (let i = 0; i < SYMBOL_WORDS; i++) if (this.#symbols[at + i] !== 0) return false;
    return this.#received > 0;
  }

  #end(state: DecoderState): DecoderState {
    this.#state = state;
    return state;
  }
}

const candidate = new Int32Array(HASHED_ITEM_WORDS);
const probe = new IndexSequence();

function grown(words: Int32Array, length: number): Int32Array {
  const larger = new Int32Array(length);
  larger.set(words);
  return larger;
}
