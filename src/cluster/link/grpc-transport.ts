import type { Member } from '../../core/member.ts';
import { GrpcAcceptor, type AcceptorOptions } from './grpc-acceptor.ts';
import type { GrpcLink } from './grpc-link.ts';
import {
  settingsOf,
  type GrpcPeerTransportOptions,
  type LinkCounters,
  type Settings,
} from './grpc-options.ts';
import { openLink } from './grpc-opener.ts';
import { SECRETS_MAX } from './handshake.ts';
import { LinkError } from './link-error.ts';
import type { Link, LinkHandler, PeerTransport } from './port.ts';

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/;
/** Stands in where no secret is configured; accepted on loopback alone. */
const NO_SECRET = '';

/**
 * Links over gRPC (proto/cluster.proto), one TCP connection each. A frame costs each end about 16
 * µs, so what is small should travel together.
 */
export class GrpcPeerTransport implements PeerTransport {
  readonly #settings: Settings;
  readonly #acceptor: GrpcAcceptor;
  readonly #links = new Set<GrpcLink>();
  readonly #diallings = new Set<AbortController>();
  #closed = false;
  readonly #counters: LinkCounters = { strangersRefused: 0, peersRefused: 0, malformedMessages: 0 };

  /** Throws LinkError INSECURE where strangers could reach a listener that has no secret. */
  constructor(options: GrpcPeerTransportOptions) {
    const { host } = options;
    const { secrets: given } = options;
    const current = typeof given === 'function' ? given : () => given;
    const secrets = current();
    if (secrets.length === 0 && !LOOPBACK.test(host)) {
      throw new LinkError(
        'INSECURE',
        `no cluster secret is configured, so peers can only be accepted on loopback, not on ${host}`,
      );
    }
    if (secrets.length > SECRETS_MAX || secrets.includes(NO_SECRET)) {
      throw new LinkError(
        'INSECURE',
        `expected at most ${SECRETS_MAX} secrets, none of them empty`,
      );
    }
    this.#settings = settingsOf({
      ...options,
      secrets: () => (current().length > 0 ? current() : [NO_SECRET]),
    });
    this.#acceptor = new GrpcAcceptor(this.#shared());
  }

  /** Rejects with LinkError LISTEN. */
  listen(accept: (link: Link) => LinkHandler): Promise<void> {
    return this.#acceptor.listen(accept);
  }

  /** Where it listens; undefined before `listen`. */
  address(): { readonly host: string; readonly port: number } | undefined {
    return this.#acceptor.address();
  }

  counters(): Readonly<LinkCounters> {
    return this.#counters;
  }

  /** Rejects with LinkError UNREACHABLE, UNAUTHENTICATED, REFUSED, DEADLINE or ABORTED. */
  async connect(peer: Member, handler: LinkHandler, signal: AbortSignal): Promise<Link> {
    const dialling = new AbortController();
    const abort = (): void => dialling.abort(signal.reason);
    if (signal.aborted || this.#closed) abort();
    signal.addEventListener('abort', abort);
    this.#diallings.add(dialling);
    try {
      return await openLink(this.#shared(), { peer, handler }, dialling.signal);
    } finally {
      signal.removeEventListener('abort', abort);
      this.#diallings.delete(dialling);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const dialling of this.#diallings) dialling.abort(new Error('this node is stopping'));
    const links = [...this.#links];
    for (const link of links) link.close('this node is stopping');
    // What was sent, and the reason, may leave before the connections are cut.
    if (links.length > 0) {
      await new Promise<void>((resolve) => {
        this.#settings.runtime.timers.after(this.#settings.lingerMs, resolve);
      });
    }
    await this.#acceptor.close();
  }

  #shared(): AcceptorOptions {
    return {
      settings: this.#settings,
      counters: this.#counters,
      onOpened: (link: GrpcLink) => void this.#links.add(link),
      onEnded: (link: GrpcLink) => void this.#links.delete(link),
    };
  }
}
