/**
 * How many sweeps in a row showed the same thing, and since when. Only what a sweep showed again goes on;
 * bounded by the differences of one sweep.
 */
export interface Streak {
  readonly count: number;
  readonly sinceMs: number;
}

export class Streaks {
  #now = new Map<string, Streak>();
  #next = new Map<string, Streak>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  /** What this sweep shows; the streak up to now, this sweep included. */
  see(what: string, nowMs: number): Streak {
    const known = this.#next.get(what);
    if (known) return known;
    const before = this.#now.get(what);
    const streak = before
      ? { count: before.count + 1, sinceMs: before.sinceMs }
      : { count: 1, sinceMs: nowMs };
    if (this.#next.size < this.#max) this.#next.set(what, streak);
    return streak;
  }

  /** The sweep ended as it should. */
  close(): void {
    this.#now = this.#next;
    this.#next = new Map();
  }

  /** It broke off: it proves neither that something is still there nor that it is gone. */
  drop(): void {
    this.#next = new Map();
  }
}
