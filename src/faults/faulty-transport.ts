import type { Link, LinkHandler, PeerTransport } from '../cluster/link/port.ts';
import type { PeerMessage } from '../cluster/link/message.ts';
import type { MemberId } from '../core/ids.ts';
import type { Member } from '../core/member.ts';
import type { Runtime, Timer } from '../runtime/port.ts';

/** Messages of one link that wait, either way; with one more the link is closed. */
const HELD_MAX = 20_000;

export interface DeltaDamage {
  readonly kind: 'drop-deltas' | 'delay-deltas';
  /** Of the frames of operations, 1 to 100. */
  readonly percent: number;
  readonly delayMs: number;
}

interface PeerFaults {
  deltas: DeltaDamage | undefined;
  deltasEnd: Timer | undefined;
  frozen: boolean;
  frozenEnd: Timer | undefined;
  readonly links: Set<FaultyLink>;
}

/** The node's transport, with damage that fault injection alone asks for. Without any it only passes on. */
export class FaultyTransport implements PeerTransport {
  readonly #transport: PeerTransport;
  readonly #runtime: Runtime;
  readonly #peers = new Map<MemberId, PeerFaults>();

  constructor(transport: PeerTransport, runtime: Runtime) {
    this.#transport = transport;
    this.#runtime = runtime;
  }

  listen(accept: (link: Link) => LinkHandler): Promise<void> {
    return this.#transport.listen((link) => {
      const faulty = new FaultyLink(this.#of(link.peer), this.#runtime);
      faulty.link = link;
      faulty.handler = accept(faulty);
      return faulty;
    });
  }

  async connect(peer: Member, handler: LinkHandler, signal: AbortSignal): Promise<Link> {
    const faulty = new FaultyLink(this.#of(peer.id), this.#runtime);
    faulty.handler = handler;
    try {
      faulty.link = await this.#transport.connect(peer, faulty, signal);
      return faulty;
    } catch (error) {
      this.#of(peer.id).links.delete(faulty);
      throw error;
    }
  }

  close(): Promise<void> {
    for (const { deltasEnd, frozenEnd } of this.#peers.values()) {
      deltasEnd?.cancel();
      frozenEnd?.cancel();
    }
    return this.#transport.close();
  }

  /** Loses or delays a share of the operations that this node sends to a peer. */
  damageDeltas(peer: MemberId, damage: DeltaDamage, seconds: number): void {
    const faults = this.#of(peer);
    faults.deltasEnd?.cancel();
    faults.deltas = damage;
    faults.deltasEnd = this.#runtime.timers.after(seconds * 1000, () => {
      faults.deltas = undefined;
    });
  }

  /** Reads nothing that the peer sends; what came meanwhile is read afterwards. */
  damageReading(peer: MemberId, seconds: number): void {
    const faults = this.#of(peer);
    faults.frozenEnd?.cancel();
    faults.frozen = true;
    faults.frozenEnd = this.#runtime.timers.after(seconds * 1000, () => {
      faults.frozen = false;
      for (const link of faults.links) link.thaw();
    });
  }

  #of(peer: MemberId): PeerFaults {
    let faults = this.#peers.get(peer);
    if (!faults) {
      const none = { deltas: undefined, deltasEnd: undefined, frozenEnd: undefined };
      faults = { ...none, frozen: false, links: new Set() };
      this.#peers.set(peer, faults);
    }
    return faults;
  }
}

/** Both sides of one link: a link to the node, a handler to the transport. */
class FaultyLink implements Link, LinkHandler {
  link!: Link;
  handler!: LinkHandler;
  readonly #faults: PeerFaults;
  readonly #runtime: Runtime;
  /** Sent while something before it is delayed: order is what every link keeps. */
  #outgoing: PeerMessage[] = [];
  #incoming: PeerMessage[] = [];
  #closed = false;

  constructor(faults: PeerFaults, runtime: Runtime) {
    this.#faults = faults;
    this.#runtime = runtime;
    faults.links.add(this);
  }

  get peer(): MemberId {
    return this.link.peer;
  }

  send(message: PeerMessage): boolean {
    const { deltas } = this.#faults;
    if (this.#outgoing.length > 0) return this.#hold(this.#outgoing, message);
    const hit =
      deltas !== undefined &&
      message.type === 'operations' &&
      this.#runtime.random.fraction() * 100 < deltas.percent;
    if (!hit) return this.link.send(message);
    if (deltas.kind === 'drop-deltas') return true;
    this.#runtime.timers.after(deltas.delayMs, () => this.#release());
    return this.#hold(this.#outgoing, message);
  }

  bufferedBytes(): number {
    return this.link.bufferedBytes();
  }

  close(reason: string): void {
    this.link.close(reason);
  }

  onMessage(message: PeerMessage): void {
    if (this.#faults.frozen || this.#incoming.length > 0) this.#hold(this.#incoming, message);
    else this.handler.onMessage(message);
  }

  onDrain(): void {
    this.handler.onDrain();
  }

  onClose(reason: string): void {
    this.#closed = true;
    this.#faults.links.delete(this);
    this.#outgoing = [];
    this.#incoming = [];
    this.handler.onClose(reason);
  }

  thaw(): void {
    while (this.#incoming.length > 0 && !this.#closed) {
      const waiting = this.#incoming;
      this.#incoming = [];
      for (const message of waiting) {
        if (this.#closed) return;
        this.handler.onMessage(message);
      }
    }
  }

  #release(): void {
    const waiting = this.#outgoing;
    this.#outgoing = [];
    for (const message of waiting) {
      if (this.#closed) return;
      this.link.send(message);
    }
  }

  #hold(queue: PeerMessage[], message: PeerMessage): boolean {
    queue.push(message);
    if (queue.length > HELD_MAX) this.link.close('fault injection: too much is held back');
    return true;
  }
}
