import type { MemberId } from '../../core/ids.ts';
import { SHARDS } from '../../core/placement.ts';
import type { Row } from '../../core/row.ts';
import { splitRowKey, type RowKey } from '../../core/row-key.ts';
import type { Timer } from '../../runtime/port.ts';
import { Alarms } from './alarms.ts';
import { SweepAnswerer } from './answerer.ts';
import { Applier } from './apply.ts';
import { settleBorrowed } from './borrowed.ts';
import { SWEEP_LIMITS, type SweepLimits, type SweepOptions } from './options.ts';
import { PeerSweep, type PeerSweepParts } from './peer-sweep.ts';
import type { Sweep, SweepCounters, UnverifiedAge } from './port.ts';
import { RateLimit } from './rate-limit.ts';
import { RowsClient } from './rows-client.ts';
import { conflictsOf, isBorrowed, join, liveChange, majorityOf } from './verdict.ts';
import type { KeyedRow } from './wire.ts';

interface PeerState {
  readonly sweep: PeerSweep;
  dueMs: number;
  link: object | undefined;
  running: Promise<boolean> | undefined;
  /** By shard; since when nobody has proved that it is equal on both sides. */
  readonly cleanMs: number[];
}

/** Looks for due sweeps so many times in an interval. */
const TICKS = 20;
const TICK_MS_MAX = 250;

/**
 * Sweeps with every peer, once an interval and at once after a reconnect; one at a time with each, none
 * waits for another. Answers the sweeps of the peers.
 */
export class Sweeper implements Sweep {
  readonly counters: SweepCounters = {
    ...{ sweeps: 0, clean: 0, failed: 0, differences: 0, inFlight: 0 },
    ...{ falsePeels: 0, moved: 0, rebuilds: 0, overflows: 0, tookMs: 0 },
  };
  readonly #options: SweepOptions;
  readonly #limits: SweepLimits;
  readonly #parts: PeerSweepParts;
  readonly #answerer: SweepAnswerer;
  readonly #peers = new Map<MemberId, PeerState>();
  readonly #rebuiltMs = new Map<number, number>();
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: SweepOptions) {
    this.#options = options;
    this.#limits = { ...SWEEP_LIMITS, ...options.limits };
    const limits = this.#limits;
    const applier = new Applier(options);
    const rebuild = (shard: number): void => this.#rebuild(shard);
    this.#parts = {
      ...{ options, limits, applier, rebuild, counters: this.counters },
      alarms: new Alarms(options.repairs, limits.alarmsRememberedMax),
      rate: new RateLimit(options.runtime, limits.repairsPerSecond),
      rows: new RowsClient(options.calls, limits),
    };
    this.#answerer = new SweepAnswerer(options, { limits, applier, rebuild });
  }

  start(): void {
    this.#tick();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async sweepNow(peer?: MemberId): Promise<boolean> {
    this.#follow();
    const chosen = [...this.#peers].filter(([member]) => peer === undefined || member === peer);
    if (peer !== undefined && chosen.length === 0) return false;
    const clean = await Promise.all(
      chosen.map(async ([, state]) => {
        // One that runs may have captured before what its caller wants to see.
        await state.running;
        return this.#run(state);
      }),
    );
    return clean.every(Boolean);
  }

  async repairKeys(keys: readonly RowKey[]): Promise<readonly RowKey[]> {
    const { calls, collections, replica } = this.#options;
    const changed: RowKey[] = [];
    for (const [shard, asked] of byShard(keys)) {
      const collected = collections(shard);
      await this.#parts.rate.take(asked.length);
      const { rows } = await this.#parts.rows.fromAll(calls.reachable(), shard, asked);
      const joined: KeyedRow[] = [];
      for (const key of asked) {
        const others = rows.map((answer) => answer.get(key) ?? []);
        if (this.#settleConflicts(key, others)) changed.push(key);
        if (await this.#settleBorrowed(key)) changed.push(key);
        const row = join(key, others);
        const ours = replica.read(key);
        // Evidence that the audit found lost comes back too, though nothing that is live changes.
        const lacks = join(key, [ours, row]).length > ours.length;
        if (lacks || liveChange(ours, join(key, [ours, row]))) joined.push([key, row]);
      }
      const about = { shard, rows: joined, collections: collected, doubted: true as const };
      changed.push(...this.#parts.applier.merge(about));
    }
    return changed;
  }

  /**
   * Those of the keys under which every other member of the roster has neither a row nor evidence. While one of
   * them is silent, and where there is none: no key.
   */
  async unknownElsewhere(keys: readonly RowKey[]): Promise<readonly RowKey[]> {
    const { others } = this.#options.roster();
    if (others.length === 0) return [];
    const unknown: RowKey[] = [];
    for (const [shard, asked] of byShard(keys)) {
      const { rows, silent } = await this.#parts.rows.fromAll(others, shard, asked);
      if (silent.length > 0) continue;
      unknown.push(...asked.filter((key) => rows.every((answer) => answer.get(key)?.length === 0)));
    }
    return unknown;
  }

  async #settleBorrowed(key: RowKey): Promise<boolean> {
    const { replica } = this.#options;
    let settled = false;
    for (const entry of replica.read(key)) {
      if (!isBorrowed(replica, key, entry)) continue;
      settled = (await settleBorrowed(this.#parts, key, entry)) || settled;
    }
    return settled;
  }

  /** The same dot says other things elsewhere: what most say holds; without a majority nothing changes. */
  #settleConflicts(key: RowKey, others: readonly Row[]): boolean {
    const ours = this.#options.replica.read(key);
    const dots = others.flatMap((row) => conflictsOf(key, ours, row));
    let replaced = 0;
    for (const dot of dots) {
      const good = majorityOf(key, dot, [ours, ...others]);
      if (good) replaced += this.#parts.applier.replace([[key, [good]]], undefined);
    }
    return replaced > 0;
  }

  unverifiedAges(): readonly UnverifiedAge[] {
    const nowMs = this.#nowMs();
    return [...this.#peers].flatMap(([peer, { cleanMs }]) =>
      cleanMs.map((sinceMs, shard) => ({
        ...{ peer, shard, layer: 'peers' as const, ageMs: nowMs - sinceMs },
      })),
    );
  }

  dueInMs(peer: MemberId): number | undefined {
    const state = this.#peers.get(peer);
    if (!state) return undefined;
    return state.running ? 0 : Math.max(0, state.dueMs - this.#nowMs());
  }

  #tick(): void {
    if (this.#stopped) return;
    const delayMs = Math.min(TICK_MS_MAX, this.#limits.intervalMs / TICKS);
    this.#timer = this.#options.runtime.timers.after(delayMs, () => this.#tick());
    this.#follow();
    const nowMs = this.#nowMs();
    this.#answerer.expire(nowMs);
    if (!this.#options.caughtUp()) return;
    for (const [member, state] of this.#peers) {
      const link = this.#options.linkOf(member);
      if (link && link !== state.link) {
        state.dueMs = Math.min(state.dueMs, nowMs);
        this.#options.onLink?.(member);
      }
      state.link = link;
      if (link && nowMs >= state.dueMs && !state.running) void this.#run(state);
    }
  }

  /** The peers are those of the roster; a new one is due after a part of the interval. */
  #follow(): void {
    const { others } = this.#options.roster();
    for (const member of this.#peers.keys()) {
      if (!others.includes(member)) this.#peers.delete(member);
    }
    const nowMs = this.#nowMs();
    for (const member of others) {
      if (this.#peers.has(member)) continue;
      this.#peers.set(member, {
        sweep: new PeerSweep(this.#parts, member),
        dueMs: nowMs + this.#limits.intervalMs * this.#options.runtime.random.fraction(),
        link: undefined,
        running: undefined,
        cleanMs: Array.from({ length: SHARDS }, () => nowMs),
      });
    }
  }

  #run(state: PeerState): Promise<boolean> {
    const running = this.#sweep(state).finally(() => {
      state.running = undefined;
    });
    state.running = running;
    return running;
  }

  async #sweep(state: PeerState): Promise<boolean> {
    const { intervalMs, againMs } = this.#limits;
    // Spread out: no two members fall into step for ever.
    const jitter = 0.9 + 0.2 * this.#options.runtime.random.fraction();
    state.dueMs = this.#nowMs() + intervalMs * jitter;
    this.counters.sweeps += 1;
    const startMs = this.#nowMs();
    try {
      const { clean, again, proof } = await state.sweep.run();
      for (const shard of clean) state.cleanMs[shard] = startMs;
      if (again) state.dueMs = Math.min(state.dueMs, this.#nowMs() + againMs);
      if (clean.length === SHARDS) this.counters.clean += 1;
      if (proof) this.#options.onClean?.(proof);
      return clean.length === SHARDS;
    } catch {
      this.counters.failed += 1;
      return false;
    } finally {
      this.counters.tookMs += this.#nowMs() - startMs;
    }
  }

  #rebuild(shard: number): void {
    const nowMs = this.#nowMs();
    const before = this.#rebuiltMs.get(shard) ?? Number.NEGATIVE_INFINITY;
    if (nowMs - before < this.#limits.rebuildEveryMs) return;
    this.#rebuiltMs.set(shard, nowMs);
    this.counters.rebuilds += 1;
    const { summary, repairs, runtime, log } = this.#options;
    summary.rebuild(shard).then(
      (wrong) => {
        if (!wrong) return;
        const wallMs = runtime.clock.wallMs();
        const detail = `shard ${shard}`;
        repairs.onRepair({ layer: 'peers', action: 'rebuilt', cause: 'symbols', detail, wallMs });
      },
      (error: unknown) => log.warn('symbols cannot be built again', { shard, error }),
    );
  }

  #nowMs(): number {
    return this.#options.runtime.clock.monotonicMs();
  }
}

function byShard(keys: readonly RowKey[]): ReadonlyMap<number, readonly RowKey[]> {
  const shards = new Map<number, RowKey[]>();
  for (const key of keys) {
    const shard = splitRowKey(key)?.shard;
    if (shard !== undefined) shards.set(shard, [...(shards.get(shard) ?? []), key]);
  }
  return shards;
}
