import { contextCovers } from '../../core/context.ts';
import type { MemberId } from '../../core/ids.ts';
import { SHARDS } from '../../core/placement.ts';
import type { SetItem } from '../../core/reconciliation/item.ts';
import { liveEntries } from '../../core/row.ts';
import type { RowKey } from '../../core/row-key.ts';
import { captureDigests, captureShard, type ShardCapture } from './capture.ts';
import { findDifference } from './difference.ts';
import { keysByLog, keysByScan } from './find-keys.ts';
import type { CleanProof } from './options.ts';
import { resolvePairs, type Pair, type ResolveParts, type ShardWork } from './resolve.ts';
import { resolveStray, seenByNobody } from './strays.ts';
import { Streaks } from './streaks.ts';
import { contentUnder, findDot } from './verdict.ts';
import { METHODS, packDigests, readCompared, type Compared, type PeerShard } from './wire.ts';

export interface PeerSweepParts extends ResolveParts {
  readonly rebuild: (shard: number) => void;
}

export interface SweepOutcome {
  /** Shards in which nothing but what is in flight differs. */
  readonly clean: readonly number[];
  /** Something was changed or left for later: worth another sweep soon. */
  readonly again: boolean;
  readonly proof: CleanProof | undefined;
}

/** moved: nothing differs any more, but no row says what it was that did. */
type Verdict = 'clean' | 'moved' | 'changed' | 'unclear';

/** The asking side of the sweeps with one peer, one at a time. */
export class PeerSweep {
  readonly #parts: PeerSweepParts;
  readonly #peer: MemberId;
  readonly #streaks: Streaks;
  #moved = 0;

  constructor(parts: PeerSweepParts, peer: MemberId) {
    this.#parts = parts;
    this.#peer = peer;
    this.#streaks = new Streaks(2 * parts.limits.itemsMax);
  }

  /** Rejects where the peer cannot be asked or does not answer in time. */
  async run(): Promise<SweepOutcome> {
    const { options } = this.#parts;
    try {
      const outcome = await this.#sweep();
      this.#streaks.close();
      return outcome;
    } catch (error) {
      this.#streaks.drop();
      options.log.debug('a sweep broke off', { peer: this.#peer, error: String(error) });
      throw error;
    }
  }

  async #sweep(): Promise<SweepOutcome> {
    const { options } = this.#parts;
    const { epoch } = options.roster();
    // Reported before the peer captures: what it captures covers at least this.
    const shards = Array.from({ length: SHARDS }, (_, shard) => shard);
    const reported = shards.map((shard) => options.reportedBy(this.#peer, shard) ?? []);
    const own = captureDigests(options);
    const compared = readCompared(await this.#ask(METHODS.compare, [packDigests(own.digests)]));
    // In one tick with what was captured of each: symbols and vector belong together.
    const captures = new Map<number, ShardCapture>();
    for (const { shard } of compared.unequal) captures.set(shard, captureShard(options, shard));
    const verdicts = new Map<number, Verdict>();
    for (const theirs of compared.unequal) {
      const capture = captures.get(theirs.shard)!;
      verdicts.set(theirs.shard, await this.#sweepShard(compared, theirs, capture));
      captures.delete(theirs.shard);
    }
    const verdictOf = (shard: number): Verdict =>
      (compared.mask & (1 << shard)) === 0 ? 'unclear' : (verdicts.get(shard) ?? 'clean');
    const covered = shards.map((shard) =>
      verdictOf(shard) === 'clean'
        ? { own: own.vectors[shard]!, peer: reported[shard]! }
        : undefined,
    );
    const { storeId } = compared;
    return {
      clean: shards.filter((shard) => ['clean', 'moved'].includes(verdictOf(shard))),
      again: [...verdicts.values()].includes('changed'),
      proof: compared.epoch === epoch ? { peer: this.#peer, epoch, storeId, covered } : undefined,
    };
  }

  async #sweepShard(
    { session }: Compared,
    theirs: PeerShard,
    ours: ShardCapture,
  ): Promise<Verdict> {
    const { options, limits, counters } = this.#parts;
    const { shard } = theirs;
    const movedBefore = this.#moved;
    const ask = (method: string, body: unknown): Promise<unknown> => this.#ask(method, body);
    const { itemsMax } = limits;
    const difference = await findDifference({ options, itemsMax, session, ours, theirs, ask });
    if (difference.overflow) counters.overflows += 1;
    counters.differences += difference.ours.length + difference.theirs.length;
    const work: ShardWork = {
      ...{ peer: this.#peer, session, shard, ask, collections: ours.collections },
      theirVector: theirs.vector ?? ours.vector,
    };
    const here = await this.#sortOurs(work, ours, difference.ours);
    const there = await this.#sortTheirs(work, ours, difference.theirs);
    const pairs = await this.#pairUp(work, here.settled, there.settled);
    const resolved = await resolvePairs(this.#parts, work, pairs.pairs);
    const wrong = pairs.lasting > 0 || this.#agreeAgain(work, resolved.nothing);
    if (wrong) await this.#rebuildBoth(work);
    const changed = resolved.changed > 0 || wrong || difference.partial;
    if (changed) return 'changed';
    const open = resolved.open + resolved.nothing.length + here.stuck + there.stuck;
    if (open > 0) return 'unclear';
    return this.#moved === movedBefore ? 'clean' : 'moved';
  }

  /** Items that only we have: in flight to the peer, not claimed by our own vector, or to be settled. */
  async #sortOurs(
    work: ShardWork,
    { vector }: ShardCapture,
    items: readonly SetItem[],
  ): Promise<Sorted> {
    const settled: SetItem[] = [];
    const fresh: SetItem[] = [];
    let stuck = 0;
    for (const item of items) {
      if (!contextCovers(vector, item.actor, item.counter)) {
        if (!this.#isStuck(work, item, 'stray')) {
          fresh.push(item);
          continue;
        }
        stuck += 1;
        const key = (await this.#locate(work, [item])).found.get(item);
        if (key) await resolveStray(this.#parts, { shard: work.shard, item, key });
      } else if (contextCovers(work.theirVector, item.actor, item.counter)) {
        settled.push(item);
      } else {
        // The peer looks at it from its side; its stream brings it.
        this.#parts.counters.inFlight += 1;
      }
    }
    stuck += await this.#putAside(work, fresh);
    return { settled, stuck };
  }

  /** What not even a writer has seen is not in flight, and needs no second sweep. How many there were. */
  async #putAside({ shard }: ShardWork, items: readonly SetItem[]): Promise<number> {
    if (items.length === 0) return 0;
    const { replica } = this.#parts.options;
    const unknown = await seenByNobody(this.#parts, shard, items);
    if (unknown.length === 0) return 0;
    // What no row confirms is a false peel and none of its business.
    const found = await keysByScan(replica, shard, unknown);
    for (const [item, key] of found) await resolveStray(this.#parts, { shard, item, key });
    return found.size;
  }

  /** Items that only the peer has: in flight to us, or to be settled. One that stays is fetched. */
  async #sortTheirs(
    work: ShardWork,
    { vector }: ShardCapture,
    items: readonly SetItem[],
  ): Promise<Sorted> {
    const settled: SetItem[] = [];
    const late: SetItem[] = [];
    for (const item of items) {
      if (!contextCovers(work.theirVector, item.actor, item.counter)) {
        // Not claimed by the peer itself, which is its own sweeps' affair.
        this.#parts.counters.inFlight += 1;
      } else if (contextCovers(vector, item.actor, item.counter)) settled.push(item);
      else if (this.#isStuck(work, item, 'late')) late.push(item);
    }
    await this.#fetch(work, late);
    return { settled, stuck: late.length };
  }

  #isStuck({ shard }: ShardWork, { actor, counter }: SetItem, why: string): boolean {
    const { counters, limits, options } = this.#parts;
    counters.inFlight += 1;
    const nowMs = options.runtime.clock.monotonicMs();
    const streak = this.#streaks.see(`${why} ${shard}:${actor}:${counter}`, nowMs);
    return streak.count >= limits.stuckSweeps && nowMs - streak.sinceMs >= limits.stuckMs;
  }

  /** The stream did not bring them: their rows come this way, and then the vector may say so. */
  async #fetch({ shard }: ShardWork, late: readonly SetItem[]): Promise<void> {
    const { options, rows, applier, alarms, rate, limits } = this.#parts;
    for (let at = 0; at < late.length; at += limits.batchKeys) {
      const batch = late.slice(at, at + limits.batchKeys);
      await rate.take(batch.length);
      const found = await rows.byDot(this.#peer, shard, batch);
      options.replica.mergeRows(found);
      for (const [key, row] of found) {
        const here = batch.filter((item) => findDot(row, item));
        options.replica.cover(
          here.map(({ actor, counter }) => ({ actor, shard, from: counter, to: counter })),
        );
        const about = { action: 'applied', cause: 'stuck-stream', dots: here } as const;
        alarms.raise(applier.repair(key, { ...about, peer: this.#peer }));
      }
    }
  }

  /** The rows of the differences, on both sides. What the record does not confirm is dropped. */
  async #pairUp(
    work: ShardWork,
    ours: readonly SetItem[],
    theirs: readonly SetItem[],
  ): Promise<{ readonly pairs: readonly Pair[]; readonly lasting: number }> {
    const { peer, shard } = work;
    const { options, rows, limits } = this.#parts;
    const { replica } = options;
    const located = await this.#locate(work, ours);
    const keys = [...new Set(located.found.values())];
    const remote = await rows.byKey(peer, shard, keys);
    let lasting = located.lasting;
    const known = new Set([...remote.values()].flatMap((row) => row.map(dotName)));
    const wanted = theirs.filter((item) => !known.has(dotName(item)));
    for (let at = 0; at < wanted.length; at += limits.batchKeys) {
      const batch = wanted.slice(at, at + limits.batchKeys);
      const found = await rows.byDot(peer, shard, batch);
      for (const [key, row] of found) remote.set(key, row);
      const gone = batch.filter((item) => !found.some((each) => isLiveIn(each, item)));
      lasting += this.#noteGone(work, gone);
    }
    const pairs = [...remote].map(([key, row]) => ({
      ...{ key, theirs: row, ours: replica.read(key) },
    }));
    return { pairs, lasting };
  }

  /** By the log; what that does not have has moved since the capture, unless it does so twice. */
  async #locate(
    work: ShardWork,
    items: readonly SetItem[],
  ): Promise<{ readonly found: Map<SetItem, RowKey>; readonly lasting: number }> {
    const { replica } = this.#parts.options;
    const found = keysByLog(replica, work.shard, items);
    const gone = items.filter((item) => !found.has(item));
    if (this.#noteGone(work, gone) === 0) return { found, lasting: 0 };
    const scanned = await keysByScan(replica, work.shard, gone);
    for (const [item, key] of scanned) found.set(item, key);
    return { found, lasting: items.length - found.size };
  }

  /** How many of the items that no row confirms were so in the sweep before, too: false peels. */
  #noteGone({ shard }: ShardWork, gone: readonly SetItem[]): number {
    const { counters, options } = this.#parts;
    const nowMs = options.runtime.clock.monotonicMs();
    const lasting = gone.filter(
      (item) => this.#streaks.see(`gone ${shard}:${dotName(item)}`, nowMs).count >= 2,
    ).length;
    this.#moved += gone.length - lasting;
    counters.moved += gone.length - lasting;
    counters.falsePeels += lasting;
    return lasting;
  }

  /** True where rows agreed although symbols did not, now and in the sweep before. */
  #agreeAgain({ shard }: ShardWork, nothing: readonly RowKey[]): boolean {
    const { options } = this.#parts;
    const nowMs = options.runtime.clock.monotonicMs();
    return (
      nothing.filter((key) => this.#streaks.see(`same ${shard} ${key}`, nowMs).count >= 2).length >
      0
    );
  }

  async #rebuildBoth({ shard, ask, peer }: ShardWork): Promise<void> {
    this.#parts.rebuild(shard);
    await ask(METHODS.rebuild, [shard]);
    this.#parts.options.log.info('symbols and rows disagree: both sides build them again', {
      peer,
      shard,
    });
  }

  #ask(method: string, body: unknown): Promise<unknown> {
    const { options, limits } = this.#parts;
    return options.calls.call(this.#peer, { method, body, timeoutMs: limits.callTimeoutMs });
  }
}

function dotName({ actor, counter }: Pick<SetItem, 'actor' | 'counter'>): string {
  return `${actor}:${counter}`;
}

interface Sorted {
  readonly settled: readonly SetItem[];
  readonly stuck: number;
}

function isLiveIn([key, row]: readonly [RowKey, Parameters<typeof liveEntries>[0]], item: SetItem) {
  const entry = findDot(liveEntries(row), item);
  return entry !== undefined && contentUnder(key, entry) === item.content;
}
