import type { Repair, RepairListener } from '../audit/port.ts';
import type { ActorId, ChannelKey, Uid } from '../core/ids.ts';
import { SHARDS } from '../core/placement.ts';
import { EMPTY_ROW, type Row } from '../core/row.ts';
import { splitRowKey, type RowKey } from '../core/row-key.ts';
import type { Log } from '../observability/log.ts';
import type { Runtime } from '../runtime/port.ts';
import { checkLog } from './disk-audit-log.ts';
import { checkReverse } from './disk-audit-reverse.ts';
import { factKey, logKey } from './layout.ts';
import type { Store } from './port.ts';
import type { Replica } from './replica-port.ts';
import type { Pace } from './summary-scan.ts';
import type { StoreSummary } from './summary.ts';

export interface DiskAuditOptions {
  readonly store: Store;
  readonly replica: Pick<Replica, 'read' | 'decode' | 'covers' | 'addListener'>;
  readonly summary: StoreSummary;
  readonly runtime: Runtime;
  readonly log: Pick<Log, 'debug' | 'warn'>;
  readonly repairs: RepairListener;
  /** What is absent by rule, and told where it was found to be so; by default nothing is. */
  readonly floors?: AuditFloors | undefined;
  /** 1 for the default profile, 5 for the fast one. */
  readonly speed?: number | undefined;
}

export interface AuditFloors {
  isCut(key: RowKey, row: Row): boolean;
  hasFloor(channel: ChannelKey): boolean;
  /** A message was gone from the disk when it was cut: its send key may still be there. */
  leftOver(channel: ChannelKey): void;
}

/** What the two checks of derived rows work with. */
export interface AuditGround extends Pick<DiskAuditOptions, 'store' | 'replica' | 'runtime'> {
  readonly summary: StoreSummary;
  readonly pace: Pace;
  /** For the second look at what differed, which is short and should be over soon. */
  readonly closePace: Pace;
  readonly signal: AbortSignal;
  /** A row that is not what was written: peers have to be asked. */
  doubt(key: RowKey, cause: DoubtCause): void;
  repaired(cause: string, key: RowKey): void;
  /** True where the row was lost and is absent by rule meanwhile, so that no peer can give it back. */
  isPutOut(key: RowKey, written: LogPlace): boolean;
}

/** A dot as the log names it. */
export interface LogPlace {
  readonly actor: ActorId;
  readonly shard: number;
  readonly counter: number;
}

/**
 * - row-damaged: its checksum fails.
 * - row-lost: the log names a dot that its row does not hold.
 * - row-unknown: it holds a dot that neither log nor vector know.
 */
export type DoubtCause = 'row-damaged' | 'row-lost' | 'row-unknown';

/** A pass takes so long for each subscription, and never less; five sixths of what is promised. */
const PASS_MS_PER_SUBSCRIPTION = 0.15;
const PASS_MS_MIN = 7_000;
/** A small store is read in a moment, and then rests: who waits for a shard's sums waits less. */
const PER_ROW_MS_MAX = 1;
/** While it is being paced, it never takes more than this share of one core. */
const SHARE_MAX = 0.25;
const DOUBTS_MAX = 1_000;
/** Rows that are remembered as told of: each is told of once, until it is written again. */
const TOLD_MAX = 10_000;
/** The peers are not asked for the same row again before. */
const DOUBT_AGAIN_MS = 1_000;
const RETRY_MS = 5_000;
/** Unreadable rows that are kept for the operator; then the oldest one goes. */
const ASIDE_MAX = 100;
const HURRY_POLL_MS = 100;

/**
 * Reads the whole store again and again, slowly, and compares what must agree: rows with their
 * checksums, the sums in memory with the rows, reverse rows and log rows with the rows. Derived rows
 * are put right at once, in the direction of the rows. A row itself is never touched, but for a damaged one that
 * is absent by rule: it goes to `onDoubtful`, for the peers know what it was, and until then it is as if it was not there.
 */
export class DiskAudit {
  /** Takes keys of rows that peers have to be asked about; by default nobody. */
  onDoubtful: (keys: readonly RowKey[]) => void = () => {};
  /** Those of the keys that no other member knows anything of; by default, and while one is silent, none. */
  unknownElsewhere: (keys: readonly RowKey[]) => Promise<readonly RowKey[]> = () =>
    Promise.resolve([]);
  readonly #options: DiskAuditOptions;
  readonly #abort = new AbortController();
  readonly #told = new Map<RowKey, number>();
  readonly #doubts = new Set<RowKey>();
  /** Damaged rows, and after how many whole passes each was met first. */
  readonly #damaged = new Map<RowKey, number>();
  /** What the log has named in this pass of the rows that are not what was written. */
  readonly #named = new Set<RowKey>();
  #aside = 0;
  /** Somebody waits for a whole pass: no rests, and no pace but the share of the core. */
  #hurried = 0;
  #wake: () => void = () => {};
  #passing = false;
  #rowsOfPass = 0;
  #rowsOfLastPass = 0;
  #passes = 0;
  #passFromMs: number | undefined;
  #verifiedMs: number | undefined;

  constructor(options: DiskAuditOptions) {
    this.#options = options;
    options.replica.addListener({
      onSubmitted: () => {},
      onDurable: ({ changes }) => {
        if (this.#told.size === 0) return;
        for (const { key } of changes) {
          this.#told.delete(key);
          this.#damaged.delete(key);
        }
      },
      onDamaged: (key) => this.#onDamaged(key),
    });
  }

  /** Passes for ever, from the moment at which all sums are built. */
  start(): void {
    this.#verifiedMs = this.#options.runtime.clock.monotonicMs();
    void this.#run();
  }

  stop(): void {
    this.#abort.abort();
    this.#wake();
  }

  /** Rows that are lost or damaged and that nobody has written again yet. */
  standing(): number {
    return this.#told.size;
  }

  /** Whole passes so far. */
  passes(): number {
    return this.#passes;
  }

  /** When the last whole pass began, or the audit; monotonic. Undefined before its start. */
  verifiedMs(): number | undefined {
    return this.#verifiedMs;
  }

  /**
   * Resolves after a whole pass that began after this call, or at the abort; about 12 µs a row. `onRows`:
   * rows that the pass has read, and how many are expected.
   */
  async passNow(signal: AbortSignal, onRows: (done: number, total: number) => void): Promise<void> {
    // The pass that runs now may be past what it should see.
    const wanted = this.#passes + (this.#passing ? 2 : 1);
    const ended = (): boolean => signal.aborted || this.#abort.signal.aborted;
    this.#hurried += 1;
    this.#wake();
    try {
      while (this.#passes < wanted && !ended()) {
        onRows(this.#rowsOfPass, this.#rowsExpected());
        await new Promise<void>((resolve) => {
          this.#options.runtime.timers.after(HURRY_POLL_MS, resolve);
        });
      }
    } finally {
      this.#hurried -= 1;
    }
  }

  async #run(): Promise<void> {
    const { summary, log, runtime } = this.#options;
    const { signal } = this.#abort;
    while (!signal.aborted) {
      const from = runtime.clock.monotonicMs();
      const passMs = this.#passTargetMs();
      try {
        this.#passing = true;
        if (allReady(summary)) await this.#pass(passMs);
      } catch (error) {
        if (signal.aborted) return;
        log.warn('the audit of the disk was broken off: again later', { error });
      }
      this.#passing = false;
      const leftMs = from + passMs - runtime.clock.monotonicMs();
      const restMs = allReady(summary) ? Math.max(leftMs, 1) : RETRY_MS;
      await this.#sleep(this.#hurried > 0 ? HURRY_POLL_MS : restMs);
    }
  }

  async #pass(passMs: number): Promise<void> {
    const { summary } = this.#options;
    const perRowMs = Math.min(PER_ROW_MS_MAX, passMs / Math.max(this.#rowsExpected(), 1));
    this.#rowsOfPass = 0;
    this.#named.clear();
    this.#passFromMs = this.#options.runtime.clock.monotonicMs();
    const pace: Pace = (rows, busyMs) => {
      this.#rowsOfPass += rows;
      const restMs = this.#hurried > 0 ? 0 : rows * perRowMs - busyMs;
      return Math.max(restMs, busyMs * (1 / SHARE_MAX - 1));
    };
    for (let shard = 0; shard < SHARDS; shard++) {
      if (this.#abort.signal.aborted) return;
      if (await summary.build(shard, pace)) {
        this.#tell({ cause: 'sums-differ', action: 'rebuilt', detail: `shard ${shard}` });
      }
    }
    const ground = this.#ground(pace);
    const whole = (await checkReverse(ground)) && (await checkLog(ground));
    if (!whole) return;
    await this.#putAsideUnknown();
    this.#rowsOfLastPass = this.#rowsOfPass;
    this.#passes += 1;
    this.#verifiedMs = this.#passFromMs;
  }

  #ground(pace: Pace): AuditGround {
    const { store, replica, runtime, summary } = this.#options;
    return {
      ...{ store, replica, runtime, summary, pace },
      closePace: (_rows, busyMs) => busyMs * (1 / SHARE_MAX - 1),
      signal: this.#abort.signal,
      doubt: (key, cause) => {
        if (this.#damaged.has(key)) this.#named.add(key);
        this.#doubt(key, cause);
      },
      repaired: (cause, key) => this.#tell({ cause, action: 'rebuilt', key }),
      isPutOut: (key, written) => this.#isPutOut(key, written),
    };
  }

  /**
   * Of a lost send key nobody knows which numbers it named. It stands right after its message: where that has left
   * the log too, and no peer gave the send key back since the last pass, both were cut.
   */
  #isPutOut(key: RowKey, { actor, shard, counter }: LogPlace): boolean {
    const { floors, store } = this.#options;
    if (!floors || (key[0] !== 'm' && key[0] !== 'i')) return false;
    const channel = splitRowKey(key)!.parts[0] as ChannelKey;
    const isCut =
      key[0] === 'm'
        ? floors.isCut(key, EMPTY_ROW)
        : this.#told.has(key) &&
          floors.hasFloor(channel) &&
          !store.get(logKey(actor, shard, counter - 1));
    if (!isCut) return false;
    this.#told.delete(key);
    this.#doubts.delete(key);
    floors.leftOver(channel);
    return true;
  }

  #onDamaged(key: string): void {
    const parts = splitRowKey(key);
    if (!parts) return;
    const isNew = !this.#told.has(key as RowKey);
    if (!this.#damaged.has(key as RowKey) && this.#damaged.size < TOLD_MAX)
      this.#damaged.set(key as RowKey, this.#passes);
    this.#doubt(key as RowKey, 'row-damaged');
    // The sums still count what the row was; a write to it would not take that away.
    if (isNew) this.#options.summary.rebuildSoon(parts.shard);
  }

  /**
   * Bytes that cannot be read, under a key that neither this log nor any other member has ever heard of: no write of
   * anybody. They go aside, for the operator, or the disk would never again be what its sums say.
   */
  async #putAsideUnknown(): Promise<void> {
    const { store, replica, summary } = this.#options;
    const asked = [...this.#damaged].flatMap(([key, met]) =>
      met < this.#passes && !this.#named.has(key) ? [key] : [],
    );
    if (asked.length === 0) return;
    const unknown = await this.unknownElsewhere(asked.slice(0, DOUBTS_MAX)).catch(() => []);
    for (const key of unknown) {
      const bytes = store.get(key);
      if (!bytes || replica.decode(key, bytes).ok || !this.#damaged.delete(key)) continue;
      const name = `quarantine/damaged/${this.#aside++ % ASIDE_MAX}`;
      const value = new TextEncoder().encode(JSON.stringify({ key, bytes: Array.from(bytes) }));
      store.stage([{ key }, { key: factKey(name), value }]);
      this.#told.delete(key);
      summary.rebuildSoon(splitRowKey(key)!.shard);
      this.#tell({ cause: 'row-damaged', action: 'quarantined', key });
    }
  }

  #doubt(key: RowKey, cause: DoubtCause): void {
    const now = this.#options.runtime.clock.monotonicMs();
    const told = this.#told.get(key);
    if (told !== undefined && now - told < DOUBT_AGAIN_MS) return;
    this.#told.delete(key);
    this.#told.set(key, now);
    if (this.#told.size > TOLD_MAX) this.#told.delete(this.#told.keys().next().value!);
    if (told === undefined) this.#tell({ cause, action: 'alarm', key });
    if (this.#doubts.size === 0) this.#options.runtime.timers.soon(() => this.#askPeers());
    if (this.#doubts.size < DOUBTS_MAX) this.#doubts.add(key);
  }

  #askPeers(): void {
    const keys = [...this.#doubts];
    this.#doubts.clear();
    if (!this.#abort.signal.aborted) this.onDoubtful(keys);
  }

  #tell({ key, ...said }: Pick<Repair, 'cause' | 'action' | 'detail'> & { key?: RowKey }): void {
    const { repairs, runtime } = this.#options;
    const wallMs = runtime.clock.wallMs();
    repairs.onRepair({ layer: 'disk', ...said, ...(key && namesOf(key)), wallMs });
  }

  #passTargetMs(): number {
    const { summary, speed = 1 } = this.#options;
    return Math.max(PASS_MS_MIN, PASS_MS_PER_SUBSCRIPTION * itemsIn(summary)) / speed;
  }

  /** Of each item its row, its reverse row and its log row, or more, as the last whole pass found. */
  #rowsExpected(): number {
    return Math.max(this.#rowsOfLastPass, 3 * itemsIn(this.#options.summary));
  }

  async #sleep(delayMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = this.#options.runtime.timers.after(delayMs, resolve);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}

function allReady(summary: StoreSummary): boolean {
  for (let shard = 0; shard < SHARDS; shard++) if (!summary.ready(shard)) return false;
  return true;
}

function itemsIn(summary: StoreSummary): number {
  let items = 0;
  for (let shard = 0; shard < SHARDS; shard++) items += summary.sumsOf(shard)?.count ?? 0;
  return items;
}

/** Whom a row is about, for people. */
function namesOf(key: RowKey): Pick<Repair, 'channel' | 'uid' | 'detail'> {
  const { kind, parts } = splitRowKey(key)!;
  const detail = JSON.stringify(key);
  if (kind === 'p' || kind === 't') return { uid: parts[0] as Uid, detail };
  const channel = parts[0] as ChannelKey;
  return kind === 's' ? { channel, uid: parts[1] as Uid, detail } : { channel, detail };
}
