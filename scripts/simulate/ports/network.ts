import type { PeerMessage } from '../../../src/cluster/link/message.ts';
import type { Link, LinkHandler, PeerTransport } from '../../../src/cluster/link/port.ts';
import type { MemberId } from '../../../src/core/ids.ts';
import type { Member } from '../../../src/core/member.ts';
import type { SeededRandom } from '../world/random.ts';
import type { VirtualProcess } from '../world/virtual-process.ts';
import { Connection, type NetworkOptions } from './connection.ts';
import type { Path } from './wire.ts';

interface Endpoint {
  readonly member: MemberId;
  readonly process: VirtualProcess;
  accept: ((link: Link) => LinkHandler) | undefined;
}

const CONNECT_TIMEOUT_MS = 5_000;

/** Machines that reach each other over paths with delay, faults and partitions. */
export class SimulatedNetwork {
  readonly #options: NetworkOptions;
  readonly #random: SeededRandom;
  readonly #paths = new Map<string, Path>();
  readonly #endpoints = new Map<MemberId, Endpoint>();
  readonly #connections = new Set<Connection>();
  readonly #sent = new Map<PeerMessage['type'], number>();
  #highestBufferedBytes = 0;
  #lostFrames = 0;

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.#random = options.world.random.fork('network');
  }

  /** Most bytes that one direction of a link ever held. */
  get highestBufferedBytes(): number {
    return this.#highestBufferedBytes;
  }

  /** Messages of this type that were sent so far, on all links. */
  sent(type: PeerMessage['type']): number {
    return this.#sent.get(type) ?? 0;
  }

  /** Frames of operations that vanished on an open stream. */
  get lostFrames(): number {
    return this.#lostFrames;
  }

  path(from: string, to: string): Path {
    const key = `${from}>${to}`;
    let path = this.#paths.get(key);
    if (!path) {
      const delayMs = this.#random.pick([0.2, 1, 5, 20]);
      path = { from, to, healthyMs: delayMs, ...healthy(delayMs) };
      this.#paths.set(key, path);
    }
    return path;
  }

  /** From now on nothing goes this way; open links stall and some of them break. */
  block(from: string, to: string): void {
    this.path(from, to).blocked = true;
    for (const connection of this.#connections) {
      if (!connection.uses(from, to) || this.#random.chance(0.4)) continue;
      const patienceMs = this.#random.between(1_000, 8_000);
      this.#options.world.after(patienceMs, `${from}>${to} patience ends`, () => {
        if (this.path(from, to).blocked) connection.breakOff('keepalive timeout');
      });
    }
  }

  unblock(from: string, to: string): void {
    this.path(from, to).blocked = false;
    for (const connection of this.#connections) connection.release();
  }

  /** Every path is as it was at first. */
  heal(): void {
    for (const path of this.#paths.values()) {
      Object.assign(path, healthy(path.healthyMs));
      this.unblock(path.from, path.to);
    }
  }

  /** A connection reset on every link between the two, as routers do. */
  reset(a: string, b: string): void {
    for (const connection of this.#connections) {
      if (connection.uses(a, b) || connection.uses(b, a)) connection.breakOff('connection reset');
    }
  }

  /** The transport of one run of a node; it dies with the process. */
  transport(member: MemberId, process: VirtualProcess): PeerTransport {
    const endpoint: Endpoint = { member, process, accept: undefined };
    return {
      listen: (accept) => {
        endpoint.accept = accept;
        this.#endpoints.set(member, endpoint);
        return Promise.resolve();
      },
      connect: (peer, handler, signal) => this.#connect(endpoint, { peer, handler, signal }),
      close: () => {
        this.forget(member, process);
        return Promise.resolve();
      },
    };
  }

  /** The process is gone: its machine resets its connections as soon as a packet gets through. */
  forget(member: MemberId, process: VirtualProcess): void {
    if (this.#endpoints.get(member)?.process === process) this.#endpoints.delete(member);
    for (const connection of this.#connections) {
      if (connection.belongsTo(process)) connection.abandon(process);
    }
  }

  #connect(
    from: Endpoint,
    { peer, handler, signal }: { peer: Member; handler: LinkHandler; signal: AbortSignal },
  ): Promise<Link> {
    const { world } = this.#options;
    const there = this.path(from.member, peer.id);
    const back = this.path(peer.id, from.member);
    const roundTripMs = 2 * (there.delayMs + back.delayMs) + this.#random.exponential(1);
    return new Promise((resolve, reject) => {
      const fail = (code: string): void =>
        reject(Object.assign(new Error(`cannot reach ${peer.id}: ${code}`), { code }));
      signal.addEventListener('abort', () => fail('aborted'), { once: true });
      const blocked = there.blocked || back.blocked;
      const waitMs = blocked ? CONNECT_TIMEOUT_MS : roundTripMs;
      world.after(waitMs, `${from.member}>${peer.id} connect`, () => {
        const to = this.#endpoints.get(peer.id);
        if (there.blocked || back.blocked || blocked) {
          from.process.enter(() => fail('timeout'));
        } else if (to?.accept && from.process.state === 'running' && !signal.aborted) {
          // A paused process accepts too: its kernel does.
          const connection = this.#open({ from, to, handler });
          resolve(connection.openerLink);
        } else {
          from.process.enter(() => fail('refused'));
        }
      });
    });
  }

  #open({ from, to, handler }: { from: Endpoint; to: Endpoint; handler: LinkHandler }): Connection {
    const connection: Connection = new Connection({
      network: this.#options,
      random: this.#random,
      there: this.path(from.member, to.member),
      back: this.path(to.member, from.member),
      opener: { member: from.member, process: from.process, handler },
      acceptor: { member: to.member, process: to.process },
      onBuffered: (bytes) => {
        this.#highestBufferedBytes = Math.max(this.#highestBufferedBytes, bytes);
      },
      onSent: (type, lost) => {
        this.#sent.set(type, this.sent(type) + 1);
        if (lost) this.#lostFrames += 1;
      },
      onGone: () => this.#connections.delete(connection),
    });
    this.#connections.add(connection);
    to.process.enter(() => connection.accepted(to.accept!));
    return connection;
  }
}

function healthy(delayMs: number): Omit<Path, 'from' | 'to' | 'healthyMs'> {
  const faults = { blocked: false, frameLoss: 0, frameDuplicate: 0, frameReorder: 0 };
  return { delayMs, jitterMs: delayMs / 2, ...faults, loseNext: undefined };
}
