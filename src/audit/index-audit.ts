import type { ChannelKey, Uid } from '../core/ids.ts';
import type { Row } from '../core/row.ts';
import { denyKey, subscriptionKey, type RowKey } from '../core/row-key.ts';
import type { Runtime } from '../runtime/port.ts';
import { PacedWalk } from './paced-walk.ts';
import type { Repair, RepairListener } from './port.ts';
import type { Replay } from './replay.ts';
import type { AuditedIndex, Entry } from './sessions-port.ts';

/** The disk, as far as the index is made from it. */
export interface IndexedDisk {
  /** The channels of a user by the reverse rows, whatever the rows themselves say. */
  readonly channelsOf: (uid: Uid) => Promise<readonly ChannelKey[]>;
  /** As `channelsOf`, as they were up to a tick ago: read along with those of other users. */
  readonly channelsAhead?: ((uid: Uid) => Promise<readonly ChannelKey[]>) | undefined;
  read(key: RowKey): Row;
  /** False while it cannot write: what is staged stays ahead of the index for long. */
  isWriting(): boolean;
  /** Once everything that is staged now is on disk and the index was told of it. */
  settled(): Promise<void>;
}

export interface IndexAuditOptions {
  readonly index: AuditedIndex;
  readonly disk: IndexedDisk;
  readonly replay: Pick<Replay, 'start' | 'isRunning'>;
  readonly repairs: RepairListener;
  readonly runtime: Runtime;
  /** Every user's entries are added up within this long: about 0.05 µs an entry. */
  readonly sumPassMs: number;
  /** Every user's entries are compared with the disk within this long … */
  readonly diskPassMs: number;
  readonly tickMs: number;
  /** … as long as no tick has more users than this; with more a pass takes longer. About 60 µs a user. */
  readonly usersPerTickMax: number;
  /**
   * Joins what the other members have into these rows, which the disk has lost or which say what nobody
   * told the index. Resolves once they have answered, or do not; never rejects.
   */
  readonly repairKeys?: ((keys: readonly RowKey[]) => Promise<void>) | undefined;
  /** The delivery after which the index's own code took the entry away. */
  readonly leftAt?: ((entry: Entry) => number | undefined) | undefined;
}

/** Entries whose row is gone that are remembered, so that each is told of once. */
const LOST_MAX = 10_000;
/** The peers are asked for it again after this, for as long as it is gone. */
const ASK_AGAIN_MS = 10_000;
const SUM_USERS_PER_TICK_MAX = 20_000;

type What = 'missing' | 'extra' | 'lost';

interface Difference extends Entry {
  readonly what: What;
  /** The dots of its row: the same at a second look, which comes after the index was told of them. */
  readonly dots: string;
}

/**
 * The routing index against the disk. Two walks: the users' own sums, which tell at once that an entry came
 * or went behind the index's back, and the users' rows. What differs is looked at again after all that was
 * staged meanwhile has reached the index, so a write on its way is never taken for damage.
 */
export class IndexAudit {
  readonly #options: IndexAuditOptions;
  readonly #walks: readonly PacedWalk<Uid>[];
  /** When the peers were asked for them last, monotonic. */
  readonly #lost = new Map<RowKey, number>();
  readonly #checking = new Set<Uid>();

  constructor(options: IndexAuditOptions) {
    const { index, disk, runtime, tickMs, sumPassMs, diskPassMs, usersPerTickMax } = options;
    this.#options = options;
    const common = { runtime, tickMs, count: () => index.userCount(), items: () => index.users() };
    this.#walks = [
      new PacedWalk({
        ...{ ...common, passMs: sumPassMs, perTickMax: SUM_USERS_PER_TICK_MAX },
        visit: (uid) => (index.sumFits(uid) ? undefined : this.checkUser(uid)),
      }),
      new PacedWalk({
        ...{ ...common, passMs: diskPassMs, perTickMax: usersPerTickMax },
        proves: () => disk.isWriting(),
        // What is older than the index hides a difference until the next pass, and never makes one.
        visit: (uid) => this.#check(uid, disk.channelsAhead ?? disk.channelsOf),
      }),
    ];
  }

  start(): void {
    for (const walk of this.#walks) walk.start();
  }

  stop(): void {
    for (const walk of this.#walks) walk.stop();
  }

  /** Since when every user's entries have been compared with the disk; monotonic. */
  verifiedMs(): number | undefined {
    return this.#walks[1]!.verifiedMs();
  }

  /** Compares one user's entries with the disk and repairs what differs. Never rejects. */
  checkUser(uid: Uid): Promise<void> {
    return this.#check(uid, this.#options.disk.channelsOf);
  }

  async #check(uid: Uid, channelsOf: IndexedDisk['channelsOf']): Promise<void> {
    const { disk, index } = this.#options;
    if (this.#checking.has(uid) || !disk.isWriting() || index.isLoading(uid)) return;
    this.#checking.add(uid);
    try {
      const stored = await channelsOf(uid);
      const found = this.#differences(uid, stored);
      const behindItsBack = !index.sumFits(uid);
      if (found.length === 0 && !behindItsBack) return;
      await disk.settled();
      const unexpected = behindItsBack ? [] : found.filter(({ what }) => what === 'extra');
      for (const difference of found) {
        if (!unexpected.includes(difference)) this.#repair(difference, behindItsBack);
      }
      if (unexpected.length > 0) await this.#leaveUnlessLive(unexpected);
      if (behindItsBack) await this.#settleSum(uid);
    } catch {
      // The disk cannot be read just now: its own audit says so, and the next pass tries again.
    } finally {
      this.#checking.delete(uid);
    }
  }

  /**
   * The sum itself was wrong where the entries are what the disk says now: what it said before may lack a
   * subscription whose entry is what was lost. Damage that came meanwhile is not to be taken for what is right:
   * the next pass finds it.
   */
  async #settleSum(uid: Uid): Promise<void> {
    const { disk, index } = this.#options;
    if (index.sumFits(uid)) return;
    const kept = index.keptSum(uid);
    const stored = await disk.channelsOf(uid);
    if (index.keptSum(uid) !== kept || index.sumFits(uid) || index.isLoading(uid)) return;
    if (this.#differences(uid, stored).length > 0) return;
    index.settleSum(uid);
    this.#report({ action: 'rebuilt', cause: 'sum-wrong', uid });
  }

  /** The index routes a user whose row is gone: others may have it. */
  noteLost(entry: Entry): void {
    const { repairKeys, runtime } = this.#options;
    const key = subscriptionKey(entry.channel, entry.uid);
    const nowMs = runtime.clock.monotonicMs();
    const askedMs = this.#lost.get(key);
    if (askedMs !== undefined && nowMs - askedMs < ASK_AGAIN_MS) return;
    if (this.#lost.size >= LOST_MAX) this.#lost.clear();
    this.#lost.set(key, nowMs);
    if (askedMs === undefined) this.#report({ action: 'alarm', cause: 'row-missing', ...entry });
    void repairKeys?.([key]);
  }

  #differences(uid: Uid, stored: readonly ChannelKey[]): readonly Difference[] {
    const { index } = this.#options;
    const found: Difference[] = [];
    const look = (channel: ChannelKey): void => {
      const what = this.#whatDiffers({ channel, uid });
      if (what) found.push({ channel, uid, what, dots: this.#dotsOf({ channel, uid }) });
    };
    for (const channel of stored) {
      if (index.entryOf(channel, uid) !== 'joined') look(channel);
    }
    for (const channel of index.channelsOf(uid)) look(channel);
    return found;
  }

  #whatDiffers({ channel, uid }: Entry): What | undefined {
    const { index, replay } = this.#options;
    const entry = index.entryOf(channel, uid);
    const verdict = index.verdict(channel, uid);
    if (entry === 'joined') {
      if (verdict === 'live') this.#lost.delete(subscriptionKey(channel, uid));
      return verdict === 'live' ? undefined : verdict === 'removed' ? 'extra' : 'lost';
    }
    if (entry !== 'absent' || verdict !== 'live' || index.isOverLimit(uid)) return undefined;
    return replay.isRunning({ channel, uid }) ? undefined : 'missing';
  }

  /**
   * The index has put these entries there itself, and was never told of the removal that their rows say:
   * an event was missed, or the row is not what was written. The other members know which of the two.
   */
  async #leaveUnlessLive(unexpected: readonly Difference[]): Promise<void> {
    const { disk, repairKeys } = this.#options;
    const stillSo = unexpected.filter((one) => this.#whatDiffers(one) === 'extra');
    const keys = stillSo.flatMap(({ channel, uid }) => [
      subscriptionKey(channel, uid),
      denyKey(channel, uid, 'ban'),
    ]);
    await repairKeys?.(keys);
    const looked = stillSo.map((one) => ({ ...one, dots: this.#dotsOf(one) }));
    await disk.settled();
    for (const one of looked) this.#repair(one, false);
  }

  #repair({ channel, uid, what, dots }: Difference, behindItsBack: boolean): void {
    const { index, replay, leftAt } = this.#options;
    const entry = { channel, uid };
    if (this.#whatDiffers(entry) !== what || this.#dotsOf(entry) !== dots) return;
    switch (what) {
      case 'missing':
        if (behindItsBack) {
          // Its count was kept, so nothing went out on the channel since: there is nothing to replay.
          index.putBack(channel, uid);
        } else if (!replay.start(entry, leftAt?.(entry))) index.restore(channel, uid);
        return this.#report({ action: 'joined', cause: 'entry-lost', ...entry });
      case 'extra':
        index.drop(channel, uid);
        return this.#report({ action: 'left', cause: 'entry-without-subscription', ...entry });
      case 'lost':
        return this.noteLost(entry);
      default:
        return what satisfies never;
    }
  }

  #dotsOf({ channel, uid }: Entry): string {
    const row = this.#options.disk.read(subscriptionKey(channel, uid));
    return row.map(({ actor, counter }) => `${actor}:${counter}`).join();
  }

  #report(repair: Omit<Repair, 'layer' | 'wallMs'>): void {
    const wallMs = this.#options.runtime.clock.wallMs();
    this.#options.repairs.onRepair({ layer: 'index', ...repair, wallMs });
  }
}
