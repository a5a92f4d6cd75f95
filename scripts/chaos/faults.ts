import type { TestCluster } from '../../test/support/cluster.ts';
import { until } from '../../test/support/until.ts';
import type { LiveMessages } from './messages.ts';
import type { ChaosNetwork } from './network.ts';
import { pause, type SetWorkload } from './workload.ts';

export interface Disturbed {
  readonly cluster: TestCluster;
  readonly network: ChaosNetwork;
  readonly workload: SetWorkload;
  readonly messages: LiveMessages;
  readonly random: () => number;
}

/** Shares of all faults; those of etcd become `row` where there is none. */
const SHARES = {
  kill: 22,
  stop: 10,
  row: 14,
  wipe: 6,
  'roll-back': 8,
  cut: 10,
  mute: 6,
  deaf: 6,
  delay: 8,
  'etcd-stop': 5,
  'etcd-kill': 3,
  'etcd-cut': 2,
} as const;

export type ChaosFault = keyof typeof SHARES;

/** Before a disk is taken away everything acknowledged has to be on another one. */
const CALM_MS = 2_000;
const CAUGHT_UP_MS = 90_000;

/** Picks faults by the seed and does them, one at a time; each is over when `next` resolves. */
export class Faults {
  readonly counts: Partial<Record<ChaosFault, number>> = {};
  /** Operations and messages acknowledged while etcd was away. */
  acknowledgedWithoutEtcd = 0;
  readonly #on: Disturbed;
  /** Copies of stores, taken when their nodes were dead. */
  readonly #copies = new Map<number, string>();

  constructor(on: Disturbed) {
    this.#on = on;
  }

  async next(): Promise<void> {
    const { cluster, random, workload } = this.#on;
    const fault = pick(random(), cluster.etcd !== undefined);
    const k = 1 + Math.floor(random() * cluster.numbers.length);
    const forMs = 300 + random() * 3_000;
    this.counts[fault] = (this.counts[fault] ?? 0) + 1;
    workload.note('fault', { element: cluster.id(k), outcome: `${fault} ${Math.round(forMs)}` });
    await this.#run(fault, { k, forMs, share: random() });
    workload.note('fault over');
  }

  async #run(fault: ChaosFault, at: { k: number; forMs: number; share: number }): Promise<void> {
    const { cluster, network } = this.#on;
    const { k, forMs, share } = at;
    switch (fault) {
      case 'kill':
        return this.#kill(k, { forMs, copy: share < 0.5 });
      case 'stop':
        cluster.pause(k);
        await pause(forMs);
        return cluster.resume(k);
      case 'row':
        return this.#damageRow(k, share);
      case 'wipe':
        await this.#whenSafe(k);
        await cluster.wipe(k);
        return cluster.start(k);
      case 'roll-back':
        return this.#rollBack(k);
      case 'cut':
      case 'mute':
      case 'deaf':
        network.disturb(k, { kind: fault });
        await pause(forMs);
        return network.heal(share < 0.5 ? 'reset' : 'arrive');
      case 'delay':
        network.disturb(k, { kind: 'delay', delayMs: 10 + share * 300 });
        await pause(2 * forMs);
        return network.heal('arrive');
      case 'etcd-cut':
        network.disturbEtcd({ kind: 'cut' });
        await this.#withoutEtcd(2 * forMs);
        return network.heal(share < 0.5 ? 'reset' : 'arrive');
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
    await this.#whenSafe(k);
    await cluster.kill9(k);
    cluster.restoreStore(k, copy);
    await cluster.start(k);
  }

  /** Waits until what was acknowledged before has reached every disk. Writing goes on. */
  async #whenSafe(k: number): Promise<void> {
    const { cluster, messages } = this.#on;
    await cluster.whenReady();
    await cluster.whenConnected();
    await pause(CALM_MS);
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

  /** A row goes behind one node's back; a node that does not answer is left alone. */
  async #damageRow(k: number, share: number): Promise<void> {
    const { cluster, workload, random } = this.#on;
    const there = workload.elements.filter(
      ({ add, removal }) => add === 'acknowledged' && removal === 'none',
    );
    const element = there[Math.floor(random() * there.length)];
    if (!element) return;
    const kind = share < 0.5 ? 'delete-row' : 'corrupt-row';
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

function pick(share: number, etcd: boolean): ChaosFault {
  const all = Object.entries(SHARES) as [ChaosFault, number][];
  let left = share * all.reduce((sum, [, of]) => sum + of, 0);
  for (const [fault, of] of all) {
    left -= of;
    if (left < 0) return fault.startsWith('etcd') && !etcd ? 'row' : fault;
  }
  return 'kill';
}
