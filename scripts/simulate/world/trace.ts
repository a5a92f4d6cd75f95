import { hash32 } from '../../../src/core/placement.ts';

/**
 * A running hash over everything that happens, in order. Invariant 14: the same seed gives the same
 * hash; code that reads a real clock, real randomness or an unordered thing changes it.
 */
export class Trace {
  readonly #print: ((line: string) => void) | undefined;
  readonly #labels = new Map<string, number>();
  readonly #float = new Float64Array(1);
  readonly #words = new Uint32Array(this.#float.buffer);
  #low = 0x811c9dc5;
  #high = 0x2545f491;
  #count = 0;

  constructor(print?: (line: string) => void) {
    this.#print = print;
  }

  /** About 0.1 µs where nothing prints; `detail` is only called where something does. */
  add(atMs: number, label: string, detail?: () => string): void {
    this.#count++;
    this.#float[0] = atMs;
    this.#mix(this.#words[0]!);
    this.#mix(this.#words[1]!);
    this.#mix(this.#labelHash(label));
    if (!this.#print) return;
    const more = detail ? ` ${detail()}` : '';
    this.#print(`${atMs.toFixed(3).padStart(12)} ${label}${more}`);
  }

  addNumber(value: number): void {
    this.#mix(value >>> 0);
  }

  get count(): number {
    return this.#count;
  }

  /** 16 hex digits. */
  hash(): string {
    return [this.#high, this.#low].map((word) => word.toString(16).padStart(8, '0')).join('');
  }

  #mix(word: number): void {
    this.#low = Math.imul(this.#low ^ word, 0x01000193) >>> 0;
    this.#high = Math.imul((this.#high ^ word ^ (this.#low >>> 13)) >>> 0, 0x85ebca6b) >>> 0;
  }

  #labelHash(label: string): number {
    let hash = this.#labels.get(label);
    if (hash === undefined) {
      hash = hash32(label);
      if (this.#labels.size < 10_000) this.#labels.set(label, hash);
    }
    return hash;
  }
}
