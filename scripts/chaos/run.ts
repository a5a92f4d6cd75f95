import { startSharedCluster } from '../../test/support/cluster.ts';
import { etcdAvailable } from '../../test/support/etcd.ts';
import { Faults } from './faults.ts';
import { isClean, judge, type Verdict } from './judge.ts';
import { LiveMessages } from './messages.ts';
import { ChaosNetwork } from './network.ts';
import { doPlant, type Plant, type Planted } from './plant.ts';
import { seeded } from './random.ts';
import type { ChaosFault } from './schedule.ts';
import { SetWorkload, type HistoryLine } from './workload.ts';

export interface ChaosOptions {
  readonly nodes: number;
  readonly seed: number;
  /** Faults stop after so long, after so many of them, or after so many processes were killed. */
  readonly seconds: number;
  readonly faultsMax: number;
  readonly killsMax?: number | undefined;
  /** Default 3; 1: one after the other. */
  readonly atOnceMax?: number | undefined;
  readonly shares?: Partial<Record<ChaosFault, number>> | undefined;
  /** Clients that add and remove, at each node. Default 1. */
  readonly writers?: number | undefined;
  /** How long the cluster may take to settle. Default 90 s. */
  readonly settleMs?: number | undefined;
  /** What is lost on purpose after the faults, and not told to the checker. */
  readonly plants?: readonly Plant[] | undefined;
}

export interface ChaosReport extends Verdict {
  readonly options: ChaosOptions;
  readonly etcd: boolean;
  readonly faults: Readonly<Record<string, number>>;
  readonly together: Readonly<Record<string, number>>;
  readonly kills: number;
  readonly acknowledgedWithoutEtcd: number;
  readonly elements: number;
  readonly acknowledgedAdds: number;
  readonly planted: readonly Planted[];
  readonly passed: boolean;
  /** All of it, starts of processes included. */
  readonly wallMs: number;
  readonly history: readonly HistoryLine[];
  /** The nodes' last lines, where it has not passed. */
  readonly logs: readonly string[];
}

const SETTLE_MS = 90_000;

/** Real processes, real clients, faults by the seed; then everything is healed and counted. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const startedMs = performance.now();
  const etcd = etcdAvailable();
  const network = new ChaosNetwork();
  const cluster = await startSharedCluster({
    ...{ nodes: options.nodes, etcd, network },
    config: { audit: { profile: 'fast', fault_injection: 'on' } },
  });
  network.pids = () => cluster.numbers.map((k) => cluster.pid(k));
  const urls = cluster.numbers.map((k) => cluster.addresses(k).client);
  const messages = new LiveMessages(urls);
  const [stopWriting, stopSending, stopReading] = [1, 2, 3].map(() => new AbortController());
  const stopAll = (): void =>
    [stopWriting, stopSending, stopReading].forEach((one) => one!.abort());
  try {
    const workload = new SetWorkload(urls, seeded(options.seed + 1));
    await messages.subscribeAll();
    const writers = urls.flatMap((_, index) =>
      Array.from({ length: options.writers ?? 1 }, (__, writer) =>
        workload.work({ index, writer }, stopWriting!.signal),
      ),
    );
    const senders = cluster.numbers.map((k) => messages.send(k, stopSending!.signal));
    const readers = cluster.numbers.map((k) => messages.read(k, stopReading!.signal));
    const random = seeded(options.seed);
    const faults = new Faults({ cluster, network, workload, messages, random });
    await faults.run({
      endMs: performance.now() + options.seconds * 1000,
      ...{ faultsMax: options.faultsMax, killsMax: options.killsMax ?? Infinity },
      ...{ atOnceMax: options.atOnceMax ?? 3, shares: options.shares },
    });
    stopWriting!.abort();
    await Promise.all(writers);
    const planted: Planted[] = [];
    for (const plant of options.plants ?? []) {
      planted.push(await doPlant(plant, { cluster, workload }));
    }
    stopSending!.abort();
    await Promise.all(senders);
    const settleMs = options.settleMs ?? SETTLE_MS;
    const verdict = await judge({ cluster, workload, messages, settleMs });
    stopReading!.abort();
    await Promise.all(readers);
    const passed = isClean(verdict);
    return {
      ...{ ...verdict, options, etcd, faults: faults.counts, together: faults.together, passed },
      ...{ kills: faults.kills, acknowledgedWithoutEtcd: faults.acknowledgedWithoutEtcd },
      elements: workload.elements.length,
      acknowledgedAdds: workload.acknowledgedSoFar(),
      ...{ planted, wallMs: Math.round(performance.now() - startedMs) },
      history: workload.history,
      logs: passed ? [] : cluster.logs(200),
    };
  } finally {
    stopAll();
    messages.stop();
    await cluster.end();
    await network.close();
  }
}
