import { startSharedCluster, type TestCluster } from '../../test/support/cluster.ts';
import { allLinked } from '../../test/support/integration.ts';
import { bundleSdk, SDK_STATUS, SdkUser } from '../../test/support/wukongim/sdk-user.ts';
import { Crew, pause, until, type CrewReport } from './crew.ts';
import { Waits } from './waits.ts';

export interface RollingOptions {
  readonly etcd: boolean;
  readonly clients: number;
  readonly channels: number;
  readonly sendsPerSecond: number;
  /** Users of the unmodified SDK. */
  readonly sdks: number;
  /** Load before the first restart and after each. Milliseconds. */
  readonly betweenMs: number;
  readonly onNode?: ((said: string) => void) | undefined;
}

export interface RollingReport extends CrewReport {
  readonly restarts: readonly NodeRestart[];
  /** Of an unmodified SDK, which waits 3 s by itself before it connects again. */
  readonly sdkReconnects: number;
  readonly sdkLongestWaitMs: number;
  readonly logs: readonly string[];
}

export interface NodeRestart {
  readonly node: string;
  /** From SIGTERM to the end of the process. */
  readonly stopMs: number;
  /** From its start to ready and linked with all. */
  readonly startMs: number;
  /** `exit code 0` where everything ended in time. */
  readonly exit: string;
}

const SDK_SAMPLE_MS = 20;
const SETTLE_MS = 60_000;
/** Half of it is for the drain: longer than the 3 s after which an unmodified SDK is back. */
const GRACE_MS = 9_000;

/** Every node is drained and started again, one after the other, while clients write and hear. */
export async function runRolling(options: RollingOptions): Promise<RollingReport> {
  const config = { node: { shutdown_grace_ms: GRACE_MS } };
  const cluster = await startSharedCluster({ nodes: 3, etcd: options.etcd, config });
  const addresses = cluster.numbers.map((k) => cluster.addresses(k).client);
  const crew = new Crew({ ...options, addresses });
  const sdks = new SdkCrew(addresses);
  try {
    await allLinked(cluster);
    await crew.start();
    await sdks.start(options.sdks);
    crew.startSending();
    const restarts: NodeRestart[] = [];
    for (const k of cluster.numbers) {
      await pause(options.betweenMs);
      const restart = await restartNode(cluster, k);
      options.onNode?.(
        `${restart.node}: stopped in ${restart.stopMs} ms (${restart.exit}), back in ${restart.startMs} ms`,
      );
      restarts.push(restart);
    }
    await pause(options.betweenMs);
    const report = await crew.finish(SETTLE_MS);
    const isClean = report.lost.length === 0 && report.twice.length === 0;
    return { ...report, restarts, ...sdks.report(), logs: isClean ? [] : cluster.logs(200) };
  } finally {
    crew.stop();
    await sdks.stop();
    await cluster.end();
  }
}

async function restartNode(cluster: TestCluster, k: number): Promise<NodeRestart> {
  const beganMs = performance.now();
  await cluster.stop(k);
  const stoppedMs = performance.now();
  const exit = cluster.lastExit(k);
  await cluster.start(k);
  await allLinked(cluster);
  return {
    ...{ node: cluster.id(k), exit },
    stopMs: Math.round(stoppedMs - beganMs),
    startMs: Math.round(performance.now() - stoppedMs),
  };
}

/** Users of the unmodified SDK, each in a process of its own; one at each node in turn. */
class SdkCrew {
  readonly #addresses: readonly string[];
  readonly #users: { readonly user: SdkUser; readonly waits: Waits }[] = [];
  #remove: (() => Promise<void>) | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(addresses: readonly string[]) {
    this.#addresses = addresses;
  }

  async start(count: number): Promise<void> {
    if (count === 0) return;
    const bundle = await bundleSdk();
    this.#remove = () => bundle.remove();
    for (let i = 0; i < count; i++) {
      const first = i % this.#addresses.length;
      const addresses = [...this.#addresses.slice(first), ...this.#addresses.slice(0, first)];
      const user = new SdkUser({ bundle, addresses, uid: `sdk-${i}` });
      this.#users.push({ user, waits: new Waits() });
      await user.connect();
      await until('the SDK is connected', 30_000, () => isConnected(user));
    }
    this.#timer = setInterval(() => {
      for (const { user, waits } of this.#users) waits.note(isConnected(user));
    }, SDK_SAMPLE_MS);
  }

  report(): Pick<RollingReport, 'sdkReconnects' | 'sdkLongestWaitMs'> {
    const all = this.#users.map(({ waits }) => waits);
    return {
      sdkReconnects: all.reduce((sum, { count }) => sum + count, 0),
      sdkLongestWaitMs: Math.max(0, ...all.map((waits) => waits.longest())),
    };
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    for (const { user } of this.#users) user.stop();
    await this.#remove?.();
  }
}

function isConnected(user: SdkUser): boolean {
  return user.status?.status === SDK_STATUS.connected;
}
