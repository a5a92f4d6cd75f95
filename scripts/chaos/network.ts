import { ownerOf } from './connection-owner.ts';
import { OPEN_WAY, TcpProxy, type Way } from './proxy.ts';

export type NetworkFault =
  /** Nothing between this node and the others, either way. */
  | { readonly kind: 'cut' }
  /** What this node sends does not arrive; it hears the others. Or the other way round. */
  | { readonly kind: 'mute' | 'deaf' }
  | { readonly kind: 'delay'; readonly delayMs: number };

const HELD: Way = { toTarget: 'held', fromTarget: 'held', delayMs: 0 };
const MUTE = { toTarget: 'held', fromTarget: 'open', delayMs: 0 } as const;
const DEAF = { toTarget: 'open', fromTarget: 'held', delayMs: 0 } as const;

/** A proxy before each node's peer port and before etcd. Nodes are numbered from 1. */
export class ChaosNetwork {
  readonly #peers: TcpProxy[] = [];
  #etcd: TcpProxy | undefined;
  /** Of the nodes in order; read when a connection comes. */
  pids: () => readonly (number | undefined)[] = () => [];

  readonly #sourceOf = (port: number): number | undefined => {
    const index = ownerOf(port, this.pids());
    return index === undefined ? undefined : index + 1;
  };

  /** Resolves with the port that stands for a node's own. */
  async beforePeer(port: number): Promise<number> {
    const proxy = new TcpProxy(port, this.#sourceOf);
    this.#peers.push(proxy);
    return await proxy.listen();
  }

  async beforeEtcd(port: number): Promise<number> {
    this.#etcd = new TcpProxy(port, this.#sourceOf);
    return await this.#etcd.listen();
  }

  /** Between node k and every other one, and etcd. */
  disturb(k: number, fault: NetworkFault): void {
    for (const [index, proxy] of this.#peers.entries()) {
      proxy.rule((source) => {
        if (index + 1 === k) return wayTo(fault);
        return source === k ? wayFrom(fault) : OPEN_WAY;
      });
    }
    this.#etcd?.rule((source) => (source === k ? wayFrom(fault) : OPEN_WAY));
  }

  /** Between etcd and everyone. */
  disturbEtcd(fault: NetworkFault): void {
    this.#etcd?.rule(() => wayTo(fault));
  }

  /** `reset`: connections that were held are torn; otherwise what was held arrives now. */
  heal(how: 'reset' | 'arrive'): void {
    for (const proxy of this.#all()) {
      if (how === 'reset') proxy.reset();
      proxy.rule(() => OPEN_WAY);
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#all().map((proxy) => proxy.close()));
  }

  #all(): readonly TcpProxy[] {
    return this.#etcd ? [...this.#peers, this.#etcd] : this.#peers;
  }
}

/** On connections that others opened to the node. */
function wayTo(fault: NetworkFault): Way {
  if (fault.kind === 'delay') return { ...OPEN_WAY, delayMs: fault.delayMs };
  if (fault.kind === 'cut') return HELD;
  return fault.kind === 'mute' ? DEAF : MUTE;
}

/** On connections that the node itself opened. */
function wayFrom(fault: NetworkFault): Way {
  if (fault.kind === 'delay') return { ...OPEN_WAY, delayMs: fault.delayMs };
  if (fault.kind === 'cut') return HELD;
  return fault.kind === 'mute' ? MUTE : DEAF;
}
