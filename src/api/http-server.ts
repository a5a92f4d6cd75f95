import { fastify } from 'fastify';
import type { FastifyHttpOptions, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Server } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TlsSource } from '../config/certificate.ts';
import { advertisedNames, checkOrigin, tokenCheck } from './access.ts';
import { parseJson } from './body.ts';
import { failureBody, HttpError } from './http-error.ts';
import { loadAssets } from './page-assets.ts';
import { withDefaults, type ApiContext, type HttpApiOptions } from './port.ts';
import { channelCalls } from './routes/channels.ts';
import { conversationCalls } from './routes/conversations.ts';
import { historyCalls } from './routes/history.ts';
import { messageCalls } from './routes/messages.ts';
import { addOperatorRoutes, OPERATOR_PATHS } from './routes/operator.ts';
import { addListLookups, moderationCalls } from './routes/moderation.ts';
import { addPageRoutes, PAGE_CONFIG_PATH } from './routes/page.ts';
import { addProbeRoutes, PROBE_PATHS } from './routes/probes.ts';
import { addRouteLookup, userCalls } from './routes/users.ts';

const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
};
/** Also while the listener is disabled: how else would anybody see that it is. */
const STAYS_OPEN: ReadonlySet<string> = new Set([...PROBE_PATHS, '/metrics']);
/** A connection that has not agreed on a key by then is cut. */
const HANDSHAKE_MS = 10_000;
const TLS_RULES = { minVersion: 'TLSv1.2' } as const;
const JSON_TYPE = 'application/json; charset=utf-8';

interface Listening {
  readonly fastify: FastifyInstance;
  readonly host: string;
  readonly port: number;
  readonly forgetTls: () => void;
}

/** Which names and pages may ask; may change while it runs. */
export type NameLists = Pick<ApiContext, 'hostsAllowed' | 'originsAllowed'>;

/** A second address, until it is known whether it takes the place of the first. */
export interface HttpRebinding {
  readonly port: number;
  /** Lets go of the address before; requests in work there may end. */
  commit(): void;
  abort(): Promise<void>;
}

/** The HTTP surface of one node: WuKongIM's routes, probes, metrics and the page. */
export class HttpApi {
  readonly #context: ApiContext;
  readonly #lists: NameLists;
  #server: Listening | undefined;
  /** Of addresses that were let go: it ends as `stop` does. */
  #leaving: Promise<unknown> = Promise.resolve();
  #inWork = 0;
  /** While disabled: what Retry-After says. */
  #retryAfterSeconds: number | undefined;
  #onIdle: (() => void) | undefined;

  constructor(options: HttpApiOptions) {
    this.#context = withDefaults(options);
    const { hostsAllowed, originsAllowed } = this.#context;
    this.#lists = { hostsAllowed, originsAllowed };
  }

  /** Resolves with the bound port (0 picks one); rejects with the system's error where it is taken. */
  async start(host: string, port: number): Promise<number> {
    if (this.#server) throw new Error('the HTTP API runs already');
    this.#server = await this.#listen(host, port);
    return this.#server.port;
  }

  /** For requests from now on. */
  setNames({ hostsAllowed, originsAllowed }: NameLists): void {
    Object.assign(this.#lists, { hostsAllowed, originsAllowed });
  }

  /**
   * Binds another address beside the one before; rejects with the system's error, and then listens where
   * it did. Where only the host differs the one before is let go first: they keep each other out.
   */
  async rebind(host: string, port: number): Promise<HttpRebinding> {
    const before = this.#server;
    if (!before) throw new Error('the HTTP API does not run');
    const inTheWay = before.port === port;
    const old = before.fastify.server;
    const again = () => (inTheWay ? listenAgain(old, before) : undefined);
    if (inTheWay) old.close();
    const next = await this.#listen(host, port).catch(async (error: unknown) => {
      await again();
      throw error;
    });
    return {
      port: next.port,
      commit: () => {
        this.#server = next;
        // Not waited for: what asked for this may itself be a request in work there.
        this.#leaving = this.#leave(before).catch(() => undefined);
      },
      abort: async () => {
        await this.#leave(next);
        await again();
      },
    };
  }

  async #listen(host: string, port: number): Promise<Listening> {
    const assets = await loadAssets();
    const server = createServer(this.#context);
    this.#limitRequests(server);
    const open = new Set([
      ...[...PROBE_PATHS, PAGE_CONFIG_PATH],
      ...[...OPERATOR_PATHS, ...assets.keys()],
    ]);
    guard(server, { context: this.#context, lists: this.#lists, open });
    addRouteLookup(server, this.#context);
    addListLookups(server, this.#context);
    const calls = {
      ...userCalls(this.#context),
      ...channelCalls(this.#context),
      ...conversationCalls(this.#context),
      ...historyCalls(this.#context),
      ...messageCalls(this.#context),
      ...moderationCalls(this.#context),
    };
    for (const [path, answer] of Object.entries(calls)) {
      server.post(path, (request) => answer(request.body));
    }
    addProbeRoutes(server, this.#context);
    addPageRoutes(server, this.#context, assets);
    addOperatorRoutes(server, this.#context);
    const forgetTls = followTls(server, this.#context.tls);
    try {
      await server.listen({ host, port });
    } catch (error) {
      forgetTls();
      await server.close();
      throw error;
    }
    const bound = (server.server.address() as AddressInfo).port;
    return { fastify: server, host, port: bound, forgetTls };
  }

  /** Accepts no more, lets requests in work end within `closeGraceMs`, then closes what is left. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    await Promise.all([this.#leaving, server && this.#leave(server)]);
  }

  async #leave({ fastify: server, forgetTls }: Listening): Promise<void> {
    forgetTls();
    const { timers, closeGraceMs } = this.#context;
    const cut = timers.after(closeGraceMs, () => server.server.closeAllConnections());
    try {
      await server.close();
    } finally {
      cut.cancel();
    }
  }

  get inWork(): number {
    return this.#inWork;
  }

  /**
   * Answers 503 with Retry-After from now on, but to probes and /metrics; requests in work get
   * `terminateAfterMs` to end, then their connections are cut. The port stays bound.
   */
  async disable(retryAfterSeconds: number, terminateAfterMs: number) {
    this.#retryAfterSeconds = retryAfterSeconds;
    const ended = this.#inWork;
    const http = this.#server?.fastify.server;
    http?.closeIdleConnections();
    if (ended > 0) await this.#idle(terminateAfterMs);
    const terminated = this.#inWork;
    if (terminated > 0) http?.closeAllConnections();
    return { ended, terminated };
  }

  enable(): void {
    this.#retryAfterSeconds = undefined;
  }

  #idle(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cut = this.#context.timers.after(withinMs, resolve);
      this.#onIdle = () => {
        cut.cancel();
        resolve();
      };
    });
  }

  /** Counted by the response's close, which comes also where the client went away. */
  #limitRequests(server: FastifyInstance): void {
    const { requestsMax, onRequest } = this.#context;
    server.addHook('onRequest', (request, reply, done) => {
      this.#inWork += 1;
      reply.raw.once('close', () => {
        this.#inWork -= 1;
        if (this.#inWork === 0) this.#onIdle?.();
        const route = request.routeOptions.url ?? 'unknown';
        onRequest?.({ method: request.method, route, status: reply.raw.statusCode });
      });
      const retryAfter = this.#retryAfterSeconds;
      if (retryAfter !== undefined && !STAYS_OPEN.has(request.routeOptions.url ?? '')) {
        reply.header('retry-after', String(retryAfter)).header('connection', 'close');
        return done(new HttpError(503, 'the HTTP listener of this node is disabled'));
      }
      const busy = this.#inWork > requestsMax;
      done(busy ? new HttpError(503, `${requestsMax} requests are in work, try again`) : undefined);
    });
  }
}

function makeServer(tls: TlsSource | undefined, options: FastifyHttpOptions<Server>) {
  if (!tls) return fastify(options);
  const { certificate, key } = tls.current();
  const https = { cert: certificate, key, handshakeTimeout: HANDSHAKE_MS, ...TLS_RULES };
  return fastify({ ...options, https } as FastifyHttpOptions<Server>);
}

function createServer(context: ApiContext): FastifyInstance {
  const server = makeServer(context.tls, {
    bodyLimit: context.bodyBytesMax,
    requestTimeout: context.requestTimeoutMs,
    forceCloseConnections: 'idle',
    frameworkErrors(error, _request, reply) {
      sendFailure(reply, 400, error.message);
    },
    clientErrorHandler: answerUnparsable,
  });
  server.server.maxConnections = context.connectionsMax;
  // Whatever the Content-Type says, a body is JSON: backends forget the header, and Origin is checked.
  server.removeAllContentTypeParsers();
  server.addContentTypeParser<Buffer>('*', { parseAs: 'buffer' }, (_request, body, done) => {
    try {
      done(null, parseJson(body));
    } catch (error) {
      done(error as Error);
    }
  });
  // Here and not in the routes, so that no answer can miss them.
  server.addHook('onSend', async (_request, reply) => {
    if (!reply.hasHeader('content-type')) reply.type(JSON_TYPE);
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store');
    reply.headers(SECURITY_HEADERS);
    // The rest of a body that is too large stays unread on the connection.
    if (reply.statusCode === 413) reply.header('connection', 'close');
  });
  server.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0]!.slice(0, 256);
    return sendFailure(reply, 404, `${request.method} ${path}: there is no such route`);
  });
  server.setErrorHandler((error, request, reply) => fail(context, { error, request, reply }));
  return server;
}

function followTls(server: FastifyInstance, tls: TlsSource | undefined): () => void {
  if (!tls) return () => {};
  const https = server.server as HttpsServer;
  https.on('tlsClientError', () => tls.handshakeFailed?.());
  return tls.onChange(({ certificate, key }) =>
    https.setSecureContext({ cert: certificate, key, ...TLS_RULES }),
  );
}

function listenAgain(server: Server, { host, port }: Listening): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

interface Guarded {
  readonly context: ApiContext;
  /** Asked with each request. */
  readonly lists: NameLists;
  readonly open: ReadonlySet<string>;
}

/** Host and Origin for all but the probes; the token for all but `open` paths and unknown ones. */
function guard(server: FastifyInstance, { context, lists: names, open }: Guarded): void {
  const { managerTokens, cluster } = context;
  const advertised = () => advertisedNames(cluster().members);
  const checkToken = tokenCheck(managerTokens);
  server.addHook('onRequest', (request, _reply, done) => {
    const { headers, routeOptions, is404 } = request;
    const path = routeOptions.url ?? '';
    try {
      if (!PROBE_PATHS.has(path)) {
        const lists = { ...names, advertised };
        checkOrigin({ host: headers.host, origin: headers.origin }, lists);
      }
      if (!is404 && !open.has(path)) {
        checkToken({ token: headers['token'], authorization: headers.authorization });
      }
      done();
    } catch (error) {
      done(error as Error);
    }
  });
}

interface Failed {
  readonly error: unknown;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

function fail(context: ApiContext, { error, request, reply }: Failed): FastifyReply {
  const route = request.routeOptions.url ?? 'unknown';
  const { status, message } = describeError(error, context.bodyBytesMax);
  if (status === 500) context.log.error('a request failed by a defect', { route, error });
  else context.log.debug('a request was refused', { route, status, reason: message });
  if (status === 503 && !reply.hasHeader('retry-after')) void reply.header('retry-after', '1');
  return sendFailure(reply, status, message);
}

function describeError(
  error: unknown,
  bodyBytesMax: number,
): { readonly status: number; readonly message: string } {
  if (error instanceof HttpError) return { status: error.status, message: error.message };
  const { statusCode, message, code } = error as {
    statusCode?: number;
    message?: string;
    code?: string;
  };
  if (code === 'STORE_UNAVAILABLE') return { status: 503, message: 'the store cannot be read now' };
  if (statusCode === 413) return { status: 413, message: `body: at most ${bodyBytesMax} bytes` };
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return { status: 400, message: message ?? 'bad request' };
  }
  return { status: 500, message: 'the node failed to answer, its log says why' };
}

function sendFailure(reply: FastifyReply, status: number, message: string): FastifyReply {
  return reply.code(status).type(JSON_TYPE).send(failureBody(status, message));
}

/** Bytes that are no HTTP: an answer in the shape of all others, then the connection closes. */
function answerUnparsable(error: { readonly code?: string }, socket: Socket): void {
  if (socket.destroyed || !socket.writable) return;
  // In a handshake that failed there is no way to say anything, as to a browser that speaks plain HTTP.
  if (/^(?:ERR_SSL|ERR_TLS|EPROTO|ECONNRESET)/.test(error.code ?? '')) return void socket.destroy();
  const tooSlow = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  const [status, text] = tooSlow ? [408, 'Request Timeout'] : [400, 'Bad Request'];
  const body = failureBody(status, tooSlow ? 'the request took too long' : 'this is not HTTP');
  socket.end(
    `HTTP/1.1 ${status} ${text}\r\nContent-Type: ${JSON_TYPE}\r\nContent-Length: ${body.length}\r\n` +
      `Connection: close\r\n\r\n${body}`,
  );
}
