import { portsOf, selfMember } from '../config/local-node.ts';
import type { Reloads } from '../config/reload-port.ts';
import type { Listeners } from '../connections/listener-port.ts';
import type { ClusterInfo, EventFeed } from '../admin/port.ts';
import { AdminServer } from '../admin/server.ts';
import { HttpApi } from '../api/http-server.ts';
import type { Membership } from '../cluster/membership/port.ts';
import type { MemberId } from '../core/ids.ts';
import type { FaultInjector } from '../faults/port.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Store } from '../storage/port.ts';
import type { Ground } from './adapters.ts';
import type { NodeCore } from './core.ts';
import { serverCredentials } from './grpc-credentials.ts';
import type { Health } from './health.ts';
import { createOperator } from './operator.ts';
import { servicesFor } from './services.ts';

export interface SurfaceParts {
  readonly core: NodeCore;
  readonly membership: Membership;
  readonly store: Store;
  readonly metrics: Metrics;
  readonly events: EventFeed;
  readonly health: () => Health;
  readonly listeners: Listeners;
  readonly sessions: () => number;
  readonly uptimeMs: () => number;
  readonly version: string;
  readonly reloads: Reloads | undefined;
  /** Absent unless `audit.fault_injection` is on. */
  readonly faults: FaultInjector | undefined;
}

/** What backends and people use over HTTP. */
export function createHttp(ground: Ground, parts: SurfaceParts): HttpApi {
  const { config, self, log, runtime } = ground;
  const { core, membership, metrics, health, sessions } = parts;
  return new HttpApi({
    services: servicesFor(core.services, 'http'),
    managerTokens: ground.secrets.managerTokens,
    hostsAllowed: config.http.hostsAllowed,
    originsAllowed: config.gateway.originsAllowed,
    tls: ground.certificates.source('http'),
    bodyBytesMax: config.http.bodyBytesMax,
    log: log.child({ room: 'api' }),
    random: runtime.random,
    timers: runtime.timers,
    metrics: async () => ({ contentType: metrics.contentType, text: await metrics.render() }),
    health,
    cluster: () => ({
      self: self.id,
      members: membership.roster().members,
      live: liveMembers(core),
      sessions: sessions(),
    }),
    clientAddressFor: () => selfMember(ground.config, portsOf(ground.config)).clientAddress,
    operator: createOperator(ground, parts, clusterInfo(ground, parts)),
    onRequest: ({ route, status }) =>
      metrics.count('holdfast_http_requests_total', { route, status: String(status) }),
  });
}

/** What operators are told of this node and its cluster. */
function clusterInfo({ config, self }: Ground, parts: SurfaceParts): ClusterInfo {
  const { core, membership, store } = parts;
  return {
    nodeId: self.id,
    cluster: config.cluster.id,
    version: parts.version,
    actor: core.replica.actor,
    uptimeMs: parts.uptimeMs,
    roster: () => membership.roster(),
    live: () => liveMembers(core),
    peers: () => core.replicator.peers(),
    membershipStatus: () => membership.status(),
    storeStatus: () => store.status(),
    mayWrite: () => core.replicator.mayWrite(),
    vectorHash: () => core.replica.durableHash(),
  };
}

/** What operators use. */
export function createAdmin(ground: Ground, parts: SurfaceParts): AdminServer {
  const { log, runtime } = ground;
  const { core, metrics } = parts;
  const tls = ground.certificates.source('admin');
  return new AdminServer({
    services: servicesFor(core.services, 'admin'),
    cluster: clusterInfo(ground, parts),
    events: parts.events,
    listing: core.table,
    diagnosis: core.diagnosis,
    connections: core.connections,
    listeners: parts.listeners,
    reloads: parts.reloads,
    decommission: (member, how) => core.sweeps.decommission(member, how),
    webhooks: core.webhooks,
    retention: core.retention,
    faults: parts.faults,
    tokens: ground.secrets.adminTokens,
    credentials: tls && serverCredentials(tls),
    proven: tls?.current().ca !== undefined,
    runtime,
    log: log.child({ room: 'admin' }),
    onCall: (method, code) =>
      metrics.count('holdfast_admin_calls_total', { method, status: String(code) }),
  });
}

/**
 * Live as an operator means it: this member and those that it hears. A lease alone says that a process
 * runs, not that it can be reached; a static roster says nothing at all.
 */
function liveMembers(core: NodeCore): ReadonlySet<MemberId> {
  const heard = core.replicator.peers().filter((peer) => peer.live);
  return new Set([core.self.id, ...heard.map((peer) => peer.member)]);
}
