import type { Runtime } from '../../src/runtime/port.ts';
import { VirtualProcess } from '../../scripts/simulate/world/virtual-process.ts';
import { World } from '../../scripts/simulate/world/world.ts';

export interface VirtualRuntime extends Runtime {
  /** Runs every timer that is due in the next `durationMs`, promises included. */
  advance(durationMs: number): Promise<void>;
  /** Advances until `promise` settles; rejects where it does not within `limitMs` (60 s by default). */
  settle<Value>(promise: Promise<Value>, limitMs?: number): Promise<Value>;
  /** Steps the wall clock; the monotonic one goes on as if nothing was. */
  stepWall(byMs: number): void;
}

/** A Runtime whose time passes only in `advance`; the same seed draws the same numbers. */
export function createVirtualRuntime(seed = 1): VirtualRuntime {
  const world = new World(seed);
  const wall = { offsetMs: 0, rate: 1 };
  const process = new VirtualProcess(world, { name: 'test', random: world.random, wall });
  return {
    clock: process.clock,
    random: process.random,
    timers: process.timers,
    advance: (durationMs) => world.run(durationMs),
    settle: (promise, limitMs = 60_000) => world.runFor(promise, limitMs),
    stepWall(byMs) {
      wall.offsetMs += byMs;
    },
  };
}
