import type { RepairEvent } from '../../src/admin/messages.ts';
import type { FaultKind } from '../../src/faults/port.ts';
import type { TestCluster } from '../../test/support/cluster.ts';
import { until } from '../../test/support/until.ts';

export interface RealKind {
  readonly name: string;
  readonly fault: FaultKind;
  /** Design, section 7, in the default profile. Milliseconds. */
  readonly boundMs: number;
  readonly connected?: true | undefined;
  /** One injection after the other: their repairs could not be told apart. */
  readonly alone?: true | undefined;
  /** The layer that puts it right, as the node tells it; an alarm puts nothing right. */
  readonly layers: readonly string[];
}

const DISK_MS = 10_000;
const SWEEP_MS = 10_000;
const LOST_DELTA_MS = 2_000;

export const REAL_KINDS: readonly RealKind[] = [
  { name: 'row deleted', fault: 'delete-row', boundMs: DISK_MS, layers: ['peers'] },
  {
    ...{ name: 'row deleted, its user connected', fault: 'delete-row', boundMs: 2_000 },
    ...{ connected: true, layers: ['peers'] },
  },
  {
    ...{ name: 'row altered, checksum wrong', fault: 'corrupt-row', boundMs: DISK_MS },
    layers: ['peers'],
  },
  {
    ...{ name: 'row altered, checksum right', fault: 'alter-row', boundMs: DISK_MS + SWEEP_MS },
    layers: ['peers'],
  },
  {
    ...{ name: 'row inserted', fault: 'insert-row', boundMs: DISK_MS + SWEEP_MS },
    layers: ['peers'],
  },
  {
    ...{ name: 'index entry dropped', fault: 'drop-index-entry', boundMs: 2_000 },
    ...{ connected: true, layers: ['index', 'sockets'] },
  },
  {
    ...{ name: 'topic dropped', fault: 'drop-topic', boundMs: 10_000 },
    ...{ connected: true, layers: ['sockets'] },
  },
  {
    // Section 7 has no line for it; acceptance S2-3 says 10 s.
    ...{ name: 'interest forgotten', fault: 'drop-interest', boundMs: 10_000 },
    ...{ connected: true, alone: true, layers: ['interest'] },
  },
  {
    ...{ name: 'interest made up', fault: 'add-interest', boundMs: 10_000 },
    ...{ alone: true, layers: ['interest'] },
  },
  // All frames of operations for 1 s, which is part of the time.
  {
    ...{ name: 'deltas lost', fault: 'drop-deltas', boundMs: LOST_DELTA_MS },
    ...{ alone: true, layers: [] },
  },
];

interface Seen {
  readonly atMs: number;
  readonly k: number;
  readonly repair: RepairEvent;
}

/** What all nodes tell of repairs, by the time it arrived here. */
export class RepairWatch {
  readonly #seen: Seen[] = [];
  readonly #abort = new AbortController();

  constructor(cluster: TestCluster) {
    for (const k of cluster.numbers) void this.#watch(cluster, k).catch(() => undefined);
  }

  /** The first after this moment that satisfies the condition; undefined where none has come. */
  find(afterMs: number, is: (repair: RepairEvent, k: number) => boolean): Seen | undefined {
    return this.#seen.find(({ atMs, k, repair }) => atMs >= afterMs && is(repair, k));
  }

  stop(): void {
    this.#abort.abort();
  }

  async #watch(cluster: TestCluster, k: number): Promise<void> {
    const events = cluster.admin(k).watch({ kinds: ['EVENT_KIND_REPAIR'] }, this.#abort.signal);
    for await (const { repair } of events) {
      if (repair && repair.action !== 'alarm') {
        this.#seen.push({ atMs: performance.now(), k, repair });
      }
    }
  }
}

export interface RealTarget {
  readonly cluster: TestCluster;
  readonly watch: RepairWatch;
  /** The node that is damaged. */
  readonly k: number;
  readonly channelId: string;
  readonly uid: string;
  readonly patienceMs: number;
}

/** Damages and waits until a node tells that it is put right. Milliseconds; infinite where none does. */
export async function atOnce(kind: RealKind, target: RealTarget): Promise<number> {
  const { cluster, watch, k, channelId, patienceMs } = target;
  const ofInterest = kind.fault.endsWith('-interest');
  // What node k wishes is what its peer knows wrongly.
  const at = ofInterest ? otherOf(target) : k;
  const uid = kind.fault === 'insert-row' ? `stranger-${target.uid}` : target.uid;
  const channel = kind.fault === 'add-interest' ? `nobody-${channelId}` : channelId;
  const fault = { kind: kind.fault, channelId: channel, channelType: 2, uid };
  const startMs = performance.now();
  await cluster.admin(at).injectFault({ ...fault, member: cluster.id(k) });
  const isIt = (repair: RepairEvent, told: number): boolean => {
    if (!kind.layers.includes(repair.layer)) return false;
    return ofInterest ? told === at : repair.channelId === channelId && repair.uid === uid;
  };
  const seen = await until('repair', () => watch.find(startMs, isIt), patienceMs).catch(() => null);
  return seen ? seen.atMs - startMs : Number.POSITIVE_INFINITY;
}

/** A write while all that one peer is told of writes vanishes; until that peer has it. */
export async function loseDelta(target: RealTarget): Promise<number> {
  const { cluster, k, channelId, patienceMs } = target;
  const peer = otherOf(target);
  const [uid, all] = [`late-${target.uid}`, { percent: 100, seconds: 1 }];
  const fault = { kind: 'drop-deltas', member: cluster.id(peer), ...all };
  await cluster.admin(k).injectFault(fault);
  const startMs = performance.now();
  const request = { channelId, channelType: 2, uids: [uid] };
  await cluster.admin(k).subscribe({ ...request, waitFor: 'WAIT_FOR_LOCAL' });
  const hasIt = async (): Promise<boolean> => {
    for await (const { uids } of cluster
      .admin(peer)
      .listSubscriptions({ channel: { channelId, channelType: 2 } })) {
      if (uids.includes(uid)) return true;
    }
    return false;
  };
  const came = await until('the peer has it', hasIt, patienceMs).catch(() => false);
  const ms = performance.now() - startMs;
  // The drop is over before the next one begins.
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, 1_100 - ms)));
  return came ? ms : Number.POSITIVE_INFINITY;
}

function otherOf({ cluster, k }: RealTarget): number {
  return 1 + (k % cluster.numbers.length);
}
