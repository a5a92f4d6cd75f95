import type { Random } from '../../../src/runtime/port.ts';

/**
 * xoshiro128** 1.1 (Blackman and Vigna, public domain), seeded by splitmix32: the only source of chance
 * in a simulation. A fork draws from its own stream, so that one more draw in one part of the world does
 * not change what happens in every other.
 */
export class SeededRandom implements Random {
  readonly #state: Uint32Array;
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = seed >>> 0;
    this.#state = new Uint32Array(4);
    let x = this.#seed;
    for (let i = 0; i < 4; i++) {
      x = (x + 0x9e3779b9) >>> 0;
      this.#state[i] = mix(x);
    }
  }

  /** A stream of its own; the same name of the same parent is the same stream. */
  fork(name: string): SeededRandom {
    let hash = mix(this.#seed ^ 0x5bd1e995);
    for (let i = 0; i < name.length; i++) hash = mix(hash ^ name.charCodeAt(i));
    return new SeededRandom(hash);
  }

  uint32(): number {
    const s = this.#state;
    const result = Math.imul(rotate(Math.imul(s[1]!, 5), 7), 9) >>> 0;
    const t = s[1]! << 9;
    s[2]! ^= s[0]!;
    s[3]! ^= s[1]!;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= t;
    s[3] = rotate(s[3]!, 11);
    return result;
  }

  bytes(length: number): Uint8Array {
    const result = new Uint8Array(length);
    for (let i = 0; i < length; i++) result[i] = this.uint32() >>> 24;
    return result;
  }

  fraction(): number {
    return this.uint32() / 0x1_0000_0000;
  }

  /** Uniform integer, both ends included. */
  between(from: number, to: number): number {
    return from + Math.floor(this.fraction() * (to - from + 1));
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<Value>(values: readonly Value[]): Value {
    if (values.length === 0) throw new RangeError('nothing to pick from');
    return values[Math.floor(this.fraction() * values.length)]!;
  }

  /** Picks by weight; weights need not sum to anything. */
  pickWeighted<Value>(choices: readonly (readonly [weight: number, value: Value])[]): Value {
    let left = this.fraction() * choices.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, value] of choices) {
      left -= weight;
      if (left < 0) return value;
    }
    return choices.at(-1)![1];
  }

  /** Exponentially distributed around `mean`, cut at eight times it. */
  exponential(mean: number): number {
    return Math.min(8 * mean, -Math.log(1 - this.fraction()) * mean);
  }
}

function rotate(x: number, k: number): number {
  return ((x << k) | (x >>> (32 - k))) >>> 0;
}

function mix(x: number): number {
  let z = x;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
}
