import type { Kind } from '../core/kinds.ts';
import { KINDS } from '../core/kinds.ts';
import { SHARDS } from '../core/placement.ts';
import { contentOf, startKey } from '../core/reconciliation/content-hash.ts';
import type { SetItem } from '../core/reconciliation/item.ts';
import {
  bucketOf,
  HASHED_ITEM_WORDS,
  reconciliationKey,
  writeItem,
  type ReconciliationKey,
} from '../core/reconciliation/item-hash.ts';
import { encodeSymbols } from '../core/reconciliation/symbol-codec.ts';
import { SYMBOLS_MAX } from '../core/reconciliation/symbol-table.ts';
import { EMPTY_ROW, hasDot, liveEntries, type Row } from '../core/row.ts';
import { rangeEnd, shardPrefix, type RowKey } from '../core/row-key.ts';
import type { Log } from '../observability/log.ts';
import type { Runtime, Timer } from '../runtime/port.ts';
import type { Store } from './port.ts';
import type { Change, Replica } from './replica-port.ts';
import type { ReplicaSummary, ShardCopy, ShardTotals } from './summary-port.ts';
import { LiveScan, paceByShare, type KeyRange, type Pace } from './summary-scan.ts';
import { ShardSums } from './summary-sums.ts';

export interface SummaryOptions {
  /** Members of one cluster hash alike. */
  readonly cluster: string;
  readonly store: Store;
  readonly replica: Pick<Replica, 'read' | 'decode' | 'covers' | 'addListener'>;
  readonly runtime: Runtime;
  readonly log: Pick<Log, 'info' | 'warn'>;
  /** Of one core, while sums are built. */
  readonly buildShare?: number | undefined;
  readonly retryMs?: number | undefined;
}

interface Building {
  readonly sums: ShardSums;
  readonly scan: LiveScan;
  readonly done: Promise<boolean>;
}

const REBUILD_MS = 1_000;
const REBUILD_EVERY_MS = 5_000;
const SHARD_KINDS = (Object.keys(KINDS) as Kind[]).sort();

/**
 * The sums of every shard, 1.2 MB in all. Invariant: while a shard is ready its sums are those of its
 * rows as they are staged, unless something changed the disk without passing through here; a shard
 * that is being built again goes on with its old sums until the new ones are complete.
 */
export class StoreSummary implements ReplicaSummary {
  readonly key: ReconciliationKey;
  readonly #options: SummaryOptions;
  readonly #sums: (ShardSums | undefined)[] = Array.from({ length: SHARDS });
  readonly #building: (Building | undefined)[] = Array.from({ length: SHARDS });
  readonly #queued: (Promise<boolean> | undefined)[] = Array.from({ length: SHARDS });
  readonly #abort = new AbortController();
  readonly #soon: (Timer | undefined)[] = Array.from({ length: SHARDS });
  readonly #rebuiltMs: (number | undefined)[] = Array.from({ length: SHARDS });
  readonly #watchers = new Set<(change: Change) => void>();
  readonly #pace: Pace;
  #queue: Promise<unknown> = Promise.resolve();
  #damaged = 0;
  #rebuilds = 0;

  /** Has to be made before the replica writes anything: it takes every change from then on. */
  constructor(options: SummaryOptions) {
    this.#options = options;
    this.key = reconciliationKey(options.cluster);
    this.#pace = paceByShare(options.buildShare ?? 0.25);
    options.replica.addListener({
      onSubmitted: () => {},
      onDurable: () => {},
      onStaged: (changes, by) => this.#onStaged(changes, by),
    });
  }

  /** Builds all sums, one shard after the other, at its pace. */
  start(): void {
    void this.#buildAll();
  }

  stop(): void {
    this.#abort.abort();
    for (const timer of this.#soon) timer?.cancel();
  }

  ready(shard: number): boolean {
    return this.#sums[shard] !== undefined;
  }

  /** Damaged rows that the last builds met; they are in no sum. */
  damagedRows(): number {
    return this.#damaged;
  }

  totals(shard: number): ShardTotals {
    const { count, items } = this.#ready(shard);
    return { count, sum: items.total() };
  }

  copy(shard: number): ShardCopy {
    const { symbols, items, count } = this.#ready(shard);
    const [words, buckets] = [symbols.copy().words, items.copy()];
    return {
      shard,
      totals: { count, sum: buckets.total() },
      symbolsMax: SYMBOLS_MAX,
      symbols(from, to) {
        if (!Number.isInteger(from) || !Number.isInteger(to) || from < 0 || to < from) {
          throw new RangeError(`there are no symbols from ${from} to ${to}`);
        }
        const end = Math.min(to, SYMBOLS_MAX);
        return encodeSymbols(words, end, { from: Math.min(from, end), items: count });
      },
      bucketSums: () => bytesOf(buckets.words),
    };
  }

  /** Every change from now on, in the tick in which it is staged and after the sums took it in. */
  watch(watcher: (change: Change) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** The sums themselves, for the audit of the disk; they change with every write. */
  sumsOf(shard: number): ShardSums | undefined {
    return this.#sums[shard];
  }

  /** Shards whose sums and symbols were built again, the passes of the disk audit left out. */
  rebuilds(): number {
    return this.#rebuilds;
  }

  rebuild(shard: number): Promise<boolean> {
    const queued = this.#queued[shard];
    if (queued) return queued;
    this.#rebuilds += 1;
    const next = this.#queue.then(async () => {
      // A build that is under way may have passed what this one is asked to see.
      await this.#building[shard]?.done.catch(() => undefined);
      this.#queued[shard] = undefined;
      return this.build(shard, this.#pace);
    });
    this.#queued[shard] = next;
    this.#queue = next.catch(() => undefined);
    return next;
  }

  /**
   * For a shard whose sums may be wrong, because a row of it was lost, damaged or restored: they count
   * what it was. Soon, once for all that comes until then, and not again for a while.
   */
  rebuildSoon(shard: number): void {
    if (!this.ready(shard) || this.#abort.signal.aborted || this.#soon[shard]) return;
    const { runtime, log } = this.#options;
    const now = runtime.clock.monotonicMs();
    const dueMs = Math.max(now + REBUILD_MS, (this.#rebuiltMs[shard] ?? 0) + REBUILD_EVERY_MS);
    this.#soon[shard] = runtime.timers.after(dueMs - now, () => {
      this.#soon[shard] = undefined;
      this.#rebuiltMs[shard] = dueMs;
      this.rebuild(shard).catch((error: unknown) => {
        if (!this.#abort.signal.aborted) log.warn('sums were not built again', { shard, error });
      });
    });
  }

  /**
   * Builds the shard's sums in one scan of its rows at this pace; several may run at a time, one a
   * shard. True where the sums had been others. Rejects with the store's error, or when stopped.
   */
  build(shard: number, pace: Pace): Promise<boolean> {
    const running = this.#building[shard];
    if (running) return running.done;
    const { store, runtime } = this.#options;
    const ranges = rangesOfShard(shard);
    const scan = new LiveScan({ store, runtime, ranges, pace, signal: this.#abort.signal });
    const sums = new ShardSums({ shard, key: this.key });
    const done = this.#fill(shard, { sums, scan });
    this.#building[shard] = { sums, scan, done };
    return done;
  }

  async itemsOf(shard: number, buckets: ReadonlySet<number>): Promise<readonly SetItem[]> {
    const { store, runtime } = this.#options;
    const ranges = rangesOfShard(shard);
    const { signal } = this.#abort;
    const scan = new LiveScan({ store, runtime, ranges, pace: this.#pace, signal });
    const items: SetItem[] = [];
    const whole = await scan.run((key, value) => {
      const row = this.#rowOf(key, value);
      if (row.length === 0) return;
      startKey(key);
      for (const entry of liveEntries(row)) {
        const item = { actor: entry.actor, counter: entry.counter, content: contentOf(entry) };
        writeItem(words, item, { shard, key: this.key });
        if (buckets.has(bucketOf(words))) items.push(item);
      }
    });
    if (!whole) throw new Error('the summary was stopped');
    return items;
  }

  async #buildAll(): Promise<void> {
    const { runtime, log, retryMs = 5_000 } = this.#options;
    const from = runtime.clock.monotonicMs();
    for (let shard = 0; shard < SHARDS && !this.#abort.signal.aborted;) {
      try {
        if (!this.ready(shard)) await this.build(shard, this.#pace);
        shard += 1;
      } catch (error) {
        if (this.#abort.signal.aborted) return;
        log.warn('the sums of a shard cannot be built: again later', { shard, error });
        await new Promise<void>((resolve) => {
          runtime.timers.after(retryMs, resolve);
        });
      }
    }
    const tookMs = Math.round(runtime.clock.monotonicMs() - from);
    if (!this.#abort.signal.aborted) log.info('the sums of all shards are built', { tookMs });
  }

  async #fill(shard: number, { sums, scan }: Omit<Building, 'done'>): Promise<boolean> {
    try {
      const whole = await scan.run((key, value) => {
        const row = this.#rowOf(key, value);
        if (row.length > 0) sums.change(key, EMPTY_ROW, row);
      });
      if (!whole) throw new Error('the summary was stopped');
      const before = this.#sums[shard];
      this.#sums[shard] = sums;
      return before !== undefined && !before.equals(sums);
    } finally {
      this.#building[shard] = undefined;
    }
  }

  #onStaged(changes: readonly Change[], by: 'operation' | 'rows'): void {
    for (const change of changes) {
      const { key, before, after } = change;
      const shard = shardOfKey(key);
      this.#sums[shard]?.change(key, before, after);
      const building = this.#building[shard];
      if (building?.scan.passed(key)) building.sums.change(key, before, after);
      for (const watcher of this.#watchers) watcher(change);
      if (by === 'rows' && this.#isRestored(shard, change)) this.rebuildSoon(shard);
    }
  }

  /** Entries that this store had before: the sums may have counted them ever since, and count them twice now. */
  #isRestored(shard: number, { before, after }: Change): boolean {
    return after.some(
      ({ actor, counter }) =>
        !hasDot(before, actor, counter) &&
        this.#options.replica.covers({ actor, shard, from: counter, to: counter }),
    );
  }

  /** A damaged row is no part of the set, so that a sweep sees it as lost; the replica reports it. */
  #rowOf(key: string, value: Uint8Array): Row {
    const decoded = this.#options.replica.decode(key, value);
    if (decoded.ok) return decoded.row;
    this.#damaged += 1;
    return this.#options.replica.read(key as RowKey);
  }

  #ready(shard: number): ShardSums {
    const sums = this.#sums[shard];
    if (!sums) throw new RangeError(`the sums of shard ${shard} are not built yet`);
    return sums;
  }
}

const words = new Int32Array(HASHED_ITEM_WORDS);

function rangesOfShard(shard: number): KeyRange[] {
  return SHARD_KINDS.map((kind) => {
    const prefix = shardPrefix(kind, shard);
    return { gte: prefix, lt: rangeEnd(prefix) };
  });
}

/** A row key's second character is its shard as a hex digit. */
function shardOfKey(key: RowKey): number {
  const digit = key.charCodeAt(1);
  return digit < 58 ? digit - 48 : digit - 87;
}

/** Little-endian, whatever the machine. */
function bytesOf(sums: Int32Array): Uint8Array {
  const bytes = new Uint8Array(4 * sums.length);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < sums.length; i++) view.setInt32(4 * i, sums[i]!, true);
  return bytes;
}
