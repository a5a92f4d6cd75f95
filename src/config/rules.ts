import { isLone, SLOTS_OF_A_CLUSTER } from './config.ts';
import type { RawConfig } from './schema.ts';
import type { Path } from './shape.ts';

/** What no single key can say: the rules between keys. Each returns what breaks it. */
type Rule = (config: RawConfig) => readonly Breach[];

export interface Breach {
  readonly path: Path;
  readonly found: string;
  readonly allowed: string;
}

const LISTENERS = ['client', 'http', 'admin', 'peer'] as const;
type Listener = (typeof LISTENERS)[number];

export function checkRules(config: RawConfig): readonly Breach[] {
  const rules: readonly Rule[] = [
    openToStrangers,
    reachable,
    distinctPorts,
    members,
    ownEntry,
    slots,
    identity,
    limits,
    webhooks,
  ];
  return rules.flatMap((rule) => rule(config));
}

/** A listener that others can reach needs something that tells friends from strangers. */
function openToStrangers(config: RawConfig): Breach[] {
  const guards: Record<Listener, { readonly set: boolean; readonly needs: string }> = {
    client: { set: config.gateway.auth === 'token', needs: 'gateway.auth: token' },
    http: { set: config.http.manager_token.length > 0, needs: 'http.manager_token' },
    admin: {
      set: config.admin.token.length > 0 || config.listen.admin.tls.ca_file !== undefined,
      needs: 'admin.token or listen.admin.tls.ca_file',
    },
    peer: { set: config.cluster.secret.length > 0, needs: 'cluster.secret' },
  };
  return LISTENERS.filter((name) => !isLoopback(config.listen[name].host) && !guards[name].set).map(
    (name) => ({
      path: ['listen', name, 'host'],
      found: `${JSON.stringify(config.listen[name].host)}, which strangers can reach, without ${guards[name].needs}`,
      allowed: `a loopback address (127.0.0.1, ::1, localhost), or any address once ${guards[name].needs} is set`,
    }),
  );
}

/** "All addresses" is a place to listen on, not one to be found at. */
function reachable(config: RawConfig): Breach[] {
  return LISTENERS.filter((name) => {
    const { host, advertise } = config.listen[name];
    return ['0.0.0.0', '::'].includes(host) && advertise === undefined && !hasOwnEntry(config);
  }).map((name) => ({
    path: ['listen', name, 'host'],
    found: `${JSON.stringify(config.listen[name].host)} without listen.${name}.advertise`,
    allowed: `listen.${name}.advertise: the address at which others reach this node`,
  }));
}

function distinctPorts(config: RawConfig): Breach[] {
  return LISTENERS.flatMap((name, index) => {
    const own = config.listen[name];
    const other = LISTENERS.slice(0, index).find((earlier) => {
      const { host, port } = config.listen[earlier];
      return (
        port === own.port &&
        port !== 0 &&
        (host === own.host || [host, own.host].includes('0.0.0.0'))
      );
    });
    if (other === undefined) return [];
    const found = `${own.port}, which listen.${other}.port has too`;
    return [
      { path: ['listen', name, 'port'], found, allowed: 'a port of its own for each listener' },
    ];
  });
}

function members(config: RawConfig): Breach[] {
  if (config.membership.mode === 'etcd' && config.members.length > 0) {
    const found = 'a list of members with membership.mode etcd';
    return [
      { path: ['members'], found, allowed: 'no list: with etcd the members find each other' },
    ];
  }
  return [];
}

function ownEntry(config: RawConfig): Breach[] {
  if (config.members.length === 0) return [];
  const known = config.members.map((member) => member.id).join(', ');
  const entry = config.members.find((member) => member.id === config.node.id);
  if (config.node.id === undefined) {
    if (config.members.length === 1) return [];
    const found = 'nothing, with more than one member';
    return [{ path: ['node', 'id'], found, allowed: `which member this node is: ${known}` }];
  }
  if (!entry) {
    const found = `${JSON.stringify(config.node.id)}, which is not among the members`;
    return [{ path: ['node', 'id'], found, allowed: `one of ${known}` }];
  }
  if (config.node.slot === undefined || config.node.slot === entry.slot) return [];
  const found = `${config.node.slot}, but the member ${entry.id} has slot ${entry.slot}`;
  return [{ path: ['node', 'slot'], found, allowed: 'nothing: the list of members says it' }];
}

function slots(config: RawConfig): Breach[] {
  const limit = config.cluster.slots ?? (isLone(config) ? 1 : SLOTS_OF_A_CLUSTER);
  const allowed = `a number below cluster.slots, which is ${limit}`;
  const all: Breach[] = config.members.map((member, index) => ({
    path: ['members', index, 'slot'],
    found: String(member.slot),
    allowed,
  }));
  all.push({ path: ['node', 'slot'], found: String(config.node.slot ?? 0), allowed });
  return all.filter((breach) => Number(breach.found) >= limit);
}

function identity(config: RawConfig): Breach[] {
  if (config.membership.mode !== 'etcd' || config.node.id !== undefined) return [];
  const found = 'nothing, with membership.mode etcd';
  return [
    { path: ['node', 'id'], found, allowed: 'a name of its own for each node of the cluster' },
  ];
}

function limits(config: RawConfig): Breach[] {
  const { gateway, replication, membership } = config;
  const least: readonly (readonly [
    section: string,
    key: string,
    value: number,
    of: string,
    least: number,
  ])[] = [
    [
      'gateway',
      'queue_hard_bytes',
      gateway.queue_hard_bytes,
      'gateway.queue_soft_bytes',
      gateway.queue_soft_bytes,
    ],
    [
      'gateway',
      'queue_soft_bytes',
      gateway.queue_soft_bytes,
      'gateway.frame_bytes_max',
      gateway.frame_bytes_max,
    ],
    [
      'replication',
      'unacknowledged_bytes_max',
      replication.unacknowledged_bytes_max,
      'replication.frame_bytes',
      replication.frame_bytes,
    ],
    [
      'membership',
      'relist_seconds',
      membership.relist_seconds * 1000,
      'membership.call_deadline_ms',
      membership.call_deadline_ms,
    ],
  ];
  return least
    .filter(([, , value, , floor]) => value < floor)
    .map(([section, key, value, of, floor]) => ({
      path: [section, key],
      found: String(value),
      allowed: `at least ${of}, which is ${floor}`,
    }));
}

function webhooks({
  webhooks: { backoff_max_ms: most, backoff_min_ms: least },
}: RawConfig): Breach[] {
  if (most >= least) return [];
  const allowed = `at least webhooks.backoff_min_ms, which is ${least}`;
  return [{ path: ['webhooks', 'backoff_max_ms'], found: String(most), allowed }];
}

function hasOwnEntry(config: RawConfig): boolean {
  return config.members.some((member) => member.id === config.node.id);
}

/** Addresses that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
}
