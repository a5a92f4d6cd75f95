import { once } from 'node:events';
import { STATUS_CODES } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import type { TlsSource } from '../../config/certificate.ts';
import { UwsApps, type UwsApp, type UwsGround } from './uws-apps.ts';
import { loadNative, type NativeSocket } from './uws-native.ts';
import type { NativeRequest, NativeResponse } from './uws-native.ts';
import { ENDING_MS } from './port.ts';
import type { Rebinding, Socket, SocketHandlers, SocketLimits, SocketServer } from './port.ts';
import { nextSocketId } from './socket-id.ts';

/**
 * uWS closes with 1006 and without a Close frame what is over its own limit. So its limit is set
 * well
 * above ours, which we apply ourselves with 1009; only frames over this one end without a Close
 * frame.
 */
const NATIVE_FRAME_BYTES_MIN = 4 * 1024 * 1024;
const DROPPED = 2;
const PORT_ATTEMPTS_MAX = 5;
/** How often sockets that were ended are looked at, beside what uWS tells of them. */
const ENDING_CHECK_MS = 250;
/** Frames that wait for the end of the tick; with more the socket writes at once. */
const GATHERED_MAX = 64;
/** uWS drops what it has not written yet of a socket that leaves its last topic; so it never does. */
const LAST_TOPIC = '\u0000last';

interface Holder<Data> extends NativeSocket {
  socket?: UwsSocket<Data>;
}

/** Throws `ERR_UWS_MISSING` where the native binary does not exist for this Node. */
export function createUwsServer<Data>(
  handlers: SocketHandlers<Data>,
  limits: SocketLimits,
  tls?: TlsSource,
): SocketServer<Data> {
  const native = loadNative();
  if (!native) {
    throw Object.assign(new Error(`no uWebSockets.js binary for Node ${process.version}`), {
      code: 'ERR_UWS_MISSING',
    });
  }
  return new UwsServer({ native, tls }, handlers, limits);
}

/** uWS counts in steps of 4 s, and ends the process for anything below 8 s or above 960 s. */
export function uwsIdleSeconds(idleSeconds: number): number {
  if (idleSeconds <= 0) return 0;
  return Math.min(960, Math.max(8, Math.ceil(idleSeconds / 4) * 4));
}

class UwsSocket<Data> implements Socket<Data> {
  readonly id = nextSocketId();
  readonly remoteAddress: string;
  data: Data | undefined;
  /** Undefined once closed: uWS throws at any call on a closed socket. */
  native: NativeSocket | undefined;
  readonly app: UwsApp;
  readonly #server: UwsServer<Data>;
  #gathered: (Uint8Array | string)[] | undefined = undefined;
  /** Why it was ended, while its queue is not empty yet. */
  ending: { readonly code: number; readonly reason: string; readonly byMs: number } | undefined;

  constructor(server: UwsServer<Data>, app: UwsApp, native: NativeSocket) {
    this.#server = server;
    this.app = app;
    this.native = native;
    this.data = undefined;
    this.ending = undefined;
    this.remoteAddress = server.shared(addressText(native.getRemoteAddressAsText()));
  }

  send(frame: Uint8Array | string): boolean {
    if (!this.native || this.ending) return false;
    // While uWS delivers a message of this socket it gathers by itself.
    if (this.#server.handling === this && !this.#gathered) return this.#sendNow(frame);
    this.#server.flushBeforePublish = true;
    this.#gather(frame);
    return true;
  }

  answer(frame: Uint8Array | string): void {
    if (!this.native || this.ending) return;
    if (this.#server.handling === this && !this.#gathered) this.#sendNow(frame);
    else this.#gather(frame);
  }

  #gather(frame: Uint8Array | string): void {
    if (!this.#gathered) {
      this.#gathered = [frame];
      this.#server.flushLater(this);
    } else if (this.#gathered.push(frame) >= GATHERED_MAX) this.flush();
  }

  /** Answers that became ready in one tick, as after a group commit, leave in one write. */
  flush(): void {
    const frames = this.#gathered;
    this.#gathered = undefined;
    if (!frames || !this.native) return;
    if (frames.length === 1) this.#sendNow(frames[0]!);
    else this.native.cork(() => frames.forEach((frame) => this.#sendNow(frame)));
  }

  #sendNow(frame: Uint8Array | string): boolean {
    return this.native?.send(frame, typeof frame !== 'string') !== DROPPED;
  }

  join(topic: string): void {
    if (!this.ending) this.native?.subscribe(topic);
  }

  leave(topic: string): void {
    this.native?.subscribe(LAST_TOPIC);
    this.native?.unsubscribe(topic);
  }

  isIn(topic: string): boolean {
    return this.native?.isSubscribed(topic) ?? false;
  }

  topics(): readonly string[] {
    const topics = this.native?.getTopics() ?? [];
    return topics.includes(LAST_TOPIC) ? topics.filter((topic) => topic !== LAST_TOPIC) : topics;
  }

  bufferedBytes(): number {
    return this.ending ? 0 : (this.native?.getBufferedAmount() ?? 0);
  }

  /**
   * uWS forgets a socket as soon as it is told to end it, whatever is queued, and then nothing can close
   * it before its idle limit. So it is told when all else is sent, and until then this side keeps it.
   */
  end(code: number, reason: string): void {
    if (this.ending) return;
    this.flush();
    if (!this.native) return;
    if (this.native.getBufferedAmount() === 0) {
      this.native.end(code, reason);
      return;
    }
    for (const topic of this.topics()) this.leave(topic);
    this.ending = { code, reason, byMs: performance.now() + ENDING_MS };
    this.#server.endLater(this);
  }

  /** To be called again until it has gone. */
  endWhereSent(): void {
    if (!this.native || !this.ending) return;
    const { code, reason, byMs } = this.ending;
    if (this.native.getBufferedAmount() === 0) this.native.end(code, reason);
    else if (performance.now() >= byMs) this.native.close();
  }

  terminate(): void {
    this.native?.close();
  }
}

class UwsServer<Data> implements SocketServer<Data> {
  readonly implementation = 'uws';
  readonly #apps: UwsApps;
  readonly #handlers: SocketHandlers<Data>;
  #limits: SocketLimits;
  readonly #sockets = new Set<UwsSocket<Data>>();
  #unflushed: UwsSocket<Data>[] = [];
  /** Ended, with bytes that wait. */
  readonly #ending = new Set<UwsSocket<Data>>();
  #endingTimer: NodeJS.Timeout | undefined;
  #lastAddress = '';
  /** The socket whose message is being handled. */
  handling: UwsSocket<Data> | undefined = undefined;
  /** Something other than answers is gathered. */
  flushBeforePublish = false;

  constructor(ground: UwsGround, handlers: SocketHandlers<Data>, limits: SocketLimits) {
    const { native } = ground;
    this.#handlers = handlers;
    this.#limits = limits;
    const behave = (app: UwsApp): void => {
      const { frameBytesMax, queueBytesMax, idleSeconds } = this.#limits;
      app.native.ws<Holder<Data>>('/*', {
        compression: native.DISABLED,
        maxPayloadLength: Math.max(NATIVE_FRAME_BYTES_MIN, 4 * frameBytesMax),
        maxBackpressure: queueBytesMax,
        // Otherwise this version drops frames in silence.
        closeOnBackpressureLimit: true,
        idleTimeout: uwsIdleSeconds(idleSeconds),
        sendPingsAutomatically: false,
        upgrade: (response, request, context) => this.#upgrade(response, request, context),
        open: (holder) => this.#open(holder, app),
        message: (holder, message, isBinary) => this.#message(holder, message, isBinary),
        drain: ({ socket }) => socket?.endWhereSent(),
        close: (holder, code, message) => this.#closed(holder, code, message),
      });
      app.native.any('/*', (response) => {
        response
          .writeStatus('426 Upgrade Required')
          .writeHeader('upgrade', 'websocket')
          .end('This port speaks WebSocket.\n', true);
      });
    };
    this.#apps = new UwsApps(ground, behave);
  }

  async listen(host: string, port: number): Promise<number> {
    if (port !== 0) return this.#apps.listen(host, port);
    for (let attempt = 1; ; attempt++) {
      try {
        return this.#apps.listen(host, await freePort(host));
      } catch (error) {
        if (attempt === PORT_ATTEMPTS_MAX) throw error;
      }
    }
  }

  async rebind(host: string, port: number): Promise<Rebinding> {
    return this.#apps.rebind(host, port === 0 ? await freePort(host) : port);
  }

  setLimits(limits: SocketLimits): void {
    const before = this.#limits;
    this.#limits = limits;
    // What is checked here needs no new app.
    const { idleSeconds, queueBytesMax } = before;
    const isNative =
      idleSeconds !== limits.idleSeconds ||
      queueBytesMax !== limits.queueBytesMax ||
      limits.frameBytesMax > before.frameBytesMax;
    if (!isNative) return;
    try {
      this.#apps.renew();
    } catch (error) {
      this.#limits = before;
      throw error;
    }
  }

  /** Many clients come from one address, of a proxy or a test: then they share its text. */
  shared(address: string): string {
    if (address !== this.#lastAddress) this.#lastAddress = address;
    return this.#lastAddress;
  }

  flushLater(socket: UwsSocket<Data>): void {
    if (this.#unflushed.push(socket) === 1) setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.flushBeforePublish = false;
    const sockets = this.#unflushed;
    if (sockets.length === 0) return;
    this.#unflushed = [];
    for (const socket of sockets) socket.flush();
  }

  endLater(socket: UwsSocket<Data>): void {
    this.#ending.add(socket);
    this.#endingTimer ??= setInterval(() => {
      for (const each of this.#ending) each.endWhereSent();
    }, ENDING_CHECK_MS).unref();
  }

  publish(topic: string, frame: Uint8Array | string): void {
    // What was sent before goes out before.
    if (this.flushBeforePublish) this.#flush();
    this.#apps.publish(topic, frame);
  }

  publishExcept(except: Socket<Data>, topic: string, frame: Uint8Array | string): void {
    if (this.flushBeforePublish) this.#flush();
    const { native, app } = except as UwsSocket<Data>;
    // A socket without any topic publishes nothing, so one outside the topic must not be the
    // sender.
    if (!native?.isSubscribed(topic)) return this.publish(topic, frame);
    native.publish(topic, frame, typeof frame !== 'string');
    this.#apps.publish(topic, frame, app);
  }

  memberCount(topic: string): number {
    return this.#apps.memberCount(topic);
  }

  stopListening(): void {
    this.#apps.stopListening();
  }

  cut(): void {
    for (const socket of this.#sockets) socket.terminate();
    this.#apps.cut();
  }

  close(): Promise<void> {
    for (const socket of this.#sockets) socket.terminate();
    this.#apps.close();
    return Promise.resolve();
  }

  #upgrade(response: NativeResponse, request: NativeRequest, context: object): void {
    const answer = this.#handlers.onUpgrade({
      path: request.getUrl(),
      query: request.getQuery() ?? '',
      origin: request.getHeader('origin') || undefined,
      host: request.getHeader('host') || undefined,
      remoteAddress: addressText(response.getRemoteAddressAsText()),
    });
    if (!answer.accept) {
      response.writeStatus(`${answer.status} ${STATUS_CODES[answer.status] ?? 'Refused'}`);
      for (const [name, value] of Object.entries(answer.headers ?? {})) {
        response.writeHeader(name, value);
      }
      response.end(answer.body, true);
      return;
    }
    const protocols = request.getHeader('sec-websocket-protocol');
    response.upgrade(
      {},
      request.getHeader('sec-websocket-key'),
      // uWS would echo the whole list; a client accepts only one of those that it offered.
      protocols.split(',')[0]!.trim(),
      request.getHeader('sec-websocket-extensions'),
      context,
    );
  }

  #open(holder: Holder<Data>, app: UwsApp): void {
    const socket = new UwsSocket(this, app, holder);
    this.#apps.opened(app);
    holder.socket = socket;
    this.#sockets.add(socket);
    this.#handlers.onOpen(socket);
  }

  #message(holder: Holder<Data>, message: ArrayBuffer, isBinary: boolean): void {
    const socket = holder.socket!;
    if (socket.ending) return;
    const { frameBytesMax } = this.#limits;
    if (message.byteLength > frameBytesMax) {
      socket.end(1009, `frame of ${message.byteLength} bytes, at most ${frameBytesMax}`);
      return;
    }
    this.handling = socket;
    this.#handlers.onMessage(socket, new Uint8Array(message), isBinary);
    this.handling = undefined;
  }

  #closed(holder: Holder<Data>, code: number, message: ArrayBuffer): void {
    const socket = holder.socket!;
    socket.native = undefined;
    this.#sockets.delete(socket);
    this.#apps.closed(socket.app);
    if (this.#ending.delete(socket) && this.#ending.size === 0) {
      clearInterval(this.#endingTimer);
      this.#endingTimer = undefined;
    }
    const ended = socket.ending ?? { code, reason: Buffer.from(message).toString() };
    this.#handlers.onClose(socket, ended.code, ended.reason);
  }
}

/**
 * uWS leaves SO_REUSEADDR out where it is given port 0, and then nobody can bind that port again
 * while
 * an accepted connection lives. So a port that the system picked is given to it as a chosen one.
 */
async function freePort(host: string): Promise<number> {
  const probe = createServer();
  probe.listen(0, host);
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

const MAPPED_IPV4 = /^(?:0000:){5}ffff:([0-9a-f]{2})([0-9a-f]{2}):([0-9a-f]{2})([0-9a-f]{2})$/;

function addressText(bytes: ArrayBuffer): string {
  const text = Buffer.from(bytes).toString();
  const mapped = MAPPED_IPV4.exec(text);
  if (!mapped) return text;
  return mapped
    .slice(1)
    .map((byte) => Number.parseInt(byte, 16))
    .join('.');
}
