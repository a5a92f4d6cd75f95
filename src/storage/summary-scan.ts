import type { Runtime } from '../runtime/port.ts';
import { compareKeys, keyAfter } from './key-order.ts';
import type { KeyValue, Store } from './port.ts';

export interface KeyRange {
  readonly gte: string;
  readonly lt: string;
}

/**
 * How long to rest after so many rows that took so long, ms; asked after each chunk. 0: go on at once.
 * Time is paid by whoever waits for this node's one thread.
 */
export type Pace = (rows: number, busyMs: number) => number;

/** Takes at most `share` of one core. */
export function paceByShare(share: number): Pace {
  return (_rows, busyMs) => busyMs * (1 / share - 1);
}

export interface LiveScanOptions {
  readonly store: Store;
  readonly runtime: Runtime;
  /** In key order, none overlapping. */
  readonly ranges: readonly KeyRange[];
  readonly pace: Pace;
  readonly signal: AbortSignal;
}

/** Rests are taken together: a timer for each chunk of a small range would only cost. */
const REST_MS_MIN = 5;
/** Rows after which the scan gives way even where no time seems to have passed (a simulated clock). */
const ROWS_AT_ONCE_MAX = 5_000;
/** Keys written before the cursor that are kept; beyond, the scan is opened anew at its cursor. */
const NOTED_MAX = 5_000;

/**
 * A walk over rows in key order whose result is right though rows are written meanwhile: what it has
 * collected is at every moment that of the rows up to its cursor as they are now. A write behind the
 * cursor is the caller's to take in (`passed` says so); one before it is noted and read when the cursor
 * comes there, because the chunk that is on its way may be older.
 */
export class LiveScan {
  readonly #options: LiveScanOptions;
  readonly #noted = new Set<string>();
  #cursor = '';
  #owedMs = 0;
  #rows = 0;

  constructor(options: LiveScanOptions) {
    this.#options = options;
  }

  /** To be asked in the tick in which a row is staged. */
  passed(key: string): boolean {
    if (compareKeys(key, this.#cursor) < 0) return true;
    this.#noted.add(key);
    return false;
  }

  /** Visits every row once; false where the signal ended it. Rejects with the store's error. */
  async run(visit: Visit): Promise<boolean> {
    for (const range of this.#options.ranges) {
      if (!(await this.#runRange(range, visit))) return false;
    }
    return true;
  }

  async #runRange({ gte, lt }: KeyRange, visit: Visit): Promise<boolean> {
    const { store, signal } = this.#options;
    this.#cursor = gte;
    let rows = store.scan({ gte, lt })[Symbol.asyncIterator]();
    for (;;) {
      if (signal.aborted) return false;
      const from = this.#nowMs();
      if (this.#noted.size > NOTED_MAX) {
        // A read that starts now sees all of them.
        this.#noted.clear();
        rows = store.scan({ gte: this.#cursor, lt })[Symbol.asyncIterator]();
      }
      const { value: chunk = [], done } = await rows.next();
      if (signal.aborted) return false;
      const next = done ? lt : keyAfter(chunk.at(-1)![0]);
      this.#visitChunk(chunk, next, visit);
      await this.#rest(chunk.length, this.#nowMs() - from);
      if (done) return true;
    }
  }

  /**
   * In one tick: rows, what was written meanwhile, and the cursor belong together. Keys past the chunk
   * stay noted, for the store may have read the end of the range already.
   */
  #visitChunk(chunk: readonly KeyValue[], next: string, visit: Visit): void {
    for (const [key, value] of chunk) if (!this.#noted.has(key)) visit(key, value);
    for (const key of this.#noted) {
      if (compareKeys(key, next) >= 0) continue;
      this.#noted.delete(key);
      const value = compareKeys(key, this.#cursor) < 0 ? undefined : this.#options.store.get(key);
      if (value) visit(key, value);
    }
    this.#cursor = next;
  }

  async #rest(rows: number, busyMs: number): Promise<void> {
    const { pace, runtime } = this.#options;
    this.#owedMs += pace(rows, busyMs);
    this.#rows += rows;
    if (this.#owedMs < REST_MS_MIN && this.#rows < ROWS_AT_ONCE_MAX) return;
    const delayMs = Math.max(1, this.#owedMs);
    [this.#owedMs, this.#rows] = [0, 0];
    await new Promise<void>((resolve) => {
      runtime.timers.after(delayMs, resolve);
    });
  }

  #nowMs(): number {
    return this.#options.runtime.clock.monotonicMs();
  }
}

type Visit = (key: string, value: Uint8Array) => void;
