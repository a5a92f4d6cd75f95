import { collectGarbage } from '../runtime/memory.ts';

/** Sessions that have to come before their garbage is worth a collection. */
const GROWTH_MIN = 1_000;
/** Looks without a change that make a quiet spell. */
const QUIET_LOOKS = 3;

/** Gives back what a wave of connections left behind, once the wave is over. One look a second. */
export class IdleMemory {
  #collectedAt = 0;
  #last = 0;
  #quiet = 0;

  /** `sockets`: open now. */
  look(sockets: number): void {
    this.#quiet = sockets === this.#last ? this.#quiet + 1 : 0;
    this.#last = sockets;
    if (this.#quiet !== QUIET_LOOKS) return;
    if (Math.abs(sockets - this.#collectedAt) < GROWTH_MIN) return;
    this.#collectedAt = sockets;
    collectGarbage();
  }
}
