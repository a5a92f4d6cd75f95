import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { formatConfigErrors, loadConfig, type Config } from '../../src/config/load.ts';
import { selfMember } from '../../src/config/local-node.ts';
import type { Member } from '../../src/core/member.ts';
import type { NamedPort } from './ports.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface PlanOptions {
  readonly nodes: number;
  readonly config: string;
  /** Folder of stores, logs and the control socket. */
  readonly dataDir: string;
  /** http://host:port of etcd; absent: a static list of members. */
  readonly etcdEndpoint: string | undefined;
}

export interface PlannedNode {
  readonly k: number;
  readonly member: Member;
  readonly storeDir: string;
  readonly logPath: string;
  readonly readyUrl: string;
  readonly ports: readonly NamedPort[];
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** One cluster.yml, N nodes, each as `start --node k` makes it. Throws with every error at once. */
export function planNodes(options: PlanOptions): readonly PlannedNode[] {
  const numbers = Array.from({ length: options.nodes }, (_, i) => i + 1);
  const overrides = environmentOf(options);
  const members = numbers.map((k) => memberOf(load(options, overrides, k)));
  // As deploy/ does it: threads that share one heap keep less memory that nobody uses.
  const env: NodeJS.ProcessEnv = { MALLOC_ARENA_MAX: '1', ...process.env, ...overrides };
  if (options.etcdEndpoint === undefined && !hasMembers(options, overrides)) {
    env['HOLDFAST_MEMBERS'] = JSON.stringify(members.map(toEntry));
  }
  return numbers.map((k) => {
    const config = load(options, env, k);
    const member = memberOf(config);
    return {
      k,
      member,
      storeDir: config.node.dataDir,
      logPath: join(options.dataDir, member.id, 'log'),
      readyUrl: `${localUrl(config)}/readyz`,
      ports: Object.entries(config.listen).map(([name, { host, port }]) => ({
        host,
        port,
        what: `${member.id} ${name}`,
      })),
      args: [
        join(ROOT, 'scripts', 'holdfast.js'),
        ...['start', '--config', options.config, '--node', String(k)],
      ],
      env: { ...env, HOLDFAST_LOG_PRETTY: process.env['HOLDFAST_LOG_PRETTY'] ?? 'always' },
    };
  });
}

type Variables = Readonly<Record<string, string | undefined>>;

function environmentOf({ dataDir, etcdEndpoint, config }: PlanOptions): Variables {
  // The store's folder is relative to the file's; {id} keeps the nodes apart.
  const store = join(relative(resolve(config, '..'), resolve(dataDir)), 'stores', '{id}');
  if (etcdEndpoint === undefined) {
    return { HOLDFAST_NODE_DATA_DIR: store, HOLDFAST_MEMBERSHIP_MODE: 'static' };
  }
  return {
    HOLDFAST_NODE_DATA_DIR: store,
    HOLDFAST_MEMBERSHIP_MODE: 'etcd',
    HOLDFAST_MEMBERSHIP_ETCD_ENDPOINTS: etcdEndpoint,
  };
}

function load({ config: path }: PlanOptions, variables: Variables, node: number): Config {
  const loaded = loadConfig({ path, node, env: { ...process.env, ...variables } });
  if (!loaded.ok) throw new Error(formatConfigErrors(loaded.errors));
  return loaded.config;
}

function hasMembers({ config: path }: PlanOptions, env: Variables): boolean {
  const loaded = loadConfig({ path, env: { ...process.env, ...env }, node: 1 });
  return loaded.ok && loaded.config.members.length > 0;
}

/** Where this machine reaches the node, whatever it advertises. */
function localUrl({ listen }: Config): string {
  const { host, port } = listen.http;
  if (host === '0.0.0.0') return `http://127.0.0.1:${port}`;
  return host.includes(':')
    ? `http://[${host === '::' ? '::1' : host}]:${port}`
    : `http://${host}:${port}`;
}

function memberOf(config: Config): Member {
  const { client, http, admin, peer } = config.listen;
  return selfMember(config, {
    client: client.port,
    http: http.port,
    admin: admin.port,
    peer: peer.port,
  });
}

function toEntry(member: Member, index: number): Readonly<Record<string, unknown>> {
  return {
    id: member.id,
    slot: index,
    peer_address: member.peerAddress,
    client_address: member.clientAddress,
    http_address: member.httpAddress,
    admin_address: member.adminAddress,
  };
}
