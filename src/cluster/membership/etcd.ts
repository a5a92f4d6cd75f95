import type { IOptions } from 'etcd3';
import type { MemberId } from '../../core/ids.ts';
import type { Member, Roster } from '../../core/member.ts';
import type { Log } from '../../observability/log.ts';
import type { Runtime } from '../../runtime/port.ts';
import { EtcdClient, type EtcdCalls } from './etcd-client.ts';
import { EtcdLease } from './etcd-lease.ts';
import {
  hasForgotten,
  planJoin,
  planRemoval,
  planRestore,
  readState,
  type EtcdState,
  type RosterChange,
} from './etcd-roster.ts';
import { MembershipError } from './membership-error.ts';
import { memberOf, sameRoster } from './members.ts';
import type { Membership, MembershipListener, MembershipStatus } from './port.ts';
import { Pause } from './pause.ts';

export interface EtcdMembershipOptions {
  readonly cluster: string;
  /** host:port of each etcd server. */
  readonly endpoints: readonly string[];
  /**
   * The slot that the configuration states; undefined: one is given. `self.slot` is not looked at.
   */
  readonly slot?: number | undefined;
  /** The cluster's constant. */
  readonly slots: number;
  readonly log: Log;
  readonly runtime: Runtime;
  /** Ends a `start` that still waits for etcd. */
  readonly signal?: AbortSignal | undefined;
  /**
   * The roster has dropped this member: while it was away (it joins again once this resolved), or while
   * it runs (the listener then hears of a roster without it, and its owner starts it anew).
   */
  readonly onForgotten?: (() => Promise<void>) | undefined;
  readonly credentials?: IOptions['credentials'] | undefined;
  readonly auth?: { readonly username: string; readonly password: string } | undefined;
  /** In place of the real one. */
  readonly client?: EtcdCalls | undefined;
  /** A lease lives this long without a sign of its member. Whole seconds. */
  readonly leaseTtlMs?: number | undefined;
  /** Everything is listed again so often, because watches drop events. */
  readonly relistMs?: number | undefined;
  readonly callDeadlineMs?: number | undefined;
  /** How long `start` waits for an etcd that does not answer, where no roster is cached. */
  readonly startDeadlineMs?: number | undefined;
  /** Between attempts while etcd is away: doubles from the first to the second. */
  readonly retryMinMs?: number | undefined;
  readonly retryMaxMs?: number | undefined;
  /** The most that `stop` takes. */
  readonly stopDeadlineMs?: number | undefined;
}

const DEFAULTS = {
  leaseTtlMs: 10_000,
  relistMs: 60_000,
  callDeadlineMs: 2_000,
  startDeadlineMs: 60_000,
  retryMinMs: 250,
  retryMaxMs: 2_000,
  stopDeadlineMs: 1_000,
};
/** More than members can collide: each collision means that another one's change went in. */
const COMMIT_ATTEMPTS_MAX = 64;

/**
 * Membership in etcd, under /holdfast/<cluster>/. One loop does everything in rounds: keep the
 * lease, hold a watch, list when the watch speaks, when it is new and every `relistMs`. What a
 * watch says is never applied, it only calls for a list; so a lost event costs time and not truth.
 * A round that fails freezes the roster, the next that succeeds thaws it.
 *
 * Invariants: the epoch of the roster never falls; only a higher epoch takes a member from the
 * roster, and what etcd forgot otherwise is written back; no round runs beside another.
 */
export class EtcdMembership implements Membership {
  readonly #options: EtcdMembershipOptions & typeof DEFAULTS;
  readonly #client: EtcdCalls;
  readonly #lease: EtcdLease;
  readonly #pause: Pause;
  #self!: Member;
  #listener: MembershipListener | undefined;
  #roster: Roster | undefined;
  #live: ReadonlySet<MemberId> = new Set();
  #status: MembershipStatus = { state: 'ok' };
  #stopped = false;
  #forgotten = false;
  #listDueMs = 0;
  #endWatch: (() => void) | undefined;
  #loop: Promise<void> | undefined;

  constructor(options: EtcdMembershipOptions) {
    const given = Object.entries(options).filter(([, value]) => value !== undefined);
    this.#options = {
      ...DEFAULTS,
      ...(Object.fromEntries(given) as typeof options),
    } as typeof options & typeof DEFAULTS;
    const { cluster, runtime, signal } = this.#options;
    const prefix = `/holdfast/${cluster}/`;
    this.#client = this.#options.client ?? new EtcdClient({ ...this.#options, prefix });
    this.#pause = new Pause(runtime.timers);
    this.#lease = new EtcdLease(this.#client, this.#options);
    signal?.addEventListener('abort', () => this.#pause.wake(), { once: true });
  }

  /**
   * Joins the roster; this member's slot is the one that the roster has for it. The listener hears
   * what changes afterwards. Rejects with MEMBERS_FULL, SLOTS_EXHAUSTED, SLOT_IN_USE,
   * SLOT_OUT_OF_RANGE, DAMAGED; with UNAVAILABLE or ABORTED where etcd did not answer and `cached`
   * does not have `self`.
   */
  async start(
    self: Member,
    cached: Roster | undefined,
    listener: MembershipListener,
  ): Promise<Roster> {
    this.#self = self;
    try {
      this.#roster = await this.#firstRoster(
        cached && memberOf(cached, self.id) ? cached : undefined,
      );
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#listener = listener;
    this.#loop = this.#run();
    return this.#roster;
  }

  roster(): Roster {
    if (!this.#roster) throw new Error('roster() before start()');
    return this.#roster;
  }

  /** This member, and those whose lease stands. While frozen: as it was last seen. */
  live(): ReadonlySet<MemberId> {
    return this.#live;
  }

  status(): MembershipStatus {
    return this.#status;
  }

  /**
   * True where the roster had dropped this member while it was away: its store has to be rebuilt.
   */
  wasForgotten(): boolean {
    return this.#forgotten;
  }

  /** Rejects with UNKNOWN_MEMBER, and with FROZEN where etcd does not answer. */
  async remove(member: MemberId): Promise<void> {
    try {
      await this.#commit((state) => planRemoval(state, member));
    } catch (error) {
      if (error instanceof MembershipError) throw error;
      throw new MembershipError(
        'FROZEN',
        `${member} cannot be removed now: ${textOf(error)}`,
        error,
      );
    }
    this.#listSoon();
  }

  /** Takes at most twice `stopDeadlineMs`, whatever etcd does. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#endWatch?.();
    this.#pause.wake();
    const { stopDeadlineMs, runtime } = this.#options;
    await within(runtime, stopDeadlineMs, this.#loop ?? Promise.resolve());
    await within(runtime, stopDeadlineMs, this.#lease.end());
    this.#client.close();
  }

  async #firstRoster(cached: Roster | undefined): Promise<Roster> {
    const { startDeadlineMs, retryMinMs, retryMaxMs, runtime, signal, log } = this.#options;
    const endMs = runtime.clock.monotonicMs() + startDeadlineMs;
    for (let waitMs = retryMinMs; ; waitMs = Math.min(2 * waitMs, retryMaxMs)) {
      if (signal?.aborted || this.#stopped) {
        throw new MembershipError('ABORTED', 'stopped before etcd answered', signal?.reason);
      }
      try {
        return await this.#join(cached);
      } catch (error) {
        if (error instanceof MembershipError) throw error;
        if (cached) {
          this.#freeze(error);
          // Nobody is known to be away, so nobody is suspected.
          this.#live = new Set(cached.members.map(({ id }) => id));
          return cached;
        }
        const leftMs = endMs - runtime.clock.monotonicMs();
        if (leftMs <= 0) {
          const text = `no etcd answered within ${startDeadlineMs} ms and no roster is cached`;
          throw new MembershipError('UNAVAILABLE', `${text}: ${textOf(error)}`, error);
        }
        log.warn('waiting for etcd', { error: textOf(error), retryInMs: waitMs });
        await this.#pause.wait(Math.min(waitMs, leftMs));
      }
    }
  }

  async #join(cached: Roster | undefined): Promise<Roster> {
    const { slot, slots } = this.#options;
    const slotBefore = memberOf(cached, this.#self.id)?.slot;
    for (let asked = true; asked;) {
      asked = false;
      await this.#commit((found) => {
        if (cached && hasForgotten(found, cached)) return planRestore(found, cached, slots);
        asked = cached !== undefined && !memberOf(found.roster, this.#self.id) && !this.#forgotten;
        if (asked) return undefined;
        return planJoin(found, { self: this.#self, slot, slotBefore, slots });
      });
      if (!asked) break;
      await this.#options.onForgotten?.();
      this.#forgotten = true;
    }
    // After a restore this member is there with its old addresses; the join then goes on from
    // there.
    const joined = await this.#commit((found) =>
      planJoin(found, { self: this.#self, slot, slotBefore, slots }),
    );
    await this.#lease.keep(this.#self.id);
    this.#live = liveOf(joined, this.#self.id);
    return joined.roster;
  }

  async #run(): Promise<void> {
    const { leaseTtlMs, retryMinMs, retryMaxMs } = this.#options;
    let waitMs = retryMinMs;
    while (!this.#stopped) {
      try {
        await this.#round();
        this.#thaw();
        waitMs = retryMinMs;
        if (!this.#stopped) await this.#pause.wait(leaseTtlMs / 3);
      } catch (error) {
        if (this.#stopped) return;
        this.#freeze(error);
        this.#endWatch?.();
        this.#endWatch = undefined;
        this.#listDueMs = 0;
        await this.#pause.wait(waitMs);
        waitMs = Math.min(2 * waitMs, retryMaxMs);
      }
    }
  }

  async #round(): Promise<void> {
    const { clock } = this.#options.runtime;
    await this.#lease.keep(this.#self.id);
    if (this.#stopped) return;
    this.#endWatch ??= this.#watch();
    if (clock.monotonicMs() < this.#listDueMs) return;
    const state = readState(await this.#client.list());
    if (this.#stopped) return;
    this.#listDueMs = clock.monotonicMs() + this.#options.relistMs;
    await this.#adopt(state);
  }

  async #adopt(state: EtcdState): Promise<void> {
    const { slots, log } = this.#options;
    const known = this.roster();
    if (hasForgotten(state, known)) {
      log.warn('etcd forgot what the roster was: writing it back', {
        epoch: known.epoch,
        epochFound: state.roster.epoch,
      });
      await this.#commit((found) =>
        hasForgotten(found, known) ? planRestore(found, known, slots) : undefined,
      );
      return this.#listSoon();
    }
    const own = memberOf(state.roster, this.#self.id);
    if (own) {
      // Started on a cached roster: the addresses may be new, and the lease key may have been lost.
      const changed = planJoin(state, {
        self: this.#self,
        slot: own.slot,
        slotBefore: own.slot,
        slots,
      });
      if (changed && (await this.#client.commit({ ...changed, epoch: state.epochText }))) {
        return this.#listSoon();
      }
      if (state.live.get(own.id) !== this.#lease.id) await this.#lease.announce(own.id);
    }
    // On disk before anything else is done with it: a crash must not leave a store that looks good.
    if (!own && memberOf(known, this.#self.id)) await this.#options.onForgotten?.();
    if (!sameRoster(known, state.roster)) {
      this.#roster = state.roster;
      log.info('roster', { epoch: state.roster.epoch, members: state.roster.members.length });
      this.#listener?.onRoster(state.roster);
    }
    const live = liveOf(state, this.#self.id);
    if (live.size !== this.#live.size || [...live].some((id) => !this.#live.has(id))) {
      this.#live = live;
      log.info('live members', { live: [...live] });
      this.#listener?.onLive(live);
    }
  }

  /** Reads, plans and writes until nobody else was in between. Resolves with what is there then. */
  async #commit(plan: (state: EtcdState) => RosterChange | undefined): Promise<EtcdState> {
    const { random, timers } = this.#options.runtime;
    for (let attempt = 0; attempt < COMMIT_ATTEMPTS_MAX; attempt++) {
      const state = readState(await this.#client.list());
      const change = plan(state);
      if (!change) return state;
      if (await this.#client.commit({ ...change, epoch: state.epochText })) {
        return { ...state, roster: change.roster };
      }
      await new Pause(timers).wait(random.fraction() * 50);
    }
    throw new MembershipError('CONTENTION', 'others change the roster in etcd without end');
  }

  #watch(): () => void {
    return this.#client.watch({
      onEvent: () => this.#listSoon(),
      onEnd: (reason) => {
        this.#options.log.debug('the watch on etcd ended', { reason });
        this.#endWatch = undefined;
      },
    });
  }

  #listSoon(): void {
    this.#listDueMs = 0;
    this.#pause.wake();
  }

  #freeze(error: unknown): void {
    if (this.#status.state === 'frozen') return;
    const reason = textOf(error);
    this.#status = { state: 'frozen', sinceMs: this.#options.runtime.clock.wallMs(), reason };
    this.#options.log.warn('roster frozen: etcd does not answer', { reason });
  }

  #thaw(): void {
    if (this.#status.state === 'ok') return;
    this.#status = { state: 'ok' };
    this.#options.log.info('etcd answers again');
  }
}

function liveOf(state: EtcdState, self: MemberId): ReadonlySet<MemberId> {
  const ids = state.roster.members.map(({ id }) => id);
  return new Set(ids.filter((id) => id === self || state.live.has(id)));
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function within(runtime: Runtime, limitMs: number, work: Promise<unknown>): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = runtime.timers.after(limitMs, resolve);
    const done = (): void => {
      timer.cancel();
      resolve();
    };
    work.then(done, done);
  });
}
