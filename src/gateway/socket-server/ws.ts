import { createServer, STATUS_CODES } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import type { TlsMaterial, TlsSource } from '../../config/certificate.ts';
import { ENDING_MS } from './port.ts';
import type { Rebinding, Socket, SocketHandlers, SocketLimits, SocketServer } from './port.ts';
import { nextSocketId } from './socket-id.ts';

const OPEN = 1;
const TEXT = 0x81;
const BINARY = 0x82;
/** How often idle sockets are looked for, as a part of the limit. */
const IDLE_CHECKS = 4;
/** A connection that has not agreed on a key by then is cut. */
const HANDSHAKE_MS = 10_000;
const PAYLOAD_BYTES_MIN = 4 * 1024 * 1024;

export function createWsServer<Data>(
  handlers: SocketHandlers<Data>,
  limits: SocketLimits,
  tls?: TlsSource,
): SocketServer<Data> {
  return new WsServer(handlers, limits, tls);
}

/** One unmasked server frame. It is the same for every receiver, so a publish builds it once. */
function frameBytes(frame: Uint8Array | string): Buffer {
  const first = typeof frame === 'string' ? TEXT : BINARY;
  const body = typeof frame === 'string' ? Buffer.from(frame) : frame;
  const header = body.length < 126 ? 2 : body.length < 65_536 ? 4 : 10;
  const bytes = Buffer.allocUnsafe(header + body.length);
  bytes[0] = first;
  if (header === 2) bytes[1] = body.length;
  else if (header === 4) {
    bytes[1] = 126;
    bytes.writeUInt16BE(body.length, 2);
  } else {
    bytes[1] = 127;
    bytes.writeBigUInt64BE(BigInt(body.length), 2);
  }
  bytes.set(body, header);
  return bytes;
}

class WsSocket<Data> implements Socket<Data> {
  readonly id = nextSocketId();
  readonly remoteAddress: string;
  data: Data | undefined = undefined;
  heardAtMs = performance.now();
  /** What ended it from this side; the peer's echo says less. */
  ended: { readonly code: number; readonly reason: string } | undefined = undefined;
  readonly joined = new Set<string>();
  readonly #server: WsServer<Data>;
  readonly #ws: WebSocket;
  readonly #wire: Duplex;

  constructor(server: WsServer<Data>, ws: WebSocket, wire: Duplex & { remoteAddress?: string }) {
    this.#server = server;
    this.#ws = ws;
    this.#wire = wire;
    this.remoteAddress = (wire.remoteAddress ?? '').replace(/^::ffff:/, '');
  }

  send(frame: Uint8Array | string): boolean {
    return this.write(frameBytes(frame));
  }

  answer(frame: Uint8Array | string): void {
    this.send(frame);
  }

  /**
   * Writes past ws, which has no queue of its own without compression; frames of a tick go
   * together.
   */
  write(bytes: Buffer): boolean {
    if (this.#ws.readyState !== OPEN) return false;
    if (this.#wire.writableLength + bytes.length > this.#server.limits.queueBytesMax) {
      this.ended = { code: 1006, reason: 'queue over the hard limit' };
      this.#ws.terminate();
      return false;
    }
    if (this.#wire.writableCorked === 0) {
      this.#wire.cork();
      this.#server.uncorkLater(this);
    }
    this.#wire.write(bytes);
    return true;
  }

  uncork(): void {
    this.#wire.uncork();
  }

  join(topic: string): void {
    if (this.#ws.readyState === OPEN) this.#server.join(this, topic);
  }

  leave(topic: string): void {
    this.#server.leave(this, topic);
  }

  isIn(topic: string): boolean {
    return this.joined.has(topic);
  }

  topics(): readonly string[] {
    return [...this.joined];
  }

  bufferedBytes(): number {
    return this.#ws.readyState === OPEN ? this.#wire.writableLength : 0;
  }

  end(code: number, reason: string): void {
    if (this.#ws.readyState !== OPEN) return;
    this.ended = { code, reason };
    this.#leaveAll();
    this.#ws.close(code, reason);
  }

  terminate(reason = ''): void {
    this.ended ??= { code: 1006, reason };
    this.#leaveAll();
    this.#ws.terminate();
  }

  /** Whoever was ended from this side counts as a member no more, though its socket lingers. */
  #leaveAll(): void {
    for (const topic of this.topics()) this.leave(topic);
  }
}

function createListener(tls: TlsSource | undefined): Server {
  if (!tls) return createServer();
  const https = createHttpsServer({ ...contextOf(tls.current()), handshakeTimeout: HANDSHAKE_MS });
  return https.on('tlsClientError', () => tls.handshakeFailed?.());
}

function contextOf({ certificate, key }: TlsMaterial) {
  return { cert: certificate, key, minVersion: 'TLSv1.2' } as const;
}

/** What the library refuses by itself: above ours, which may change while a socket is open. */
function payloadBytesMax({ frameBytesMax }: SocketLimits): number {
  return Math.max(PAYLOAD_BYTES_MIN, 4 * frameBytesMax);
}

function listenAt(http: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    http.once('error', reject);
    http.listen(port, host, () => {
      http.off('error', reject);
      resolve((http.address() as AddressInfo).port);
    });
  });
}

class WsServer<Data> implements SocketServer<Data> {
  readonly implementation = 'ws';
  limits: SocketLimits;
  readonly #handlers: SocketHandlers<Data>;
  readonly #tls: TlsSource | undefined;
  #http: Server;
  readonly #wss: WebSocketServer;
  readonly #sockets = new Set<WsSocket<Data>>();
  readonly #topics = new Map<string, Set<WsSocket<Data>>>();
  /** Every connection, also before its upgrade and after a refused one, which http forgets. */
  readonly #wires = new Set<Duplex>();
  readonly #forgetTls: (() => void) | undefined;
  #idleTimer: NodeJS.Timeout | undefined;
  #corked: WsSocket<Data>[] = [];
  #onEmpty: (() => void) | undefined;

  constructor(handlers: SocketHandlers<Data>, limits: SocketLimits, tls?: TlsSource) {
    this.#handlers = handlers;
    this.limits = limits;
    this.#tls = tls;
    this.#http = this.#createHttp();
    this.#forgetTls = tls?.onChange((material) =>
      (this.#http as HttpsServer).setSecureContext(contextOf(material)),
    );
    this.#wss = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: payloadBytesMax(limits),
      ...{ closeTimeout: ENDING_MS },
    });
    this.#checkIdle();
  }

  #createHttp(): Server {
    const http = createListener(this.#tls);
    http.on('request', (_request, response: ServerResponse) => {
      response.writeHead(426, { upgrade: 'websocket', connection: 'close' });
      response.end('This port speaks WebSocket.\n');
    });
    http.on('upgrade', (request, wire, head) => this.#upgrade(request, wire, head));
    http.on('connection', (wire: Duplex) => {
      this.#wires.add(wire);
      wire.on('close', () => this.#wires.delete(wire));
    });
    return http;
  }

  #checkIdle(): void {
    clearInterval(this.#idleTimer);
    const { idleSeconds } = this.limits;
    if (idleSeconds === 0) return;
    const everyMs = (idleSeconds * 1000) / IDLE_CHECKS;
    this.#idleTimer = setInterval(() => this.#endIdle(), everyMs).unref();
  }

  listen(host: string, port: number): Promise<number> {
    return listenAt(this.#http, host, port);
  }

  /** As in uws-apps.ts: where only the host differs the address before is let go first. */
  async rebind(host: string, port: number): Promise<Rebinding> {
    const before = this.#http;
    const address = before.address() as AddressInfo | null;
    const inTheWay = address?.port === port;
    const again = () => (inTheWay ? listenAt(before, address.address, port) : undefined);
    if (inTheWay) before.close();
    const http = this.#createHttp();
    const bound = await listenAt(http, host, port).catch(async (error: unknown) => {
      await again();
      throw error;
    });
    return {
      port: bound,
      commit: () => {
        this.#http = http;
        if (!inTheWay) before.close();
      },
      abort: async () => {
        http.close();
        await again();
      },
    };
  }

  setLimits(limits: SocketLimits): void {
    this.limits = limits;
    this.#wss.options.maxPayload = payloadBytesMax(limits);
    this.#checkIdle();
  }

  publish(topic: string, frame: Uint8Array | string): void {
    this.#publish(undefined, topic, frame);
  }

  publishExcept(except: Socket<Data>, topic: string, frame: Uint8Array | string): void {
    this.#publish(except, topic, frame);
  }

  memberCount(topic: string): number {
    return this.#topics.get(topic)?.size ?? 0;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.terminate();
    for (const wire of this.#wires) wire.destroy();
  }

  stopListening(): void {
    this.#http.close();
  }

  async close(): Promise<void> {
    clearInterval(this.#idleTimer);
    this.#forgetTls?.();
    this.#http.close();
    this.cut();
    if (this.#sockets.size > 0) await new Promise<void>((resolve) => (this.#onEmpty = resolve));
  }

  join(socket: WsSocket<Data>, topic: string): void {
    let members = this.#topics.get(topic);
    if (!members) this.#topics.set(topic, (members = new Set()));
    members.add(socket);
    socket.joined.add(topic);
  }

  leave(socket: WsSocket<Data>, topic: string): void {
    socket.joined.delete(topic);
    const members = this.#topics.get(topic);
    if (members?.delete(socket) && members.size === 0) this.#topics.delete(topic);
  }

  uncorkLater(socket: WsSocket<Data>): void {
    if (this.#corked.push(socket) === 1) setImmediate(() => this.#uncork());
  }

  #uncork(): void {
    const corked = this.#corked;
    this.#corked = [];
    for (const socket of corked) socket.uncork();
  }

  #publish(except: Socket<Data> | undefined, topic: string, frame: Uint8Array | string): void {
    const members = this.#topics.get(topic);
    if (!members) return;
    const bytes = frameBytes(frame);
    for (const socket of members) if (socket !== except) socket.write(bytes);
  }

  #upgrade(request: IncomingMessage, wire: Duplex, head: Buffer): void {
    // A client that goes during the upgrade must not end the process.
    wire.on('error', () => wire.destroy());
    const url = request.url ?? '/';
    const query = url.indexOf('?');
    const answer = this.#handlers.onUpgrade({
      path: query < 0 ? url : url.slice(0, query),
      query: query < 0 ? '' : url.slice(query + 1),
      origin: request.headers.origin,
      host: request.headers.host,
      remoteAddress: (request.socket.remoteAddress ?? '').replace(/^::ffff:/, ''),
    });
    if (answer.accept) {
      this.#wss.handleUpgrade(request, wire, head, (ws) => this.#open(ws, wire));
      return;
    }
    const headers = { ...answer.headers, connection: 'close' };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    wire.end(
      `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status] ?? 'Refused'}\r\n${lines.join('')}` +
        `content-length: ${Buffer.byteLength(answer.body)}\r\n\r\n${answer.body}`,
    );
  }

  #open(ws: WebSocket, wire: Duplex): void {
    const socket = new WsSocket(this, ws, wire);
    const heard = (): void => void (socket.heardAtMs = performance.now());
    this.#sockets.add(socket);
    ws.on('message', (bytes: Buffer, isBinary) => {
      heard();
      if (socket.ended) return;
      const { frameBytesMax } = this.limits;
      if (bytes.byteLength > frameBytesMax) {
        socket.end(1009, `frame of ${bytes.byteLength} bytes, at most ${frameBytesMax}`);
      } else this.#handlers.onMessage(socket, bytes, isBinary);
    });
    ws.on('ping', heard).on('pong', heard);
    ws.on('error', (error: Error & { code?: string }) => {
      if (error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') {
        socket.ended ??= { code: 1009, reason: `frame over ${this.limits.frameBytesMax} bytes` };
      }
    });
    ws.on('close', (code, reason) => {
      this.#sockets.delete(socket);
      for (const topic of socket.topics()) this.leave(socket, topic);
      const ended = socket.ended;
      this.#handlers.onClose(socket, ended?.code ?? code, ended?.reason ?? reason.toString());
      if (this.#sockets.size === 0) this.#onEmpty?.();
    });
    this.#handlers.onOpen(socket);
  }

  #endIdle(): void {
    const oldest = performance.now() - this.limits.idleSeconds * 1000;
    for (const socket of this.#sockets) {
      if (socket.heardAtMs < oldest) socket.terminate('nothing heard within the idle limit');
    }
  }
}
