import type { Simulation } from '../simulation.ts';
import type { SeededRandom } from '../world/random.ts';
import { DAMAGE_FAULTS } from './damage-faults.ts';
import { DISK_FAULTS } from './disk-faults.ts';
import { ETCD_FAULTS } from './etcd-faults.ts';
import type { Fault } from './fault.ts';
import { LAYER_FAULTS } from './layer-faults.ts';
import { NETWORK_FAULTS } from './network-faults.ts';
import { NODE_FAULTS } from './node-faults.ts';

export const FAULTS: readonly Fault[] = [
  ...NODE_FAULTS,
  ...NETWORK_FAULTS,
  ...DISK_FAULTS,
  ...ETCD_FAULTS,
  ...DAMAGE_FAULTS,
  ...LAYER_FAULTS,
];

export interface AppliedFault {
  /** Its place in the schedule, from 1: what `--omit` names. */
  readonly number: number;
  readonly atMs: number;
  readonly name: string;
  readonly text: string;
}

interface Undoing {
  task: (() => void) | undefined;
}

export interface ScheduleOptions {
  readonly faults?: readonly Fault[] | undefined;
  readonly meanMs?: number | undefined;
  /** Numbers of faults that are left out; all others come when, where and how they came with them. */
  readonly omit?: ReadonlySet<number> | undefined;
}

/**
 * Breaks the world by chance until it is told to heal it. Each fault draws from a stream of its own, so
 * that one can be left out without another one in the place of every later one.
 */
export class FaultSchedule {
  readonly #sim: Simulation;
  readonly #random: SeededRandom;
  readonly #faults: readonly Fault[];
  readonly #meanMs: number;
  readonly #omit: ReadonlySet<number>;
  readonly #applied: AppliedFault[] = [];
  readonly #undoings = new Set<Undoing>();
  #number = 0;
  #stopped = false;

  constructor(sim: Simulation, options: ScheduleOptions = {}) {
    this.#sim = sim;
    this.#random = sim.world.random.fork('faults');
    this.#faults = options.faults ?? FAULTS;
    this.#meanMs = options.meanMs ?? 1_500;
    this.#omit = options.omit ?? new Set();
  }

  get applied(): readonly AppliedFault[] {
    return this.#applied;
  }

  /** Applies faults at random; `onFault` is told after each. */
  start(onFault: (fault: AppliedFault) => void): void {
    if (this.#faults.length === 0) return;
    this.#number += 1;
    const number = this.#number;
    const random = this.#random.fork(`fault ${number}`);
    this.#sim.world.after(random.exponential(this.#meanMs), 'next fault', () => {
      if (this.#stopped) return;
      const fault = random.pickWeighted(this.#faults.map((one) => [one.weight, one] as const));
      const applied = this.#omit.has(number) ? undefined : this.#apply(fault, { number, random });
      if (applied) onFault(applied);
      this.start(onFault);
    });
  }

  #apply(
    fault: Fault,
    { number, random }: { number: number; random: SeededRandom },
  ): AppliedFault | undefined {
    const text = fault.apply({
      sim: this.#sim,
      random,
      later: (delayMs, task) => this.#later(delayMs, task),
      isHealed: () => this.#stopped,
    });
    if (text === undefined) return undefined;
    const applied = { number, atMs: this.#sim.world.nowMs, name: fault.name, text };
    this.#applied.push(applied);
    this.#sim.world.note(`fault: ${fault.name}`, () => text);
    return applied;
  }

  /** Everything that can be undone is, and everything that is down starts. */
  heal(): void {
    this.#stopped = true;
    this.#sim.world.note('heal');
    for (const undoing of this.#undoings) undoing.task?.();
    this.#undoings.clear();
    this.#sim.network.heal();
    for (const node of this.#sim.nodes) node.start();
  }

  #later(delayMs: number, task: () => void): void {
    const undoing: Undoing = { task };
    this.#undoings.add(undoing);
    this.#sim.world.after(delayMs, 'fault ends', () => {
      if (!this.#undoings.delete(undoing)) return;
      undoing.task?.();
    });
  }
}
