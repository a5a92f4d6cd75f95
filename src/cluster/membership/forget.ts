import type { MemberId } from '../../core/ids.ts';
import type { Log } from '../../observability/log.ts';
import type { Runtime, Timer } from '../../runtime/port.ts';
import type { Membership } from './port.ts';

export interface ForgetOptions {
  readonly membership: Membership;
  readonly self: MemberId;
  readonly runtime: Runtime;
  readonly log: Pick<Log, 'info' | 'warn'>;
  /** True where a link to the member is open: it is not away, whatever became of its lease. */
  readonly linked: (member: MemberId) => boolean;
  /** `membership.forget_after_hours`. */
  readonly forgetAfterMs: number;
  readonly checkEveryMs?: number | undefined;
}

const CHECK_EVERY_MS = 60_000;

/**
 * Takes members off the roster that were away for too long, so that evidence can be collected again; who
 * returns afterwards is rebuilt. Away: neither in the live set nor linked, without a break, as this
 * member saw it with its own monotonic clock while the roster was not frozen; a restart begins anew, a
 * stepped wall clock changes nothing.
 */
export class Forgetter {
  readonly #options: ForgetOptions;
  readonly #awayMs = new Map<MemberId, number>();
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: ForgetOptions) {
    this.#options = options;
  }

  start(): void {
    const { runtime, checkEveryMs = CHECK_EVERY_MS } = this.#options;
    this.#timer = runtime.timers.after(checkEveryMs, () => {
      this.#check();
      if (!this.#stopped) this.start();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #check(): void {
    const { membership, self, runtime, linked, forgetAfterMs } = this.#options;
    const nowMs = runtime.clock.monotonicMs();
    const ids = membership.roster().members.map(({ id }) => id);
    const frozen = membership.status().state === 'frozen';
    for (const member of this.#awayMs.keys()) {
      if (!ids.includes(member)) this.#awayMs.delete(member);
    }
    for (const member of ids) {
      if (member === self) continue;
      // While etcd does not answer nobody can be seen to be away.
      if (frozen || membership.live().has(member) || linked(member)) this.#awayMs.delete(member);
      else if (!this.#awayMs.has(member)) this.#awayMs.set(member, nowMs);
      else if (nowMs - this.#awayMs.get(member)! >= forgetAfterMs) this.#forget(member);
    }
  }

  #forget(member: MemberId): void {
    const { membership, log } = this.#options;
    this.#awayMs.delete(member);
    membership.remove(member).then(
      () => log.info('a member was away for too long: it left the roster', { member }),
      // Another member may have been first; otherwise it is tried again after the same time.
      (error: unknown) => log.warn('a member that is away cannot be forgotten', { member, error }),
    );
  }
}
