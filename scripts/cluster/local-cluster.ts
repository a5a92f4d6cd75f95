import { rmSync } from 'node:fs';
import { formatTable } from '../../src/admin/cli/output.ts';
import { NodeProcess } from './node-process.ts';
import type { PlannedNode } from './plan.ts';

export const ACTIONS = ['kill', 'pause', 'resume', 'wipe', 'start', 'status'] as const;
export type Action = (typeof ACTIONS)[number];

export interface LocalClusterOptions {
  readonly nodes: readonly PlannedNode[];
  readonly etcd: NodeProcess | undefined;
  readonly onLine: (name: string, line: string) => void;
  readonly readyTimeoutMs: number;
  readonly graceMs: number;
}

/** The processes of one cluster on this machine, and what may be done to them. */
export class LocalCluster {
  readonly #options: LocalClusterOptions;
  readonly #processes: readonly NodeProcess[];
  #stopping = false;

  constructor(options: LocalClusterOptions) {
    this.#options = options;
    this.#processes = options.nodes.map((node) => {
      const { args, env, logPath, readyUrl, member } = node;
      const onLine = (line: string): void => options.onLine(member.id, line);
      const spec = { name: member.id, command: process.execPath, args, env, logPath, readyUrl };
      return new NodeProcess({ ...spec, onLine });
    });
  }

  async start(): Promise<void> {
    const { etcd, readyTimeoutMs } = this.#options;
    etcd?.start();
    await etcd?.whenReady(readyTimeoutMs);
    // A static cluster and a first roster both need several nodes to be there before one is ready.
    for (const node of this.#processes) if (!this.#stopping) node.start();
    await Promise.all(this.#processes.map((node) => node.whenReady(readyTimeoutMs)));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const { etcd, graceMs } = this.#options;
    await Promise.all(this.#processes.map((node) => node.stop(graceMs)));
    await etcd?.stop(graceMs);
  }

  /** Does it and says what was done; throws with what is wrong. */
  async act(action: Action, k: number | undefined): Promise<string> {
    if (action === 'status') return this.table();
    if (this.#stopping) throw new Error('the cluster is stopping');
    const index = k === undefined ? -1 : k - 1;
    const node = this.#processes[index];
    if (!node) throw new Error(`which node? expected a number from 1 to ${this.#processes.length}`);
    switch (action) {
      case 'kill':
        await node.kill9();
        return `${node.name} is killed (kill -9)`;
      case 'pause':
        node.pause();
        return `${node.name} is paused`;
      case 'resume':
        node.resume();
        return `${node.name} goes on`;
      case 'start':
        node.start();
        await node.whenReady(this.#options.readyTimeoutMs);
        return `${node.name} is ready`;
      case 'wipe':
        return this.#wipe(node, this.#options.nodes[index]!.storeDir);
      default:
        return action satisfies never;
    }
  }

  /** State and addresses of every node. */
  table(): string {
    const rows = this.#options.nodes.map(({ k, member }, index) => {
      const node = this.#processes[index]!;
      const state = node.state === 'stopped' ? `stopped (${node.lastExit})` : node.state;
      const { clientAddress, httpAddress, adminAddress, peerAddress } = member;
      const addresses = [clientAddress, `${httpAddress}/`, adminAddress, peerAddress];
      return [k, member.id, state, node.pid ?? '', ...addresses];
    });
    const head = ['k', 'node', 'state', 'pid', 'clients', 'page and API', 'admin', 'peers'];
    const { etcd } = this.#options;
    const last = etcd ? [`etcd ${etcd.state}, pid ${etcd.pid ?? '-'}`] : [];
    return [formatTable(head, rows), ...last].join('\n');
  }

  async #wipe(node: NodeProcess, storeDir: string): Promise<string> {
    const ran = node.state !== 'stopped';
    await node.kill9();
    rmSync(storeDir, { recursive: true, force: true });
    if (!ran) return `the store of ${node.name} is gone`;
    node.start();
    await node.whenReady(this.#options.readyTimeoutMs);
    return `${node.name} was killed, its store is gone, it is ready again`;
  }
}
