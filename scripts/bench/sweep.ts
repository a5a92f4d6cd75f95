import { pack, unpack } from 'msgpackr';
import type { PeerCallHandler, PeerCalls } from '../../src/cluster/calls/port.ts';
import { encodePeerMessage } from '../../src/cluster/link/codec.ts';
import { ENVELOPE_BYTES } from '../../src/cluster/link/envelope.ts';
import { Sweeper } from '../../src/cluster/sweep/sweeper.ts';
import { METHODS } from '../../src/cluster/sweep/wire.ts';
import { EMPTY_CONTEXT } from '../../src/core/context.ts';
import type { ActorId, ChannelKey, MemberId, Uid } from '../../src/core/ids.ts';
import { SHARDS, shardOf } from '../../src/core/placement.ts';
import type { Row as StoredRow } from '../../src/core/row.ts';
import { subscriptionKey, type RowKey } from '../../src/core/row-key.ts';
import { silentLog } from '../../src/observability/log.ts';
import { systemRuntime } from '../../src/runtime/system.ts';
import { MemoryStoreLocation } from '../../src/storage/memory-store.ts';
import { ReplicatedStore } from '../../src/storage/replica.ts';
import { StoreSummary } from '../../src/storage/summary.ts';
import type { Row } from './row.ts';

const ACTOR = '0123456789abcdef' as ActorId;
const KB = 1024;
/** What carries records: the rest of the bytes is what the comparison costs. */
const RECORDS: ReadonlySet<string> = new Set([METHODS.rows, METHODS.offer, METHODS.replace]);

/** Bytes on the wire of one sweep between two replicas of `entries`, envelopes included. */
export async function benchSweep(entries: number): Promise<Row[]> {
  // The runtime's timers keep no process alive.
  const alive = setInterval(() => {}, 1_000);
  const rows: Row[] = [];
  const targets = [
    { name: 'equal', missing: 0, altered: 0, bytes: 0.5 * KB },
    { name: '1 missing', missing: 1, altered: 0, bytes: KB },
    { name: '10 missing', missing: 10, altered: 0, bytes: 2.5 * KB },
    { name: '1,000 missing', missing: 1_000, altered: 0, bytes: 64 * KB },
    { name: '1,000 altered', missing: 0, altered: 1_000, bytes: 128 * KB },
  ];
  const pair = await Pair.open(entries);
  for (const { name, missing, altered, bytes } of targets) {
    await pair.damage({ missing, altered });
    const { compared, records, ms } = await pair.sweep();
    rows.push({
      ...{ name: `sweep of ${entries.toLocaleString('en-US')}, ${name}`, unit: 'bytes' },
      ...{ value: compared, target: { value: bytes, sense: 'at most' } },
      note: `${records} bytes of records besides; ${ms.toFixed(0)} ms`,
    });
    await pair.heal();
  }
  clearInterval(alive);
  return rows;
}

interface Side {
  readonly replica: ReplicatedStore;
  readonly summary: StoreSummary;
  readonly sweeper: Sweeper;
}

class Pair {
  readonly #entries: number;
  readonly #sides: readonly Side[];
  readonly #wire: Wire;
  #damaged: (readonly [RowKey, StoredRow])[] = [];

  private constructor(entries: number, sides: readonly Side[], wire: Wire) {
    this.#entries = entries;
    this.#sides = sides;
    this.#wire = wire;
  }

  static async open(entries: number): Promise<Pair> {
    const wire = new Wire();
    const sides: Side[] = [];
    for (const name of ['a', 'b'] as MemberId[]) sides.push(await openSide(name, entries, wire));
    return new Pair(entries, sides, wire);
  }

  async damage({ missing, altered }: { missing: number; altered: number }): Promise<void> {
    const { replica } = this.#sides[1]!;
    const count = missing + altered;
    this.#damaged = Array.from({ length: count }, (_, i) => {
      // Spread over all channels, and so over the shards.
      const key = keyOf((i * 1_000_003) % this.#entries);
      return [key, replica.read(key)] as const;
    });
    replica.replaceRows(
      this.#damaged.map(([key, row]) => [
        key,
        missing > 0 ? [] : row.map((entry) => ({ ...entry, hlc: entry.hlc + 1 })),
      ]),
    );
    await this.#quiet();
  }

  async sweep(): Promise<{ compared: number; records: number; ms: number }> {
    this.#wire.bytes.clear();
    const from = performance.now();
    await this.#sides[0]!.sweeper.sweepNow();
    const ms = performance.now() - from;
    let [compared, records] = [0, 0];
    for (const [method, bytes] of this.#wire.bytes) {
      if (RECORDS.has(method)) records += bytes;
      else compared += bytes;
    }
    return { compared, records, ms };
  }

  /** What a sweep leaves (an altered row has no majority of two) is put right by hand. */
  async heal(): Promise<void> {
    this.#sides[1]!.replica.replaceRows(this.#damaged);
    await this.#quiet();
  }

  #quiet(): Promise<void> {
    return new Promise((resolve) => {
      this.#sides[1]!.replica.mergeRows([], resolve);
    });
  }
}

/** Two members in one process; every body is packed and unpacked as on a link, and counted. */
class Wire {
  readonly bytes = new Map<string, number>();
  readonly #handlers = new Map<string, PeerCallHandler>();

  of(self: MemberId): PeerCalls {
    const other = (self === 'a' ? 'b' : 'a') as MemberId;
    return {
      answer: (method, handler) => void this.#handlers.set(`${self} ${method}`, handler),
      call: async (_member, { method, body }) => {
        const asked = pack(body);
        this.#count(method, { type: 'call', request: 1_000, method, body: asked });
        const answer = pack(await this.#handlers.get(`${other} ${method}`)!(self, unpack(asked)));
        this.#count(method, { type: 'reply', request: 1_000, ok: true, body: answer });
        return unpack(answer) as unknown;
      },
      reachable: () => [other],
    };
  }

  #count(method: string, message: Parameters<typeof encodePeerMessage>[0]): void {
    const bytes = encodePeerMessage(message).payload.length + ENVELOPE_BYTES;
    this.bytes.set(method, (this.bytes.get(method) ?? 0) + bytes);
  }
}

async function openSide(self: MemberId, entries: number, wire: Wire): Promise<Side> {
  const runtime = systemRuntime;
  const log = silentLog;
  const store = await new MemoryStoreLocation({ runtime }).open();
  const replica = await ReplicatedStore.open({ store, runtime, log });
  const summary = new StoreSummary({ cluster: 'bench', store, replica, runtime, log });
  await Promise.all(Array.from({ length: SHARDS }, (_, shard) => summary.build(shard, () => 0)));
  const counters = Array.from({ length: SHARDS }, () => 0);
  for (let i = 0; i < entries;) {
    const rows: (readonly [RowKey, StoredRow])[] = [];
    for (; rows.length < 5_000 && i < entries; i++) {
      const counter = ++counters[shardOf(channelOf(i))]!;
      const value = new Uint8Array(8);
      rows.push([
        keyOf(i),
        [{ actor: ACTOR, counter, hlc: 1e15 + i, tag: 0, context: EMPTY_CONTEXT, value }],
      ]);
    }
    await new Promise<void>((resolve) => {
      replica.mergeRows(rows, resolve);
    });
  }
  replica.cover(
    counters.flatMap((to, shard) => (to > 0 ? [{ actor: ACTOR, shard, from: 1, to }] : [])),
  );
  const others = [(self === 'a' ? 'b' : 'a') as MemberId];
  const sweeper = new Sweeper({
    ...{ self, replica, summary, key: summary.key, calls: wire.of(self), runtime, log },
    repairs: { onRepair() {} },
    roster: () => ({ epoch: 1, others }),
    caughtUp: () => true,
    linkOf: () => wire,
    reportedBy: () => undefined,
    collections: () => 0,
    limits: { repairsPerSecond: 1e6 },
  });
  return { replica, summary, sweeper };
}

function channelOf(i: number): ChannelKey {
  return `2/group-${i % 1_000}` as ChannelKey;
}

function keyOf(i: number): RowKey {
  return subscriptionKey(channelOf(i), `user-${i}` as Uid);
}
