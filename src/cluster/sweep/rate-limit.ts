import type { Runtime } from '../../runtime/port.ts';

/** So many a second, in the order of asking; a mass repair waits, traffic does not. */
export class RateLimit {
  readonly #runtime: Runtime;
  readonly #perSecond: number;
  #freeMs = 0;

  constructor(runtime: Runtime, perSecond: number) {
    this.#runtime = runtime;
    this.#perSecond = perSecond;
  }

  /** Resolves when `count` more may be done. */
  async take(count: number): Promise<void> {
    const nowMs = this.#runtime.clock.monotonicMs();
    const startMs = Math.max(nowMs, this.#freeMs);
    this.#freeMs = startMs + (1000 * count) / this.#perSecond;
    if (startMs <= nowMs) return;
    await new Promise<void>((resolve) => {
      this.#runtime.timers.after(startMs - nowMs, resolve);
    });
  }
}
