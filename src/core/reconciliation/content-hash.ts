import type { Entry } from '../row.ts';
import { actorWords } from './item-hash.ts';

/**
 * Hash of a row's key and of what an entry says, as 48 bits: from decoded values alone, never from bytes
 * that one replica may encode in another way. Two lanes of MurmurHash3 (A. Appleby, x86_128's constants)
 * joined at the end. It tells damage from what was written; it is no defence against an author of both.
 *
 * `startKey` once a row, then `contentOf` for each of its entries: about 1 ns a character of the key,
 * 0.5 ns a byte of the value.
 */
let laneA = 0;
let laneB = 0;
let keyA = 0;
let keyB = 0;

export interface KeyHash {
  readonly a: number;
  readonly b: number;
}

/** The result is the same object each time: it holds until the next call. */
export function startKey(key: string): KeyHash {
  let a = 0x2f6b3a11;
  let b = 0x5be0cd19;
  for (let i = 0; i < key.length; i += 2) {
    // Past the end charCodeAt gives NaN, which is 0 here; the length tells it from a U+0000.
    const word = key.charCodeAt(i) | (key.charCodeAt(i + 1) << 16);
    a = stepA(a, word);
    b = stepB(b, word);
  }
  keyA = finish(a ^ key.length);
  keyB = finish(b ^ key.length);
  keyHash.a = keyA;
  keyHash.b = keyB;
  return keyHash;
}

const keyHash = { a: 0, b: 0 };

/** 48 bits over the key given last and the entry: tag, HLC, context, value. */
export function contentOf({ tag, hlc, context, value }: Entry): number {
  laneA = keyA;
  laneB = keyB;
  absorb(tag);
  absorbNumber(hlc);
  absorb(context.length);
  for (const { actor, from, to } of context) {
    const [high, low] = actorWords(actor);
    absorb(high);
    absorb(low);
    absorbNumber(from);
    absorbNumber(to);
  }
  absorbBytes(value);
  const a = (laneA + laneB) | 0;
  const b = (laneB + a) | 0;
  return (finish(a) & 0xffff) * 0x1_0000_0000 + (finish(b) >>> 0);
}

function absorbBytes(bytes: Uint8Array): void {
  let [a, b] = [laneA, laneB];
  const { length } = bytes;
  const whole = length & ~3;
  for (let i = 0; i < whole; i += 4) {
    const word = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    a = stepA(a, word);
    b = stepB(b, word);
  }
  let tail = 0;
  for (let i = whole; i < length; i++) tail |= bytes[i]! << (8 * (i - whole));
  a = stepA(a, tail);
  b = stepB(b, tail);
  laneA = stepA(a, length);
  laneB = stepB(b, length);
}

function absorb(word: number): void {
  laneA = stepA(laneA, word);
  laneB = stepB(laneB, word);
}

function absorbNumber(value: number): void {
  absorb(value | 0);
  absorb((value / 0x1_0000_0000) | 0);
}

function stepA(lane: number, word: number): number {
  let mixed = Math.imul(word, 0x239b961b);
  mixed = Math.imul((mixed << 15) | (mixed >>> 17), 0xab0e9789 | 0) ^ lane;
  mixed = (mixed << 13) | (mixed >>> 19);
  return (Math.imul(mixed, 5) + 0x561ccd1b) | 0;
}

function stepB(lane: number, word: number): number {
  let mixed = Math.imul(word, 0xab0e9789 | 0);
  mixed = Math.imul((mixed << 16) | (mixed >>> 16), 0x38b34ae5) ^ lane;
  mixed = (mixed << 17) | (mixed >>> 15);
  return (Math.imul(mixed, 5) + 0x0bcaa747) | 0;
}

/** The final mix of MurmurHash3. */
function finish(lane: number): number {
  let mixed = lane ^ (lane >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
