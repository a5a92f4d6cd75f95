import type { TestCluster } from '../../test/support/cluster.ts';
import { until } from '../../test/support/until.ts';
import type { LiveMessages } from './messages.ts';
import type { ChaosNetwork } from './network.ts';
import { draw, losesDisk, mayOverlap, type ChaosFault, type Drawn } from './schedule.ts';
import { pause, type Element, type SetWorkload } from './workload.ts';

export interface Disturbed {
  readonly cluster: TestCluster;
  readonly network: ChaosNetwork;
  readonly workload: SetWorkload;
  readonly messages: LiveMessages;
  readonly random: () => number;
}

export interface FaultPlan {
  /** Monotonic. No fault begins after it. */
  readonly endMs: number;
  readonly faultsMax: number;
  /** A blackout counts once for each node. */
  readonly killsMax: number;
  readonly atOnceMax: number;
  readonly shares?: Partial<Record<ChaosFault, number>> | undefined;
}

/** Before a disk is taken away everything acknowledged has to be on another one. */
const CALM_MS = 2_000;
const CAUGHT_UP_MS = 90_000;
/** Twice the bound within which the fast profile finds a lost row and gets it from a peer. */
const ROW_HEALED_MS = 10_000;

interface Open {
  readonly drawn: Drawn;
  readonly over: Promise<void>;
}

/** Draws faults by the seed and does them, several at once where they may overlap. */
export class Faults {
  readonly counts: Partial<Record<ChaosFault, number>> = {};
  /** How often a fault began while others went on, by the names of both. */
  readonly together: Record<string, number> = {};
  kills = 0;
  /** Operations and messages acknowledged while etcd was away. */
  acknowledgedWithoutEtcd = 0;
  readonly #on: Disturbed;
  readonly #open = new Set<Open>();
  /** Copies of stores, taken when their nodes were dead. */
  readonly #copies = new Map<number, string>();
  readonly #damaged = new Set<Element>();
  #damagedMs = 0;
  #failure: unknown;

  constructor(on: Disturbed) {
    this.#on = on;
  }

  /** Resolves when the plan is over and so is every fault; rejects when one could not be done or undone. */
  async run(plan: FaultPlan): Promise<void> {
    const { cluster, random } = this.#on;
    const options = {
      ...{ nodes: cluster.numbers.length, etcd: cluster.etcd !== undefined, shares: plan.shares },
    };
    for (let i = 0; i < plan.faultsMax && this.kills < plan.killsMax; i++) {
      const drawn = draw(random, options);
      await this.#room(drawn, plan.atOnceMax);
      if (this.#failure !== undefined || performance.now() > plan.endMs) break;
      this.#begin(drawn);
      await pause(drawn.gapMs);
    }
    while (this.#open.size > 0) await this.#oneOver();
    if (this.#failure !== undefined) throw this.#failure as Error;
  }

  async #room(drawn: Drawn, atOnceMax: number): Promise<void> {
    const safeFirst = losesDisk(drawn.fault);
    const fits = (): boolean => {
      if (this.#open.size === 0) return true;
      const open = [...this.#open].map((one) => one.drawn);
      return !safeFirst && open.length < atOnceMax && mayOverlap(drawn, open);
    };
    while (!fits()) await this.#oneOver();
    if (safeFirst && this.#failure === undefined) await this.#whenSafe(drawn.k);
  }

  async #oneOver(): Promise<void> {
    await Promise.race([...this.#open].map(({ over }) => over));
  }

  #begin(drawn: Drawn): void {
    const { cluster, workload } = this.#on;
    const { fault, k, forMs } = drawn;
    this.counts[fault] = (this.counts[fault] ?? 0) + 1;
    if (fault === 'kill') this.kills += 1;
    if (fault === 'blackout') this.kills += cluster.numbers.length;
    for (const { drawn: other } of this.#open) {
      const names = [fault, other.fault].sort().join(' + ');
      this.together[names] = (this.together[names] ?? 0) + 1;
    }
    const at = { element: cluster.id(k), outcome: `${fault} ${Math.round(forMs)}` };
    workload.note('fault', at);
    const over = this.#run(drawn)
      .catch((error: unknown) => void (this.#failure ??= error))
      .then(() => {
        workload.note('fault over', at);
        this.#open.delete(open);
      });
    const open: Open = { drawn, over };
    this.#open.add(open);
  }

  async #run({ fault, k, forMs, share }: Drawn): Promise<void> {
    const { cluster, network } = this.#on;
    switch (fault) {
      case 'kill':
        return this.#kill(k, { forMs, copy: share < 0.5 });
      case 'blackout':
        await Promise.all(cluster.numbers.map((n) => cluster.kill9(n)));
        await pause(forMs / 3);
        return void (await Promise.all(cluster.numbers.map((n) => cluster.start(n))));
      case 'stop':
        cluster.pause(k);
        await pause(forMs);
        return cluster.resume(k);
      case 'row':
        return this.#damageRow(k, share);
      case 'wipe':
        await cluster.wipe(k);
        return cluster.start(k);
      case 'roll-back':
        return this.#rollBack(k);
      case 'cut':
      case 'mute':
      case 'deaf':
        network.disturb(k, { kind: fault });
        await pause(forMs);
        return network.heal(k, share < 0.5 ? 'reset' : 'arrive');
      case 'delay':
        network.disturb(k, { kind: 'delay', delayMs: 10 + share * 300 });
        await pause(2 * forMs);
        return network.heal(k, 'arrive');
      case 'etcd-cut':
        network.disturbEtcd({ kind: 'cut' });
        await this.#withoutEtcd(2 * forMs);
        return network.heal('etcd', share < 0.5 ? 'reset' : 'arrive');
      case 'etcd-stop':
        cluster.etcd!.pause();
        await this.#withoutEtcd(2 * forMs);
        return cluster.etcd!.resume();
      case 'etcd-kill':
        await cluster.etcd!.kill();
        await this.#withoutEtcd(2 * forMs);
        return cluster.etcd!.restart();
      default:
        return fault satisfies never;
    }
  }

  async #kill(k: number, { forMs, copy }: { forMs: number; copy: boolean }): Promise<void> {
    const { cluster } = this.#on;
    await cluster.kill9(k);
    if (copy) this.#copies.set(k, cluster.copyStore(k));
    await pause(forMs / 3);
    await cluster.start(k);
  }

  async #rollBack(k: number): Promise<void> {
    const { cluster, workload } = this.#on;
    const copy = this.#copies.get(k);
    if (copy === undefined) {
      workload.note('no copy yet: killed instead', { element: cluster.id(k) });
      return this.#kill(k, { forMs: 300, copy: true });
    }
    await cluster.kill9(k);
    cluster.restoreStore(k, copy);
    await cluster.start(k);
  }

  /** Waits until what was acknowledged before has reached every disk. Writing goes on. */
  async #whenSafe(k: number): Promise<void> {
    const { cluster, messages } = this.#on;
    await cluster.whenReady();
    await cluster.whenConnected();
    const healedMs = this.#damaged.size > 0 ? this.#damagedMs + ROW_HEALED_MS : 0;
    await pause(Math.max(CALM_MS, healedMs - performance.now()));
    await until(
      'no node lacks anything',
      async () => {
        const replies = await Promise.all(cluster.numbers.map((n) => cluster.admin(n).members()));
        return replies.every(({ members }) => members.every(({ peer }) => !peer?.behind));
      },
      CAUGHT_UP_MS,
    );
    messages.noteDiskLost(k);
  }

  async #withoutEtcd(forMs: number): Promise<void> {
    const { workload, messages } = this.#on;
    const count = (): number => workload.acknowledgedSoFar() + messages.acknowledgedSoFar();
    const before = count();
    await pause(forMs);
    this.acknowledgedWithoutEtcd += count() - before;
  }

  /** A row goes behind one node's back, each once; a node that does not answer is left alone. */
  async #damageRow(k: number, share: number): Promise<void> {
    const { cluster, workload } = this.#on;
    const there = workload.elements.filter(
      (one) => one.add === 'acknowledged' && one.removal === 'none' && !this.#damaged.has(one),
    );
    const element = there[Math.floor(share * there.length)];
    if (!element) return;
    this.#damaged.add(element);
    this.#damagedMs = performance.now();
    const kind = (share * 1000) % 1 < 0.5 ? 'delete-row' : 'corrupt-row';
    const { uid, channel: channelId } = element;
    try {
      const fault = { kind, uid, channelId, channelType: 2 };
      const { damage } = await cluster.admin(k).injectFault(fault);
      workload.note('damaged', { element: channelId, outcome: damage.join() });
    } catch (error) {
      workload.note('not damaged', { element: channelId, outcome: (error as Error).message });
    }
  }
}
