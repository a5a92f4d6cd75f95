import type { Runtime, Timer } from '../runtime/port.ts';

export interface WalkOptions<Item> {
  readonly runtime: Pick<Runtime, 'clock' | 'timers'>;
  /** Every item is visited within this long, as long as `perTickMax` allows it. */
  readonly passMs: number;
  readonly tickMs: number;
  /** A walk over more items than this times the ticks of a pass takes longer than `passMs`. */
  readonly perTickMax: number;
  readonly count: () => number;
  /** An iterator that goes on through changes, as those of Map and Set do. */
  readonly items: () => Iterator<Item>;
  /** While what it returns is pending the walk waits. */
  readonly visit: (item: Item) => void | Promise<void>;
  /** False: what is visited now is not really looked at, and the pass proves nothing. */
  readonly proves?: (() => boolean) | undefined;
}

/** Visits all of a changing set again and again, a few at each tick, so that no tick takes long. */
export class PacedWalk<Item> {
  readonly #options: WalkOptions<Item>;
  #at: Iterator<Item> | undefined;
  #timer: Timer | undefined;
  #stopped = true;
  #working = false;
  /** When the pass began that is under way; undefined where it proves nothing. */
  #passFromMs: number | undefined;
  #verifiedMs: number | undefined;

  constructor(options: WalkOptions<Item>) {
    this.#options = options;
  }

  start(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#verifiedMs = this.#passFromMs = this.#options.runtime.clock.monotonicMs();
    this.#next();
  }

  /** Since when every item has been visited, or since the start; monotonic. Undefined before it. */
  verifiedMs(): number | undefined {
    return this.#verifiedMs;
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #next(): void {
    const { runtime, tickMs } = this.#options;
    this.#timer = runtime.timers.after(tickMs, () => {
      if (this.#stopped) return;
      this.#next();
      if (!this.#working) void this.#tick();
    });
  }

  async #tick(): Promise<void> {
    const { passMs, tickMs, perTickMax, count, items, visit, proves } = this.#options;
    this.#working = true;
    if (proves?.() === false) this.#passFromMs = undefined;
    if (count() === 0) this.#endPass();
    try {
      let left = Math.min(perTickMax, Math.ceil((count() * tickMs) / passMs));
      let turns = 0;
      while (left > 0 && !this.#stopped) {
        this.#at ??= items();
        const next = this.#at.next();
        if (next.done) {
          this.#endPass();
          // A set that became empty would turn for ever.
          if (++turns > 1) break;
          continue;
        }
        left -= 1;
        const pending = visit(next.value);
        if (pending) await pending;
      }
    } finally {
      this.#working = false;
    }
  }

  #endPass(): void {
    const { runtime, proves } = this.#options;
    const nowMs = runtime.clock.monotonicMs();
    this.#at = undefined;
    if (this.#passFromMs !== undefined) this.#verifiedMs = this.#passFromMs;
    this.#passFromMs = proves?.() === false ? undefined : nowMs;
  }
}
