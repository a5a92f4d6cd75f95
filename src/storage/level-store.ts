import type { Runtime, Timer } from '../runtime/port.ts';
import { StoreError } from './errors.ts';
import { DELETED, type StagedRows } from './group.ts';
import { GroupCommit } from './group-commit.ts';
import { makeLevelDatabase, type LevelDatabase } from './level-database.ts';
import { scanMerged, CHUNK_ROWS_MAX, type DiskRange, type DiskRows } from './overlay.ts';
import type { KeyValue, Mutation, ScanRange, Store, StoreLocation, StoreStatus } from './port.ts';
import { ReadTurns } from './read-turns.ts';
import {
  asidePath,
  damaged,
  levelFolder,
  markedAsides,
  moveAside,
  prepareFolder,
  probeSpace,
  readMark,
  removeMark,
  writeMark,
} from './store-directory.ts';

/**
 * - commit: each group is flushed to the device before it is durable. Survives a loss of power.
 * - interval: each group reaches the kernel, which is flushed every `syncIntervalMs`. Survives kill -9.
 * - os: each group reaches the kernel. Survives kill -9.
 */
export type SyncMode = 'commit' | 'interval' | 'os';

export interface LevelStoreOptions {
  /** The store's folder; stores that are set aside go beside it. */
  readonly path: string;
  readonly runtime: Runtime;
  readonly sync?: SyncMode;
  readonly syncIntervalMs?: number;
  readonly groupWaitMs?: number;
  readonly groupBytes?: number;
  readonly cacheBytes?: number;
  readonly writeBufferBytes?: number;
  /** Waits between tries while the disk is failing. */
  readonly retryMinMs?: number;
  readonly retryMaxMs?: number;
  /** For tests that make the database fail. */
  readonly makeDatabase?: (folder: string) => LevelDatabase;
}

type Settings = Required<LevelStoreOptions>;

/** A scan's chunk is cut short here, and read from LevelDB in such portions. */
const CHUNK_BYTES_MAX = 1024 * 1024;
const PORTION_BYTES = 256 * 1024;
/**
 * What a read asks for until it turns out to be a long one. LevelDB's binding reserves 64 bytes for each
 * row that it is asked for and keeps them until the iterator is collected as garbage: asked for a chunk
 * at once, the few rows of each user who connects would hold 64 KB.
 */
const FIRST_ROWS = 16;
/** Twice the threads that do the work: there is always a next one, and a write waits for few. */
const READS_AT_ONCE = 8;
/** Sorts before every key; its deletion is what an `interval` flush writes when there is nothing else. */
const SYNC_KEY = '\u0000';

/** A store in a folder of this machine, on LevelDB. */
export class LevelStoreLocation implements StoreLocation {
  readonly #settings: Settings;
  #opened: LevelStore | undefined;

  constructor(options: LevelStoreOptions) {
    this.#settings = {
      sync: 'commit',
      syncIntervalMs: 100,
      groupWaitMs: 1,
      groupBytes: 64 * 1024,
      cacheBytes: 8 * 1024 * 1024,
      writeBufferBytes: 16 * 1024 * 1024,
      retryMinMs: 100,
      retryMaxMs: 5_000,
      makeDatabase: makeLevelDatabase,
      ...options,
    };
  }

  /** Throws a StoreError: STORE_LOCKED, STORE_DAMAGED, STORE_FORMAT_NEWER, STORE_OPEN_FAILED. */
  async open(): Promise<Store> {
    this.#opened = await LevelStore.open(this.#settings);
    return this.#opened;
  }

  async setAside(reason: string): Promise<string> {
    const { path, runtime } = this.#settings;
    if (this.#opened?.isClosed() === false) {
      throw new StoreError('STORE_LOCKED', `close the store in ${path} before it is set aside`);
    }
    await writeMark(path, reason);
    return moveAside(path, { reason, wallMs: runtime.clock.wallMs() });
  }

  condemn(reason: string): Promise<void> {
    return writeMark(this.#settings.path, reason);
  }

  condemned(): Promise<string | undefined> {
    return readMark(this.#settings.path);
  }

  async unreadAside(): Promise<string | undefined> {
    return (await markedAsides(this.#settings.path)).at(-1);
  }

  async noteRead(name: string): Promise<void> {
    await removeMark(await asidePath(this.#settings.path, name));
  }

  async openAside(name: string): Promise<Store> {
    const path = await asidePath(this.#settings.path, name);
    return LevelStore.open({ ...this.#settings, path });
  }
}

/** What classic-level has besides abstract-level. */
interface Compactable {
  compactRange(start: string, end: string): Promise<void>;
}

class LevelStore implements Store {
  readonly #settings: Settings;
  readonly #commit: GroupCommit;
  readonly #turns = new ReadTurns(READS_AT_ONCE);
  readonly #database: LevelDatabase;
  /** After a failed write LevelDB refuses all others until it is opened again. */
  #broken = false;
  /** While it is opened again; resolves either way. */
  #reopening: Promise<void> | undefined;
  #closed = false;
  #compacting: Promise<unknown> | undefined;
  #syncTimer: Timer | undefined;
  #syncedMs = 0;

  private constructor(settings: Settings) {
    const { runtime, groupWaitMs, groupBytes, retryMinMs, retryMaxMs } = settings;
    this.#settings = settings;
    this.#database = settings.makeDatabase(levelFolder(settings.path));
    this.#commit = new GroupCommit({
      clock: runtime.clock,
      timers: runtime.timers,
      groupWaitMs,
      groupBytes,
      retryMinMs,
      retryMaxMs,
      write: (rows, done) => void this.#write(rows).then(() => done(), done),
    });
  }

  static async open(settings: Settings): Promise<LevelStore> {
    await prepareFolder(settings.path);
    const store = new LevelStore(settings);
    try {
      await store.#openDatabase();
    } catch (error) {
      throw openError(settings.path, error);
    }
    return store;
  }

  get(key: string): Uint8Array | undefined {
    const staged = this.#commit.staged(key);
    if (staged) return staged === DELETED ? undefined : staged;
    if (this.#database.status !== 'open') throw this.#unavailable();
    try {
      return this.#database.getSync(key);
    } catch (error) {
      throw this.#readError(error);
    }
  }

  stage(mutations: readonly Mutation[], onDurable?: () => void): void {
    this.#commit.stage(mutations, onDurable);
  }

  addBeforeFlush(hook: () => readonly Mutation[]): void {
    this.#commit.addBeforeFlush(hook);
  }

  scan(range: ScanRange): AsyncIterable<readonly KeyValue[]> {
    const source = {
      groups: () => this.#commit.groups(),
      read: (part: DiskRange) => this.#read(part),
      turn: () => this.#turns.turn(),
      done: () => this.#turns.done(),
      readable: (error: unknown) => this.#readable(error),
    };
    return scanMerged(source, range);
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

  async compact({ gte, lt }: { readonly gte: string; readonly lt: string }): Promise<void> {
    if (this.#database.status !== 'open' || this.#closed) throw this.#unavailable();
    const work = (this.#database as unknown as Compactable).compactRange(gte, lt);
    this.#compacting = work.catch(() => undefined);
    try {
      await work;
    } catch (error) {
      throw this.#readError(error);
    }
  }

  isClosed(): boolean {
    return this.#database.status === 'closed';
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#syncTimer) this.#flushToDevice();
    await this.#commit.close();
    await this.#compacting;
    await this.#database.close();
  }

  /** Fails without touching the open database while there is no room: so it still answers reads. */
  async #write(rows: StagedRows): Promise<void> {
    if (this.#broken) await this.#reopen(rows);
    try {
      // Row by row into the native batch: an array of operations costs four times as much, in copies.
      const batch = this.#database.batch();
      for (const [key, value] of rows) {
        if (value === DELETED) batch.del(key);
        else batch.put(key, value);
      }
      await batch.write({ sync: this.#takeSync() });
    } catch (error) {
      this.#broken = true;
      throw error;
    }
  }

  async #reopen(rows: StagedRows): Promise<void> {
    let bytes = this.#settings.writeBufferBytes;
    for (const [key, value] of rows) bytes += key.length + value.length;
    await probeSpace(this.#settings.path, bytes);
    const reopened = this.#database.close().then(() => this.#openDatabase());
    this.#reopening = reopened.catch(() => undefined);
    try {
      await reopened;
      this.#broken = false;
    } finally {
      this.#reopening = undefined;
    }
  }

  /** A scan that met the short time in which the database is opened again waits for its end. */
  #readable(error: unknown): Promise<void> | undefined {
    if (this.#closed) return undefined;
    if (this.#reopening) return this.#reopening;
    const cutOff = codesOf(error).includes('LEVEL_ITERATOR_NOT_OPEN');
    return cutOff && this.#database.status === 'open' ? Promise.resolve() : undefined;
  }

  #openDatabase(): Promise<void> {
    const { cacheBytes, writeBufferBytes } = this.#settings;
    return this.#database.open({ cacheSize: cacheBytes, writeBufferSize: writeBufferBytes });
  }

  /** Whether the group that is about to be written is flushed to the device. */
  #takeSync(): boolean {
    const { sync, syncIntervalMs, runtime } = this.#settings;
    if (sync !== 'interval') return sync === 'commit';
    const now = runtime.clock.monotonicMs();
    if (this.#closed || now - this.#syncedMs >= syncIntervalMs) {
      this.#syncedMs = now;
      this.#syncTimer?.cancel();
      this.#syncTimer = undefined;
      return true;
    }
    this.#syncTimer ??= runtime.timers.after(syncIntervalMs, () => this.#flushToDevice());
    return false;
  }

  #flushToDevice(): void {
    this.#syncTimer?.cancel();
    this.#syncTimer = undefined;
    this.#syncedMs = Number.NEGATIVE_INFINITY;
    this.#commit.stage([{ key: SYNC_KEY }]);
  }

  async #read({ gte, lt, reverse, limit }: DiskRange): Promise<DiskRows> {
    if (this.#database.status !== 'open') throw this.#unavailable();
    // Made before the first await, so that its snapshot is of this tick.
    const iterator = this.#database.iterator({
      gte,
      lt,
      reverse,
      highWaterMarkBytes: PORTION_BYTES,
      // A walk over the whole store must not push out what is read all the time.
      fillCache: limit < CHUNK_ROWS_MAX,
    });
    const rows: KeyValue[] = [];
    let bytes = 0;
    let ask = FIRST_ROWS;
    try {
      while (rows.length < limit && bytes < CHUNK_BYTES_MAX) {
        const portion = await iterator.nextv(Math.min(ask, limit - rows.length));
        if (portion.length === 0) return { rows, end: true };
        if (portion.length === ask) ask = limit;
        for (const row of portion) bytes += row[0].length + row[1].length;
        rows.push(...portion);
      }
      return { rows, end: false };
    } catch (error) {
      throw this.#readError(error);
    } finally {
      await iterator.close();
    }
  }

  #unavailable(cause?: unknown): StoreError {
    const { path } = this.#settings;
    if (this.#closed) return new StoreError('STORE_CLOSED', `the store in ${path} is closed`);
    const message = `the store in ${path} is failing and this row is not in memory`;
    return new StoreError('STORE_UNAVAILABLE', message, { cause });
  }

  #readError(error: unknown): StoreError {
    if (codesOf(error).includes('LEVEL_CORRUPTION')) {
      return damaged(this.#settings.path, String(error), error);
    }
    return this.#unavailable(error);
  }
}

function openError(path: string, error: unknown): StoreError {
  const codes = codesOf(error);
  if (codes.includes('LEVEL_LOCKED')) {
    const message =
      `the store in ${path} is in use by another process: end that one, or give this node ` +
      'a folder of its own';
    return new StoreError('STORE_LOCKED', message, { cause: error });
  }
  const detail = String((error as Error).cause ?? error);
  // The folder was prepared a moment ago: what LevelDB misses is a file of its own.
  const missesFile = detail.includes('No such file');
  if (missesFile || codes.includes('LEVEL_CORRUPTION')) return damaged(path, detail, error);
  const message = `the store in ${path} cannot be opened: ${detail}`;
  return new StoreError('STORE_OPEN_FAILED', message, { cause: error });
}

function codesOf(error: unknown): readonly unknown[] {
  const { code, cause } = error as { code?: unknown; cause?: { code?: unknown } };
  return [code, cause?.code];
}
