import type { ChannelKey, Uid } from '../core/ids.ts';
import { subscriptionKey, type RowKey } from '../core/row-key.ts';
import type { RoutedSession } from '../messaging/port.ts';
import type { Runtime, Timer } from '../runtime/port.ts';
import { PacedWalk } from './paced-walk.ts';
import type { Repair, RepairListener } from './port.ts';
import type { AuditedIndex } from './sessions-port.ts';

export interface SocketAuditOptions {
  readonly index: AuditedIndex;
  readonly repairs: RepairListener;
  readonly runtime: Runtime;
  /** Every session is looked at within this long, and once within `youngMs` of its connection. */
  readonly passMs: number;
  readonly youngMs: number;
  readonly tickMs: number;
  /** Sessions that wait for their first look; beyond it they are met by the walk. */
  readonly youngMax?: number | undefined;
  /** Rows that the disk may have lost. */
  readonly repairKeys?: ((keys: readonly RowKey[]) => Promise<void>) | undefined;
}

/** How long a channel whose count cannot be explained is published to without looking again. */
const FRUITLESS_MS = 1_000;
const FRUITLESS_MAX = 1_024;
/** At four ticks a second: 700,000 users in the default pass. */
const USERS_PER_TICK_MAX = 20_000;

/**
 * Each session's real topics against what the index says. A look costs about 0.3 µs a channel; the check
 * before each delivery is the fan-out's and costs one look into a map.
 */
export class SocketAudit {
  readonly #options: SocketAuditOptions;
  readonly #walk: PacedWalk<Uid>;
  #young: { readonly session: RoutedSession; readonly dueMs: number }[] = [];
  #timer: Timer | undefined;
  #isChecking = false;
  readonly #fruitless = new Map<ChannelKey, number>();

  constructor(options: SocketAuditOptions) {
    const { index, runtime, passMs, tickMs } = options;
    this.#options = options;
    this.#walk = new PacedWalk({
      ...{ runtime, passMs, tickMs, perTickMax: USERS_PER_TICK_MAX },
      count: () => index.userCount(),
      items: () => index.users(),
      visit: (uid) => {
        for (const session of index.sessionsOf(uid)) this.checkSession(session);
      },
    });
  }

  start(): void {
    this.#walk.start();
  }

  stop(): void {
    this.#walk.stop();
    this.#timer?.cancel();
  }

  /** Since when every session's topics have been compared with the index; monotonic. */
  verifiedMs(): number | undefined {
    return this.#walk.verifiedMs();
  }

  /** A session that was just attached is looked at soon after. */
  noteConnected(session: RoutedSession): void {
    const { runtime, youngMs, tickMs, youngMax = 50_000 } = this.#options;
    if (this.#young.length >= youngMax) return;
    const dueMs = runtime.clock.monotonicMs() + Math.max(0, youngMs - 2 * tickMs);
    this.#young.push({ session, dueMs });
    if (this.#young.length === 1) this.#awaitYoung();
  }

  /** Puts the channel's sessions right at once; what it costs follows the users who are connected. */
  checkChannel(channel: ChannelKey): void {
    const { index, runtime } = this.#options;
    const nowMs = runtime.clock.monotonicMs();
    // What is put back here may find that the count still differs: the rest is on its way.
    if (this.#isChecking || nowMs < (this.#fruitless.get(channel) ?? 0)) return;
    let repaired = 0;
    this.#isChecking = true;
    try {
      for (const uid of index.users()) repaired += this.#checkEntry(channel, uid);
    } finally {
      this.#isChecking = false;
    }
    if (index.recount(channel)) {
      repaired += 1;
      if (repaired === 1) this.#report({ action: 'rebuilt', cause: 'count-wrong', channel });
    }
    if (repaired > 0) return;
    if (this.#fruitless.size >= FRUITLESS_MAX) this.#fruitless.clear();
    this.#fruitless.set(channel, nowMs + FRUITLESS_MS);
  }

  checkSession(session: RoutedSession): void {
    const { index } = this.#options;
    const { uid } = session;
    if (!index.sessionsOf(uid).includes(session)) return;
    let wanted = 0;
    for (const channel of index.channelsOf(uid)) {
      wanted += 1;
      if (!session.hasJoined(channel)) this.#join(session, channel);
    }
    const real = session.joinedChannels();
    if (real.length === wanted) return;
    for (const channel of real) {
      if (index.entryOf(channel, uid) !== 'joined') this.#unexpected(session, channel);
    }
  }

  /** How many repairs it made. */
  #checkEntry(channel: ChannelKey, uid: Uid): number {
    const { index } = this.#options;
    let repaired = 0;
    const joined = index.entryOf(channel, uid) === 'joined';
    if (!joined && !index.sumFits(uid) && index.verdict(channel, uid) === 'live') {
      this.#restore(channel, uid);
      return 1;
    }
    for (const session of index.sessionsOf(uid)) {
      if (session.hasJoined(channel) === joined) continue;
      repaired += 1;
      if (joined) this.#join(session, channel);
      else this.#unexpected(session, channel);
    }
    return repaired;
  }

  /** It has missed nothing: no message went out while the channel had too few members. */
  #join(session: RoutedSession, channel: ChannelKey): void {
    session.join(channel);
    const { uid } = session;
    this.#report({ action: 'joined', cause: 'topic-lost', channel, uid });
  }

  /** A session that receives what the index does not know of: one of the two is wrong. */
  #unexpected(session: RoutedSession, channel: ChannelKey): void {
    const { index, repairKeys } = this.#options;
    const { uid } = session;
    const verdict = index.verdict(channel, uid);
    if (verdict === 'live') {
      this.#restore(channel, uid);
      return;
    }
    session.leave(channel);
    this.#report({ action: 'left', cause: 'topic-without-entry', channel, uid });
    if (verdict === 'absent') void repairKeys?.([subscriptionKey(channel, uid)]);
  }

  #restore(channel: ChannelKey, uid: Uid): void {
    const { index } = this.#options;
    index.putBack(channel, uid);
    this.#report({ layer: 'index', action: 'joined', cause: 'entry-lost', channel, uid });
  }

  #awaitYoung(): void {
    const { runtime, tickMs } = this.#options;
    this.#timer = runtime.timers.after(tickMs, () => {
      const nowMs = runtime.clock.monotonicMs();
      let due = 0;
      while (due < this.#young.length && this.#young[due]!.dueMs <= nowMs) {
        this.checkSession(this.#young[due]!.session);
        due += 1;
      }
      this.#young = this.#young.slice(due);
      if (this.#young.length > 0) this.#awaitYoung();
    });
  }

  #report(repair: Omit<Repair, 'layer' | 'wallMs'> & Partial<Pick<Repair, 'layer'>>): void {
    const wallMs = this.#options.runtime.clock.wallMs();
    this.#options.repairs.onRepair({ layer: 'sockets', ...repair, wallMs });
  }
}
