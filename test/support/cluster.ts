import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { AdminClient } from '../../src/admin/client.ts';
import {
  createNodes,
  type ClusterNode,
  type ClusterOptions,
  type NodeAddresses,
} from './cluster-nodes.ts';
import { startEtcd, type TestEtcd } from './etcd.ts';
import { until } from './until.ts';

const GRACE_MS = 10_000;

/**
 * Real processes of this checkout on ports of their own, each with its cluster.yml in a temporary folder.
 * Everything is ended by pid and removed with the test; when it fails, the nodes' last lines are shown.
 */
export async function startCluster(
  t: ExecutionContext,
  options: ClusterOptions,
): Promise<TestCluster> {
  const cluster = await createCluster(options);
  t.teardown(async () => {
    if (!t.passed) for (const line of cluster.logs()) t.log(line);
    await cluster.end();
  });
  if (options.start !== false) await cluster.startAll();
  return cluster;
}

/** For all tests of a file: started in `test.before`; `end()` belongs in `test.after.always`. */
export async function startSharedCluster(options: ClusterOptions): Promise<TestCluster> {
  const cluster = await createCluster(options);
  try {
    await cluster.startAll();
  } catch (cause) {
    const logs = cluster.logs().join('\n');
    await cluster.end();
    throw new Error(`the cluster does not start:\n${logs}`, { cause });
  }
  return cluster;
}

async function createCluster(options: ClusterOptions): Promise<TestCluster> {
  endWithParent();
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-cluster-'));
  const etcd = options.etcd ? await startEtcd() : undefined;
  const etcdPort = etcd && Number(etcd.endpoint.split(':')[1]);
  const front = etcdPort === undefined ? undefined : await options.network?.beforeEtcd(etcdPort);
  const endpoint = front === undefined ? etcd?.endpoint : `127.0.0.1:${front}`;
  const nodes = createNodes(options, folder, endpoint && `http://${endpoint}`);
  return new TestCluster(await nodes, { etcd, folder, options });
}

let endsWithParent = false;

/**
 * A test process that is told to end, or whose runner has gone, exits in order: only then are the nodes,
 * which lead process groups of their own, taken along.
 */
function endWithParent(): void {
  if (endsWithParent) return;
  endsWithParent = true;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => process.exit(1));
  }
  process.once('disconnect', () => process.exit(1));
}

/** Nodes are numbered from 1, as `--node k` does. */
export class TestCluster {
  /** Absent in a static cluster. */
  readonly etcd: TestEtcd | undefined;
  readonly #nodes: readonly ClusterNode[];
  readonly #folder: string;
  readonly #readyTimeoutMs: number;
  #copies = 0;

  constructor(
    nodes: readonly ClusterNode[],
    rest: { etcd: TestEtcd | undefined; folder: string; options: ClusterOptions },
  ) {
    this.#nodes = nodes;
    this.etcd = rest.etcd;
    this.#folder = rest.folder;
    this.#readyTimeoutMs = rest.options.readyTimeoutMs ?? 60_000;
  }

  get numbers(): readonly number[] {
    return this.#nodes.map((_, i) => i + 1);
  }

  id(k: number): string {
    return this.#node(k).id;
  }

  addresses(k: number): NodeAddresses {
    return this.#node(k).addresses;
  }

  /** It reconnects by itself, so it outlives restarts of its node. */
  admin(k: number): AdminClient {
    return this.#node(k).admin;
  }

  pid(k: number): number | undefined {
    return this.#node(k).process.pid;
  }

  /** How the last run of its process ended. */
  lastExit(k: number): string {
    return this.#node(k).process.lastExit;
  }

  storeDir(k: number): string {
    return this.#node(k).storeDir;
  }

  /** All at once, because a first start may need the others; resolves when all are ready and connected. */
  async startAll(): Promise<void> {
    for (const { process } of this.#nodes) if (process.state === 'stopped') process.start();
    await this.whenReady();
    await this.whenConnected();
  }

  /** Resolves when every running node sees every other running one live; a node is ready before that. */
  async whenConnected(): Promise<void> {
    const running = this.#nodes.filter(({ process }) => process.state === 'running');
    const others = running.length - 1;
    await until(
      'every node sees the others',
      async () => {
        const replies = await Promise.all(running.map(({ admin }) => admin.members()));
        return replies.every(({ members }) => {
          const live = members.filter(({ peer }) => peer?.live).map(({ id }) => id);
          return running.filter(({ id }) => live.includes(id)).length === others;
        });
      },
      this.#readyTimeoutMs,
    );
  }

  /** Resolves when node k, or every running node, answers /readyz with 200. */
  async whenReady(k?: number): Promise<void> {
    const nodes = k === undefined ? this.#nodes : [this.#node(k)];
    const running = nodes.filter(({ process }) => k !== undefined || process.state === 'running');
    await Promise.all(running.map(({ process }) => process.whenReady(this.#readyTimeoutMs)));
  }

  async start(k: number): Promise<void> {
    this.#node(k).process.start();
    await this.whenReady(k);
  }

  /** Starts the process and does not wait: for a node that is not to become ready. */
  launch(k: number): void {
    this.#node(k).process.start();
  }

  async kill9(k: number): Promise<void> {
    await this.#node(k).process.kill9();
  }

  /** SIGTERM; kill -9 after 10 s. */
  async stop(k: number): Promise<void> {
    await this.#node(k).process.stop(GRACE_MS);
  }

  pause(k: number): void {
    this.#node(k).process.pause();
  }

  resume(k: number): void {
    this.#node(k).process.resume();
  }

  /** Kills the node where it runs and deletes its store. Start it again yourself. */
  async wipe(k: number): Promise<void> {
    await this.kill9(k);
    rmSync(this.storeDir(k), { recursive: true, force: true });
  }

  /** Copies the store of a stopped node; a running one has no state that could be copied. */
  copyStore(k: number): string {
    this.#assertStopped(k);
    const copy = join(this.#folder, `copy-${++this.#copies}`);
    cpSync(this.storeDir(k), copy, { recursive: true });
    return copy;
  }

  /** Puts a copy in the place of a stopped node's store: a store that was rolled back. */
  restoreStore(k: number, copy: string): void {
    this.#assertStopped(k);
    rmSync(this.storeDir(k), { recursive: true, force: true });
    cpSync(copy, this.storeDir(k), { recursive: true });
  }

  /** Subscription digests of the running nodes, by number. */
  async digests(): Promise<ReadonlyMap<number, string>> {
    const running = this.numbers.filter((k) => this.#node(k).process.state === 'running');
    const digests = running.map(async (k) => [k, (await this.admin(k).digest()).digest] as const);
    return new Map(await Promise.all(digests));
  }

  /** The nodes' last lines, each after its node's name. */
  logs(lines = 40): readonly string[] {
    return this.#nodes.flatMap(({ id, process }) => [
      `${id}: ${process.state} ${process.lastExit}`,
      ...process
        .tail()
        .slice(-lines)
        .map((line) => `${id} ${line}`),
    ]);
  }

  /** Ends every process and removes the folder. The test's teardown calls it. */
  async end(): Promise<void> {
    for (const { admin } of this.#nodes) admin.close();
    await Promise.all(this.#nodes.map(({ process }) => process.kill9()));
    await this.etcd?.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #assertStopped(k: number): void {
    if (this.#node(k).process.state !== 'stopped') throw new Error(`stop node ${k} first`);
  }

  #node(k: number): ClusterNode {
    const node = this.#nodes[k - 1];
    if (!node) throw new Error(`there is no node ${k}, only 1 to ${this.#nodes.length}`);
    return node;
  }
}
