import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { credentials, type ChannelCredentials } from '@grpc/grpc-js';
import { AdminClient } from '../../src/admin/client.ts';
import type { TlsFiles } from '../../src/config/certificate.ts';
import { NodeProcess } from '../../scripts/cluster/node-process.ts';
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
  /** Clients, operators and peers over TLS; HTTP stays plain. Absolute paths. */
  readonly tls?: TlsFiles | undefined;
  /** Stands before the peer ports and etcd: each gives the port that others are told instead. */
  readonly network?:
    | {
        beforePeer(port: number): Promise<number>;
        beforeEtcd(port: number): Promise<number>;
      }
    | undefined;
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

export interface ClusterNode {
  readonly id: string;
  readonly addresses: NodeAddresses;
  readonly storeDir: string;
  readonly process: NodeProcess;
  readonly admin: AdminClient;
}

/** Nodes that are not started, on free ports, each with a cluster.yml in a folder of its own. */
export async function createNodes(
  options: ClusterOptions,
  folder: string,
  etcdUrl: string | undefined,
): Promise<readonly ClusterNode[]> {
  const ports = await freePorts(options.nodes);
  const fronts = await Promise.all(
    ports.map(({ peer }) => options.network?.beforePeer(peer) ?? Promise.resolve(peer)),
  );
  const { tls } = options;
  const scheme = tls ? 'wss' : 'ws';
  const members = ports.map((own, index) => ({
    ...toMember({ ...own, peer: fronts[index]! }, index),
    client_address: `${scheme}://127.0.0.1:${own.client}`,
  }));
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
        client: { port: own.client, ...(tls && { tls: pairOf(tls) }) },
        http: { port: own.http },
        admin: { port: own.admin, ...(tls && { tls: allOf(tls) }) },
        peer: { port: own.peer, advertise: member.peer_address, ...(tls && { tls: allOf(tls) }) },
      },
      // Five times the default: a machine at work is late, and that is no fault.
      replication: { acknowledge_timeout_ms: 1_250 },
      log: { level: 'debug', pretty: 'never' },
    };
    const path = join(home, 'cluster.yml');
    // JSON is YAML.
    writeFileSync(path, JSON.stringify(mergeSections(config, options.config ?? {})));
    return toNode(member, { home, path, options });
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
  { home, path, options }: { home: string; path: string; options: ClusterOptions },
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
    admin: new AdminClient({
      address: member.admin_address,
      token: tokenOf(options),
      credentials: options.tls && adminCredentials(options.tls),
    }),
  };
}

const pairOf = ({ certificateFile, keyFile }: TlsFiles) => ({
  certificate_file: certificateFile,
  key_file: keyFile,
});
const allOf = (tls: TlsFiles) => ({ ...pairOf(tls), ca_file: tls.caFile });

/** The operator shows the certificate that the nodes have. */
function adminCredentials({ certificateFile, keyFile, caFile }: TlsFiles): ChannelCredentials {
  const ca = caFile === undefined ? null : readFileSync(caFile);
  return credentials.createSsl(ca, readFileSync(keyFile), readFileSync(certificateFile));
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
