import { EventHub } from './admin/event-hub.ts';
import type { AdminServer } from './admin/server.ts';
import type { HttpApi } from './api/http-server.ts';
import type { GrpcPeerTransport } from './cluster/link/grpc-transport.ts';
import { EtcdMembership } from './cluster/membership/etcd.ts';
import type { Membership } from './cluster/membership/port.ts';
import type { ConfigSource } from './config/config-source.ts';
import type { Config } from './config/load.ts';
import type { ListenerSet } from './connections/listeners.ts';
import { portsOf, selfMember } from './config/local-node.ts';
import type { MemberId } from './core/ids.ts';
import type { ClientGateway } from './gateway/gateway.ts';
import {
  coreOptions,
  createGateway,
  createLocation,
  createMembership,
  createTransport,
  type Ground,
} from './node/adapters.ts';
import { Certificates } from './node/certificates.ts';
import { createListeners, drainLife, turnedOff } from './node/listeners.ts';
import { createNodeCore, type NodeCore } from './node/core.ts';
import { NodeEvents } from './node/events.ts';
import { IdleMemory } from './node/idle-memory.ts';
import { judgeHealth, type Health } from './node/health.ts';
import { wireMetrics, type MeasuredParts } from './node/metrics.ts';
import { openAfterAside, openStore } from './node/open-store.ts';
import { oneBotDrivers, oneBotParts } from './node/onebot.ts';
import { probe, type Probing } from './node/probing.ts';
import { LiveSecrets } from './node/live-secrets.ts';
import { finishRebuild } from './node/rebuild.ts';
import { groundOf, LiveConfig } from './node/reload/live-config.ts';
import { createReloads, type Reloading } from './node/reload/wiring.ts';
import { createAdmin, createHttp } from './node/surfaces.ts';
import { VERSION } from './node/version.ts';
import { createFaultPorts, type FaultPorts } from './node/faults.ts';
import { wireCertificates } from './node/metrics/certificates.ts';
import { countRepairs } from './node/metrics/repairs.ts';
import { wireWebhooks } from './node/metrics/webhooks.ts';
import type { Log } from './observability/log.ts';
import { createMetrics, type Metrics } from './observability/metrics.ts';
import type { Runtime } from './runtime/port.ts';
import { StoreError } from './storage/errors.ts';
import { HttpWebhookSender } from './webhooks/http-sender.ts';
import type { Store, StoreLocation } from './storage/port.ts';

export interface NodePorts {
  readonly source: ConfigSource;
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
  readonly certificates: Certificates;
  readonly reloading: Reloading;
  start(): Promise<void>;
  /** Ends client connections with 1012, waits at most `graceMs` for each surface, closes the store. */
  stop(graceMs: number): Promise<void>;
}

/** One life of the node between two rebuilds. */
interface Life {
  readonly store: Store;
  readonly membership: Membership;
  readonly transport: GrpcPeerTransport;
  readonly core: NodeCore;
  readonly faults: FaultPorts;
  readonly gateway: ClientGateway;
  readonly abort: AbortController;
  probing?: Probing;
  /** Where the gateway listens. */
  clientPort?: number;
  httpPort?: number;
  http?: HttpApi;
  admin?: AdminServer;
  /** The peers that answer have been met, or had their time. */
  met?: true;
}

const REBUILDS = 'holdfast_rebuilds_total';
const REBUILD_CAUSES = ['damaged', 'rolled-back', 'forgotten'] as const;
/** For unary calls of the admin service, while the node stops. */
const ADMIN_GRACE_MS = 2_000;
const HEALTH_EVERY_MS = 1_000;
const MEET_PEERS_MS = 3_000;
const MEET_POLL_MS = 25;

/** Composition root: it and node/ are the one place where adapters are named. */
export function createNode(config: Config, ports: NodePorts): Promise<Node> {
  return Promise.resolve().then(() => new HoldfastNode(config, ports));
}

class HoldfastNode implements Node {
  readonly addresses: Addresses;
  readonly certificates: Certificates;
  readonly reloading: Reloading;
  readonly #ground: Ground;
  readonly #location: StoreLocation;
  readonly #metrics: Metrics;
  readonly #hub = new EventHub();
  readonly #idleMemory = new IdleMemory();
  readonly #startedMs: number;
  readonly #listeners: ListenerSet;
  #life: Life | undefined;
  #phase: 'starting' | 'running' | 'stopping' = 'starting';
  #rebuilding: Promise<void> | undefined;

  constructor(config: Config, { log, runtime, source }: NodePorts) {
    const self = selfMember(config, portsOf(config));
    const [secrets, live] = [new LiveSecrets(config), new LiveConfig(config)];
    const certificates = (this.certificates = new Certificates(config, { log, runtime }));
    this.#ground = groundOf(live, { self, log, runtime, certificates, secrets });
    this.#listeners = createListeners(this.#ground, () => this.#life);
    this.#startedMs = runtime.clock.monotonicMs();
    const {
      clientAddress: client,
      httpAddress: http,
      adminAddress: admin,
      peerAddress: peer,
    } = self;
    this.addresses = { client, http, admin, peer };
    this.#location = createLocation(this.#ground);
    this.#metrics = createMetrics({
      ofProcess: 'included',
      onReadError: (name, error) => log.warn('a metric cannot be read', { name, error }),
    });
    for (const cause of REBUILD_CAUSES) this.#metrics.count(REBUILDS, { cause }, 0);
    wireMetrics(this.#metrics, () => this.#measured());
    wireCertificates(this.#metrics, certificates, () => runtime.clock.wallMs());
    const receivers = config.webhooks.endpoints.map(({ name }) => name);
    wireWebhooks(this.#metrics, receivers, () => this.#life?.core.webhooks);
    const parts = () => (this.#phase === 'running' ? this.#life : undefined);
    const whole = { ground: this.#ground, listeners: this.#listeners, metrics: this.#metrics };
    this.reloading = createReloads({ ...whole, live, parts }, source);
  }

  async start(): Promise<void> {
    await this.#run(await this.#openStore());
  }

  async stop(graceMs: number): Promise<void> {
    this.#phase = 'stopping';
    this.certificates.stop();
    this.reloading.stop();
    await this.#rebuilding?.catch(() => undefined);
    const until = this.#ground.runtime.clock.monotonicMs() + graceMs;
    if (this.#life?.clientPort !== undefined) await this.#drain(this.#life, graceMs);
    await this.#end(Math.max(0, until - this.#ground.runtime.clock.monotonicMs()));
  }

  /** At the configured pace, or as much faster as half of the grace period asks for. */
  async #drain(life: Life, graceMs: number): Promise<void> {
    const withinMs = graceMs / 2;
    const asked = (life.gateway.counters.sockets * 1000) / Math.max(1, withinMs);
    const { drainSessionsPerSecond, drainResumeMs: resumeMs } = this.#ground.config.gateway;
    const sessionsPerSecond = Math.max(drainSessionsPerSecond, Math.ceil(asked));
    await drainLife(this.#ground, life, { sessionsPerSecond, withinMs, resumeMs });
  }

  /** Opens what is there; a store that cannot be read is set aside where there are peers to ask. */
  async #openStore(): Promise<Store> {
    const { config, log } = this.#ground;
    const isLone = config.membership.mode === 'static' && config.members.length <= 1;
    try {
      return await openStore(this.#location);
    } catch (error) {
      const damaged = error instanceof StoreError && error.code === 'STORE_DAMAGED';
      if (!damaged || isLone) throw error;
      log.error('the store is damaged: it is set aside and rebuilt from the peers', { error });
      return this.#openAfterAside('damaged');
    }
  }

  #openAfterAside(cause: (typeof REBUILD_CAUSES)[number]): Promise<Store> {
    this.#metrics.count(REBUILDS, { cause });
    return openAfterAside(this.#location, cause);
  }

  async #run(store: Store): Promise<void> {
    const { log, runtime } = this.#ground;
    const abort = new AbortController();
    const membership = createMembership(this.#ground, {
      signal: abort.signal,
      // Before the roster takes this member again: after that nothing else would say so any more.
      onForgotten: () => this.#location.condemn('forgotten'),
    });
    const transport = createTransport(this.#ground);
    const faults = createFaultPorts(this.#ground, { store, membership, transport });
    const events = new NodeEvents(this.#hub, runtime.clock);
    const gateway: ClientGateway = createGateway(
      this.#ground,
      () => core,
      () => membership.roster().members,
    );
    const core: NodeCore = await createNodeCore(
      coreOptions(this.#ground),
      {
        ...{ runtime, store },
        ...{ membership: faults.membership, transport: faults.transport },
        fanout: gateway.fanout,
        webhookSender: new HttpWebhookSender(runtime.timers),
        connectionDrivers: oneBotDrivers(() =>
          oneBotParts(this.#ground, core, {
            metrics: this.#metrics,
            clientPort: () => this.#life?.clientPort,
          }),
        ),
        queueBytes: ({ id }) => gateway.fanout.queueBytes(id),
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
    core.outcomes.observePublish = (seconds) =>
      this.#metrics.observe('holdfast_publish_seconds', seconds);
    core.repairs.add({ onRepair: (repair) => events.repair(repair) });
    core.repairs.add(countRepairs(this.#metrics));
    this.#life = {
      ...{ store, membership: faults.membership, transport, core, gateway, abort, faults },
    };
    if (membership instanceof EtcdMembership && membership.wasForgotten()) {
      // The cluster went on without this member and collected evidence: this store proves nothing.
      log.error('the cluster forgot this member: its store is set aside and rebuilt');
      await this.#end(0);
      return this.#run(await this.#openAfterAside('forgotten'));
    }
    store.onStatus((status) => {
      events.store(status);
      if (status.state === 'failing') log.error('the store cannot write', { error: status.error });
      else log.info('the store writes again');
    });
    await this.#openSurfaces(this.#life);
    if (abort.signal.aborted) return;
    void finishRebuild({ core, location: this.#location, runtime, log, signal: abort.signal });
  }

  async #openSurfaces(life: Life): Promise<void> {
    const { runtime, config } = this.#ground;
    const { client, http, admin } = config.listen;
    const parts = {
      core: life.core,
      membership: life.membership,
      store: life.store,
      metrics: this.#metrics,
      events: this.#hub,
      health: () => this.#health(),
      listeners: this.#listeners,
      reloads: this.reloading.reloads,
      sessions: () => life.gateway.counters.sessions,
      uptimeMs: () => runtime.clock.monotonicMs() - this.#startedMs,
      version: VERSION,
      faults: life.faults.injector(life.core),
    };
    life.http = createHttp(this.#ground, parts);
    life.httpPort = await life.http.start(http.host, http.port);
    await this.#listeners.carryOver();
    life.admin = createAdmin(this.#ground, parts);
    await life.admin.start(admin.host, admin.port);
    await life.core.start();
    const port = await life.gateway.start(client.host, client.port);
    life.clientPort = port;
    if (life.gateway.service === 'enabled') life.probing = probe(this.#ground, life, port);
    if (this.#phase === 'starting') this.#phase = 'running';
    this.#showHealth(life);
    await this.#meetPeers(life);
  }

  /**
   * Ready means that what is said here is heard there: so a start waits a moment for the peers that do
   * answer. Who does not keeps nobody from serving.
   */
  async #meetPeers({ core, abort }: Life): Promise<void> {
    const { clock, timers } = this.#ground.runtime;
    const end = clock.monotonicMs() + MEET_PEERS_MS;
    while (!abort.signal.aborted && clock.monotonicMs() < end) {
      if (core.replicator.peers().every((peer) => peer.live)) break;
      await new Promise<void>((resolve) => {
        timers.after(MEET_POLL_MS, resolve);
      });
    }
    if (this.#life?.abort === abort) this.#life.met = true;
  }

  /** The gRPC health service answers what /readyz does. */
  #showHealth(life: Life): void {
    if (life.abort.signal.aborted) return;
    const { members } = life.membership.roster();
    if (!members.some(({ id }) => id === this.#ground.self.id)) return this.#rejoin(life);
    life.admin!.setServing(this.#health().ready);
    const { delivery, replicator } = life.core;
    const { operationsPushed, operationsReceived } = replicator.counters;
    const work = delivery.deliveredMessages() + operationsPushed + operationsReceived;
    this.#idleMemory.look({ framesIn: life.gateway.counters.framesIn, work });
    this.#ground.runtime.timers.after(HEALTH_EVERY_MS, () => this.#showHealth(life));
  }

  async #end(graceMs: number): Promise<void> {
    const life = this.#life;
    this.#life = undefined;
    if (!life) return;
    life.abort.abort();
    life.core.gate.stop();
    life.probing?.stop();
    await life.gateway.stop(graceMs);
    await Promise.all([life.admin?.stop(Math.min(graceMs, ADMIN_GRACE_MS)), life.http?.stop()]);
    await life.core.stop();
    await life.transport.close();
    await life.store.close();
  }

  #rebuild(peer: MemberId, reason: string): void {
    this.#restart('rolled-back', () =>
      this.#ground.log.error(
        'this store is behind what a peer remembers of it: set aside and rebuilt',
        { peer, reason },
      ),
    );
  }

  /** The others go on without it and collect evidence: what is here proves nothing any more. */
  #rejoin(life: Life): void {
    // Asked about again: a rebuild for another reason may be on its way.
    this.#ground.runtime.timers.after(HEALTH_EVERY_MS, () => this.#showHealth(life));
    this.#restart('forgotten', () =>
      this.#ground.log.error(
        'the cluster forgot this member while it ran: its store is set aside, it joins anew and is rebuilt; ' +
          'stop this process if it was to leave for good',
      ),
    );
  }

  /** Sets the store aside and starts again empty; clients come back when this node serves again. */
  #restart(cause: 'rolled-back' | 'forgotten', tell: () => void): void {
    if (this.#rebuilding || this.#phase !== 'running') return;
    const { log, runtime } = this.#ground;
    tell();
    this.#phase = 'starting';
    const work = async (): Promise<void> => {
      await this.#end(ADMIN_GRACE_MS);
      await this.#run(await this.#openAfterAside(cause));
    };
    this.#rebuilding = work().finally(() => {
      this.#rebuilding = undefined;
    });
    this.#rebuilding.catch((error: unknown) => {
      log.error('the rebuild failed', { error });
      // Nothing serves any more: as a defect it ends the process, and its supervisor starts it again.
      runtime.timers.soon(() => {
        throw error;
      });
    });
  }

  #health(): Health {
    const life = this.#life;
    if (!life) return { ready: false, reasons: [`the node is ${this.#phase}`], degraded: [] };
    return judgeHealth({
      turnedOff: turnedOff(this.#listeners),
      phase: this.#phase === 'running' && !life.met ? 'starting' : this.#phase,
      store: life.store.status(),
      mayWrite: life.core.replicator.mayWrite(),
      membership: life.membership.status(),
      peers: life.core.replicator.peers(),
      canary: life.probing?.canary.state(),
      unverified: life.core.sweeps.unverified(),
    });
  }

  #measured(): MeasuredParts | undefined {
    if (!this.#life) return undefined;
    const { core, gateway, store, membership, transport } = this.#life;
    const { clock } = this.#ground.runtime;
    return {
      ...{ core, gateway, store, membership },
      ...{ wallMs: () => clock.wallMs(), monotonicMs: () => clock.monotonicMs() },
      links: () => transport.counters(),
      ready: () => this.#health().ready,
      canary: () => this.#life?.probing?.canary.state(),
    };
  }
}
