import type { Repair, RepairListener } from '../../audit/port.ts';

/** Alarms about the same thing are told once, however many sweeps meet it. */
export class Alarms {
  readonly #told = new Set<string>();
  readonly #repairs: RepairListener;
  readonly #max: number;

  constructor(repairs: RepairListener, max: number) {
    this.#repairs = repairs;
    this.#max = max;
  }

  raise(repair: Repair): void {
    const dots = repair.dots?.map(({ actor, shard, counter }) => `${actor}:${shard}:${counter}`);
    const name = `${repair.cause} ${repair.peer} ${dots?.join(' ')}`;
    if (this.#told.has(name)) return;
    const [oldest] = this.#told;
    if (this.#told.size >= this.#max && oldest !== undefined) this.#told.delete(oldest);
    this.#told.add(name);
    this.#repairs.onRepair(repair);
  }
}
