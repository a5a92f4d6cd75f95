import { collectGarbage, oldHeapBytes } from '../runtime/memory.ts';

/** Old generation that has to have grown since the last collection to make another one worth its pause. */
const GROWTH_BYTES_MIN = 4 * 1024 * 1024;
/** Frames between two looks up to which a node counts as quiet: pings of idle clients are no work. */
const QUIET_FRAMES_MAX = 2_000;
/** Messages and operations between two looks: each of them would wait for a collection of 100 ms. */
const QUIET_WORK_MAX = 20;
const QUIET_LOOKS = 3;
/** What a node without much in its store has after its start is not worth a pause. */
const START_BYTES_MAX = 64 * 1024 * 1024;

/** Gives back what a wave of connections left behind, once the wave is over. One look a second. */
export class IdleMemory {
  #framesIn = 0;
  #work = 0;
  #quietLooks = 0;
  #floorBytes: number | undefined;

  /** So far: `framesIn` from clients, `work` of messages delivered and operations of peers and for them. */
  look({ framesIn, work }: { readonly framesIn: number; readonly work: number }): void {
    const quiet =
      framesIn - this.#framesIn <= QUIET_FRAMES_MAX && work - this.#work <= QUIET_WORK_MAX;
    this.#framesIn = framesIn;
    this.#work = work;
    this.#quietLooks = quiet ? this.#quietLooks + 1 : 0;
    if (this.#quietLooks < QUIET_LOOKS) return;
    this.#quietLooks = 0;
    const bytes = oldHeapBytes();
    if (this.#floorBytes === undefined && bytes < START_BYTES_MAX) this.#floorBytes = bytes;
    if (bytes - (this.#floorBytes ?? 0) < GROWTH_BYTES_MIN) return;
    collectGarbage();
    this.#floorBytes = oldHeapBytes();
  }
}
