import { advertisedNames } from '../api/access.ts';
import { GrpcPeerTransport } from '../cluster/link/grpc-transport.ts';
import { EtcdMembership } from '../cluster/membership/etcd.ts';
import type { Membership } from '../cluster/membership/port.ts';
import { StaticMembership } from '../cluster/membership/static.ts';
import type { Config } from '../config/load.ts';
import { PERSON, type MemberId } from '../core/ids.ts';
import type { ConnectionTimes } from '../connections/state-machine.ts';
import type { Member } from '../core/member.ts';
import { ClientGateway } from '../gateway/gateway.ts';
import type { GatewayRules } from '../gateway/limits.ts';
import { nodeIdOf } from '../gateway/node-id.ts';
import { selectSocketServer } from '../gateway/socket-server/select.ts';
import type { Log } from '../observability/log.ts';
import type { RetentionOptions, RetentionRule } from '../messaging/retention/port.ts';
import type { Runtime } from '../runtime/port.ts';
import { LevelStoreLocation } from '../storage/level-store.ts';
import type { WebhookOptions } from '../webhooks/options.ts';
import type { Certificates } from './certificates.ts';
import type { CoreOptions, NodeCore } from './core.ts';
import { credentialsTo, serverCredentials } from './grpc-credentials.ts';
import type { LiveSecrets } from './live-secrets.ts';
import { servicesFor } from './services.ts';

/** What every part of a node is made from. */
export interface Ground {
  /** As it is now: a reload changes it, so what is used later is asked for later. */
  readonly config: Config;
  readonly self: Member;
  readonly log: Log;
  readonly runtime: Runtime;
  readonly certificates: Certificates;
  readonly secrets: LiveSecrets;
}

export function createLocation({ config, runtime }: Ground): LevelStoreLocation {
  const { storage } = config;
  return new LevelStoreLocation({
    path: config.node.dataDir,
    runtime,
    sync: storage.sync,
    syncIntervalMs: storage.syncIntervalMs,
    groupWaitMs: storage.groupWaitMs,
    groupBytes: storage.groupBytes,
    cacheBytes: storage.cacheBytes,
    writeBufferBytes: storage.writeBufferBytes,
  });
}

export function createMembership(
  ground: Ground,
  { signal, onForgotten }: { signal: AbortSignal; onForgotten: () => Promise<void> },
): Membership {
  const { config, log, runtime } = ground;
  const { slots } = config.cluster;
  if (config.membership.mode === 'static') {
    return new StaticMembership({ members: listedMembers(config), slots });
  }
  return new EtcdMembership({
    cluster: config.cluster.id,
    endpoints: config.membership.etcd.endpoints,
    slot: config.node.slot,
    slots,
    log: log.child({ room: 'membership' }),
    runtime,
    signal,
    onForgotten,
    leaseTtlMs: config.membership.leaseSeconds * 1000,
    relistMs: config.membership.relistSeconds * 1000,
    callDeadlineMs: config.membership.callDeadlineMs,
  });
}

export function createTransport(ground: Ground): GrpcPeerTransport {
  const { config, self, log, runtime, certificates } = ground;
  const tls = certificates.source('peer');
  return new GrpcPeerTransport({
    self: self.id,
    cluster: config.cluster.id,
    host: config.listen.peer.host,
    port: config.listen.peer.port,
    secrets: ground.secrets.cluster,
    credentials: tls && {
      server: serverCredentials(tls),
      channelTo: (peer) => credentialsTo(tls, peer),
    },
    runtime,
    log: log.child({ room: 'link' }),
  });
}

export function createGateway(
  ground: Ground,
  core: () => NodeCore,
  members: () => readonly Member[],
): ClientGateway {
  const { config, self, log, runtime, certificates } = ground;
  const { gateway } = config;
  const createServer = selectSocketServer(log, gateway.sockets);
  return new ClientGateway({
    services: () => servicesFor(core().services, 'client'),
    mayConnect: () => core().replicator.mayWrite(),
    runtime,
    log: log.child({ room: 'gateway' }),
    socketServerFactory: (handlers, limits) =>
      createServer(handlers, limits, certificates.source('client')),
    nodeId: nodeIdOf(self),
    advertised: () => advertisedNames([self, ...members()]),
    ...gatewayRules(config),
  });
}

/** What of the client port may change while it runs. */
export function gatewayRules({ gateway }: Config): GatewayRules {
  return {
    auth: gateway.auth,
    originsAllowed: listOrAbsent(gateway.originsAllowed),
    hostsAllowed: listOrAbsent(gateway.hostsAllowed),
    limits: {
      frameBytesMax: gateway.frameBytesMax,
      sessionsMax: gateway.sessionsMax,
      subscriptionsPerSessionMax: gateway.subscriptionsPerSessionMax,
      framesPerSecondMax: gateway.framesPerSecond,
      sendsPerSecondMax: gateway.sendsPerSecond,
      queriesPerSecondMax: gateway.queriesPerSecond,
      connectWithinMs: gateway.connectDeadlineMs,
      idleSeconds: gateway.idleSeconds,
      queueSoftBytesMax: gateway.queueSoftBytes,
      queueBytesMax: gateway.queueHardBytes,
    },
  };
}

const HEARTBEAT_MS_MIN = 50;

export function coreOptions({ config, self }: Ground): CoreOptions {
  const { replication, storage, gateway, cluster, audit, sweep, membership } = config;
  const auditPace = audit.profile === 'fast' ? 5 : 1;
  return {
    cluster: cluster.id,
    self,
    slots: cluster.slots,
    replicator: {
      // It tells of lost deltas and altered interest, so it belongs to the profile.
      heartbeatMs: Math.max(HEARTBEAT_MS_MIN, replication.heartbeatMs / auditPace),
      liveMs: replication.heartbeatMs,
      unacknowledgedBytesMax: replication.unacknowledgedBytesMax,
      frameBytesMax: replication.frameBytes,
      pullBytesMax: replication.pullBytes,
      snapshotDotsMin: replication.snapshotThresholdDots,
      backoffMaxMs: replication.reconnectMsMax,
    },
    stagedBytesMax: storage.stagedBytesMax,
    payloadBytesMax: gateway.frameBytesMax,
    routedTimeoutMs: replication.acknowledgeTimeoutMs,
    secondDiskTimeoutMs: replication.secondDiskTimeoutMs,
    recallWindowMs: recallWindows(config),
    strangers: config.messages.strangers,
    writeAcks: config.messages.writeAcks === 1 ? 1 : 2,
    webhooks: webhookOptions(config),
    retention: retentionOptions(config),
    connectionTimes: takeoverTimes(config),
    operationLogEntriesMax: audit.operationLogEntries,
    auditPace,
    forgetAfterMs: membership.mode === 'etcd' ? membership.forgetAfterHours * 3_600_000 : undefined,
    sweep: {
      intervalMs: sweep.intervalMs / auditPace,
      repairsPerSecond: sweep.repairsPerSecond,
    },
  };
}

/** An owner's lease ends well before anybody may take its place. */
function takeoverTimes({ connections }: Config): Pick<ConnectionTimes, 'leaseMs' | 'takeOverMs'> {
  const takeOverMs = connections.takeoverSeconds * 1000;
  return { leaseMs: takeOverMs / 2, takeOverMs };
}

/** Undefined where everything is kept. */
function retentionOptions({ retention }: Config): RetentionOptions | undefined {
  const { ageDays, channelBytesMax, checkEverySeconds } = retention;
  const rules = [...Object.values(ageDays), ...Object.values(channelBytesMax)];
  if (rules.every((rule) => rule === 0)) return undefined;
  const ruleOf = (type: number): RetentionRule => {
    const name = type === PERSON ? 'person' : type === GROUP ? 'group' : 'other';
    return { ageMs: ageDays[name] * DAY_MS, bytesMax: channelBytesMax[name] };
  };
  return { ruleOf, checkEveryMs: checkEverySeconds * 1000 };
}

const DAY_MS = 86_400_000;

function webhookOptions({ webhooks }: Config): WebhookOptions {
  const { endpoints, secret, deadAfterHours, takeoverSeconds, ...limits } = webhooks;
  return {
    ...limits,
    deadAfterMs: deadAfterHours * 3_600_000,
    takeoverMs: takeoverSeconds * 1000,
    endpoints: endpoints.map(({ secret: own, ...endpoint }) => ({
      ...endpoint,
      secrets: own.length > 0 ? own : secret,
    })),
  };
}

/** By channel type: 1 person, 2 group, and one for all of 3 to 10. */
function recallWindows({ messages }: Config): (channelType: number) => number {
  const { person, group, other } = messages.recallWindowSeconds;
  return (type) => 1000 * (type === PERSON ? person : type === GROUP ? group : other);
}

const GROUP = 2;

/** An empty list in the configuration is none: the defaults hold. */
function listOrAbsent(list: readonly string[]): readonly string[] | undefined {
  return list.length > 0 ? list.map((item) => item.toLowerCase()) : undefined;
}

/** The members of cluster.yml; their ids were checked when it was read. */
function listedMembers(config: Config): Member[] {
  return config.members.map((member) => ({ ...member, id: member.id as MemberId }));
}
