import { readFileSync } from 'node:fs';
import { AdminServer } from './admin/server.ts';
import { EventHub } from './admin/event-hub.ts';
import { HttpApi } from './api/http-server.ts';
import { GrpcPeerTransport } from './cluster/link/grpc-transport.ts';
import { EtcdMembership } from './cluster/membership/etcd.ts';
import type { Membership } from './cluster/membership/port.ts';
import { StaticMembership } from './cluster/membership/static.ts';
import type { Config } from './config/load.ts';
import { selfMember } from './config/local-node.ts';
import type { MemberId } from './core/ids.ts';
import type { Member } from './core/member.ts';
import { hash32 } from './core/placement.ts';
import { ClientGateway } from './gateway/gateway.ts';
import { selectSocketServer } from './gateway/socket-server/select.ts';
import { NodeEvents } from './node-events.ts';
import { createNodeCore, type NodeCore } from './node-core.ts';
import { judgeHealth, type Health } from './node-health.ts';
import { wireMetrics, type MeasuredParts } from './node-metrics.ts';
import type { Log } from './observability/log.ts';
import { createMetrics, type Metrics } from './observability/metrics.ts';
import type { Runtime } from './runtime/port.ts';
import { StoreError } from './storage/errors.ts';
import { factKey } from './storage/layout.ts';
import { LevelStoreLocation } from './storage/level-store.ts';
import type { Store } from './storage/port.ts';
import { ASIDE_FACT } from './storage/rebuild.ts';
import { finishRebuild } from './node-rebuild.ts';

export interface NodePorts {
  readonly log: Log;
  readonly runtime: Runtime;
}

export interface Addresses {
  readonly client: string;
  readonly http: string;
  readonly admin: string;
  readonly peer: string;
}

export interface Node {
  readonly addresses: Addresses;
  start(): Promise<void>;
  /** Ends client connections with 1012, waits at most `graceMs` for each surface, closes the store. */
  stop(graceMs: number): Promise<void>;
}

/** One life of the node between two rebuilds. */
interface Running {
  readonly store: Store;
  readonly membership: Membership;
  readonly core: NodeCore;
  readonly gateway: ClientGateway;
  readonly http: HttpApi;
  readonly admin: AdminServer;
  readonly abort: AbortController;
}

/** Composition root: the one place where adapters are named. */
export async function createNode(config: Config, ports: NodePorts): Promise<Node> {
  return Promise.resolve(new HoldfastNode(config, ports));
}

class HoldfastNode implements Node {
  readonly addresses: Addresses;
  readonly #config: Config;
  readonly #ports: NodePorts;
  readonly #self: Member;
  readonly #location: LevelStoreLocation;
  readonly #metrics: Metrics;
  readonly #hub = new EventHub();
  readonly #startedMs: number;
  #running: Running | undefined;
  #phase: 'starting' | 'running' | 'stopping' = 'starting';
  #rebuilding: Promise<void> | undefined;

  constructor(config: Config, ports: NodePorts) {
    this.#config = config;
    this.#ports = ports;
    this.#startedMs = ports.runtime.clock.monotonicMs();
    const { client, http, admin, peer } = config.listen;
    this.#self = selfMember(config, {
      client: client.port,
      http: http.port,
      admin: admin.port,
      peer: peer.port,
    });
    const { clientAddress, httpAddress, adminAddress, peerAddress } = this.#self;
    this.addresses = {
      client: clientAddress,
      http: httpAddress,
      admin: adminAddress,
      peer: peerAddress,
    };
    const { storage } = config;
    this.#location = new LevelStoreLocation({
      path: config.node.dataDir,
      runtime: ports.runtime,
      sync: storage.sync,
      syncIntervalMs: storage.syncIntervalMs,
      groupWaitMs: storage.groupWaitMs,
      groupBytes: storage.groupBytes,
      cacheBytes: storage.cacheBytes,
      writeBufferBytes: storage.writeBufferBytes,
    });
    this.#metrics = createMetrics({
      ofProcess: 'included',
      onReadError: (name, error) => ports.log.warn('a metric cannot be read', { name, error }),
    });
    wireMetrics(this.#metrics, () => this.#measured());
  }

  async start(): Promise<void> {
    await this.#run(await this.#openStore());
  }

  async stop(graceMs: number): Promise<void> {
    this.#phase = 'stopping';
    await this.#rebuilding?.catch(() => undefined);
    await this.#end(graceMs);
  }

  /** Opens what is there; a store that cannot be read is set aside where there are peers to ask. */
  async #openStore(): Promise<Store> {
    try {
      return await this.#location.open();
    } catch (error) {
      const damaged = error instanceof StoreError && error.code === 'STORE_DAMAGED';
      if (!damaged || this.#isLone()) throw error;
      this.#ports.log.error('the store is damaged: it is set aside and rebuilt from the peers', {
        error,
      });
      return this.#openAfterAside('damaged');
    }
  }

  async #openAfterAside(reason: string): Promise<Store> {
    const name = await this.#location.setAside(reason);
    const store = await this.#location.open();
    store.stage([{ key: factKey(ASIDE_FACT), value: new TextEncoder().encode(name) }]);
    return store;
  }

  #isLone(): boolean {
    return this.#config.membership.mode === 'static' && this.#config.members.length <= 1;
  }

  async #run(store: Store): Promise<void> {
    const config = this.#config;
    const { log, runtime } = this.#ports;
    const abort = new AbortController();
    const membership = this.#createMembership(abort.signal);
    const events = new NodeEvents(this.#hub, runtime.clock);
    const transport = new GrpcPeerTransport({
      self: this.#self.id,
      cluster: config.cluster.id,
      host: config.listen.peer.host,
      port: config.listen.peer.port,
      secrets: config.cluster.secrets,
      runtime,
      log: log.child({ room: 'link' }),
    });
    let core: NodeCore | undefined;
    const gateway = this.#createGateway(() => core!.services);
    core = await createNodeCore(
      this.#coreOptions(),
      {
        runtime,
        store,
        membership,
        transport,
        fanout: gateway.fanout,
        log: log.child({ room: 'core' }),
      },
      {
        onRebuildNeeded: (peer, reason) => this.#rebuild(peer, reason),
        onPeerState: (state) => events.peer(state),
        onRoster: (roster) => events.roster(roster),
        onLive: (live) => events.live(live),
        onSession: (session, change) => events.session(session, change),
        onDurable: (applied) => events.durable(applied),
      },
    );
    if (membership instanceof EtcdMembership && membership.wasForgotten()) {
      return this.#runForgotten({ store, membership, core, abort });
    }
    store.onStatus((status) => events.store(status));
    const http = this.#createHttp(core, membership);
    const admin = this.#createAdmin({ core, membership, store });
    this.#running = { store, membership, core, gateway, http, admin, abort };
    const { listen } = config;
    await http.start(listen.http.host, listen.http.port);
    await admin.start(listen.admin.host, listen.admin.port);
    await core.start();
    await gateway.start(listen.client.host, listen.client.port);
    this.#phase = 'running';
    void finishRebuild({ core, location: this.#location, runtime, log, signal: abort.signal });
  }

  /** The cluster went on without this member, its evidence is gone: what the store says proves nothing. */
  async #runForgotten(
    parts: Pick<Running, 'store' | 'membership' | 'core' | 'abort'>,
  ): Promise<void> {
    this.#ports.log.error('the cluster forgot this member: its store is set aside and rebuilt');
    this.#metrics.count('holdfast_rebuilds_total', { cause: 'forgotten' });
    parts.abort.abort();
    await parts.core.stop();
    await parts.store.close();
    await this.#run(await this.#openAfterAside('forgotten'));
  }

  async #end(graceMs: number): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    if (!running) return;
    running.abort.abort();
    running.core.gate.stop();
    await running.gateway.stop(graceMs);
    await Promise.all([running.admin.stop(Math.min(graceMs, 2_000)), running.http.stop()]);
    await running.core.stop();
    await running.store.close();
  }

  /** Sets the store aside and starts again empty; clients come back when this node serves again. */
  #rebuild(peer: MemberId, reason: string): void {
    if (this.#rebuilding || this.#phase !== 'running') return;
    const { log } = this.#ports;
    log.error('this store is behind what a peer remembers of it: set aside and rebuilt', {
      peer,
      reason,
    });
    this.#metrics.count('holdfast_rebuilds_total', { cause: 'rolled-back' });
    this.#phase = 'starting';
    this.#rebuilding = (async () => {
      await this.#end(1_000);
      await this.#run(await this.#openAfterAside('rolled-back'));
    })().finally(() => {
      this.#rebuilding = undefined;
    });
    this.#rebuilding.catch((error: unknown) => {
      // Nothing serves any more: ending the process lets its supervisor start it again.
      log.error('the rebuild failed', { error });
      throw error;
    });
  }

  #createMembership(signal: AbortSignal): Membership {
    const config = this.#config;
    const { slots } = config.cluster;
    if (config.membership.mode === 'static') {
      return new StaticMembership({ members: listedMembers(config), slots });
    }
    return new EtcdMembership({
      cluster: config.cluster.id,
      endpoints: config.membership.etcd.endpoints,
      slot: config.node.slot,
      slots,
      log: this.#ports.log.child({ room: 'membership' }),
      runtime: this.#ports.runtime,
      signal,
      leaseTtlMs: config.membership.leaseSeconds * 1000,
      relistMs: config.membership.relistSeconds * 1000,
      callDeadlineMs: config.membership.callDeadlineMs,
    });
  }

  #createGateway(services: () => NodeCore['services']): ClientGateway {
    const { gateway } = this.#config;
    const { log, runtime } = this.#ports;
    return new ClientGateway({
      services,
      runtime,
      log: log.child({ room: 'gateway' }),
      socketServerFactory: selectSocketServer(log, 'auto'),
      auth: gateway.auth,
      nodeId: BigInt(hash32(this.#self.id)),
      originsAllowed: gateway.originsAllowed.length > 0 ? gateway.originsAllowed : undefined,
      hostsAllowed: gateway.hostsAllowed.length > 0 ? gateway.hostsAllowed : undefined,
      limits: {
        frameBytesMax: gateway.frameBytesMax,
        sessionsMax: gateway.sessionsMax,
        subscriptionsPerSessionMax: gateway.subscriptionsPerSessionMax,
        framesPerSecondMax: gateway.framesPerSecond,
        sendsPerSecondMax: gateway.sendsPerSecond,
        connectWithinMs: gateway.connectDeadlineMs,
        idleSeconds: gateway.idleSeconds,
        queueSoftBytesMax: gateway.queueSoftBytes,
        queueBytesMax: gateway.queueHardBytes,
      },
    });
  }

  #coreOptions() {
    const { replication, storage, gateway, cluster } = this.#config;
    return {
      cluster: cluster.id,
      self: this.#self,
      slots: cluster.slots,
      replicator: {
        heartbeatMs: replication.heartbeatMs,
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
    };
  }

  #createHttp(core: NodeCore, membership: Membership): HttpApi {
    const { http, gateway } = this.#config;
    const { log, runtime } = this.#ports;
    const metrics = this.#metrics;
    return new HttpApi({
      services: core.services,
      managerTokens: http.managerTokens,
      hostsAllowed: http.hostsAllowed,
      originsAllowed: gateway.originsAllowed,
      bodyBytesMax: http.bodyBytesMax,
      log: log.child({ room: 'api' }),
      random: runtime.random,
      timers: runtime.timers,
      metrics: async () => ({ contentType: metrics.contentType, text: await metrics.render() }),
      health: () => this.#health(),
      cluster: () => ({
        self: this.#self.id,
        members: membership.roster().members,
        live: membership.live(),
        sessions: this.#running?.gateway.counters.sessions ?? 0,
      }),
      clientAddressFor: () => this.#self.clientAddress,
      onRequest: ({ route, status }) =>
        metrics.count('holdfast_http_requests_total', { route, status: String(status) }),
    });
  }

  #createAdmin(parts: { core: NodeCore; membership: Membership; store: Store }): AdminServer {
    const { core, membership, store } = parts;
    const { log, runtime } = this.#ports;
    return new AdminServer({
      services: core.services,
      cluster: {
        nodeId: this.#self.id,
        cluster: this.#config.cluster.id,
        version: VERSION,
        actor: core.replica.actor,
        uptimeMs: () => runtime.clock.monotonicMs() - this.#startedMs,
        roster: () => membership.roster(),
        live: () => membership.live(),
        peers: () => core.replicator.peers(),
        membershipStatus: () => membership.status(),
        storeStatus: () => store.status(),
        mayWrite: () => core.replicator.mayWrite(),
        vectorHash: () => core.replica.durableHash(),
      },
      events: this.#hub,
      listing: core.table,
      tokens: this.#config.admin.tokens,
      runtime,
      log: log.child({ room: 'admin' }),
      onCall: (method, code) =>
        this.#metrics.count('holdfast_admin_calls_total', { method, status: String(code) }),
    });
  }

  #health(): Health {
    const running = this.#running;
    if (!running) return { ready: false, reasons: [`the node is ${this.#phase}`], degraded: [] };
    return judgeHealth({
      phase: this.#phase,
      store: running.store.status(),
      mayWrite: running.core.replicator.mayWrite(),
      membership: running.membership.status(),
      peers: running.core.replicator.peers(),
    });
  }

  #measured(): MeasuredParts | undefined {
    if (!this.#running) return undefined;
    const { core, gateway, store, membership } = this.#running;
    const { clock } = this.#ports.runtime;
    const ready = (): boolean => this.#health().ready;
    return { core, gateway, store, membership, ready, wallMs: () => clock.wallMs() };
  }
}

/** The members of cluster.yml; their ids were checked when it was read. */
function listedMembers(config: Config): Member[] {
  return config.members.map((member) => ({ ...member, id: member.id as MemberId }));
}

const VERSION = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  }
).version;
