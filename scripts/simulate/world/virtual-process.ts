import type { Clock, Random, Runtime, Timer, Timers } from '../../../src/runtime/port.ts';
import type { SeededRandom } from './random.ts';
import { EPOCH_MS, type World } from './world.ts';

/** How far the wall clock of a machine is off; shared by all processes that run on it in turn. */
export interface WallClock {
  offsetMs: number;
  /** 1 for a perfect clock. */
  rate: number;
}

/**
 * One run of one program on one machine: a Runtime that can be paused (SIGSTOP) and killed (SIGKILL).
 * What becomes due while it is paused runs, in order, when it goes on; what is due after its death never.
 */
export class VirtualProcess implements Runtime {
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly timers: Timers;
  readonly #world: World;
  readonly #wall: WallClock;
  readonly #startedMs: number;
  #held: (() => void)[] = [];
  #state: 'running' | 'paused' | 'dead' = 'running';

  constructor(world: World, options: { name: string; random: SeededRandom; wall?: WallClock }) {
    this.#world = world;
    this.name = options.name;
    this.#wall = options.wall ?? { offsetMs: 0, rate: 1 };
    this.#startedMs = world.nowMs;
    this.random = options.random;
    this.clock = {
      wallMs: () => Math.floor(EPOCH_MS + world.nowMs * this.#wall.rate + this.#wall.offsetMs),
      monotonicMs: () => world.nowMs - this.#startedMs,
    };
    this.timers = {
      after: (delayMs, task) => this.after(delayMs, 'timer', task),
      soon: (task) => world.soon(`${this.name} soon`, () => this.enter(task)),
    };
  }

  get state(): 'running' | 'paused' | 'dead' {
    return this.#state;
  }

  after(delayMs: number, label: string, task: () => void): Timer {
    let cancelled = false;
    const timer = this.#world.after(Math.max(0, delayMs), `${this.name} ${label}`, () =>
      this.enter(() => {
        // It may have been cancelled by what ran before it when a paused process went on.
        if (!cancelled) task();
      }),
    );
    return {
      cancel() {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  /** Runs `task` inside the process: now, when it goes on, or never. */
  enter(task: () => void): void {
    if (this.#state === 'running') task();
    else if (this.#state === 'paused') this.#held.push(task);
  }

  pause(): void {
    if (this.#state === 'running') this.#state = 'paused';
  }

  resume(): void {
    if (this.#state !== 'paused') return;
    this.#state = 'running';
    const held = this.#held;
    this.#held = [];
    for (const task of held) this.#world.soon(`${this.name} held`, () => this.enter(task));
  }

  kill(): void {
    this.#state = 'dead';
    this.#held = [];
  }
}
