import { createServer, type AddressInfo, type Server as TcpServer, type Socket } from 'node:net';
import { Server, ServerCredentials, status, type ServerDuplexStream } from '@grpc/grpc-js';
import type { MemberId } from '../../core/ids.ts';
import { CHALLENGE, OPENING, peersService, PROOF, WELCOME, type Envelope } from './envelope.ts';
import { GrpcLink } from './grpc-link.ts';
import { linkLimits, serverOptions, type LinkCounters, type Settings } from './grpc-options.ts';
import {
  decodeBytes,
  decodeOpening,
  encodeBytes,
  macOf,
  matchingSecret,
  NONCE_BYTES,
  SECRETS_MAX,
  type Exchange,
  type Opening,
} from './handshake.ts';
import { LinkError } from './link-error.ts';
import type { Link, LinkHandler } from './port.ts';

type Call = ServerDuplexStream<Envelope, Envelope>;

/** One TCP connection. It is a stranger until a proof came over it. */
interface Connection {
  readonly socket: Socket;
  readonly from: string;
  stranger: boolean;
  /** Counted as refused. */
  refused: boolean;
}

export interface AcceptorOptions {
  readonly settings: Settings;
  readonly counters: LinkCounters;
  readonly onOpened: (link: GrpcLink) => void;
  readonly onEnded: (link: GrpcLink) => void;
}

/**
 * Accepts links. The listening socket is this room's own and hands its connections to gRPC, because
 * only so can connections that say nothing, or nothing that gRPC would call a stream, be counted
 * and cut.
 */
export class GrpcAcceptor {
  readonly #options: AcceptorOptions;
  readonly #grpc: Server;
  readonly #tcp: TcpServer;
  readonly #connections = new Map<string, Connection>();
  readonly #links = new Map<MemberId, GrpcLink>();
  #strangers = 0;
  #loggedMs = -Infinity;
  #unlogged = 0;
  #accept!: (link: Link) => LinkHandler;

  constructor(options: AcceptorOptions) {
    this.#options = options;
    const { credentials } = options.settings;
    this.#grpc = new Server(serverOptions(options.settings));
    this.#grpc.addService(peersService, { Connect: (call: Call) => this.#onCall(call) });
    const injector = this.#grpc.createConnectionInjector(
      credentials?.server ?? ServerCredentials.createInsecure(),
    );
    this.#tcp = createServer({ noDelay: true }, (socket) => {
      if (this.#admit(socket)) injector.injectConnection(socket);
    });
  }

  /** Rejects with LinkError LISTEN. */
  async listen(accept: (link: Link) => LinkHandler): Promise<void> {
    this.#accept = accept;
    const { host, port } = this.#options.settings;
    await new Promise<void>((resolve, reject) => {
      const fail = (cause: Error): void =>
        reject(new LinkError('LISTEN', `peers on ${host}:${port}: ${cause.message}`, cause));
      this.#tcp.once('error', fail);
      this.#tcp.listen({ host, port, exclusive: true }, () => {
        this.#tcp.off('error', fail);
        this.#tcp.on('error', (error) =>
          this.#options.settings.log.error('peer listener', { error }),
        );
        resolve();
      });
    });
  }

  address(): { readonly host: string; readonly port: number } | undefined {
    const found = this.#tcp.address() as AddressInfo | null;
    return found ? { host: found.address, port: found.port } : undefined;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#tcp.close(() => resolve()));
    this.#grpc.forceShutdown();
    for (const { socket } of this.#connections.values()) socket.destroy();
    if (this.#tcp.listening) await closed;
  }

  #admit(socket: Socket): boolean {
    const { settings } = this.#options;
    const from = `${socket.remoteAddress}:${socket.remotePort}`;
    socket.on('error', () => {});
    if (this.#strangers >= settings.strangersMax) {
      this.#refused(from, `${this.#strangers} connections without a proof are open already`);
      socket.destroy();
      return false;
    }
    this.#strangers++;
    const connection: Connection = { socket, from, stranger: true, refused: false };
    this.#connections.set(from, connection);
    const timer = settings.runtime.timers.after(settings.strangerMs, () => {
      if (!connection.stranger) return;
      connection.refused = true;
      this.#refused(from, `no proof within ${settings.strangerMs} ms`);
      socket.destroy();
    });
    socket.once('close', () => {
      timer.cancel();
      if (this.#connections.get(from) === connection) this.#connections.delete(from);
      if (!connection.stranger) return;
      this.#strangers--;
      // What was no gRPC, or had no certificate: its connection ended before anybody here saw a call.
      if (!connection.refused && socket.bytesRead > 0) {
        this.#refused(from, 'the connection ended before anything was proved');
      }
    });
    return true;
  }

  #onCall(call: Call): void {
    const connection = this.#connections.get(call.getPeer());
    if (!connection) return void call.destroy();
    let step: (envelope: Envelope) => void = ({ kind, payload }) => {
      const opening = kind === OPENING ? decodeOpening(payload) : undefined;
      if (!opening?.ok)
        return this.#refuse(call, connection, opening?.error ?? 'no opening came first');
      const answer = this.#options.settings.runtime.random.bytes(NONCE_BYTES);
      call.write({ kind: CHALLENGE, payload: encodeBytes([answer]) });
      const exchange = { ...opening.value, answer };
      step = (next) => {
        step = () => {};
        const link = this.#verify(call, connection, { exchange, envelope: next });
        if (link) step = (envelope) => link.receive(envelope);
      };
    };
    call.on('data', (envelope: Envelope) => step(envelope));
    call.on('error', () => {});
  }

  #verify(
    call: Call,
    connection: Connection,
    { exchange, envelope }: { readonly exchange: Exchange; readonly envelope: Envelope },
  ): GrpcLink | undefined {
    const { secrets } = this.#options.settings;
    const macs = envelope.kind === PROOF ? decodeBytes(envelope.payload, SECRETS_MAX) : undefined;
    const secret = matchingSecret(secrets(), macs ?? [], { direction: 'opener', exchange });
    if (secret === undefined) {
      this.#refuse(call, connection, 'the secret of the cluster was not proved');
      return undefined;
    }
    if (connection.stranger) this.#strangers--;
    connection.stranger = false;
    const wrong = this.#whatIsWrong(exchange);
    if (wrong !== undefined) {
      this.#options.counters.peersRefused++;
      this.#options.settings.log.warn('peer refused', { from: connection.from, reason: wrong });
      this.#end(call, connection, { code: status.FAILED_PRECONDITION, details: wrong });
      return undefined;
    }
    const payload = encodeBytes([macOf(secret, 'acceptor', exchange)]);
    call.write({ kind: WELCOME, payload });
    return this.#open(call, connection, exchange.opener);
  }

  #whatIsWrong({ cluster, opener, acceptor }: Opening): string | undefined {
    const { settings } = this.#options;
    if (cluster !== settings.cluster) return `this is cluster ${settings.cluster}, not ${cluster}`;
    if (acceptor !== settings.self) return `this is member ${settings.self}, not ${acceptor}`;
    if (opener === settings.self) return `${opener} is the id of this member itself`;
    return undefined;
  }

  #open(call: Call, connection: Connection, peer: MemberId): GrpcLink {
    const { settings, counters, onOpened, onEnded } = this.#options;
    const link = new GrpcLink({
      ...linkLimits(settings),
      ...{ peer, stream: call },
      abort: () => connection.socket.destroy(),
      onMalformed: () => counters.malformedMessages++,
      onEnded: (ended) => {
        if (this.#links.get(peer) === ended) this.#links.delete(peer);
        onEnded(ended);
      },
    });
    // The peer dials again only when its old link is over for it; here it may not be noticed yet.
    this.#links.get(peer)?.ended('replaced by a newer link of the same member');
    this.#links.set(peer, link);
    onOpened(link);
    call.on('end', () => link.ended('the peer ended the stream'));
    call.on('cancelled', () => link.ended('the connection to the peer is gone'));
    link.attach(this.#accept(link));
    return link;
  }

  /** The stranger learns that it is one, and nothing else. */
  #refuse(call: Call, connection: Connection, reason: string): void {
    connection.refused = true;
    this.#refused(connection.from, reason);
    this.#end(call, connection, {
      code: status.UNAUTHENTICATED,
      details: 'the secret of the cluster was not proved',
    });
  }

  #end(call: Call, { socket }: Connection, why: { code: status; details: string }): void {
    call.emit('error', why);
    const { runtime, lingerMs } = this.#options.settings;
    runtime.timers.after(lingerMs, () => runtime.timers.soon(() => socket.destroy()));
  }

  /** At most one line a second: a stranger must not be able to fill the log. */
  #refused(from: string, reason: string): void {
    this.#options.counters.strangersRefused++;
    const { log, runtime } = this.#options.settings;
    const nowMs = runtime.clock.monotonicMs();
    if (nowMs - this.#loggedMs < 1_000) {
      this.#unlogged++;
      return;
    }
    log.warn('stranger refused', { from, reason, refusedSinceLast: this.#unlogged });
    this.#loggedMs = nowMs;
    this.#unlogged = 0;
  }
}
