import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { NodeProcess } from './node-process.ts';
import type { NamedPort } from './ports.ts';

export const ETCD_MISSING =
  'etcd is not installed: no program of this name is on the PATH.\n' +
  '  Debian and Ubuntu: apt install etcd-server (older releases: etcd)\n' +
  '  Or run without it: npm run cluster -- --static';

/** Apart from etcd's usual port, so that one that runs already is left alone. */
export const ETCD_PORT = 23790;
export const ETCD_PORTS: readonly NamedPort[] = [
  { host: '127.0.0.1', port: ETCD_PORT, what: 'etcd clients' },
  { host: '127.0.0.1', port: ETCD_PORT + 1, what: 'etcd peers' },
];

export function findEtcd(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.map((folder) => join(folder, 'etcd')).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** One etcd server on loopback with its data below `dataDir`. */
export function createEtcd(
  path: string,
  dataDir: string,
  onLine: (line: string) => void,
): NodeProcess {
  const clientUrl = `http://127.0.0.1:${ETCD_PORT}`;
  const peerUrl = `http://127.0.0.1:${ETCD_PORT + 1}`;
  const flags = {
    name: 'holdfast',
    'data-dir': join(dataDir, 'etcd', 'data'),
    'listen-client-urls': clientUrl,
    'advertise-client-urls': clientUrl,
    'listen-peer-urls': peerUrl,
    'initial-advertise-peer-urls': peerUrl,
    'initial-cluster': `holdfast=${peerUrl}`,
    'log-level': 'warn',
  };
  return new NodeProcess({
    name: 'etcd',
    command: path,
    args: Object.entries(flags).map(([name, value]) => `--${name}=${value}`),
    env: { ...process.env, ETCD_UNSUPPORTED_ARCH: process.arch },
    logPath: join(dataDir, 'etcd', 'log'),
    readyUrl: `${clientUrl}/health`,
    onLine,
  });
}
