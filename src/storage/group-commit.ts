import type { Clock, Timer, Timers } from '../runtime/port.ts';
import { StoreError } from './errors.ts';
import { Group, type StagedRows } from './group.ts';
import type { Mutation, StoreStatus } from './port.ts';

/**
 * Writes one group, all or nothing, and calls `done` once, later and never within this call. It is not
 * called again before that.
 */
export type WriteGroup = (rows: StagedRows, done: (error?: Error) => void) => void;

export interface GroupCommitOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly write: WriteGroup;
  /** Longest that a mutation waits for company while nothing is being written. */
  readonly groupWaitMs: number;
  /** A group of this size is written without waiting. */
  readonly groupBytes: number;
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
}

/**
 * Groups staged mutations into batches: one is being written while the next one gathers. A group whose
 * write fails stays and is tried again, with capped backoff, until it succeeds.
 *
 * Invariant: groups are written in order, and the callbacks of one run before those of the next.
 * Invariant: `rows` of both groups together are all that `write` has not yet reported as done.
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions;
  readonly #listeners: ((status: StoreStatus) => void)[] = [];
  #gathering = new Group();
  #writing: Group | undefined;
  readonly #hooks: (() => readonly Mutation[])[] = [];
  #status: StoreStatus = { state: 'ok' };
  #timer: Timer | undefined;
  #soon = false;
  #retryMs: number;
  #stagedBytes = 0;
  #closing: (() => void) | undefined;
  #closed = false;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
    this.#retryMs = options.retryMinMs;
  }

  /** Undefined where nothing is staged for the key, `DELETED` where its deletion is. */
  staged(key: string): Uint8Array | undefined {
    return this.#gathering.rows.get(key) ?? this.#writing?.rows.get(key);
  }

  /** Oldest first: a later one overrules. */
  groups(): readonly StagedRows[] {
    return this.#writing ? [this.#writing.rows, this.#gathering.rows] : [this.#gathering.rows];
  }

  stage(mutations: readonly Mutation[], onDurable?: () => void): void {
    if (this.#closed) throw new StoreError('STORE_CLOSED', 'the store is closed');
    this.#stagedBytes += this.#gathering.add(mutations, onDurable);
    if (!this.#writing && !this.#gathering.isEmpty()) this.#schedule();
  }

  addBeforeFlush(hook: () => readonly Mutation[]): void {
    this.#hooks.push(hook);
  }

  stagedBytes(): number {
    return this.#stagedBytes;
  }

  status(): StoreStatus {
    return this.#status;
  }

  onStatus(listener: (status: StoreStatus) => void): void {
    this.#listeners.push(listener);
  }

  /** Writes what is staged. Tries a failing disk once more, then gives up: nobody was told `durable`. */
  close(): Promise<void> {
    if (this.#closed || this.#closing) return Promise.resolve();
    return new Promise((resolve) => {
      this.#closing = resolve;
      const retrying = this.#writing !== undefined && this.#timer !== undefined;
      this.#cancelTimer();
      if (retrying) this.#write(this.#writing!);
      else if (!this.#writing) this.#cut();
    });
  }

  /** Ends without writing, as a crash does; no callback runs any more. */
  abandon(): void {
    this.#closed = true;
    this.#cancelTimer();
  }

  #schedule(): void {
    const { timers, groupWaitMs, groupBytes } = this.#options;
    const { rows, bytes } = this.#gathering;
    if (this.#soon) return;
    if (groupWaitMs === 0 || bytes >= groupBytes || rows.size === 0) {
      this.#cutSoon();
    } else {
      this.#timer ??= timers.after(groupWaitMs, () => {
        this.#timer = undefined;
        // A busy process is late: what has come meanwhile belongs to this group.
        this.#cutSoon();
      });
    }
  }

  #cutSoon(): void {
    this.#soon = true;
    this.#options.timers.soon(() => {
      this.#soon = false;
      if (!this.#writing) this.#cut();
    });
  }

  #cut(): void {
    if (this.#closed) return;
    this.#cancelTimer();
    const group = this.#gathering;
    if (this.#closing || !group.isEmpty()) {
      for (const hook of this.#hooks) this.#stagedBytes += group.add(hook());
    }
    if (group.isEmpty()) {
      this.#finishClosing();
      return;
    }
    this.#gathering = new Group();
    this.#writing = group;
    if (group.rows.size > 0) this.#write(group);
    else this.#options.timers.soon(() => this.#written(group));
  }

  #write(group: Group): void {
    this.#options.write(group.rows, (error) => {
      if (error) this.#failed(group, error);
      else this.#written(group);
    });
  }

  #written(group: Group): void {
    if (this.#closed) return;
    this.#writing = undefined;
    this.#retryMs = this.#options.retryMinMs;
    this.#setStatus({ state: 'ok' });
    for (const callback of group.callbacks) this.#run(callback);
    this.#stagedBytes -= group.bytes;
    if (this.#closing) this.#cut();
    // Not at once: what the callbacks and the sockets bring now makes the next group larger.
    else if (!this.#gathering.isEmpty()) this.#schedule();
  }

  /** One that throws is a defect of its owner: the others run all the same. */
  #run(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.#options.timers.soon(() => {
        throw error;
      });
    }
  }

  #failed(group: Group, error: Error): void {
    if (this.#closed) return;
    const last = this.#status;
    const sinceMs = last.state === 'failing' ? last.sinceMs : this.#options.clock.wallMs();
    this.#setStatus({ state: 'failing', sinceMs, error });
    if (this.#closing) {
      this.#finishClosing();
      return;
    }
    this.#timer = this.#options.timers.after(this.#retryMs, () => {
      this.#timer = undefined;
      this.#write(group);
    });
    this.#retryMs = Math.min(2 * this.#retryMs, this.#options.retryMaxMs);
  }

  #setStatus(status: StoreStatus): void {
    const changed = status.state !== this.#status.state;
    this.#status = status;
    if (changed) for (const listener of this.#listeners) listener(status);
  }

  #finishClosing(): void {
    if (!this.#closing) return;
    this.#closed = true;
    this.#closing();
  }

  #cancelTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
