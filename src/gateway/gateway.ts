import { timingSafeEqual } from 'node:crypto';
import type { ChannelKey } from '../core/ids.ts';
import type { Services } from '../messaging/port.ts';
import type { Log } from '../observability/log.ts';
import type { Runtime, Timer } from '../runtime/port.ts';
import { admitUpgrade, busy } from './admission.ts';
import { GatewayCounters } from './counters.ts';
import { GatewayFanout } from './fanout.ts';
import { DEFAULT_LIMITS, type GatewayLimits, type GatewayRules } from './limits.ts';
import { jsonRpcDialect } from './session/json-rpc-dialect.ts';
import type { SessionRoom } from './session/room.ts';
import {
  disableFarewell,
  drainFarewell,
  lifecycleFrame,
  sendAway,
  type DisableOptions,
  type DrainOptions,
  type Ended,
  type ServiceState,
} from './service.ts';
import { CLOSE, ClientSession } from './session/session.ts';
import { wkprotoDialect } from './session/wkproto-dialect.ts';
import type {
  Rebinding,
  SocketServer,
  SocketServerFactory,
  UpgradeAnswer,
} from './socket-server/port.ts';
import type { UpgradeRequest } from './socket-server/port.ts';

/** Each sweep looks at a part of the sessions, so that none of them takes long. */
const SWEEP_MS = 250;
const SWEEP_PARTS = 4;
const RETRY_AFTER_SECONDS = 5;
/** Of a listener that nobody means to enable again. */
const RETRY_AFTER_SECONDS_NEVER = 3600;
const DRAIN_STEP_MS = 50;
/** Longer than the longest backoff of a client: so long is who comes back told of the enable. */
const GREETING_MS = 60_000;

export interface ClientGatewayOptions extends GatewayRules {
  /**
   * A function where the services themselves need `gateway.fanout` first; called once, by `start`.
   */
  readonly services: Services | (() => Services);
  readonly runtime: Runtime;
  readonly log: Pick<Log, 'debug' | 'info' | 'warn' | 'error'>;
  readonly socketServerFactory: SocketServerFactory;
  /**
   * False while the store knows too little to deliver: a client goes to another node then, instead of
   * being deaf on this one, or being told old messages as they come in. Absent: always true.
   */
  readonly mayConnect?: (() => boolean) | undefined;
  /** Said to clients, unsigned 64 bits. */
  readonly nodeId: bigint;
  /** Host names that members advertise: what is allowed where a list is undefined. Undefined: any. */
  readonly advertised?: (() => ReadonlySet<string>) | undefined;
}

/** What its rules say may change while sessions are open. */
type OwnRoom = { -readonly [Key in keyof SessionRoom]: SessionRoom[Key] };

/** The client port: WebSocket connections, their sessions, and the delivery to them. */
export class ClientGateway {
  readonly counters = new GatewayCounters();
  readonly fanout: GatewayFanout;
  readonly #options: ClientGatewayOptions;
  #limits: GatewayLimits;
  #rules: GatewayRules;
  readonly #server: SocketServer<ClientSession>;
  readonly #sessions = new Map<number, ClientSession>();
  #services: Services | undefined;
  #room: OwnRoom | undefined;
  #sweepTimer: Timer | undefined;
  #sweepAt: IterableIterator<ClientSession> | undefined;
  #probe: { readonly channel: ChannelKey; readonly secret: Buffer } | undefined;
  #service: ServiceState = 'enabled';
  #retryAfterSeconds = RETRY_AFTER_SECONDS;
  /** Monotonic; undefined: it was never disabled. */
  #enabledAtMs: number | undefined;
  /** When what lingers of the connections before a disable is cut. */
  #cutTimer: Timer | undefined;
  readonly #onEmpty = new Set<() => void>();

  constructor(options: ClientGatewayOptions) {
    this.#options = options;
    this.#rules = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    const { frameBytesMax, queueBytesMax, idleSeconds } = this.#limits;
    this.#server = options.socketServerFactory<ClientSession>(
      {
        onUpgrade: (request) => this.#admit(request),
        onOpen: (socket) => {
          const session = new ClientSession(this.#room!, socket);
          socket.data = session;
          this.#sessions.set(session.id, session);
          this.counters.sockets += 1;
        },
        onMessage: (socket, bytes, binary) => {
          const session = socket.data!;
          if (session.state === 'PROBE' || this.#isProbe(session, bytes)) return;
          session.receive(bytes, binary);
        },
        onClose: (socket, code, reason) => this.#closed(socket.data!, code, reason),
      },
      { frameBytesMax, queueBytesMax, idleSeconds },
    );
    this.fanout = new GatewayFanout({
      server: this.#server,
      sessionOf: (id) => this.#sessions.get(id),
      registry: {
        sessionsOf: (uid) => this.#services?.sessions.sessionsOf(uid) ?? [],
        sessionsIn: (channel) => this.#services?.sessions.sessionsIn(channel) ?? 0,
        putRight: (channel) => this.#services?.sessions.putRight(channel),
      },
      counters: this.counters,
    });
  }

  get implementation(): 'uws' | 'ws' {
    return this.#server.implementation;
  }

  /** Resolves with the port that is bound; rejects with `EADDRINUSE` where it is taken. */
  async start(host: string, port: number): Promise<number> {
    const { services, runtime, log, nodeId } = this.#options;
    const { auth } = this.#rules;
    this.#services = typeof services === 'function' ? services() : services;
    this.#room = {
      services: this.#services,
      runtime,
      log,
      auth,
      nodeId,
      limits: this.#limits,
      counters: this.counters,
      jsonRpc: jsonRpcDialect,
      wkproto: wkprotoDialect,
      members: this.fanout,
      coarseNowMs: Math.floor(runtime.clock.monotonicMs()),
      greetings: () => this.#greetings(),
    };
    const bound = await this.#server.listen(host, port);
    this.#sweepTimer = runtime.timers.after(SWEEP_MS, () => this.#sweep());
    log.info('client gateway listens', { host, port: bound, sockets: this.implementation });
    return bound;
  }

  /** Binds another address beside the one before; open sessions stay. Rejects as `start` does. */
  rebind(host: string, port: number): Promise<Rebinding> {
    return this.#server.rebind(host, port);
  }

  /**
   * Takes other rules while it runs; open sessions stay, and see what `setLimits` of the sockets says.
   * Throws, and keeps the rules of before, where the port could not be bound again.
   */
  setRules(rules: GatewayRules): void {
    const limits = { ...DEFAULT_LIMITS, ...rules.limits };
    const { frameBytesMax, queueBytesMax, idleSeconds } = limits;
    this.#server.setLimits({ frameBytesMax, queueBytesMax, idleSeconds });
    this.#limits = limits;
    this.#rules = rules;
    if (this.#room) Object.assign(this.#room, { limits, auth: rules.auth });
  }

  /** S3-5: ends all sessions with 1008 that came in by what is not enough any more; how many. */
  endUnproven(reason: string): number {
    const sessions = [...this.#sessions.values()].filter(({ role }) => role !== 'probe');
    for (const session of sessions) session.end(CLOSE.policy, reason);
    return sessions.length;
  }

  /**
   * From now on a first frame of this text makes its connection the one member of `channel`, and no
   * session: it is in no list, and counts in no figure but the open sockets.
   */
  expectProbe(channel: ChannelKey, secret: string): void {
    this.#probe = { channel, secret: Buffer.from(secret) };
  }

  #isProbe(session: ClientSession, bytes: Uint8Array): boolean {
    const { secret, channel } = this.#probe ?? {};
    if (session.state !== 'OPENING' || session.dialect || !secret || !channel) return false;
    if (bytes.length !== secret.length || !timingSafeEqual(bytes, secret)) return false;
    session.state = 'PROBE';
    session.role = 'probe';
    session.socket.join(channel);
    return true;
  }

  /** False where every upgrade is refused now. */
  get takesConnections(): boolean {
    return this.#service === 'enabled' && this.#options.mayConnect?.() !== false;
  }

  get service(): ServiceState {
    return this.#service;
  }

  /**
   * S3-1: refuses upgrades with 503 (the port stays bound), tells every client, sends the Close frames,
   * waits, terminates, and knows nothing of the old connections when it resolves; what lingers below
   * (a client that does not answer the Close frame, one that never asked for an upgrade) goes when
   * `terminateAfterMs` are over. Doing it twice is harmless: the later `retryAfterSeconds` counts.
   */
  async disable({ retryAfterSeconds, terminateAfterMs }: DisableOptions): Promise<Ended> {
    this.#retryAfterSeconds = retryAfterSeconds || RETRY_AFTER_SECONDS_NEVER;
    if (this.#service !== 'stopping') this.#service = 'disabled';
    const sessions = [...this.#sessions.values()];
    const { runtime } = this.#options;
    this.#cutTimer?.cancel();
    const cutAtMs = runtime.clock.monotonicMs() + terminateAfterMs;
    sendAway(sessions, runtime, disableFarewell(retryAfterSeconds));
    const terminated = await this.#ended(terminateAfterMs, sessions);
    this.#cutTimer?.cancel();
    const leftMs = cutAtMs - runtime.clock.monotonicMs();
    if (leftMs <= 0) this.#cut();
    else this.#cutTimer = runtime.timers.after(leftMs, () => this.#cut());
    return { connections: sessions.length, terminated };
  }

  /** Not of a listener that was enabled meanwhile: it may have new ones. */
  #cut(): void {
    if (this.#service !== 'disabled') return;
    try {
      this.#server.cut();
    } catch (error) {
      this.#options.log.error('the client port is lost, restart the node', { error });
    }
  }

  /** Takes clients again, also those of a drain that goes on: it ends no more of them. */
  enable(): void {
    if (this.#service !== 'disabled' && this.#service !== 'draining') return;
    this.#service = 'enabled';
    this.#cutTimer?.cancel();
    this.#enabledAtMs = this.#options.runtime.clock.monotonicMs();
  }

  /** Ends sessions at the given pace; resolves when all have gone, or the drain was called off. */
  async drain({ sessionsPerSecond, next, withinMs }: DrainOptions): Promise<Ended> {
    const { runtime } = this.#options;
    if (this.#service !== 'enabled') return { connections: 0, terminated: 0 };
    this.#service = 'draining';
    this.#retryAfterSeconds = RETRY_AFTER_SECONDS;
    const all = [...this.#sessions.values()];
    const endsAtMs = runtime.clock.monotonicMs() + withinMs;
    const step = Math.max(1, Math.ceil((sessionsPerSecond * DRAIN_STEP_MS) / 1000));
    for (let [at, turn] = [0, 0]; at < all.length; turn++) {
      const first = next.length === 0 ? 0 : turn % next.length;
      // Not all to the same one.
      const farewell = drainFarewell([...next.slice(first), ...next.slice(0, first)]);
      const isLate = runtime.clock.monotonicMs() >= endsAtMs;
      const batch = all.slice(at, isLate ? undefined : at + step);
      sendAway(batch, runtime, farewell);
      at += batch.length;
      if (at < all.length) await this.#pause(DRAIN_STEP_MS);
      if (this.#service !== 'draining') return { connections: at, terminated: 0 };
    }
    const leftMs = Math.max(0, endsAtMs - runtime.clock.monotonicMs());
    return { connections: all.length, terminated: await this.#ended(leftMs, all) };
  }

  /**
   * Ends every connection with 1012, so that clients come back, elsewhere; terminates what is left
   * after `graceMs`.
   */
  async stop(graceMs: number): Promise<void> {
    this.#service = 'stopping';
    this.#server.stopListening();
    for (const session of this.#sessions.values()) {
      session.end(CLOSE.serviceRestart, 'service restart');
    }
    await this.#ended(graceMs, []);
    this.#sweepTimer?.cancel();
    this.#cutTimer?.cancel();
    await this.#server.close();
  }

  /** Waits until every socket has gone; then those of `sessions` that stay are terminated. */
  async #ended(withinMs: number, sessions: readonly ClientSession[]): Promise<number> {
    if (this.#sessions.size === 0) return 0;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        timer.cancel();
        this.#onEmpty.delete(done);
        resolve();
      };
      const timer = this.#options.runtime.timers.after(withinMs, done);
      this.#onEmpty.add(done);
    });
    const left = sessions.filter(({ id }) => this.#sessions.has(id));
    for (const { socket } of left) socket.terminate();
    return left.length;
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#options.runtime.timers.after(delayMs, resolve);
    });
  }

  /** S3-4: who comes back after an enable hears of it. */
  #greetings(): readonly string[] {
    if (this.#enabledAtMs === undefined) return [];
    const { runtime } = this.#options;
    if (runtime.clock.monotonicMs() - this.#enabledAtMs > GREETING_MS) {
      this.#enabledAtMs = undefined;
      return [];
    }
    return ['connect', 'enable'].map((kind) =>
      lifecycleFrame(runtime, `lifecycle.${kind}`, { sub_type: kind }),
    );
  }

  #admit(request: UpgradeRequest): UpgradeAnswer {
    const answer = this.#mayUpgrade(request);
    if (!answer.accept) this.counters.upgradesRefused += 1;
    return answer;
  }

  #mayUpgrade(request: UpgradeRequest): UpgradeAnswer {
    if (this.#service !== 'enabled') {
      const text = this.#service === 'disabled' ? 'This listener' : 'This node';
      return busy(`${text} is ${this.#service}.`, this.#retryAfterSeconds);
    }
    if (this.#options.mayConnect?.() === false) {
      return busy('This node is catching up with its cluster.', RETRY_AFTER_SECONDS);
    }
    if (this.#sessions.size >= this.#limits.sessionsMax) {
      return busy('This node has as many sessions as it may.', RETRY_AFTER_SECONDS);
    }
    return admitUpgrade(request, {
      originsAllowed: this.#rules.originsAllowed,
      hostsAllowed: this.#rules.hostsAllowed,
      advertised: this.#options.advertised,
    });
  }

  #closed(session: ClientSession, code: number, reason: string): void {
    this.#sessions.delete(session.id);
    this.counters.sockets -= 1;
    session.closed(code, reason);
    if (this.#sessions.size === 0) for (const done of this.#onEmpty) done();
  }

  /** One timer for all: deadlines of connect, and queues that grow. */
  #sweep(): void {
    this.#sweepTimer = this.#options.runtime.timers.after(SWEEP_MS, () => this.#sweep());
    const now = Math.floor(this.#options.runtime.clock.monotonicMs());
    this.#room!.coarseNowMs = now;
    let left = Math.ceil(this.#sessions.size / SWEEP_PARTS);
    while (left-- > 0) {
      this.#sweepAt ??= this.#sessions.values();
      const next = this.#sweepAt.next();
      if (next.done) this.#sweepAt = undefined;
      else this.#check(next.value, now);
    }
  }

  #check(session: ClientSession, nowMs: number): void {
    const { connectWithinMs, queueSoftBytesMax } = this.#limits;
    if (session.state === 'OPENING' && nowMs - session.openedAtMs > connectWithinMs) {
      session.end(CLOSE.policy, `no connect within ${connectWithinMs} ms`);
    } else if (session.state === 'CONNECTED') {
      if (session.socket.bufferedBytes() <= queueSoftBytesMax) return;
      this.counters.slow += 1;
      session.end(CLOSE.tryLater, 'slow consumer');
    }
  }
}
