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
  readonly #faults = new Map<number, NetworkFault>();
  #etcdFault: NetworkFault | undefined;
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

  /** Between node k and every other one, and etcd. Faults of several nodes add up. */
  disturb(k: number, fault: NetworkFault): void {
    this.#faults.set(k, fault);
    this.#apply();
  }

  /** Between etcd and everyone. */
  disturbEtcd(fault: NetworkFault): void {
    this.#etcdFault = fault;
    this.#apply();
  }

  /**
   * Node k's fault, or etcd's, is over; others go on. `reset`: connections that are held are torn; otherwise
   * what was held arrives now.
   */
  heal(at: number | 'etcd', how: 'reset' | 'arrive'): void {
    if (how === 'reset') for (const proxy of this.#all()) proxy.reset();
    if (at === 'etcd') this.#etcdFault = undefined;
    else this.#faults.delete(at);
    this.#apply();
  }

  async close(): Promise<void> {
    await Promise.all(this.#all().map((proxy) => proxy.close()));
  }

  #apply(): void {
    for (const [index, proxy] of this.#peers.entries()) {
      proxy.rule((source) => join(this.#to(index + 1), this.#from(source)));
    }
    const etcd = this.#etcdFault ? wayTo(this.#etcdFault) : OPEN_WAY;
    this.#etcd?.rule((source) => join(etcd, this.#from(source)));
  }

  #to(k: number): Way {
    const fault = this.#faults.get(k);
    return fault ? wayTo(fault) : OPEN_WAY;
  }

  #from(source: number | undefined): Way {
    const fault = source === undefined ? undefined : this.#faults.get(source);
    return fault ? wayFrom(fault) : OPEN_WAY;
  }

  #all(): readonly TcpProxy[] {
    return this.#etcd ? [...this.#peers, this.#etcd] : this.#peers;
  }
}

function join(one: Way, other: Way): Way {
  const held = (way: 'toTarget' | 'fromTarget'): 'open' | 'held' =>
    one[way] === 'held' ? 'held' : other[way];
  const delayMs = one.delayMs + other.delayMs;
  return { toTarget: held('toTarget'), fromTarget: held('fromTarget'), delayMs };
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
