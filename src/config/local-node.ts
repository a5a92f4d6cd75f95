import { basename, dirname, join } from 'node:path';
import { parseMemberId } from '../core/ids.ts';
import type { Member } from '../core/member.ts';
import type { Config, ListenAddress } from './config.ts';

/** Between the ports of neighbours on one machine. */
const PORT_STEP = 100;
/** What parts the operators' ports from the clients' of other nodes. */
const ADMIN_STEP = 10;

/**
 * Node k (from 1) of several that share one machine and one cluster.yml: its own id (of the k-th member,
 * else node-k), its own folder, and every port and advertised port 100 × (k − 1) above the written one.
 * An admin port that another node's clients would meet moves up by 10, on every node: with the defaults
 * node 2 takes clients on 5300, so that the admin ports are 5310, 5410 and so on.
 */
export function configForNode(config: Config, k: number): Config {
  const shift = PORT_STEP * (k - 1);
  const entry = config.members[k - 1];
  const id = entry?.id ?? `node-${k}`;
  const { dataDir } = config.node;
  const folder = basename(dataDir) === config.node.id ? dirname(dataDir) : dataDir;
  const lone = config.membership.mode === 'static' ? 0 : undefined;
  const listen = config.listen;
  const adminShift = shift + (meetsClients(listen) ? ADMIN_STEP : 0);
  return {
    ...config,
    node: { ...config.node, id, slot: entry?.slot ?? lone, dataDir: join(folder, id) },
    listen: {
      client: shifted(listen.client, shift),
      http: shifted(listen.http, shift),
      admin: shifted(listen.admin, adminShift),
      peer: shifted(listen.peer, shift),
    },
  };
}

export interface BoundPorts {
  readonly client: number;
  readonly http: number;
  readonly admin: number;
  readonly peer: number;
}

/** As they are written. */
export function portsOf({ listen }: Config): BoundPorts {
  const { client, http, admin, peer } = listen;
  return { client: client.port, http: http.port, admin: admin.port, peer: peer.port };
}

/**
 * This node as the others shall know it: what the list of members says, else what is advertised, else
 * where it listens. `bound`: the ports really bound, which differ where the configuration says 0.
 * With etcd and no slot in the configuration the slot is 0 here, and the roster gives the real one.
 */
export function selfMember(config: Config, bound: BoundPorts): Member {
  const id = parseMemberId(config.node.id);
  if (!id.ok) throw new Error(id.error);
  const entry = config.members.find((member) => member.id === config.node.id);
  const { client, http, admin, peer } = config.listen;
  return {
    id: id.value,
    slot: config.node.slot ?? 0,
    peerAddress: entry?.peerAddress ?? peer.advertise ?? address(peer.host, bound.peer),
    clientAddress:
      entry?.clientAddress ??
      client.advertise ??
      `${client.tls ? 'wss' : 'ws'}://${address(client.host, bound.client)}`,
    httpAddress:
      entry?.httpAddress ??
      http.advertise ??
      `${http.tls ? 'https' : 'http'}://${address(http.host, bound.http)}`,
    adminAddress: entry?.adminAddress ?? admin.advertise ?? address(admin.host, bound.admin),
  };
}

function meetsClients({ client, admin }: Config['listen']): boolean {
  const above = admin.port - client.port;
  return client.port !== 0 && above > 0 && above % PORT_STEP === 0;
}

function shifted(listener: ListenAddress, shift: number): ListenAddress {
  const { port, advertise } = listener;
  return {
    ...listener,
    port: port === 0 ? 0 : port + shift,
    advertise: advertise?.replace(/:(\d+)$/, (_, digits: string) => `:${Number(digits) + shift}`),
  };
}

function address(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
