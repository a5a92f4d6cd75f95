import { RECALL } from '../core/row.ts';
import { SEPARATOR } from '../core/row-key.ts';
import type { Log } from '../observability/log.ts';
import type { Runtime, Timer } from '../runtime/port.ts';
import { factKey } from './layout.ts';
import type { Store } from './port.ts';
import type { Change, ReplicaListener } from './replica-port.ts';

export interface ErasureOptions {
  readonly store: Store;
  readonly runtime: Runtime;
  readonly log: Pick<Log, 'warn'>;
  /** From a recall to the first look at what is to be erased. Milliseconds. */
  readonly delayMs?: number | undefined;
  /** Rows erased in one round. */
  readonly rowsMax?: number | undefined;
  /** A compaction is followed by a pause of this many times what it took. */
  readonly restFactor?: number | undefined;
}

interface Settings {
  readonly delayMs: number;
  readonly rowsMax: number;
  readonly restFactor: number;
}

const MARK = `erase${SEPARATOR}`;
const DELAY_MS = 5_000;
const ROWS_MAX = 256;
const REST_FACTOR = 4;
/** A range is rewritten as one where its rows are not further apart than this in their channel's order. */
const SPAN_SEQS = 32 * 4_096;
const SEQ_DIGITS = 13;
const PRESENT = new Uint8Array([1]);

/**
 * Takes recalled content out of the store's files. An overwritten value stays in the write-ahead log and
 * in table files until a compaction happens to meet it, so each recall leaves a mark (`n/erase/key`),
 * and a round of this erases what is marked:
 * 1. a compaction of the range, which brings what is in memory (the content may be) into a table;
 * 2. the rows are written again as they are, so that something newer lies above that table;
 * 3. a second compaction merges the two and drops what was overwritten.
 * Marks go after that, so that a crash at any point only repeats it. Cost: two rewrites of the files that
 * hold the range (tables of 2 MB, about ten at each level), at most one part in five of the time.
 */
export class Erasure implements ReplicaListener {
  readonly #options: ErasureOptions & Settings;
  #timer: Timer | undefined;
  #state: 'idle' | 'working' | 'stopped' = 'stopped';
  #again = false;
  #erased = 0;

  constructor({ delayMs, rowsMax, restFactor, ...options }: ErasureOptions) {
    this.#options = {
      ...options,
      delayMs: delayMs ?? DELAY_MS,
      rowsMax: rowsMax ?? ROWS_MAX,
      restFactor: restFactor ?? REST_FACTOR,
    };
  }

  /** Rows whose content is in no file any more, since the start. */
  erasedRows(): number {
    return this.#erased;
  }

  start(): void {
    if (!this.#options.store.compact) return;
    this.#state = 'idle';
    // Marks of an earlier run.
    this.#wake();
  }

  stop(): void {
    this.#state = 'stopped';
    this.#timer?.cancel();
  }

  onSubmitted(): void {}

  onDurable(): void {}

  /** In the tick in which the row is staged: its mark reaches the disk with it. */
  onStaged(changes: readonly Change[]): void {
    const { store } = this.#options;
    if (!store.compact) return;
    for (const { key, before, after } of changes) {
      if (key[0] !== 'm' || before.length === 0 || after[0]?.tag !== RECALL) continue;
      if (before[0]!.tag === RECALL) continue;
      store.stage([{ key: factKey(MARK + key), value: PRESENT }]);
      this.#wake();
    }
  }

  #wake(): void {
    if (this.#state === 'working') this.#again = true;
    if (this.#state !== 'idle' || this.#timer) return;
    this.#timer = this.#options.runtime.timers.after(this.#options.delayMs, () => {
      this.#timer = undefined;
      if (this.#state !== 'idle') return;
      this.#state = 'working';
      void this.#work().then((more) => {
        if (this.#state === 'stopped') return;
        this.#state = 'idle';
        if (more || this.#again) this.#wake();
        this.#again = false;
      });
    });
  }

  /** True where something is left to do. */
  async #work(): Promise<boolean> {
    const { store, rowsMax, log } = this.#options;
    try {
      if (store.status().state === 'failing') return true;
      const keys = await this.#marked();
      if (keys.length === 0) return false;
      const ranges = rangesOf(keys);
      for (const range of ranges) await this.#compact(range);
      await this.#writeAgain(keys);
      for (const range of ranges) await this.#compact(range);
      if (this.#state === 'stopped') return true;
      store.stage(keys.map((key) => ({ key: factKey(MARK + key) })));
      this.#erased += keys.length;
      return keys.length >= rowsMax;
    } catch (error) {
      if (this.#state === 'stopped') return true;
      log.warn('recalled content is not erased yet: tried again', { error });
      return true;
    }
  }

  async #marked(): Promise<readonly string[]> {
    const { store, rowsMax } = this.#options;
    const prefix = factKey(MARK);
    const range = { gte: prefix, lt: prefix + '\u{10ffff}', limit: rowsMax };
    const keys: string[] = [];
    for await (const chunk of store.scan(range)) {
      for (const [key] of chunk) keys.push(key.slice(prefix.length));
    }
    return keys;
  }

  #writeAgain(keys: readonly string[]): Promise<void> {
    const { store } = this.#options;
    return new Promise((resolve) => {
      const mutations = keys.map((key) => ({ key, value: store.get(key) }));
      store.stage(mutations, resolve);
    });
  }

  async #compact(range: { readonly gte: string; readonly lt: string }): Promise<void> {
    if (this.#state === 'stopped') return;
    const { store, runtime, restFactor } = this.#options;
    const startMs = runtime.clock.monotonicMs();
    await store.compact!(range);
    const restMs = (runtime.clock.monotonicMs() - startMs) * restFactor;
    await new Promise<void>((resolve) => {
      runtime.timers.after(restMs, resolve);
    });
  }
}

/** Rows that are near each other in one channel share a range. `keys` are sorted. */
function rangesOf(keys: readonly string[]): { readonly gte: string; readonly lt: string }[] {
  const ranges: { gte: string; lt: string; channel: string; from: number }[] = [];
  for (const key of keys) {
    const at = key.lastIndexOf(SEPARATOR, key.lastIndexOf(SEPARATOR) - 1) + 1;
    const seq = Number.parseInt(key.slice(at, at + SEQ_DIGITS), 16);
    const [channel, last] = [key.slice(0, at), ranges.at(-1)];
    const lt = `${key}\u0000`;
    if (last?.channel === channel && seq - last.from <= SPAN_SEQS) last.lt = lt;
    else ranges.push({ gte: key, lt, channel, from: seq });
  }
  return ranges.map(({ gte, lt }) => ({ gte, lt }));
}
