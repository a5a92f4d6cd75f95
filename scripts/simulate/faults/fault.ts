import type { Simulation } from '../simulation.ts';
import type { SeededRandom } from '../world/random.ts';

export interface FaultContext {
  readonly sim: Simulation;
  readonly random: SeededRandom;
  /** Runs `task` later, or at the heal if that comes first. */
  readonly later: (delayMs: number, task: () => void) => void;
  /** After the heal nothing may break any more. */
  readonly isHealed: () => boolean;
}

/** One way for the world to break; `apply` returns what it did, or undefined where it could not. */
export interface Fault {
  readonly name: string;
  readonly weight: number;
  apply(context: FaultContext): string | undefined;
}
