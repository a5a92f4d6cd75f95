/**
 * Which coded symbols an item is in, in rising order: always symbol 0, then skips drawn from the item's
 * own hash. The probability of symbol i is ρ(i) = 1 / (1 + i/2) (Yang et al., "Practical Rateless Set
 * Reconciliation", SIGCOMM 2024, section 4).
 *
 * From symbol i the next one lies more than g further with probability
 *     Π (1 - ρ(j)), j = i+1 … i+g   =   (i+1)(i+2) / ((i+g+1)(i+g+2)).
 * With u uniform in (0, 1) the next symbol is the smallest one whose term is below u; as
 * (n+1)(n+2) = (n+1.5)² - 0.25 that is ceil(sqrt((i+1)(i+2)/u + 0.25) - 1.5). The paper's own
 * i + ceil((i+1.5)(1/sqrt(u) - 1)) leaves the two quarters out; this one is exact and costs as much.
 *
 * Every step is an IEEE operation that rounds in one way only, so all members draw the same.
 */
export class IndexSequence {
  index = 0;
  #a = 0;
  #b = 0;

  /** Starts at symbol 0 of the item with this hash. */
  reset(hashLow: number, hashHigh: number): void {
    this.index = 0;
    this.#a = hashLow;
    // The generator would stay at zero for ever.
    this.#b = hashLow === 0 && hashHigh === 0 ? 1 : hashHigh;
  }

  /** Moves to the item's next symbol: above 2^31 it is as good as none. */
  next(): void {
    // xoroshiro64* (Blackman and Vigna): 64 bits of state, 32 of result.
    const a = this.#a;
    const b = this.#b ^ a;
    const drawn = Math.imul(a, 0x9e3779bb) >>> 0;
    this.#a = ((a << 26) | (a >>> 6)) ^ b ^ (b << 9);
    this.#b = (b << 13) | (b >>> 19);
    const u = (drawn + 0.5) / 0x1_0000_0000;
    const i = this.index;
    const next = Math.ceil(Math.sqrt(((i + 1) * (i + 2)) / u + 0.25) - 1.5);
    // Rounding, where u is next to 1.
    this.index = next > i ? next : i + 1;
  }

  /** Moves to the first of the item's symbols that is not below `from`. */
  skipTo(from: number): void {
    while (this.index < from) this.next();
  }
}
