import type { Operation } from '../../core/operation.ts';
import { isLive } from '../../core/row.ts';
import { SEPARATOR, subscriptionKey, type RowKey } from '../../core/row-key.ts';
import type { Cause } from '../../messaging/port.ts';
import type { Log } from '../../observability/log.ts';
import type { Runtime } from '../../runtime/port.ts';
import type { KeyValue, Mutation, Store } from '../../storage/port.ts';
import type { Applied, Change, ReplicaListener } from '../../storage/replica-port.ts';
import type { Repair, RepairListener } from '../port.ts';
import { RingPacking } from './ring-packing.ts';
import type { LogEntry, LogFilter, OperationJournal, RefusedOperation } from './port.ts';
import {
  countedRecord,
  decodeRecords,
  encodeRecords,
  entriesIn,
  isLogged,
  mayHold,
  operationRecord,
  refusedRecord,
  repairRecord,
  timeOf,
  toEntries,
  type LogRecord,
} from './record.ts';

export interface OperationLogOptions {
  readonly store: Store;
  readonly runtime: Runtime;
  readonly log: Log;
  /** Lines that are kept; up to a sixteenth more until the oldest have been deleted. */
  readonly entriesMax: number;
  /** Refused calls above this rate are counted and not written. */
  readonly refusalsPerSecondMax?: number | undefined;
  /** Lines that may wait for the disk while it is failing; more are counted and not written. */
  readonly pendingMax?: number | undefined;
}

interface Pending {
  /** Present while somebody may still say why. */
  readonly operation?: Operation;
  cause: Cause | 'replicated';
  readonly atMs: number;
  readonly record?: LogRecord;
}

const PREFIX = `j${SEPARATOR}o`;
const ROW_ENTRIES_MAX = 512;
const TRIM_ROWS = 1_000;
/** More than a sweep repairs before its rows are on disk; beyond it some are counted as a snapshot too. */
const REPAIRED_MAX = 10_000;
/** Lines decoded in one go by a query, before others have their turn. */
const QUERY_SLICE = 4_000;
/** Clocks may be stepped: lines this much older than what is asked for do not end a query yet. */
const CLOCK_STEP_MS = 2 * 60 * 60 * 1000;

/**
 * What happened to subscriptions on this node: a ring of rows under `j/`, local and never replicated. The
 * records of one group commit are one row, in the same batch as the operations themselves, so the log has
 * exactly the operations that the disk has.
 *
 * A row's key is the number of its first line; invariant: lines `#first` to `#next` − 1 are stored.
 */
export class OperationLog implements OperationJournal, RepairListener, ReplicaListener {
  readonly #options: OperationLogOptions;
  readonly #bucket: { tokens: number; atMs: number };
  #pending: Pending[] = [];
  #pendingEntries = 0;
  #unwritten = 0;
  #first = 0;
  #next = 0;
  #trimming = false;
  /** Rows that a repair has told of and whose write is not on disk yet. */
  readonly #repaired = new Set<RowKey>();
  readonly #packing: RingPacking;

  private constructor(options: OperationLogOptions) {
    this.#options = options;
    this.#packing = new RingPacking(options.store);
    const atMs = options.runtime.clock.monotonicMs();
    this.#bucket = { tokens: options.refusalsPerSecondMax ?? 50, atMs };
  }

  /** Reads where the ring begins and ends. */
  static async open(options: OperationLogOptions): Promise<OperationLog> {
    const journal = new OperationLog(options);
    const range = { gte: PREFIX, lt: `${PREFIX}g`, limit: 1 };
    for await (const [row] of options.store.scan(range)) {
      if (row) journal.#first = indexOf(row[0]);
    }
    for await (const [row] of options.store.scan({ ...range, reverse: true })) {
      if (row) journal.#next = indexOf(row[0]) + countOf(row[1]);
    }
    options.store.addBeforeFlush(() => journal.#takePending());
    return journal;
  }

  /** Lines that are stored now. */
  size(): number {
    return this.#next - this.#first;
  }

  onSubmitted(operation: Operation): void {
    if (isLogged(operation)) this.#add({ operation, cause: 'system', atMs: this.#now() });
  }

  onReceived({ operation }: Applied): void {
    if (!operation || !isLogged(operation)) return;
    this.#add({ operation, cause: 'replicated', atMs: this.#now() });
  }

  /**
   * Rows of a snapshot come without their operations; each keeps its dot and time in itself. What changes
   * for nobody, as where evidence is collected, is not told; what a sweep restores has its own line too.
   */
  onDurable({ operation, changes }: Applied): void {
    if (operation) return;
    const changed = ({ key, before, after }: Change): boolean =>
      !this.#repaired.delete(key) && key[0] === 's' && isLive(before) !== isLive(after);
    const rows = changes.filter(changed).length;
    if (rows > 0) this.#say(countedRecord(this.#now(), 'snapshot', `${rows} subscriptions`));
  }

  because(operation: Operation, cause: Cause): void {
    const last = this.#pending.at(-1);
    if (last?.operation === operation) last.cause = cause;
  }

  refused(refused: RefusedOperation): void {
    if (!this.#takeToken()) this.#unwritten += 1;
    else this.#say(refusedRecord(this.#now(), refused));
  }

  onRepair(repair: Repair): void {
    const { layer, action, channel, uid } = repair;
    if (layer === 'peers' && action !== 'alarm' && channel !== undefined && uid !== undefined) {
      if (this.#repaired.size >= REPAIRED_MAX) this.#repaired.clear();
      this.#repaired.add(subscriptionKey(channel, uid));
    }
    this.#say(repairRecord(repair));
  }

  /**
   * Newest first, in slices. Of a full ring of 200,000 lines in which nothing is found: 40 to 130 ms of CPU
   * by user or channel, 200 ms where all lines are of bulk calls, 400 ms where a cause alone is asked for.
   */
  async query(filter: LogFilter): Promise<readonly LogEntry[]> {
    const { store, runtime } = this.#options;
    const needles = [filter.uid, filter.channel].filter(
      (text) => text !== undefined && text !== '',
    );
    const wanted = needles.map((text) => Buffer.from(text!));
    const oldestMs = (filter.sinceMs ?? 0) - CLOCK_STEP_MS;
    const found: LogEntry[] = [];
    let looked = 0;
    // Rows may become one while they are read: no line is told twice.
    let upTo = this.#next;
    const range = { gte: keyOf(this.#first), lt: `${PREFIX}g`, reverse: true };
    for await (const chunk of store.scan(range)) {
      for (const [key, value] of chunk) {
        const seen = upTo;
        upTo = indexOf(key);
        if (!wanted.every((text) => mayHold(value, text))) continue;
        const records = decodeRecords(value);
        const lines = records
          .flatMap((record) => toEntries(record))
          .slice(0, Math.max(0, seen - upTo));
        for (const line of lines.toReversed()) {
          if (matches(line, filter) && found.push(line) >= filter.limit) return found;
        }
        if (records[0] && timeOf(records[0]) < oldestMs) return found;
        looked += ROW_ENTRIES_MAX;
        if (looked % QUERY_SLICE < ROW_ENTRIES_MAX) {
          await new Promise<void>((resolve) => runtime.timers.soon(resolve));
        }
      }
    }
    return found;
  }

  #now(): number {
    return this.#options.runtime.clock.wallMs();
  }

  #add(pending: Pending): void {
    const entries = pending.operation?.writes.length ?? entriesIn(pending.record!);
    if (this.#pendingEntries + entries > (this.#options.pendingMax ?? 50_000)) {
      this.#unwritten += entries;
      return;
    }
    this.#pendingEntries += entries;
    this.#pending.push(pending);
  }

  /** For what comes without an operation: something has to make the store cut a group. */
  #say(record: LogRecord): void {
    this.#add({ record, cause: 'system', atMs: timeOf(record) });
    if (this.#pending.length === 1) this.#options.store.stage([], () => {});
  }

  /** Runs before each group is cut: what it returns is in the same batch as the operations it tells of. */
  #takePending(): readonly Mutation[] {
    if (this.#pending.length === 0 && this.#unwritten === 0) return [];
    const mutations: Mutation[] = [];
    let records: LogRecord[] = [];
    let entries = 0;
    const cut = (): void => {
      if (entries === 0) return;
      const row = { key: keyOf(this.#next), entries };
      mutations.push({ key: row.key, value: encodeRecords(records) });
      if (this.#packing.note(row)) this.#options.runtime.timers.soon(() => this.#packing.pack());
      this.#next += entries;
      [records, entries] = [[], 0];
    };
    const put = (record: LogRecord): void => {
      records.push(record);
      entries += entriesIn(record);
      if (entries >= ROW_ENTRIES_MAX) cut();
    };
    for (const { record, operation, atMs, cause } of this.#pending) {
      put(record ?? operationRecord(atMs, cause, operation!));
    }
    if (this.#unwritten > 0) {
      put(countedRecord(this.#now(), 'unwritten', `${this.#unwritten} lines above the limits`));
    }
    cut();
    this.#pending = [];
    this.#pendingEntries = 0;
    this.#unwritten = 0;
    this.#trimSoon();
    return mutations;
  }

  #trimSoon(): void {
    const { entriesMax, log } = this.#options;
    if (this.#trimming || this.size() <= entriesMax + entriesMax / 16) return;
    this.#trimming = true;
    this.#trim()
      .catch((error: unknown) => log.warn('the operation log was not trimmed', { error }))
      .finally(() => {
        this.#trimming = false;
      });
  }

  /** Deletes the oldest rows, but the last of them: its own last lines may still belong to the ring. */
  async #trim(): Promise<void> {
    const { store, entriesMax } = this.#options;
    for (;;) {
      const cutoff = this.#next - entriesMax;
      const gone: string[] = [];
      const range = { gte: keyOf(this.#first), lt: keyOf(cutoff), limit: TRIM_ROWS };
      for await (const chunk of store.scan(range)) for (const [key] of chunk) gone.push(key);
      const kept = gone.pop();
      if (kept === undefined || gone.length === 0) return;
      store.stage(gone.map((key) => ({ key })));
      this.#first = indexOf(kept);
    }
  }

  #takeToken(): boolean {
    const perSecond = this.#options.refusalsPerSecondMax ?? 50;
    const nowMs = this.#options.runtime.clock.monotonicMs();
    const earned = ((nowMs - this.#bucket.atMs) / 1000) * perSecond;
    this.#bucket.tokens = Math.min(perSecond, this.#bucket.tokens + earned);
    this.#bucket.atMs = nowMs;
    if (this.#bucket.tokens < 1) return false;
    this.#bucket.tokens -= 1;
    return true;
  }
}

function matches(line: LogEntry, { uid, channel, cause, sinceMs }: LogFilter): boolean {
  return (
    (uid === undefined || line.uid === uid) &&
    (channel === undefined || line.channel === channel) &&
    (cause === undefined || line.cause === cause) &&
    line.atMs >= (sinceMs ?? 0)
  );
}

function keyOf(index: number): string {
  return PREFIX + Math.max(0, index).toString(16).padStart(13, '0');
}

function indexOf(key: string): number {
  return Number.parseInt(key.slice(PREFIX.length), 16);
}

function countOf(value: KeyValue[1]): number {
  return decodeRecords(value).reduce((sum, record) => sum + entriesIn(record), 0);
}
