import type { Repair, RepairListener } from '../audit/port.ts';
import type { Log } from '../observability/log.ts';

/** Where every audit and sweep of a node tells what it found, and who wants to know takes it. */
export class Repairs implements RepairListener {
  readonly #log: Log;
  readonly #listeners: RepairListener[] = [];

  constructor(log: Log) {
    this.#log = log;
  }

  add(listener: RepairListener): void {
    this.#listeners.push(listener);
  }

  onRepair(repair: Repair): void {
    this.#log.warn('divergence', { ...repair });
    for (const listener of this.#listeners) listener.onRepair(repair);
  }
}
