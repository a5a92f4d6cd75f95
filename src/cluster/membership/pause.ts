import type { Timers } from '../../runtime/port.ts';

/**
 * A wait that somebody else can cut short. A wake while nobody waits ends the next wait at once.
 */
export class Pause {
  readonly #timers: Timers;
  #woken = false;
  #end: (() => void) | undefined;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  async wait(limitMs: number): Promise<void> {
    if (!this.#woken) {
      await new Promise<void>((resolve) => {
        const timer = this.#timers.after(limitMs, resolve);
        this.#end = () => {
          timer.cancel();
          resolve();
        };
      });
    }
    this.#woken = false;
    this.#end = undefined;
  }

  wake(): void {
    this.#woken = true;
    this.#end?.();
  }
}
