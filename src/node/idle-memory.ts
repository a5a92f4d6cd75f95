import { collectGarbage, oldHeapBytes } from '../runtime/memory.ts';

/** Old generation that has to have grown since the last collection to make another one worth its pause. */
const GROWTH_BYTES_MIN = 4 * 1024 * 1024;
/** Frames between two looks up to which a node counts as quiet: pings of idle clients are no work. */
const QUIET_FRAMES_MAX = 2_000;
const QUIET_LOOKS = 3;

/** Gives back what a wave of connections left behind, once the wave is over. One look a second. */
export class IdleMemory {
  #framesIn = 0;
  #quietLooks = 0;
  #floorBytes = oldHeapBytes();

  /** `framesIn`: frames from clients so far. */
  look(framesIn: number): void {
    const quiet = framesIn - this.#framesIn <= QUIET_FRAMES_MAX;
    this.#framesIn = framesIn;
    this.#quietLooks = quiet ? this.#quietLooks + 1 : 0;
    if (this.#quietLooks < QUIET_LOOKS) return;
    this.#quietLooks = 0;
    if (oldHeapBytes() - this.#floorBytes < GROWTH_BYTES_MIN) return;
    collectGarbage();
    this.#floorBytes = oldHeapBytes();
  }
}
