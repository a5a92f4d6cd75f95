import { MembershipError } from '../cluster/membership/membership-error.ts';
import type {
  Membership,
  MembershipListener,
  MembershipStatus,
} from '../cluster/membership/port.ts';
import type { MemberId } from '../core/ids.ts';
import type { Member, Roster } from '../core/member.ts';
import type { Runtime, Timer } from '../runtime/port.ts';

interface Lost {
  readonly sinceMs: number;
  readonly roster: Roster;
  readonly live: ReadonlySet<MemberId>;
  readonly end: Timer;
}

/** The node's membership, which fault injection may cut off: then it is frozen, as without etcd. */
export class FaultyMembership implements Membership {
  readonly #membership: Membership;
  readonly #runtime: Runtime;
  #listener: MembershipListener | undefined;
  #lost: Lost | undefined;

  constructor(membership: Membership, runtime: Runtime) {
    this.#membership = membership;
    this.#runtime = runtime;
  }

  start(self: Member, cached: Roster | undefined, listener: MembershipListener): Promise<Roster> {
    this.#listener = listener;
    return this.#membership.start(self, cached, {
      onRoster: (roster) => {
        if (!this.#lost) listener.onRoster(roster);
      },
      onLive: (live) => {
        if (!this.#lost) listener.onLive(live);
      },
    });
  }

  get fixed(): boolean | undefined {
    return this.#membership.fixed;
  }

  roster(): Roster {
    return this.#lost?.roster ?? this.#membership.roster();
  }

  live(): ReadonlySet<MemberId> {
    return this.#lost?.live ?? this.#membership.live();
  }

  status(): MembershipStatus {
    if (!this.#lost) return this.#membership.status();
    return { state: 'frozen', sinceMs: this.#lost.sinceMs, reason: 'lost by fault injection' };
  }

  async remove(member: MemberId): Promise<void> {
    if (this.#lost) throw new MembershipError('UNAVAILABLE', 'lost by fault injection');
    await this.#membership.remove(member);
  }

  async stop(): Promise<void> {
    this.#lost?.end.cancel();
    await this.#membership.stop();
  }

  /** Nothing is heard from it and no call reaches it; afterwards what changed meanwhile is told. */
  damageContact(seconds: number): void {
    const { clock, timers } = this.#runtime;
    this.#lost?.end.cancel();
    const before = this.#lost;
    this.#lost = {
      sinceMs: before?.sinceMs ?? clock.wallMs(),
      roster: this.roster(),
      live: this.live(),
      end: timers.after(seconds * 1000, () => this.#regain()),
    };
  }

  #regain(): void {
    const lost = this.#lost;
    this.#lost = undefined;
    if (!lost) return;
    const [roster, live] = [this.#membership.roster(), this.#membership.live()];
    if (roster.epoch !== lost.roster.epoch) this.#listener?.onRoster(roster);
    this.#listener?.onLive(live);
  }
}
