import { COUNT_WORD, SYMBOL_WORDS } from './symbol-table.ts';

/**
 * Symbols on the wire, one after the other: the 28 bytes of the sums, then the count less what it is
 * expected to be, zigzag, as a varint: about 30 bytes, whatever the size of the set (the paper's
 * section 6). Who reads has to know which symbols they are and how many items the set has.
 */
const SUM_BYTES = 4 * COUNT_WORD;
const VARINT_BYTES_MAX = 5;

export interface SymbolRange {
  /** Index of the first symbol. */
  readonly from: number;
  /** Items of the whole set. */
  readonly items: number;
}

export function encodeSymbols(words: Int32Array, to: number, range: SymbolRange): Uint8Array {
  const { from, items } = range;
  const bytes = new Uint8Array((to - from) * (SUM_BYTES + VARINT_BYTES_MAX));
  let at = 0;
  for (let index = from; index < to; index++) {
    const symbol = index * SYMBOL_WORDS;
    for (let i = 0; i < COUNT_WORD; i++) {
      const word = words[symbol + i]!;
      bytes[at] = word;
      bytes[at + 1] = word >>> 8;
      bytes[at + 2] = word >>> 16;
      bytes[at + 3] = word >>> 24;
      at += 4;
    }
    const off = (words[symbol + COUNT_WORD]! - expectedCount(index, items)) | 0;
    let rest = ((off << 1) ^ (off >> 31)) >>> 0;
    while (rest > 127) {
      bytes[at++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    bytes[at++] = rest;
  }
  return bytes.slice(0, at);
}

/** Undefined where the bytes are not a whole number of symbols, or more than `symbolsMax`. */
export function decodeSymbols(
  bytes: Uint8Array,
  { from, items, symbolsMax }: SymbolRange & { readonly symbolsMax: number },
): Int32Array | undefined {
  const most = Math.min(symbolsMax, Math.floor(bytes.length / (SUM_BYTES + 1)));
  const words = new Int32Array(most * SYMBOL_WORDS);
  let at = 0;
  let count = 0;
  while (at < bytes.length) {
    if (count === most || at + SUM_BYTES >= bytes.length) return undefined;
    const symbol = count * SYMBOL_WORDS;
    for (let i = 0; i < COUNT_WORD; i++) {
      words[symbol + i] =
        bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
      at += 4;
    }
    let zigzag = 0;
    for (let shift = 0; ; shift += 7) {
      if (shift > 28 || at === bytes.length) return undefined;
      const byte = bytes[at++]!;
      zigzag |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    const off = (zigzag >>> 1) ^ -(zigzag & 1);
    words[symbol + COUNT_WORD] = (off + expectedCount(from + count, items)) | 0;
    count += 1;
  }
  return words.subarray(0, count * SYMBOL_WORDS);
}

function expectedCount(index: number, items: number): number {
  return Math.round((2 * items) / (index + 2));
}
