import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { freePort } from './ports.ts';
import { until } from './until.ts';

/** A real etcd of one server on loopback, with a folder of its own. */
export interface TestEtcd {
  readonly endpoint: string;
  /** kill -9; the data stays. */
  kill(): Promise<void>;
  /** Starts it again on the same port. `wipe`: with an empty folder. */
  restart(options?: { readonly wipe: boolean }): Promise<void>;
  /** SIGSTOP: it keeps its connections and answers nothing. */
  pause(): void;
  resume(): void;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Tests that need it are written `const run = etcdAvailable() ? test : test.skip`. */
export function etcdAvailable(): boolean {
  return etcdPath() !== undefined;
}

function etcdPath(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders
    .map((folder) => join(folder, 'etcd'))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** Resolves once it answers. Leases can be as short as 1 s on it. */
export async function startEtcd(): Promise<TestEtcd> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-etcd-'));
  const [client, peer] = [await freePort(), await freePort()];
  let server = await launch({ folder, client, peer });
  return {
    endpoint: `127.0.0.1:${client}`,
    kill: () => end(server),
    async restart({ wipe } = { wipe: false }) {
      await end(server);
      if (wipe) rmSync(folder, { recursive: true, force: true });
      server = await launch({ folder, client, peer });
    },
    pause: () => void server.kill('SIGSTOP'),
    resume: () => void server.kill('SIGCONT'),
    async stop() {
      await end(server);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

interface Launch {
  readonly folder: string;
  readonly client: number;
  readonly peer: number;
}

async function launch({ folder, client, peer }: Launch): Promise<ChildProcess> {
  const clientUrl = `http://127.0.0.1:${client}`;
  const peerUrl = `http://127.0.0.1:${peer}`;
  const flags = {
    name: 'test',
    'data-dir': join(folder, 'data'),
    'listen-client-urls': clientUrl,
    'advertise-client-urls': clientUrl,
    'listen-peer-urls': peerUrl,
    'initial-advertise-peer-urls': peerUrl,
    'initial-cluster': `test=${peerUrl}`,
    'heartbeat-interval': '50',
    'election-timeout': '500',
    'log-level': 'error',
  };
  const child = spawn(
    etcdPath()!,
    Object.entries(flags).map(([name, value]) => `--${name}=${value}`),
    { stdio: 'ignore', env: { ...process.env, ETCD_UNSUPPORTED_ARCH: process.arch } },
  );
  running.add(child);
  child.once('exit', () => running.delete(child));
  await until('etcd is healthy', async () => {
    if (child.exitCode !== null) throw new Error(`etcd ended with ${child.exitCode}`);
    const answer = await fetch(`${clientUrl}/health`, { signal: AbortSignal.timeout(500) });
    return answer.ok;
  });
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await exited;
}
