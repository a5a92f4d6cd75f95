import type { DotRange } from '../../../core/dot.ts';
import type { MemberId } from '../../../core/ids.ts';
import type { Operation } from '../../../core/operation.ts';
import type { Timer, Timers } from '../../../runtime/port.ts';
import type { Reach, ReachWanted } from '../port.ts';

/** What is known of one peer's copy of this run's operations. */
export interface PeerHolding {
  readonly member: MemberId;
  readonly live: boolean;
  onDisk(range: DotRange): boolean;
  routes(range: DotRange): boolean;
}

export interface ReachOptions {
  readonly timers: Timers;
  readonly waitersMax: number;
  /** Every rostered member but this one. */
  readonly peers: () => readonly PeerHolding[];
}

interface Waiter {
  readonly range: DotRange;
  readonly wanted: ReachWanted;
  readonly done: (reach: Reach) => void;
  /** Peers that were live when the wait began and have not died since. */
  readonly awaited: Set<MemberId>;
  readonly disks: Set<MemberId>;
  readonly routed: Set<MemberId>;
  timer?: Timer;
}

/** Waits for operations to reach peers. An acknowledgement costs one map lookup an operation. */
export class ReachTracker {
  readonly #options: ReachOptions;
  readonly #waiters = new Map<string, Waiter[]>();
  #count = 0;

  constructor(options: ReachOptions) {
    this.#options = options;
  }

  await(operation: Operation, wanted: ReachWanted, done: (reach: Reach) => void): void {
    const range = rangeOf(operation);
    const peers = this.#options.peers();
    // A lone node: nobody to wait for, and this is asked for every write.
    if (peers.length === 0) return done(ALONE);
    const waiter: Waiter = {
      range,
      wanted,
      done,
      awaited: new Set(peers.filter(({ live }) => live).map(({ member }) => member)),
      disks: new Set(peers.filter((peer) => peer.onDisk(range)).map(({ member }) => member)),
      routed: new Set(peers.filter((peer) => peer.routes(range)).map(({ member }) => member)),
    };
    if (reached(waiter) || this.#count >= this.#options.waitersMax || wanted.timeoutMs <= 0) {
      return done(this.#reachOf(waiter));
    }
    const key = keyOf(operation);
    const list = this.#waiters.get(key);
    if (list) list.push(waiter);
    else this.#waiters.set(key, [waiter]);
    this.#count += 1;
    waiter.timer = this.#options.timers.after(wanted.timeoutMs, () => this.#finish(key, waiter));
  }

  onDisk(member: MemberId, operations: readonly Operation[]): void {
    this.#acknowledged(operations, (waiter) => waiter.disks.add(member));
  }

  onRouted(member: MemberId, operations: readonly Operation[]): void {
    this.#acknowledged(operations, (waiter) => waiter.routed.add(member));
  }

  /** The peer reported its vector: what it got by a pull is there too. */
  onReport(peer: PeerHolding): void {
    this.#each((waiter) => {
      if (peer.onDisk(waiter.range)) waiter.disks.add(peer.member);
      if (peer.routes(waiter.range)) waiter.routed.add(peer.member);
    });
  }

  onDead(member: MemberId): void {
    this.#each((waiter) => waiter.awaited.delete(member));
  }

  /** Everyone is told what has been reached. */
  stop(): void {
    for (const [key, list] of [...this.#waiters]) {
      for (const waiter of [...list]) this.#finish(key, waiter);
    }
  }

  #acknowledged(operations: readonly Operation[], note: (waiter: Waiter) => void): void {
    if (this.#count === 0) return;
    for (const operation of operations) {
      const key = keyOf(operation);
      const list = this.#waiters.get(key);
      if (list) this.#update(key, list, note);
    }
  }

  #each(note: (waiter: Waiter) => void): void {
    for (const [key, list] of [...this.#waiters]) this.#update(key, list, note);
  }

  #update(key: string, list: readonly Waiter[], note: (waiter: Waiter) => void): void {
    for (const waiter of [...list]) {
      note(waiter);
      if (reached(waiter)) this.#finish(key, waiter);
    }
  }

  #finish(key: string, waiter: Waiter): void {
    const list = this.#waiters.get(key);
    const at = list?.indexOf(waiter) ?? -1;
    if (!list || at < 0) return;
    if (list.length === 1) this.#waiters.delete(key);
    else list.splice(at, 1);
    this.#count -= 1;
    waiter.timer?.cancel();
    waiter.done(this.#reachOf(waiter));
  }

  #reachOf({ disks, routed }: Waiter): Reach {
    const missing = this.#options
      .peers()
      .filter(({ member }) => !routed.has(member))
      .map(({ member }) => member);
    return { disks: 1 + disks.size, routed: 1 + routed.size, missing };
  }
}

const ALONE: Reach = { disks: 1, routed: 1, missing: [] };

/** Invariant: true at once where no awaited peer is left that could still change the answer. */
function reached({ wanted, awaited, disks, routed }: Waiter): boolean {
  let [disksToCome, routedToCome, routedHere] = [0, 0, 0];
  for (const member of awaited) {
    if (!disks.has(member)) disksToCome += 1;
    if (routed.has(member)) routedHere += 1;
    else routedToCome += 1;
  }
  const disksWanted = wanted.disks ?? 1;
  if (1 + disks.size < disksWanted && disksToCome > 0) return false;
  const { routed: routedWanted = 'none' } = wanted;
  switch (routedWanted) {
    case 'none':
      return true;
    case 'all':
      return routedToCome === 0;
    case 'quorum':
      return 1 + routedHere > (1 + awaited.size) / 2 || routedToCome === 0;
    default:
      return routedWanted satisfies never;
  }
}

export function rangeOf({ actor, shard, first, count }: Operation): DotRange {
  return { actor, shard, from: first, to: first + count - 1 };
}

function keyOf({ actor, shard, first }: Operation): string {
  return `${actor}:${shard}:${first}`;
}
