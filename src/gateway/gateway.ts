import { timingSafeEqual } from 'node:crypto';
import type { ChannelKey } from '../core/ids.ts';
import type { Services } from '../messaging/port.ts';
import type { Log } from '../observability/log.ts';
import type { Runtime, Timer } from '../runtime/port.ts';
import { admitUpgrade, busy } from './admission.ts';
import { GatewayCounters } from './counters.ts';
import { GatewayFanout } from './fanout.ts';
import { DEFAULT_LIMITS, type GatewayLimits } from './limits.ts';
import { jsonRpcDialect } from './session/json-rpc-dialect.ts';
import type { SessionRoom } from './session/room.ts';
import { CLOSE, ClientSession } from './session/session.ts';
import { wkprotoDialect } from './session/wkproto-dialect.ts';
import type { SocketServer, SocketServerFactory, UpgradeAnswer } from './socket-server/port.ts';
import type { UpgradeRequest } from './socket-server/port.ts';

/** Each sweep looks at a part of the sessions, so that none of them takes long. */
const SWEEP_MS = 250;
const SWEEP_PARTS = 4;
const RETRY_AFTER_SECONDS = 5;

export interface ClientGatewayOptions {
  /**
   * A function where the services themselves need `gateway.fanout` first; called once, by `start`.
   */
  readonly services: Services | (() => Services);
  readonly runtime: Runtime;
  readonly log: Pick<Log, 'debug' | 'info' | 'warn' | 'error'>;
  readonly socketServerFactory: SocketServerFactory;
  /** `none`: everyone is who they say. `token`: what `directory.checkToken` grants. */
  readonly auth: 'none' | 'token';
  /**
   * False while the store knows too little to deliver: a client goes to another node then, instead of
   * being deaf on this one, or being told old messages as they come in. Absent: always true.
   */
  readonly mayConnect?: (() => boolean) | undefined;
  /** Said to clients, unsigned 64 bits. */
  readonly nodeId: bigint;
  readonly limits?: Partial<GatewayLimits> | undefined;
  /** Lower case; undefined: those of this machine and of `advertised`. */
  readonly originsAllowed?: readonly string[] | undefined;
  readonly hostsAllowed?: readonly string[] | undefined;
  /** Host names that members advertise: what is allowed where a list is undefined. Undefined: any. */
  readonly advertised?: (() => ReadonlySet<string>) | undefined;
}

/** The client port: WebSocket connections, their sessions, and the delivery to them. */
export class ClientGateway {
  readonly counters = new GatewayCounters();
  readonly fanout: GatewayFanout;
  readonly #options: ClientGatewayOptions;
  readonly #limits: GatewayLimits;
  readonly #server: SocketServer<ClientSession>;
  readonly #sessions = new Map<number, ClientSession>();
  #services: Services | undefined;
  #room: (SessionRoom & { coarseNowMs: number }) | undefined;
  #sweepTimer: Timer | undefined;
  #sweepAt: IterableIterator<ClientSession> | undefined;
  #probe: { readonly channel: ChannelKey; readonly secret: Buffer } | undefined;
  #stopping = false;
  #onEmpty: (() => void) | undefined;

  constructor(options: ClientGatewayOptions) {
    this.#options = options;
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
    const { services, runtime, log, auth, nodeId } = this.#options;
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
    };
    const bound = await this.#server.listen(host, port);
    this.#sweepTimer = runtime.timers.after(SWEEP_MS, () => this.#sweep());
    log.info('client gateway listens', { host, port: bound, sockets: this.implementation });
    return bound;
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
    session.socket.join(channel);
    return true;
  }

  /**
   * Ends every connection with 1012, so that clients come back, elsewhere; terminates what is left
   * after `graceMs`.
   */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    this.#server.stopListening();
    for (const session of this.#sessions.values()) {
      session.end(CLOSE.serviceRestart, 'service restart');
    }
    if (this.#sessions.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = this.#options.runtime.timers.after(graceMs, resolve);
        this.#onEmpty = () => {
          timer.cancel();
          resolve();
        };
      });
    }
    this.#sweepTimer?.cancel();
    await this.#server.close();
  }

  #admit(request: UpgradeRequest): UpgradeAnswer {
    const answer = this.#mayUpgrade(request);
    if (!answer.accept) this.counters.upgradesRefused += 1;
    return answer;
  }

  #mayUpgrade(request: UpgradeRequest): UpgradeAnswer {
    if (this.#stopping) return busy('This node is stopping.', RETRY_AFTER_SECONDS);
    if (this.#options.mayConnect?.() === false) {
      return busy('This node is catching up with its cluster.', RETRY_AFTER_SECONDS);
    }
    if (this.#sessions.size >= this.#limits.sessionsMax) {
      return busy('This node has as many sessions as it may.', RETRY_AFTER_SECONDS);
    }
    return admitUpgrade(request, {
      originsAllowed: this.#options.originsAllowed,
      hostsAllowed: this.#options.hostsAllowed,
      advertised: this.#options.advertised,
    });
  }

  #closed(session: ClientSession, code: number, reason: string): void {
    this.#sessions.delete(session.id);
    this.counters.sockets -= 1;
    session.closed(code, reason);
    if (this.#sessions.size === 0) this.#onEmpty?.();
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
