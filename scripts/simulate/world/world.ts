import type { Timer } from '../../../src/runtime/port.ts';
import { EventQueue, type Event } from './event-queue.ts';
import { SeededRandom } from './random.ts';
import { Trace } from './trace.ts';

/** Virtual time starts here: 2026-01-01T00:00:00Z, in ms. */
export const EPOCH_MS = 1_767_225_600_000;
const EVENTS_MAX = 5_000_000;

/**
 * One virtual time line. Everything that ever happens is an event of one queue, ordered by (time,
 * number); between two events every promise that can settle does, so asynchronous code has no order of
 * its own.
 */
export class World {
  readonly random: SeededRandom;
  readonly trace: Trace;
  readonly #queue = new EventQueue();
  readonly #soon: Event[] = [];
  #nowMs = 0;
  #number = 0;
  #events = 0;

  constructor(seed: number, print?: (line: string) => void) {
    this.random = new SeededRandom(seed);
    this.trace = new Trace(print);
  }

  /** Virtual milliseconds since the start. */
  get nowMs(): number {
    return this.#nowMs;
  }

  get events(): number {
    return this.#events;
  }

  after(delayMs: number, label: string, task: () => void): Timer {
    if (!(delayMs >= 0)) throw new RangeError(`${label}: a delay of ${delayMs} ms`);
    const event = { atMs: this.#nowMs + delayMs, number: this.#number++, label, task };
    this.#queue.push(event);
    return { cancel: () => this.#queue.cancel(event) };
  }

  /** Before any timer, after what is queued this way already. */
  soon(label: string, task: () => void): void {
    this.#soon.push({ atMs: this.#nowMs, number: this.#number++, label, task });
  }

  /** Something worth a line in the trace that is no event. */
  note(label: string, detail?: () => string): void {
    this.trace.add(this.#nowMs, label, detail);
  }

  /** Runs everything that is due in the next `durationMs` of virtual time. */
  async run(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs;
    await settle();
    for (;;) {
      const event = this.#next(endMs);
      if (!event) break;
      const task = event.task!;
      event.task = undefined;
      this.#nowMs = event.atMs;
      if (++this.#events > EVENTS_MAX) throw new Error(`more than ${EVENTS_MAX} events`);
      this.trace.add(event.atMs, event.label);
      task();
      await settle();
    }
    this.#nowMs = endMs;
  }

  /** Runs until `condition` holds; false where it does not within `limitMs`. */
  async runUntil(condition: () => boolean, limitMs: number): Promise<boolean> {
    const endMs = this.#nowMs + limitMs;
    while (!condition()) {
      if (this.#nowMs >= endMs) return false;
      await this.run(Math.min(10, endMs - this.#nowMs));
    }
    return true;
  }

  /** Runs until `promise` settles, for at most `limitMs` of virtual time. */
  async runFor<Value>(promise: Promise<Value>, limitMs: number): Promise<Value> {
    let settled = false;
    const watched = promise.finally(() => (settled = true));
    watched.catch(() => undefined);
    if (!(await this.runUntil(() => settled, limitMs))) {
      throw new Error(`not settled within ${limitMs} virtual ms`);
    }
    return watched;
  }

  #next(endMs: number): Event | undefined {
    const soon = this.#soon.shift();
    if (soon) return { ...soon, atMs: this.#nowMs };
    const atMs = this.#queue.nextMs();
    return atMs !== undefined && atMs <= endMs ? this.#queue.pop() : undefined;
  }
}

/** A turn of the real event loop: it comes only after every microtask, however long their chain. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
