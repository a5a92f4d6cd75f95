import {
  Server,
  ServerCredentials,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type UntypedServiceImplementation,
  type status,
} from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import type { DecommissionHow } from '../cluster/membership/decommission.ts';
import type { MemberId } from '../core/ids.ts';
import type { Services } from '../messaging/port.ts';
import type { Log } from '../observability/log.ts';
import type { Runtime } from '../runtime/port.ts';
import type { Retention } from '../messaging/retention/port.ts';
import type { Webhooks } from '../webhooks/port.ts';
import { accessInterceptor, isLoopback, isStillLetIn } from './access.ts';
import { serveBulk, type BulkOptions } from './calls/bulk.ts';
import { AdminError, toStatus } from './errors.ts';
import { DiagnosisService, type DiagnosisCalls } from './calls/diagnosis.ts';
import { decommission } from './calls/decommission.ts';
import { injectFault } from './calls/faults.ts';
import type { Reloads } from '../config/reload-port.ts';
import type { Listeners } from '../connections/listener-port.ts';
import type { Connections } from '../connections/port.ts';
import type { FaultInjector } from '../faults/port.ts';
import { listSubscriptions, type ListOptions } from './calls/list.ts';
import { channelCalls } from './calls/channels.ts';
import { connectionCalls } from './calls/connections.ts';
import { listenerCalls } from './calls/listeners.ts';
import { reloadCalls } from './calls/reload.ts';
import { moderationCalls } from './calls/moderation.ts';
import { conversations, history, recall } from './calls/past.ts';
import { toMembersReply } from './calls/member-view.ts';
import type { VerifyState } from './diagnosis-messages.ts';
import type {
  BulkReply,
  BulkRequest,
  ListSubscriptionsRequest,
  Session,
  SessionsRequest,
  SubscriptionPage,
  WatchEvent,
  WatchRequest,
} from './messages.ts';
import {
  ADMIN_LIMITS,
  type AdminLimits,
  type ClusterInfo,
  type EventFeed,
  type SubscriptionListing,
} from './port.ts';
import { ADMIN_SERVICE, loadAdminProto } from './proto.ts';
import { kickSessions, publish, streamSessions } from './calls/sessions.ts';
import { ClientGone, OpenStreams, type OutStream } from './streams.ts';
import { changeSubscriptions, digest } from './calls/subscriptions.ts';
import { retention } from './calls/retention.ts';
import { userCalls } from './calls/users.ts';
import { serveWatch } from './calls/watch.ts';
import { deadLetters, replayDeadLetters, webhooks } from './calls/webhooks.ts';

export interface AdminServerOptions {
  readonly services: Services;
  readonly cluster: ClusterInfo;
  readonly events: EventFeed;
  /** Absent: listing every subscription is UNIMPLEMENTED, by channel and by uid goes. */
  readonly listing?: SubscriptionListing | undefined;
  /** Absent: Explain, Repair, Verify and OperationLog are UNIMPLEMENTED. */
  readonly diagnosis?: DiagnosisCalls | undefined;
  /** Absent: Decommission is UNIMPLEMENTED. Rejects with a `MembershipError`. */
  readonly decommission?: ((member: MemberId, how: DecommissionHow) => Promise<void>) | undefined;
  /** Absent: calls about kept connections are UNIMPLEMENTED. */
  readonly connections?: Connections | undefined;
  /** Absent: Retention is UNIMPLEMENTED. */
  readonly retention?: Retention | undefined;
  /** Absent: calls about listeners are UNIMPLEMENTED. */
  readonly listeners?: Listeners | undefined;
  /** Absent: Reload is UNIMPLEMENTED. */
  readonly reloads?: Reloads | undefined;
  /** Absent: no receiver is configured. */
  readonly webhooks?: Webhooks | undefined;
  /** Absent: `audit.fault_injection` is off and InjectFault is refused. */
  readonly faults?: FaultInjector | undefined;
  /** Valid bearer tokens, more than one while they rotate. Empty is allowed on loopback only. */
  readonly tokens: readonly string[] | (() => readonly string[]);
  /** Plain text where absent; TLS and client certificates come in here. */
  readonly credentials?: ServerCredentials | undefined;
  /** Callers show a certificate that `credentials` has checked, so that a token is one thing more. */
  readonly proven?: boolean | undefined;
  readonly runtime: Runtime;
  readonly log: Pick<Log, 'debug' | 'info' | 'warn' | 'error'>;
  readonly limits?: Partial<AdminLimits> | undefined;
  /** After every call, for a counter by method and code. */
  readonly onCall?: ((method: string, code: status) => void) | undefined;
}

/** Why the service does not listen. */
export class AdminStartError extends Error {
  override readonly name = 'AdminStartError';
  readonly code: 'ADMIN_OPEN_TO_STRANGERS' | 'ADMIN_CANNOT_LISTEN';

  constructor(code: AdminStartError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

interface Bound {
  readonly host: string;
  readonly port: number;
}

/** A second address, until it is known whether it takes the place of the first. */
export interface AdminRebinding {
  readonly port: number;
  commit(): void;
  abort(): Promise<void>;
}

function targetOf(host: string, port: number): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The gRPC admin service of one node, with reflection and the standard health service. */
export class AdminServer {
  readonly #options: AdminServerOptions;
  readonly #limits: AdminLimits;
  readonly #server: Server;
  readonly #streams: OpenStreams;
  readonly #health = new HealthImplementation();
  #bound: Bound | undefined;

  constructor(options: AdminServerOptions) {
    this.#options = options;
    this.#limits = { ...ADMIN_LIMITS, ...options.limits };
    this.#streams = new OpenStreams(this.#limits.streamsMax);
    this.#server = new Server({
      interceptors: [accessInterceptor({ tokens: options.tokens, onCall: options.onCall })],
      'grpc.max_receive_message_length': this.#limits.requestBytesMax,
      // Two processes on one port would share its connections in silence.
      'grpc.so_reuseport': 0,
    });
    const { packages, service } = loadAdminProto();
    this.#server.addService(service, this.#implementation());
    new ReflectionService(packages, { services: [ADMIN_SERVICE] }).addToServer(this.#server);
    this.#health.addToServer(this.#server);
    this.setServing(true);
  }

  /** Resolves with the bound port; 0 picks one. Rejects with an AdminStartError, also where it is taken. */
  async start(host: string, port: number): Promise<number> {
    const bound = await this.#bind(host, port);
    this.#bound = { host, port: bound };
    return bound;
  }

  /**
   * Binds another address beside the one before; rejects as `start` does, and then listens where it did.
   * Calls that are open end as they would have. Where only the host differs, the one before goes first.
   */
  async rebind(host: string, port: number): Promise<AdminRebinding> {
    const before = this.#bound!;
    const inTheWay = before.port === port;
    const leave = (at: Bound) => this.#server.unbind(targetOf(at.host, at.port));
    const again = () => (inTheWay ? this.#bind(before.host, before.port) : undefined);
    if (inTheWay) leave(before);
    const bound = await this.#bind(host, port).catch(async (error: unknown) => {
      await again();
      throw error;
    });
    const next = { host, port: bound };
    return {
      port: bound,
      commit: () => {
        if (!inTheWay) leave(before);
        this.#bound = next;
      },
      abort: async () => {
        leave(next);
        await again();
      },
    };
  }

  /** Ends the streams that began with a token that is not valid any more; how many. */
  endUnproven(): number {
    const tokens = this.#tokens();
    return this.#streams.endUnless((metadata) => isStillLetIn(metadata, tokens));
  }

  #tokens(): readonly string[] {
    const { tokens } = this.#options;
    return typeof tokens === 'function' ? tokens() : tokens;
  }

  async #bind(host: string, port: number): Promise<number> {
    if (this.#tokens().length === 0 && !this.#options.proven && !isLoopback(host)) {
      throw new AdminStartError(
        'ADMIN_OPEN_TO_STRANGERS',
        `admin.token: is not set, so the admin service may listen on loopback only, not on ${host}`,
      );
    }
    const credentials = this.#options.credentials ?? ServerCredentials.createInsecure();
    const target = targetOf(host, port);
    const bound = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(target, credentials, (error, actual) => {
        if (!error) return resolve(actual);
        const message = `admin service: cannot listen on ${target}: ${error.message}`;
        reject(new AdminStartError('ADMIN_CANNOT_LISTEN', message, { cause: error }));
      });
    });
    this.#options.log.info('admin service listens', { host, port: bound });
    return bound;
  }

  /** What the health service answers: whether this node takes calls that matter. True from the start. */
  setServing(serving: boolean): void {
    for (const service of ['', ADMIN_SERVICE]) {
      this.#health.setStatus(service, serving ? 'SERVING' : 'NOT_SERVING');
    }
  }

  /** Streams open now, of all kinds but reflection and health. */
  openStreams(): number {
    return this.#streams.size;
  }

  /** Ends the streams, lets unary calls finish for at most `graceMs`, then cuts what is left. */
  async stop(graceMs: number): Promise<void> {
    this.setServing(false);
    this.#streams.stop();
    await new Promise<void>((resolve) => {
      const timer = this.#options.runtime.timers.after(graceMs, () => {
        this.#server.forceShutdown();
        resolve();
      });
      this.#server.tryShutdown(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  #implementation(): UntypedServiceImplementation {
    const { services, cluster, events, listing, runtime } = this.#options;
    const diagnosis = new DiagnosisService(this.#options.diagnosis);
    const limits = this.#limits;
    const onDefect = (error: unknown): void => this.#logDefect('SubscribeBulk', error);
    const subscriptionOptions = { services, cluster, limits };
    const sessionOptions = { services, limits, random: runtime.random };
    const bulkOptions: BulkOptions = { services, limits, onDefect };
    const listOptions: ListOptions = { services, listing, limits };
    const watchOptions = {
      events,
      cluster,
      clock: runtime.clock,
      eventsMax: limits.watchEventsMax,
    };
    return {
      Subscribe: this.#unary((r) => changeSubscriptions(subscriptionOptions, 'subscribe', r)),
      Unsubscribe: this.#unary((r) => changeSubscriptions(subscriptionOptions, 'unsubscribe', r)),
      SubscribeBulk: this.#stream((call: ServerDuplexStream<BulkRequest, BulkReply>, signal) =>
        serveBulk(bulkOptions, call, signal),
      ),
      ListSubscriptions: this.#stream(
        (call: ServerWritableStream<ListSubscriptionsRequest, SubscriptionPage>, signal) =>
          listSubscriptions(listOptions, call, signal),
      ),
      Digest: this.#unary(() => digest(subscriptionOptions)),
      Publish: this.#unary((request) => publish(sessionOptions, request)),
      Sessions: this.#stream((call: ServerWritableStream<SessionsRequest, Session>, signal) =>
        streamSessions(sessionOptions, call, signal),
      ),
      KickSession: this.#unary(async (request) => kickSessions(sessionOptions, request)),
      Members: this.#unary(async () => toMembersReply(cluster)),
      Watch: this.#stream((call: ServerWritableStream<WatchRequest, WatchEvent>, signal) =>
        serveWatch(watchOptions, call, signal),
      ),
      Explain: this.#unary((request) => diagnosis.explain(request)),
      Repair: this.#unary((request) => diagnosis.repair(request)),
      Verify: this.#stream((call: ServerWritableStream<object, VerifyState>, signal) =>
        diagnosis.verify(call, signal),
      ),
      OperationLog: this.#unary((request) => diagnosis.log(request)),
      Decommission: this.#unary((request) =>
        decommission({ cluster, remove: this.#options.decommission }, request),
      ),
      ...this.#unaries(connectionCalls(this.#options.connections)),
      ...this.#unaries(listenerCalls(this.#options.listeners, cluster.nodeId)),
      ...this.#unaries(reloadCalls(this.#options.reloads, cluster.nodeId)),
      ...this.#unaries(channelCalls(services)),
      ...this.#unaries(moderationCalls(services, limits)),
      ...this.#unaries(userCalls(services, limits)),
      History: this.#unary((request) => history(services, request)),
      Recall: this.#unary((request) => recall(services, request)),
      Conversations: this.#unary((request) => conversations(services, request)),
      Retention: this.#unary((request) =>
        retention({ retention: this.#options.retention, nodeId: cluster.nodeId }, request),
      ),
      Webhooks: this.#unary(() => webhooks(this.#options.webhooks)),
      DeadLetters: this.#unary((request) => deadLetters(this.#options.webhooks, request)),
      ReplayDeadLetters: this.#unary((r) => replayDeadLetters(this.#options.webhooks, r)),
      InjectFault: this.#unary((request) =>
        injectFault({ faults: this.#options.faults, member: cluster.nodeId }, request),
      ),
    };
  }

  #unary<Request, Reply>(serve: (request: Request) => Promise<Reply>) {
    return (call: ServerUnaryCall<Request, Reply>, reply: sendUnaryData<Reply>): void => {
      serve(call.request).then(
        (value) => reply(null, value),
        (error: unknown) => {
          this.#logDefect(call.getPath(), error);
          reply(toStatus(error));
        },
      );
    };
  }

  #unaries(calls: Readonly<Record<string, (request: never) => Promise<unknown>>>) {
    const served = Object.entries(calls).map(([name, serve]) => [name, this.#unary(serve)]);
    return Object.fromEntries(served) as UntypedServiceImplementation;
  }

  #stream<Request, Reply, Call extends OutStream<Request, Reply>>(
    serve: (call: Call, signal: AbortSignal) => Promise<void>,
  ) {
    return (call: Call): void => {
      this.#streams
        .run(call, (signal) => serve(call, signal))
        .then(
          () => void call.end(),
          (error: unknown) => {
            this.#logDefect(call.getPath(), error);
            call.emit('error', toStatus(error));
          },
        );
    };
  }

  #logDefect(method: string, error: unknown): void {
    if (error instanceof AdminError || error instanceof ClientGone) return;
    this.#options.log.error('admin call failed', { method, error });
  }
}
