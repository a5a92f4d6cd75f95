import type { ActorId } from '../ids.ts';
import { hash32 } from '../placement.ts';
import type { SetItem } from './item.ts';

/** Key of the item hashes: members of one cluster agree on it, and no two clusters by chance. */
export interface ReconciliationKey {
  readonly k0: number;
  readonly k1: number;
}

export function reconciliationKey(cluster: string): ReconciliationKey {
  return { k0: hash32(`low\u0000${cluster}`) | 0, k1: hash32(`high\u0000${cluster}`) | 0 };
}

/**
 * An item as words: actor (2), counter low, counter high 12 bits with shard 4 bits and content high 16,
 * content low; then its hash (2). Signed, because those are the integers that cost no allocation.
 */
export const ITEM_WORDS = 5;
export const HASHED_ITEM_WORDS = 7;
/** Counters fit 44 bits: at a million writes a second in one shard that is half a year of one run. */
export const COUNTER_MAX = 2 ** 44 - 1;
export const CONTENT_MAX = 2 ** 48 - 1;
const TWO_32 = 2 ** 32;

/** Fills `words` with the item and its hash. A counter above `COUNTER_MAX` is a RangeError. */
export function writeItem(
  words: Int32Array,
  { actor, counter, content }: SetItem,
  { shard, key }: { readonly shard: number; readonly key: ReconciliationKey },
): void {
  if (counter > COUNTER_MAX) throw new RangeError(`counter ${counter} is above ${COUNTER_MAX}`);
  if (actor !== lastActor) readActor(actor);
  words[0] = actorHigh;
  words[1] = actorLow;
  words[2] = counter | 0;
  const counterHigh = (counter / TWO_32) | 0;
  words[3] = (counterHigh << 20) | (shard << 16) | ((content / TWO_32) | 0);
  words[4] = content | 0;
  hashItem(words, key);
}

let lastActor = '';
let actorHigh = 0;
let actorLow = 0;

function readActor(actor: ActorId): void {
  lastActor = actor;
  actorHigh = Number.parseInt(actor.slice(0, 8), 16) | 0;
  actorLow = Number.parseInt(actor.slice(8), 16) | 0;
}

/** The 64 bits of an actor as two words, for other hashes over it. */
export function actorWords(actor: ActorId): readonly [high: number, low: number] {
  if (actor !== lastActor) readActor(actor);
  return [actorHigh, actorLow];
}

export function readItem(words: Int32Array, at: number): SetItem {
  const packed = words[at + 3]!;
  return {
    actor: (hex32(words[at]!) + hex32(words[at + 1]!)) as ActorId,
    counter: (packed >>> 20) * TWO_32 + (words[at + 2]! >>> 0),
    content: (packed & 0xffff) * TWO_32 + (words[at + 4]! >>> 0),
  };
}

export function shardOfItem(words: Int32Array, at: number): number {
  return (words[at + 3]! >>> 16) & 15;
}

function hex32(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0');
}

/** Which of a shard's 256 sums counts an item: by its dot alone, so that altered content stays there. */
export function bucketOf(words: Int32Array): number {
  let mixed = Math.imul(words[0]! ^ Math.imul(words[1]!, 0x85ebca6b), 0xc2b2ae35);
  mixed = Math.imul(mixed ^ words[2]! ^ (words[3]! >>> 20), 0x9e3779b1);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b);
  return (mixed ^ (mixed >>> 13)) & 255;
}

export const BUCKETS = 256;

/**
 * HalfSipHash-2-4 with 64 bits of result (J.-P. Aumasson, github.com/veorq/SipHash, halfsiphash.c) of
 * the 20 bytes in words[0..4], into words[5] and words[6]. All rounds in one loop, so that the state
 * stays in registers: two for each of the six blocks, then twice four.
 */
export function hashItem(words: Int32Array, { k0, k1 }: ReconciliationKey): void {
  let v0 = k0;
  let v1 = k1 ^ 0xee;
  let v2 = 0x6c796765 ^ k0;
  let v3 = 0x74656462 ^ k1;
  let block = 0;
  for (let round = 0; round < 20; round++) {
    if (round < 12 && (round & 1) === 0) {
      block = round < 10 ? words[round >> 1]! : (4 * ITEM_WORDS) << 24;
      v3 ^= block;
    }
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    if (round < 12 && (round & 1) === 1) v0 ^= block;
    if (round === 11) v2 ^= 0xee;
    if (round === 15) {
      words[5] = v1 ^ v3;
      v1 ^= 0xdd;
    }
  }
  words[6] = v1 ^ v3;
}
