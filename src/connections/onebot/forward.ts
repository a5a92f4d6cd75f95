import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { TlsMaterial } from '../../config/certificate.ts';
import type { ConnectionRow } from '../../core/kinds/connection.ts';
import type { ConnectionDriver, ConnectionTell, OpenConnection } from '../port.ts';
import { AccountNotes } from './account-notes.ts';
import { Bridge, type BridgeGround } from './bridge.ts';
import { readTarget, type BridgeRole, type BridgeTarget } from './target.ts';

const FRAME_BYTES_MAX = 1024 * 1024;
const LINKS_MAX = 64;
const RETRY_AFTER_SECONDS = 5;
/** A connection that has not agreed on a key by then is cut. */
const HANDSHAKE_MS = 10_000;
const ROLES: Readonly<Record<string, BridgeRole>> = {
  '/': 'Universal',
  '/api': 'API',
  '/event': 'Event',
};

/** Listens for the bot's framework, as a OneBot v11 implementation does in forward mode. */
export class ForwardDriver implements ConnectionDriver {
  readonly #ground: BridgeGround;
  readonly #listening = new Map<string, ForwardListener>();

  constructor(ground: BridgeGround) {
    this.#ground = ground;
  }

  check(text: string): string | undefined {
    const target = readTarget(text, 'forward');
    return typeof target === 'string' ? target : undefined;
  }

  open({ id, target: text }: ConnectionRow, tell: ConnectionTell): OpenConnection {
    const target = readTarget(text, 'forward');
    if (typeof target === 'string') throw new Error(`target: ${target}`);
    const { log } = this.#ground;
    const say = (to: 'CONNECTED' | 'TIMEOUT', reason: string): void => {
      tell({ to, reason }).catch((error: unknown) => {
        log.info('a report of a bridge was not taken', { to, error });
      });
    };
    const listener = this.#listening.get(id) ?? new ForwardListener(target, this.#ground);
    this.#listening.set(id, listener);
    const what = `listens on ${target.host}:${target.port}`;
    const notes = new AccountNotes({ ...this.#ground, what, tell });
    const bridge = new Bridge({
      ...{ ...this.#ground, id, target },
      onAccount: (state, reason) => {
        notes.onState(state, reason);
        if (state === 'refused') say('TIMEOUT', `the bot is not let in: ${reason}`);
      },
      onLinkClosed: (_why, left) => {
        if (left === 0) notes.idle();
      },
    });
    listener.listen(bridge).then(
      () => say('CONNECTED', what),
      (error: Error) => say('TIMEOUT', error.message),
    );
    return {
      close(reason) {
        notes.stop();
        listener.refuse();
        bridge.close(reason);
      },
    };
  }

  forget(id: string): void {
    this.#listening.get(id)?.stop();
    this.#listening.delete(id);
  }
}

/** A port that stays bound while its connection is kept: without a bridge it answers 503. */
class ForwardListener {
  readonly #target: BridgeTarget;
  readonly #ground: BridgeGround;
  readonly #sockets = new WebSocketServer({
    ...{ noServer: true, maxPayload: FRAME_BYTES_MAX, perMessageDeflate: false },
  });
  #server: Server | undefined;
  #forgetTls: (() => void) | undefined;
  #bridge: Bridge | undefined;
  #loggedMs = -Infinity;

  constructor(target: BridgeTarget, ground: BridgeGround) {
    this.#target = target;
    this.#ground = ground;
  }

  async listen(bridge: Bridge): Promise<void> {
    const { host, port } = this.#target;
    if (!this.#server) {
      const server = this.#createServer();
      server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
      await new Promise<void>((resolve, reject) => {
        server.once('error', (error) => {
          this.#forgetTls?.();
          reject(error);
        });
        server.listen(port, host, resolve);
      });
      this.#server = server;
    }
    this.#bridge = bridge;
  }

  /** Throws where TLS is asked for and this node has no certificate. */
  #createServer(): Server {
    const answer = (_request: IncomingMessage, response: ServerResponse): void => {
      response.writeHead(426, { 'content-type': 'text/plain' }).end('expected a WebSocket\n');
    };
    if (this.#target.tls === 'none') return createServer(answer);
    const { tls } = this.#ground;
    if (!tls) throw new Error('tls: this node has no certificate (listen.client.tls)');
    const https = createHttpsServer(tlsOptions(tls.current()), answer);
    https.on('tlsClientError', () => tls.handshakeFailed?.());
    this.#forgetTls = tls.onChange((material) => https.setSecureContext(tlsOptions(material)));
    return https;
  }

  /** Also cuts who has asked for nothing yet; the bridge closes those that it has. */
  refuse(): void {
    this.#bridge = undefined;
    this.#server?.closeAllConnections();
  }

  stop(): void {
    this.refuse();
    this.#forgetTls?.();
    this.#server?.close();
    this.#server = undefined;
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    // Not by URL, which throws at what strangers may send.
    const [whole = '/', query = ''] = (request.url ?? '/').split('?', 2);
    const path = whole.length > 1 ? whole.replace(/\/$/, '') : whole;
    const role = Object.hasOwn(ROLES, path) ? ROLES[path] : undefined;
    const given = new URLSearchParams(query).get('access_token') ?? '';
    const refusal = this.#refusal(request, given) ?? (role ? undefined : '404 Not Found');
    const bridge = this.#bridge;
    if (refusal || !bridge || !role) {
      const why = refusal ?? '503 Service Unavailable';
      const again = why.startsWith('503') ? `Retry-After: ${RETRY_AFTER_SECONDS}\r\n` : '';
      this.#refused(why, request);
      const answer = `HTTP/1.1 ${why}\r\n${again}Connection: close\r\nContent-Length: 0\r\n\r\n`;
      // Whoever does not close its side would keep the connection open for ever.
      socket.end(answer, () => socket.destroy());
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (open) => {
      const peer = `${request.socket.remoteAddress}:${request.socket.remotePort}`;
      bridge.attach(open, role, peer);
    });
  }

  /** At most one line a second: a stranger must not be able to fill the log. */
  #refused(why: string, { socket }: IncomingMessage): void {
    const { log, runtime, onRefused } = this.#ground;
    onRefused?.(why.slice(0, 3));
    const nowMs = runtime.clock.monotonicMs();
    if (nowMs - this.#loggedMs < 1_000) return;
    this.#loggedMs = nowMs;
    log.info('a OneBot connection was refused', { why, peer: socket.remoteAddress });
  }

  #refusal({ headers }: IncomingMessage, inQuery: string): string | undefined {
    const { accessToken } = this.#target;
    if (accessToken !== '') {
      const bearer = /^(?:Bearer|Token)\s+(.+)$/i.exec(headers.authorization ?? '')?.[1];
      const given = bearer ?? inQuery;
      if (given === '') return '401 Unauthorized';
      if (!isSame(given, accessToken)) return '403 Forbidden';
    } else if (headers.origin !== undefined) {
      // Bots say no Origin: this is a page in a browser on this machine, which nobody asked for a token.
      return '403 Forbidden';
    }
    if (!this.#bridge) return '503 Service Unavailable';
    return this.#bridge.links >= LINKS_MAX ? '503 Service Unavailable' : undefined;
  }
}

function tlsOptions({ certificate, key }: TlsMaterial) {
  return {
    ...{ cert: certificate, key, minVersion: 'TLSv1.2' as const },
    handshakeTimeout: HANDSHAKE_MS,
  };
}

function isSame(a: string, b: string): boolean {
  const [x, y] = [a, b].map((text) => createHash('sha256').update(text).digest());
  return timingSafeEqual(x!, y!);
}
