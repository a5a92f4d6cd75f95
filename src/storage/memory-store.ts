import type { Runtime } from '../runtime/port.ts';
import { StoreError } from './errors.ts';
import { DELETED, type StagedRows } from './group.ts';
import { GroupCommit } from './group-commit.ts';
import { scanMerged } from './overlay.ts';
import type { KeyValue, Mutation, ScanRange, Store, StoreLocation, StoreStatus } from './port.ts';
import { SortedRows } from './sorted-rows.ts';

export interface MemoryStoreOptions {
  readonly runtime: Runtime;
  readonly groupWaitMs?: number;
  readonly groupBytes?: number;
  /** How long a group takes to reach the disk; drawn for each group where it is a function. */
  readonly flushMs?: number | (() => number);
  readonly retryMinMs?: number;
  readonly retryMaxMs?: number;
}

export interface Crash {
  /** The group that was being written reached the disk, though nobody was told. */
  readonly writeInFlight?: boolean;
  /** So many groups that were reported as durable are gone all the same (a disk that lied). */
  readonly groupsLost?: number;
}

/** What a disk held at one moment; it can be put back any number of times. */
export interface MemorySnapshot {
  readonly rows: SortedRows;
}

type Undo = (readonly [key: string, before: Uint8Array | undefined])[];

/** Groups that a crash can take back. */
const UNDO_GROUPS_MAX = 64;

/**
 * A disk in memory, for the simulator and for tests: it keeps its rows while the stores that are opened
 * on it come and go, and breaks in every way a disk breaks. Deterministic: all time comes from the
 * runtime, nothing is drawn.
 */
export class MemoryStoreLocation implements StoreLocation {
  readonly #options: MemoryStoreOptions;
  readonly #asides = new Map<string, MemoryStoreLocation>();
  #rows = new SortedRows();
  #undo: Undo[] = [];
  #opened: MemoryStore | undefined;
  #error: Error | undefined;
  #mark: string | undefined;

  constructor(options: MemoryStoreOptions) {
    this.#options = options;
  }

  open(): Promise<Store> {
    if (this.#opened) {
      return Promise.reject(new StoreError('STORE_LOCKED', 'the store in memory is open already'));
    }
    this.#opened = new MemoryStore(this.#options, {
      read: (key) => this.#rows.get(key),
      rows: () => this.#rows,
      write: (rows) => this.#write(rows),
      closed: () => (this.#opened = undefined),
    });
    return Promise.resolve(this.#opened);
  }

  setAside(reason: string): Promise<string> {
    if (this.#opened) {
      return Promise.reject(
        new StoreError('STORE_LOCKED', 'close the store before it is set aside'),
      );
    }
    const name = `aside-${this.#asides.size + 1}-${reason}`;
    const aside = new MemoryStoreLocation(this.#options);
    aside.#rows = this.#rows;
    aside.#mark = reason;
    this.#mark = undefined;
    this.#asides.set(name, aside);
    this.#rows = new SortedRows();
    this.#undo = [];
    return Promise.resolve(name);
  }

  openAside(name: string): Promise<Store> {
    const aside = this.#asides.get(name);
    if (aside) return aside.open();
    const message = `no store was set aside as ${JSON.stringify(name)}`;
    return Promise.reject(new StoreError('STORE_OPEN_FAILED', message));
  }

  condemn(reason: string): Promise<void> {
    this.#mark = reason;
    return Promise.resolve();
  }

  condemned(): Promise<string | undefined> {
    return Promise.resolve(this.#mark);
  }

  unreadAside(): Promise<string | undefined> {
    return Promise.resolve(this.unread().at(-1));
  }

  noteRead(name: string): Promise<void> {
    const aside = this.#asides.get(name);
    if (aside) aside.#mark = undefined;
    return Promise.resolve();
  }

  /** Names of the stores that were set aside and not read yet, oldest first. */
  unread(): readonly string[] {
    return [...this.#asides].flatMap(([name, aside]) => (aside.#mark === undefined ? [] : [name]));
  }

  /** Ends the open store as `kill -9` or a loss of power does: what is not on the disk is gone. */
  crash({ writeInFlight = false, groupsLost = 0 }: Crash = {}): void {
    this.#opened?.abandon(writeInFlight);
    this.#opened = undefined;
    for (const aside of this.#asides.values()) aside.crash();
    for (let i = 0; i < groupsLost; i++) {
      for (const [key, before] of (this.#undo.pop() ?? []).reverse()) {
        if (before) this.#rows.set(key, before);
        else this.#rows.delete(key);
      }
    }
  }

  /** An empty disk in the place of this one. */
  wipe(): void {
    this.crash();
    this.#rows = new SortedRows();
    this.#undo = [];
    this.#mark = undefined;
    for (const aside of this.#asides.values()) aside.#mark = undefined;
  }

  snapshot(): MemorySnapshot {
    return { rows: this.#rows.clone() };
  }

  /** The disk as it was at the snapshot: a store rolled back to an older backup. */
  restore(snapshot: MemorySnapshot): void {
    this.crash();
    this.#rows = snapshot.rows.clone();
    this.#undo = [];
  }

  /** From now on every write fails, as on a full disk, until `heal`. */
  fail(error: Error = new Error('no space left on device')): void {
    this.#error = error;
  }

  heal(): void {
    this.#error = undefined;
  }

  /** One row is gone without anyone's order. False where it is not on the disk. */
  deleteBehindBack(key: string): boolean {
    const there = this.#rows.get(key) !== undefined;
    this.#rows.delete(key);
    return there;
  }

  /** A row that nobody wrote, or other bytes in the place of one. */
  putBehindBack(key: string, value: Uint8Array): void {
    this.#rows.set(key, value);
  }

  /** Changes one bit of a row's value. False where the row is not on the disk or has no such bit. */
  flipBit(key: string, bit = 0): boolean {
    const value = this.#rows.get(key);
    if (!value || bit >= value.length * 8) return false;
    const flipped = value.slice();
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    this.#rows.set(key, flipped);
    return true;
  }

  /** What is on the disk, in key order, whatever is staged above it. */
  diskRows(range: { readonly gte: string; readonly lt: string }): readonly KeyValue[] {
    return this.#rows.read({ ...range, reverse: false, limit: Number.POSITIVE_INFINITY }).rows;
  }

  #write(rows: StagedRows): Error | undefined {
    if (this.#error) return this.#error;
    const undo: Undo = [];
    for (const [key, value] of rows) {
      undo.push([key, this.#rows.get(key)]);
      if (value === DELETED) this.#rows.delete(key);
      else this.#rows.set(key, value);
    }
    this.#undo.push(undo);
    if (this.#undo.length > UNDO_GROUPS_MAX) this.#undo.shift();
    return undefined;
  }
}

interface Disk {
  readonly read: (key: string) => Uint8Array | undefined;
  readonly rows: () => SortedRows;
  readonly write: (rows: StagedRows) => Error | undefined;
  readonly closed: () => void;
}

class MemoryStore implements Store {
  readonly #disk: Disk;
  readonly #commit: GroupCommit;
  #inFlight: StagedRows | undefined;
  #open = true;

  constructor(options: MemoryStoreOptions, disk: Disk) {
    const { runtime, flushMs = 0 } = options;
    this.#disk = disk;
    this.#commit = new GroupCommit({
      clock: runtime.clock,
      timers: runtime.timers,
      groupWaitMs: options.groupWaitMs ?? 1,
      groupBytes: options.groupBytes ?? 64 * 1024,
      retryMinMs: options.retryMinMs ?? 100,
      retryMaxMs: options.retryMaxMs ?? 5_000,
      write: (rows, done) => {
        this.#inFlight = rows;
        runtime.timers.after(typeof flushMs === 'number' ? flushMs : flushMs(), () => {
          if (!this.#open) return;
          this.#inFlight = undefined;
          done(this.#disk.write(rows));
        });
      },
    });
  }

  get(key: string): Uint8Array | undefined {
    this.#assertOpen();
    const staged = this.#commit.staged(key);
    if (staged) return staged === DELETED ? undefined : staged;
    return this.#disk.read(key);
  }

  stage(mutations: readonly Mutation[], onDurable?: () => void): void {
    this.#commit.stage(mutations, onDurable);
  }

  addBeforeFlush(hook: () => readonly Mutation[]): void {
    this.#commit.addBeforeFlush(hook);
  }

  scan(range: ScanRange): AsyncIterable<readonly KeyValue[]> {
    this.#assertOpen();
    return scanMerged(
      {
        groups: () => this.#commit.groups(),
        read: (part) => {
          this.#assertOpen();
          return this.#disk.rows().read(part);
        },
      },
      range,
    );
  }

  status(): StoreStatus {
    return this.#commit.status();
  }

  onStatus(listener: (status: StoreStatus) => void): void {
    this.#commit.onStatus(listener);
  }

  stagedBytes(): number {
    return this.#commit.stagedBytes();
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    await this.#commit.close();
    if (!this.#open) return;
    this.#open = false;
    this.#disk.closed();
  }

  /** Ends without a flush; `writeInFlight` says whether the group being written got through. */
  abandon(writeInFlight: boolean): void {
    this.#open = false;
    this.#commit.abandon();
    if (writeInFlight && this.#inFlight) this.#disk.write(this.#inFlight);
  }

  #assertOpen(): void {
    if (!this.#open) throw new StoreError('STORE_CLOSED', 'the store is closed');
  }
}
