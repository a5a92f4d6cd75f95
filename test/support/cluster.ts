import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { AdminClient } from '../../src/admin/client.ts';
import { NodeProcess } from '../../scripts/cluster/node-process.ts';
import { startEtcd, type TestEtcd } from './etcd.ts';
import { ROOT } from './tree.ts';

export interface ClusterOptions {
  readonly nodes: number;
  /** A real etcd of its own; otherwise a static list of members. */
  readonly etcd: boolean;
  /** Keys of cluster.yml by section, for every node: `{gateway: {auth: 'token'}}`. */
  readonly config?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Default 60 s: other tests share the machine. */
  readonly readyTimeoutMs?: number;
  /** False: the nodes are not started, the test does it. */
  readonly start?: boolean;
}

export interface NodeAddresses {
  /** ws://host:port */
  readonly client: string;
  /** http://host:port */
  readonly http: string;
  /** host:port */
  readonly admin: string;
  /** host:port */
  readonly peer: string;
}

interface Ports {
  readonly client: number;
  readonly http: number;
  readonly admin: number;
  readonly peer: number;
}

interface ClusterNode {
  readonly id: string;
  readonly addresses: NodeAddresses;
  readonly storeDir: string;
  readonly process: NodeProcess;
  readonly admin: AdminClient;
}

const GRACE_MS = 10_000;

/**
 * Real processes of this checkout on ports of their own, each with its cluster.yml in a temporary folder.
 * Everything is ended by pid and removed with the test; when it fails, the nodes' last lines are shown.
 */
export async function startCluster(
  t: ExecutionContext,
  options: ClusterOptions,
): Promise<TestCluster> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-cluster-'));
  const etcd = options.etcd ? await startEtcd() : undefined;
  const nodes = createNodes(options, folder, etcd && `http://${etcd.endpoint}`);
  const cluster = new TestCluster(await nodes, { etcd, folder, options });
  t.teardown(async () => {
    if (!t.passed) for (const line of cluster.logs()) t.log(line);
    await cluster.end();
  });
  if (options.start !== false) await cluster.startAll();
  return cluster;
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

  storeDir(k: number): string {
    return this.#node(k).storeDir;
  }

  /** All at once, because a first start may need the others; resolves when each is ready. */
  async startAll(): Promise<void> {
    for (const { process } of this.#nodes) if (process.state === 'stopped') process.start();
    await this.whenReady();
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

async function createNodes(
  options: ClusterOptions,
  folder: string,
  etcdUrl: string | undefined,
): Promise<readonly ClusterNode[]> {
  const ports = await freePorts(options.nodes);
  const members = ports.map(toMember);
  return ports.map((own, index) => {
    const member = members[index]!;
    const home = join(folder, member.id);
    mkdirSync(home);
    const config = {
      cluster: { id: 'test' },
      node: { id: member.id, data_dir: 'store', shutdown_grace_ms: 3_000 },
      ...(etcdUrl === undefined ? { members } : {}),
      membership: etcdUrl === undefined ? { mode: 'static' } : etcdMembership(etcdUrl),
      listen: {
        client: { port: own.client },
        http: { port: own.http },
        admin: { port: own.admin },
        peer: { port: own.peer },
      },
      log: { level: 'debug', pretty: 'never' },
    };
    const path = join(home, 'cluster.yml');
    // JSON is YAML.
    writeFileSync(path, JSON.stringify(mergeSections(config, options.config ?? {})));
    return toNode(member, { home, path, token: tokenOf(options) });
  });
}

type MemberEntry = ReturnType<typeof toMember>;

function toMember(own: Ports, index: number) {
  return {
    id: `node-${index + 1}`,
    slot: index,
    peer_address: `127.0.0.1:${own.peer}`,
    client_address: `ws://127.0.0.1:${own.client}`,
    http_address: `http://127.0.0.1:${own.http}`,
    admin_address: `127.0.0.1:${own.admin}`,
  };
}

function toNode(
  member: MemberEntry,
  { home, path, token }: { home: string; path: string; token: string | undefined },
): ClusterNode {
  return {
    id: member.id,
    addresses: {
      client: member.client_address,
      http: member.http_address,
      admin: member.admin_address,
      peer: member.peer_address,
    },
    storeDir: join(home, 'store'),
    process: new NodeProcess({
      name: member.id,
      command: process.execPath,
      args: [join(ROOT, 'scripts', 'holdfast.js'), 'start', '--config', path],
      env: ownEnvironment(),
      logPath: join(home, 'log'),
      readyUrl: `${member.http_address}/readyz`,
    }),
    admin: new AdminClient({ address: member.admin_address, token }),
  };
}

function etcdMembership(url: string): Readonly<Record<string, unknown>> {
  return { mode: 'etcd', etcd: { endpoints: [url] }, lease_seconds: 3 };
}

type Sections = Readonly<Record<string, unknown>>;

function mergeSections(base: Sections, change: Sections): Sections {
  const merged: Record<string, unknown> = { ...base };
  for (const [name, section] of Object.entries(change)) {
    merged[name] = { ...(base[name] as object | undefined), ...(section as object) };
  }
  return merged;
}

function tokenOf({ config }: ClusterOptions): string | undefined {
  const token = config?.['admin']?.['token'];
  return (Array.isArray(token) ? token[0] : token) as string | undefined;
}

/** What the shell that runs the tests configures is not for these nodes. */
function ownEnvironment(): Readonly<Record<string, string | undefined>> {
  const entries = Object.entries(process.env).filter(([name]) => !name.startsWith('HOLDFAST_'));
  return Object.fromEntries(entries);
}

/** Below the ports that the system gives to outgoing connections, which a killed node could lose its own to. */
const [PORT_FIRST, PORT_LAST] = [12_000, 31_900];

async function freePorts(nodes: number): Promise<readonly Ports[]> {
  const wanted = 4 * nodes;
  for (let attempt = 0; attempt < 50; attempt++) {
    const base = PORT_FIRST + Math.floor(Math.random() * (PORT_LAST - PORT_FIRST - wanted));
    const all = Array.from({ length: wanted }, (_, i) => base + i);
    const free = await Promise.all(all.map(isFree));
    if (!free.every(Boolean)) continue;
    return Array.from({ length: nodes }, (_, i) => {
      const [client, http, admin, peer] = all.slice(4 * i, 4 * i + 4) as [
        number,
        number,
        number,
        number,
      ];
      return { client, http, admin, peer };
    });
  }
  throw new Error(`no block of ${wanted} free ports`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      server.close(() => resolve(true));
    });
  });
}
