import { Client, credentials, status, type ClientDuplexStream } from '@grpc/grpc-js';
import type { Member } from '../../core/member.ts';
import { CHALLENGE, connectMethod, OPENING, PROOF, WELCOME, type Envelope } from './envelope.ts';
import { GrpcLink } from './grpc-link.ts';
import { channelOptions, linkLimits, type LinkCounters, type Settings } from './grpc-options.ts';
import {
  decodeBytes,
  encodeBytes,
  encodeOpening,
  macOf,
  matchingSecret,
  NONCE_BYTES,
  type Opening,
} from './handshake.ts';
import { LinkError, type LinkErrorCode } from './link-error.ts';
import type { LinkHandler } from './port.ts';

export interface OpenerOptions {
  readonly settings: Settings;
  readonly counters: LinkCounters;
  readonly onOpened: (link: GrpcLink) => void;
  readonly onEnded: (link: GrpcLink) => void;
}

/** Dials one peer. `signal` ends the dialling, not the link. Rejects with a `LinkError`. */
export function openLink(
  options: OpenerOptions,
  target: { readonly peer: Member; readonly handler: LinkHandler },
  signal: AbortSignal,
): Promise<GrpcLink> {
  return new Promise((resolve, reject) => {
    new Dialling(options, target, { signal, resolve, reject }).start();
  });
}

interface Outcome {
  readonly signal: AbortSignal;
  readonly resolve: (link: GrpcLink) => void;
  readonly reject: (error: LinkError) => void;
}

class Dialling {
  readonly #options: OpenerOptions;
  readonly #peer: Member;
  readonly #handler: LinkHandler;
  readonly #outcome: Outcome;
  readonly #client: Client;
  readonly #exchange: Opening;
  #call!: ClientDuplexStream<Envelope, Envelope>;
  #answer: Uint8Array | undefined;
  /** Those that were proved: the welcome is by one of them. */
  #secrets: readonly string[] = [];
  #link: GrpcLink | undefined;
  #over = false;
  #settle = (): void => {};

  constructor(
    options: OpenerOptions,
    target: { readonly peer: Member; readonly handler: LinkHandler },
    outcome: Outcome,
  ) {
    this.#options = options;
    this.#peer = target.peer;
    this.#handler = target.handler;
    this.#outcome = outcome;
    const { settings } = options;
    const channel = settings.credentials?.channelTo(target.peer) ?? credentials.createInsecure();
    this.#client = new Client(target.peer.peerAddress, channel, {
      ...channelOptions(settings),
      // gRPC would say an IP address as the server's name, which TLS forbids; channelTo checks the address.
      ...(settings.credentials ? { 'grpc.ssl_target_name_override': target.peer.id } : {}),
    });
    this.#exchange = {
      cluster: settings.cluster,
      opener: settings.self,
      acceptor: target.peer.id,
      nonce: settings.runtime.random.bytes(NONCE_BYTES),
    };
  }

  start(): void {
    const { signal } = this.#outcome;
    const { connectDeadlineMs, runtime } = this.#options.settings;
    const late = (): void => this.#fail('DEADLINE', `no link within ${connectDeadlineMs} ms`);
    const timer = runtime.timers.after(connectDeadlineMs, late);
    const abort = (): void => this.#fail('ABORTED', 'dialling was ended', signal.reason);
    this.#settle = () => {
      timer.cancel();
      signal.removeEventListener('abort', abort);
    };
    const { path, requestSerialize, responseDeserialize } = connectMethod;
    this.#call = this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    this.#call.on('error', (error: Error) => this.#broken(error));
    this.#call.on('end', () => this.#broken(new Error('the peer ended the stream')));
    this.#call.on('data', (envelope: Envelope) => this.#received(envelope));
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort);
    this.#write(OPENING, encodeOpening(this.#exchange));
  }

  #received(envelope: Envelope): void {
    if (this.#over) return;
    if (this.#link) return this.#link.receive(envelope);
    if (envelope.kind === CHALLENGE && !this.#answer) return this.#prove(envelope.payload);
    if (envelope.kind === WELCOME && this.#answer) return this.#verify(envelope.payload);
    this.#fail('UNAUTHENTICATED', 'the peer left out a step of the handshake');
  }

  #prove(payload: Uint8Array): void {
    const nonce = decodeBytes(payload, 1)?.[0];
    if (!nonce) return this.#fail('UNAUTHENTICATED', 'the challenge of the peer is malformed');
    this.#answer = nonce;
    const exchange = { ...this.#exchange, answer: nonce };
    this.#secrets = this.#options.settings.secrets();
    this.#write(
      PROOF,
      encodeBytes(this.#secrets.map((secret) => macOf(secret, 'opener', exchange))),
    );
  }

  #verify(payload: Uint8Array): void {
    const exchange = { ...this.#exchange, answer: this.#answer! };
    const macs = decodeBytes(payload, 1) ?? [];
    const { settings, counters, onOpened, onEnded } = this.#options;
    if (matchingSecret(this.#secrets, macs, { direction: 'acceptor', exchange }) === undefined) {
      return this.#fail('UNAUTHENTICATED', 'the peer did not prove the secret of the cluster');
    }
    this.#settle();
    const link = new GrpcLink({
      ...linkLimits(settings),
      peer: this.#peer.id,
      stream: this.#call,
      abort: () => this.#hangUp(),
      onMalformed: () => counters.malformedMessages++,
      onEnded,
    });
    link.attach(this.#handler);
    this.#link = link;
    // The first message must not come before the caller has its link.
    this.#call.pause();
    onOpened(link);
    this.#outcome.resolve(link);
    settings.runtime.timers.soon(() => this.#call.resume());
  }

  #broken(error: Error): void {
    const details = withoutFrame('details' in error ? String(error.details) : error.message);
    if (this.#link) return this.#link.ended(details);
    const code = 'code' in error ? error.code : undefined;
    if (code === status.UNAUTHENTICATED) this.#fail('UNAUTHENTICATED', details, error);
    else if (code === status.FAILED_PRECONDITION) this.#fail('REFUSED', details, error);
    else this.#fail('UNREACHABLE', this.#overTls(details), error);
  }

  /** gRPC tells little of a handshake that the other side ended. */
  #overTls(details: string): string {
    if (!this.#options.settings.credentials || !/^Failed to connect|ECONNRESET/.test(details)) {
      return details;
    }
    return `${details}: does it take peers over TLS, with certificates of this node's authority?`;
  }

  #fail(code: LinkErrorCode, message: string, cause?: unknown): void {
    if (this.#over) return;
    this.#hangUp();
    this.#settle();
    const { id, peerAddress } = this.#peer;
    if (code === 'UNAUTHENTICATED') {
      this.#options.settings.log.warn('a peer and this node do not prove one secret', {
        peer: id,
        address: peerAddress,
        reason: message,
      });
    }
    this.#outcome.reject(new LinkError(code, `${id} at ${peerAddress}: ${message}`, cause));
  }

  #hangUp(): void {
    if (this.#over) return;
    this.#over = true;
    this.#call.cancel();
    this.#client.close();
  }

  #write(kind: number, payload: Uint8Array): void {
    this.#call.write({ kind, payload });
  }
}

/** What the system said, out of gRPC's `No connection established. Last error: … Resolution note: `. */
function withoutFrame(details: string): string {
  return details
    .replace(/^No connection established\. Last error: (?:Error: )?/, '')
    .replace(/\. Resolution note: $/, '');
}
