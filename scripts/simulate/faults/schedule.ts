import type { Simulation } from '../simulation.ts';
import type { SeededRandom } from '../world/random.ts';
import { DISK_FAULTS } from './disk-faults.ts';
import { ETCD_FAULTS } from './etcd-faults.ts';
import type { Fault } from './fault.ts';
import { NETWORK_FAULTS } from './network-faults.ts';
import { NODE_FAULTS } from './node-faults.ts';

export const FAULTS: readonly Fault[] = [
  ...NODE_FAULTS,
  ...NETWORK_FAULTS,
  ...DISK_FAULTS,
  ...ETCD_FAULTS,
];

export interface AppliedFault {
  readonly atMs: number;
  readonly name: string;
  readonly text: string;
}

interface Undoing {
  task: (() => void) | undefined;
}

/** Breaks the world by chance until it is told to heal it. */
export class FaultSchedule {
  readonly #sim: Simulation;
  readonly #random: SeededRandom;
  readonly #faults: readonly Fault[];
  readonly #meanMs: number;
  readonly #applied: AppliedFault[] = [];
  readonly #undoings = new Set<Undoing>();
  #stopped = false;

  constructor(
    sim: Simulation,
    options: { faults?: readonly Fault[] | undefined; meanMs?: number | undefined } = {},
  ) {
    this.#sim = sim;
    this.#random = sim.world.random.fork('faults');
    this.#faults = options.faults ?? FAULTS;
    this.#meanMs = options.meanMs ?? 1_500;
  }

  get applied(): readonly AppliedFault[] {
    return this.#applied;
  }

  /** Applies faults at random; `onFault` is told after each. */
  start(onFault: (fault: AppliedFault) => void): void {
    if (this.#faults.length === 0) return;
    this.#sim.world.after(this.#random.exponential(this.#meanMs), 'next fault', () => {
      if (this.#stopped) return;
      const fault = this.#random.pickWeighted(
        this.#faults.map((one) => [one.weight, one] as const),
      );
      const applied = this.apply(fault);
      if (applied) onFault(applied);
      this.start(onFault);
    });
  }

  apply(fault: Fault): AppliedFault | undefined {
    const text = fault.apply({
      sim: this.#sim,
      random: this.#random,
      later: (delayMs, task) => this.#later(delayMs, task),
      isHealed: () => this.#stopped,
    });
    if (text === undefined) return undefined;
    const applied = { atMs: this.#sim.world.nowMs, name: fault.name, text };
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
