import type {
  Membership,
  MembershipListener,
  MembershipStatus,
} from '../../../src/cluster/membership/port.ts';
import type { MemberId } from '../../../src/core/ids.ts';
import type { Member, Roster } from '../../../src/core/member.ts';
import type { SeededRandom } from '../world/random.ts';
import type { VirtualProcess } from '../world/virtual-process.ts';
import type { World } from '../world/world.ts';

const LEASE_MS = 10_000;
const KEEPALIVE_MS = 3_000;
/** Watches drop events, so every member lists again; the product does it each 60 s. */
const RELIST_MS = 10_000;
const LATENCY_MS = 3;

/** An etcd: a roster that stays, leases that end, watches that may miss an event, and days off. */
export class SimulatedEtcd {
  /** Down: every call fails, leases do not run out (they are refreshed at its return). */
  up = true;
  /** Probability that a watch event never arrives. */
  missedEvents = 0;
  readonly #world: World;
  readonly #random: SeededRandom;
  readonly #watchers = new Set<SimulatedMembership>();
  readonly #leases = new Map<MemberId, number>();
  #roster: Roster;

  constructor(world: World, members: readonly Member[]) {
    this.#world = world;
    this.#random = world.random.fork('etcd');
    this.#roster = { epoch: 1, members };
    this.#expire();
  }

  get roster(): Roster {
    return this.#roster;
  }

  live(): ReadonlySet<MemberId> {
    return new Set([...this.#leases.keys()].sort());
  }

  membership(process: VirtualProcess): SimulatedMembership {
    return new SimulatedMembership(this, process);
  }

  watch(watcher: SimulatedMembership): void {
    this.#watchers.add(watcher);
  }

  unwatch(watcher: SimulatedMembership): void {
    this.#watchers.delete(watcher);
  }

  keepAlive(member: MemberId): void {
    const known = this.#leases.has(member);
    this.#leases.set(member, this.#world.nowMs + LEASE_MS);
    if (!known) this.#tell();
  }

  /** A live member's lease goes, as happens to real ones. */
  loseLease(member: MemberId): void {
    if (this.#leases.delete(member)) this.#tell();
  }

  remove(member: MemberId): void {
    const members = this.#roster.members.filter((one) => one.id !== member);
    this.#roster = { epoch: this.#roster.epoch + 1, members };
    this.#tell();
  }

  #expire(): void {
    this.#world.after(1_000, 'etcd leases', () => {
      const before = this.#leases.size;
      for (const [member, endMs] of this.#leases) {
        if (!this.up) this.#leases.set(member, this.#world.nowMs + LEASE_MS);
        else if (endMs < this.#world.nowMs) this.#leases.delete(member);
      }
      if (this.#leases.size !== before) this.#tell();
      this.#expire();
    });
  }

  #tell(): void {
    for (const watcher of this.#watchers) {
      if (this.#random.chance(this.missedEvents)) continue;
      this.#world.after(LATENCY_MS, 'etcd watch', () => watcher.refresh());
    }
  }
}

/** One member's view of the simulated etcd; ends with its process. */
export class SimulatedMembership implements Membership {
  readonly #etcd: SimulatedEtcd;
  readonly #process: VirtualProcess;
  #self: Member | undefined;
  #listener: MembershipListener | undefined;
  #roster: Roster = { epoch: 0, members: [] };
  #live: ReadonlySet<MemberId> = new Set();
  #status: MembershipStatus = { state: 'ok' };
  #started = false;
  #stopped = false;

  constructor(etcd: SimulatedEtcd, process: VirtualProcess) {
    this.#etcd = etcd;
    this.#process = process;
  }

  start(self: Member, cached: Roster | undefined, listener: MembershipListener): Promise<Roster> {
    this.#self = self;
    this.#listener = listener;
    this.#etcd.watch(this);
    return new Promise((resolve) => {
      const attempt = (): void => {
        if (this.#etcd.up) {
          this.#etcd.keepAlive(self.id);
          this.#roster = this.#etcd.roster;
          this.#live = this.#etcd.live();
        } else if (cached) {
          this.#roster = cached;
          this.#freeze();
        } else {
          this.#process.after(1_000, 'etcd retry', attempt);
          return;
        }
        this.#started = true;
        this.#loop('keepalive', KEEPALIVE_MS, () => this.#keepAlive());
        this.#loop('re-list', RELIST_MS, () => this.refresh());
        resolve(this.#roster);
      };
      this.#process.after(LATENCY_MS, 'etcd start', attempt);
    });
  }

  roster(): Roster {
    return this.#roster;
  }

  live(): ReadonlySet<MemberId> {
    return this.#live;
  }

  status(): MembershipStatus {
    return this.#status;
  }

  remove(member: MemberId): Promise<void> {
    if (!this.#etcd.up) return Promise.reject(new Error('etcd is down'));
    this.#etcd.remove(member);
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.#etcd.unwatch(this);
    if (this.#self && this.#etcd.up) this.#etcd.loseLease(this.#self.id);
    return Promise.resolve();
  }

  /** A list after a watch event, or in case one was missed. */
  refresh(): void {
    this.#process.enter(() => {
      if (this.#stopped || !this.#started || !this.#etcd.up) return;
      const { roster } = this.#etcd;
      if (roster.epoch !== this.#roster.epoch) {
        this.#roster = roster;
        this.#listener?.onRoster(roster);
      }
      const live = this.#etcd.live();
      if ([...live].join() !== [...this.#live].join()) {
        this.#live = live;
        this.#listener?.onLive(live);
      }
    });
  }

  #keepAlive(): void {
    if (!this.#etcd.up) {
      this.#freeze();
      return;
    }
    this.#status = { state: 'ok' };
    this.#etcd.keepAlive(this.#self!.id);
  }

  #freeze(): void {
    if (this.#status.state === 'frozen') return;
    const sinceMs = this.#process.clock.wallMs();
    this.#status = { state: 'frozen', sinceMs, reason: 'etcd does not answer' };
  }

  #loop(label: string, everyMs: number, task: () => void): void {
    this.#process.after(everyMs, `etcd ${label}`, () => {
      if (this.#stopped) return;
      task();
      this.#loop(label, everyMs, task);
    });
  }
}
