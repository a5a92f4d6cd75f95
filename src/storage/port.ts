/**
 * The store port: an ordered map of strings to bytes, atomic batches, group commit.
 *
 * The contract, held by test/contract/store on every adapter:
 * - `get` and `scan` see what has been staged, flushed or not.
 * - A `stage` call is atomic: after a crash all of its mutations are there, or none.
 * - `onDurable` callbacks run in the order of their `stage` calls, each once.
 * - When a flush fails (disk full, device error) nothing staged is dropped: `status` turns `failing`, no
 *   callback runs, the same batch is tried again until it succeeds, then callbacks run as if nothing was.
 * - Keys order by their UTF-8 bytes.
 */
export interface Mutation {
  readonly key: string;
  /** Absent: the key is deleted. */
  readonly value?: Uint8Array | undefined;
}

export interface ScanRange {
  readonly gte: string;
  readonly lt: string;
  readonly reverse?: boolean | undefined;
  readonly limit?: number | undefined;
}

export type KeyValue = readonly [key: string, value: Uint8Array];

export type StoreStatus =
  | { readonly state: 'ok' }
  | { readonly state: 'failing'; readonly sinceMs: number; readonly error: Error };

export interface Store {
  /** Synchronous. About 2 µs for a miss or a cached block, more where the disk has to be read. */
  get(key: string): Uint8Array | undefined;
  /**
   * Stages mutations for the next group commit: at most `groupWaitMs` or `groupBytes` of waiting.
   * `onDurable` runs once they are as durable as the sync mode promises.
   */
  stage(mutations: readonly Mutation[], onDurable?: () => void): void;
  /**
   * Called just before each group is cut; what it returns joins that group (rows that change with every
   * operation, written once a group): the vector's, the operation log's.
   */
  addBeforeFlush(hook: () => readonly Mutation[]): void;
  /** In key order (or reversed), in chunks of at most 1,000, each consistent with what is staged then. */
  scan(range: ScanRange): AsyncIterable<readonly KeyValue[]>;
  status(): StoreStatus;
  onStatus(listener: (status: StoreStatus) => void): void;
  /** Bytes staged and not yet durable: callers refuse new work above their limit. */
  stagedBytes(): number;
  /**
   * Rewrites the files that hold keys of the range, so that what was overwritten or deleted before the
   * call is in none of them. Absent where nothing of the past is kept. A rewrite of some megabytes.
   */
  compact?(range: { readonly gte: string; readonly lt: string }): Promise<void>;
  /** Flushes what is staged, if it can, and releases the lock. */
  close(): Promise<void>;
}

/** Where a node's store lives; it outlives the opened store so that a rebuild can set it aside. */
export interface StoreLocation {
  open(): Promise<Store>;
  /** Says on disk that the store, open or closed, is to be set aside, whatever comes in between. */
  condemn(reason: string): Promise<void>;
  /** The reason of a `condemn` that no `setAside` has followed yet. */
  condemned(): Promise<string | undefined>;
  /** Moves the closed store out of the way, kept for the operator; returns its name. */
  setAside(reason: string): Promise<string>;
  /** The newest store that was set aside and that no `noteRead` has named. */
  unreadAside(): Promise<string | undefined>;
  /** Opens a store that was set aside, to be read. */
  openAside(name: string): Promise<Store>;
  /** What it holds is on this disk, or it cannot be read. */
  noteRead(name: string): Promise<void>;
}
