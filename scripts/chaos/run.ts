import { startSharedCluster } from '../../test/support/cluster.ts';
import { etcdAvailable } from '../../test/support/etcd.ts';
import { Faults } from './faults.ts';
import { judge, type Verdict } from './judge.ts';
import { LiveMessages } from './messages.ts';
import { ChaosNetwork } from './network.ts';
import { seeded } from './random.ts';
import { pause, SetWorkload, type HistoryLine } from './workload.ts';

export interface ChaosOptions {
  readonly nodes: number;
  readonly seed: number;
  /** Faults stop after so long, or after so many of them. */
  readonly seconds: number;
  readonly faultsMax: number;
}

export interface ChaosReport extends Verdict {
  readonly options: ChaosOptions;
  readonly etcd: boolean;
  readonly faults: Readonly<Record<string, number>>;
  readonly acknowledgedWithoutEtcd: number;
  readonly elements: number;
  readonly acknowledgedAdds: number;
  readonly passed: boolean;
  readonly history: readonly HistoryLine[];
  /** The nodes' last lines, where it has not passed. */
  readonly logs: readonly string[];
}

/** Real processes, real clients, faults by the seed; then everything is healed and counted. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const etcd = etcdAvailable();
  const network = new ChaosNetwork();
  const cluster = await startSharedCluster({
    ...{ nodes: options.nodes, etcd, network },
    config: { audit: { profile: 'fast', fault_injection: 'on' } },
  });
  network.pids = () => cluster.numbers.map((k) => cluster.pid(k));
  const urls = cluster.numbers.map((k) => cluster.addresses(k).client);
  const messages = new LiveMessages(urls);
  const stopWriting = new AbortController();
  const stopReading = new AbortController();
  try {
    const workload = new SetWorkload(urls, seeded(options.seed + 1));
    await messages.subscribeAll();
    const writers = cluster.numbers.flatMap((k) => [
      workload.work(k - 1, stopWriting.signal),
      messages.send(k, stopWriting.signal),
    ]);
    const readers = cluster.numbers.map((k) => messages.read(k, stopReading.signal));
    const random = seeded(options.seed);
    const faults = new Faults({ cluster, network, workload, messages, random });
    const end = performance.now() + options.seconds * 1000;
    for (let i = 0; i < options.faultsMax && performance.now() < end; i++) {
      await faults.next();
      await pause(200 + random() * 800);
    }
    stopWriting.abort();
    await Promise.all(writers);
    const verdict = await judge(cluster, workload, messages);
    stopReading.abort();
    await Promise.all(readers);
    const passed = isClean(verdict);
    return {
      ...{ ...verdict, options, etcd, faults: faults.counts, passed },
      acknowledgedWithoutEtcd: faults.acknowledgedWithoutEtcd,
      elements: workload.elements.length,
      acknowledgedAdds: workload.acknowledgedSoFar(),
      history: workload.history,
      logs: passed ? [] : cluster.logs(200),
    };
  } finally {
    stopWriting.abort();
    stopReading.abort();
    messages.stop();
    await cluster.end();
    await network.close();
  }
}

function isClean({ lostAdds, returnedRemovals, equal, live, ...after }: Verdict): boolean {
  const damage = [lostAdds, returnedRemovals, live.missing, live.twice];
  if (!equal || damage.some((found) => found.length > 0)) return false;
  return after.messagesMissing + after.messagesTwice === 0;
}
