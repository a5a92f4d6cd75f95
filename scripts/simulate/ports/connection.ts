import type { PeerMessage } from '../../../src/cluster/link/message.ts';
import type { Link, LinkHandler } from '../../../src/cluster/link/port.ts';
import type { MemberId } from '../../../src/core/ids.ts';
import type { SeededRandom } from '../world/random.ts';
import type { VirtualProcess } from '../world/virtual-process.ts';
import type { World } from '../world/world.ts';
import { Wire, type Path } from './wire.ts';

export interface PeerCodec {
  readonly encode: (message: PeerMessage) => Uint8Array;
  readonly decode: (bytes: Uint8Array) => PeerMessage;
}

export interface NetworkOptions {
  readonly world: World;
  readonly codec: PeerCodec;
  readonly highWaterBytes: number;
}

interface Side {
  readonly member: MemberId;
  readonly process: VirtualProcess;
  handler?: LinkHandler;
}

interface ConnectionOptions {
  readonly network: NetworkOptions;
  readonly random: SeededRandom;
  readonly there: Path;
  readonly back: Path;
  readonly opener: Side & { readonly handler: LinkHandler };
  readonly acceptor: Side;
  readonly onBuffered: (bytes: number) => void;
  readonly onSent: (type: PeerMessage['type'], lost: boolean) => void;
  readonly onGone: () => void;
}

/** Two wires and what both sides know about them; each side learns of the end by itself. */
export class Connection {
  readonly openerLink: Link;
  readonly #options: ConnectionOptions;
  readonly #there: Wire;
  readonly #back: Wire;
  readonly #open = new Set<Side>();

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { opener, acceptor } = options;
    this.#open.add(opener).add(acceptor);
    this.#there = this.#wire(options.there, opener, acceptor);
    this.#back = this.#wire(options.back, acceptor, opener);
    this.openerLink = this.#link(opener, acceptor, this.#there);
  }

  accepted(accept: (link: Link) => LinkHandler): void {
    const { acceptor, opener } = this.#options;
    if (!this.#open.has(acceptor)) return;
    acceptor.handler = accept(this.#link(acceptor, opener, this.#back));
  }

  uses(from: string, to: string): boolean {
    const { there, back } = this.#options;
    return [there, back].some((path) => path.from === from && path.to === to);
  }

  belongsTo(process: VirtualProcess): boolean {
    return [this.#options.opener, this.#options.acceptor].some((side) => side.process === process);
  }

  release(): void {
    if (!this.#options.there.blocked) this.#there.release();
    if (!this.#options.back.blocked) this.#back.release();
  }

  /** Both ends see it break, and what was under way is lost. */
  breakOff(reason: string): void {
    this.#there.cut();
    this.#back.cut();
    for (const side of [this.#options.opener, this.#options.acceptor]) {
      side.process.enter(() => this.#closed(side, reason));
    }
  }

  /** One process is gone; the other end notices when the network lets it. */
  abandon(process: VirtualProcess): void {
    const { opener, acceptor } = this.#options;
    const gone = opener.process === process ? opener : acceptor;
    this.#open.delete(gone);
    (gone === opener ? this.#there : this.#back).end('connection reset');
    (gone === opener ? this.#back : this.#there).cut();
    this.#checkGone();
  }

  #wire(path: Path, from: Side, to: Side): Wire {
    return new Wire({
      world: this.#options.network.world,
      random: this.#options.random,
      path,
      ...this.#options.network.codec,
      highWaterBytes: this.#options.network.highWaterBytes,
      onSent: this.#options.onSent,
      receiver: {
        process: to.process,
        onMessage: (message) => {
          if (this.#open.has(to)) to.handler?.onMessage(message);
        },
        onClose: (reason) => {
          this.#closed(to, reason);
          from.process.enter(() => this.#closed(from, reason));
        },
      },
      onDrain: () =>
        from.process.enter(() => {
          if (this.#open.has(from)) from.handler?.onDrain();
        }),
    });
  }

  #link(side: Side, peer: Side, wire: Wire): Link {
    return {
      peer: peer.member,
      send: (message) => {
        if (!this.#open.has(side)) return true;
        const free = wire.send(message);
        this.#options.onBuffered(wire.bufferedBytes);
        return free;
      },
      bufferedBytes: () => wire.bufferedBytes,
      close: (reason) => {
        wire.end(reason);
        side.process.timers.soon(() => this.#closed(side, reason));
      },
    };
  }

  #closed(side: Side, reason: string): void {
    if (!this.#open.delete(side)) return;
    side.handler?.onClose(reason);
    this.#checkGone();
  }

  #checkGone(): void {
    if (this.#open.size === 0) this.#options.onGone();
  }
}
