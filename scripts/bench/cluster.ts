import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startNode, waitFor, type Measured } from './process.ts';

export interface BenchNode {
  readonly process: Measured;
  readonly client: number;
  readonly http: number;
  readonly admin: number;
}

export interface BenchCluster {
  readonly nodes: readonly BenchNode[];
  readonly folder: string;
  /** Ends one node and starts it again on the same store; returns it when its port answers. */
  restart(index: number): Promise<BenchNode>;
  stop(): Promise<void>;
}

/** To measure a node as `npm start` runs it: `MALLOC_ARENA_MAX=0`, which is the system's default. */
const MALLOC_ARENAS = process.env['MALLOC_ARENA_MAX'] ?? '1';

interface Ports {
  readonly client: number;
  readonly http: number;
  readonly admin: number;
  readonly peer: number;
}

/**
 * `size` nodes of the compiled program, static membership, one data folder. Default settings but for the
 * rates: a few publishers stand for thousands, and a late generator sends in bursts.
 */
export async function startBenchCluster(size: number, core?: number): Promise<BenchCluster> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-bench-'));
  const ports: Ports[] = [];
  for (let k = 0; k < size; k++) {
    const [client, http, admin, peer] = await freePorts(4);
    ports.push({ client: client!, http: http!, admin: admin!, peer: peer! });
  }
  const launch = async (index: number): Promise<BenchNode> => {
    const file = join(folder, `node-${index + 1}.yml`);
    writeFileSync(file, configOf(index, ports));
    const process = startNode({
      args: ['dist/main.js', 'start', '--config', file],
      // As deploy/ and scripts/cluster do it.
      env: { HOLDFAST_LOG_LEVEL: 'warn', MALLOC_ARENA_MAX: MALLOC_ARENAS },
      core,
    });
    const { client, http, admin } = ports[index]!;
    try {
      await waitFor(`node ${index + 1} is ready`, () => isReady(http), 60_000);
    } catch (error) {
      throw new Error(`${String(error)}\n${process.output()}`, { cause: error });
    }
    return { process, client, http, admin };
  };
  const nodes = await Promise.all(ports.map((_, index) => launch(index)));
  return {
    nodes,
    folder,
    async restart(index) {
      await nodes[index]!.process.stop();
      const node = await launch(index);
      nodes[index] = node;
      return node;
    },
    async stop() {
      await Promise.all(nodes.map((node) => node.process.stop()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export async function isReady(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/readyz`)).ok;
  } catch {
    return false;
  }
}

function configOf(index: number, ports: readonly Ports[]): string {
  const own = ports[index]!;
  const members = ports.map(
    (port, k) => `  - id: node-${k + 1}
    slot: ${k}
    peer_address: 127.0.0.1:${port.peer}
    client_address: ws://127.0.0.1:${port.client}
    http_address: http://127.0.0.1:${port.http}
    admin_address: 127.0.0.1:${port.admin}`,
  );
  return `node: { id: node-${index + 1}, data_dir: node-${index + 1} }
gateway: { sends_per_second: 1000000, frames_per_second: 1000000, queries_per_second: 1000000 }
listen:
  client: { port: ${own.client} }
  http: { port: ${own.http} }
  admin: { port: ${own.admin} }
  peer: { port: ${own.peer} }
${ports.length > 1 ? `members:\n${members.join('\n')}\n` : ''}`;
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => {
        server.listen(0, '127.0.0.1', resolve);
      });
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(
    servers.map(
      (server) =>
        new Promise((resolve) => {
          server.close(resolve);
        }),
    ),
  );
  return ports;
}
