import type { MemberId } from '../../core/ids.ts';
import { DifferenceDecoder } from '../../core/reconciliation/difference-decoder.ts';
import { SHARDS } from '../../core/placement.ts';
import { liveEntries, type Row } from '../../core/row.ts';
import type { RowKey } from '../../core/row-key.ts';
import { Malformed } from '../link/fields.ts';
import type { Applier } from './apply.ts';
import { captureDigests, captureShard, type ShardCapture } from './capture.ts';
import type { SweepLimits, SweepOptions } from './options.ts';
import { findDot } from './verdict.ts';
import {
  METHODS,
  open,
  readDigests,
  readDots,
  readRowsWanted,
  readShardRows,
  writeCompared,
  writeItems,
  writeRowsFound,
  type KeyedRow,
  type PeerShard,
} from './wire.ts';

/** Symbols that go with the first answer: enough for a few differences, small beside a question. */
const FIRST_SYMBOLS_MAX = 64;

interface Session {
  readonly id: number;
  readonly captures: ReadonlyMap<number, ShardCapture>;
  heardMs: number;
}

/**
 * The side of a sweep that is asked. It keeps what it captured of the unequal shards, one sweep a peer,
 * so that all rounds speak of one moment; about 70 KB a shard, until the peer's next sweep or the expiry.
 */
export class SweepAnswerer {
  readonly #options: SweepOptions;
  readonly #limits: SweepLimits;
  readonly #applier: Applier;
  readonly #rebuild: (shard: number) => void;
  readonly #sessions = new Map<MemberId, Session>();
  #lastSession = 0;

  constructor(
    options: SweepOptions,
    parts: { limits: SweepLimits; applier: Applier; rebuild: (shard: number) => void },
  ) {
    this.#options = options;
    this.#limits = parts.limits;
    this.#applier = parts.applier;
    this.#rebuild = parts.rebuild;
    const { calls } = options;
    calls.answer(METHODS.compare, (from, body) => this.#compare(from, body));
    calls.answer(METHODS.symbols, (from, body) => this.#symbols(from, body));
    calls.answer(METHODS.buckets, (from, body) => this.#buckets(from, body));
    calls.answer(METHODS.items, (_from, body) => this.#items(body));
    calls.answer(METHODS.rows, (_from, body) => this.#rows(body));
    calls.answer(METHODS.offer, (from, body) => this.#offer(from, body));
    calls.answer(METHODS.replace, (from, body) => this.#replace(from, body));
    calls.answer(METHODS.covers, (_from, body) => this.#covers(body));
    calls.answer(METHODS.rebuild, (_from, body) => this.#rebuildShard(body));
  }

  /** Forgets the sweeps that said nothing for too long. */
  expire(nowMs: number): void {
    for (const [member, { heardMs }] of this.#sessions) {
      if (nowMs - heardMs > this.#limits.sessionMs) this.#sessions.delete(member);
    }
  }

  /** All in one tick: totals, vectors and copies belong together. */
  #compare(from: MemberId, body: unknown): unknown {
    if (!this.#options.caughtUp()) throw new Error('this store has not caught up');
    const fields = open(body);
    const theirs = readDigests(fields);
    fields.end();
    const { digests, vectors } = captureDigests(this.#options);
    const captures = new Map<number, ShardCapture>();
    const unequal: PeerShard[] = [];
    let mask = 0;
    for (let shard = 0; shard < SHARDS; shard++) {
      const [their, our] = [theirs[shard], digests[shard]];
      if (!their || !our) continue;
      mask |= 1 << shard;
      if (their.count === our.count && their.sum === our.sum) continue;
      const capture = captureShard(this.#options, shard);
      captures.set(shard, capture);
      const first = new DifferenceDecoder({
        ...{ key: this.#options.key, shard, ourCount: our.count, theirCount: their.count },
      });
      const symbolsTo = Math.min(first.wanted(), FIRST_SYMBOLS_MAX, capture.copy.symbolsMax);
      unequal.push({
        ...{ shard, count: our.count, symbolsTo, symbols: capture.copy.symbols(0, symbolsTo) },
        vector: their.vectorHash === our.vectorHash ? undefined : vectors[shard],
      });
    }
    const id = ++this.#lastSession;
    if (captures.size > 0) this.#sessions.set(from, { id, captures, heardMs: this.#nowMs() });
    const { epoch } = this.#options.roster();
    return writeCompared({
      ...{ session: id, epoch, storeId: this.#options.replica.storeId, mask, unequal },
    });
  }

  #symbols(from: MemberId, body: unknown): unknown {
    const fields = open(body);
    const [session, shard] = [fields.integer('session'), fields.shard()];
    const { copy } = this.#captured(from, session, shard);
    const start = fields.integer('from', 0, copy.symbolsMax);
    const to = fields.integer('to', start, copy.symbolsMax);
    fields.end();
    return copy.symbols(start, to);
  }

  #buckets(from: MemberId, body: unknown): unknown {
    const fields = open(body);
    const [session, shard] = [fields.integer('session'), fields.shard()];
    fields.end();
    return this.#captured(from, session, shard).copy.bucketSums();
  }

  async #items(body: unknown): Promise<unknown> {
    const fields = open(body);
    const shard = fields.shard();
    const buckets = new Set<number>();
    for (let left = fields.count('buckets', 1); left > 0; left--) {
      buckets.add(fields.integer('bucket'));
    }
    fields.end();
    const items = await this.#options.summary.itemsOf(shard, buckets);
    return writeItems(items.slice(0, this.#limits.itemsMax * 2));
  }

  #rows(body: unknown): unknown {
    const { replica } = this.#options;
    const { shard, keys, dots } = readRowsWanted(body);
    if (!this.#options.caughtUp()) throw new Error('this store has not caught up');
    const rows: KeyedRow[] = [];
    let bytes = 0;
    let answered = 0;
    const add = (key: RowKey, row: Row): boolean => {
      const size = sizeOf(key, row);
      if (rows.length > 0 && bytes + size > this.#limits.batchBytes) return false;
      bytes += size;
      rows.push([key, row]);
      return true;
    };
    while (answered < keys.length && add(keys[answered]!, replica.read(keys[answered]!))) {
      answered += 1;
    }
    for (const { actor, counter } of dots) {
      const key = replica.keyOf({ actor, shard, counter });
      const row = key === undefined ? [] : replica.read(key);
      if (key === undefined || !findDot(liveEntries(row), { actor, counter })) continue;
      if (!add(key, row)) break;
    }
    return writeRowsFound({ answered, rows });
  }

  #offer(from: MemberId, body: unknown): unknown {
    if (!this.#options.caughtUp()) throw new Error('this store has not caught up');
    const { shard, session, rows } = readShardRows(body);
    const { collections } = this.#captured(from, session, shard);
    return this.#applier.merge({ shard, rows, peer: from, collections }).length;
  }

  #replace(from: MemberId, body: unknown): unknown {
    const { rows } = readShardRows(body);
    return this.#applier.replace(rows, from);
  }

  #covers(body: unknown): unknown {
    const fields = open(body);
    const shard = fields.shard();
    const dots = readDots(fields);
    fields.end();
    return dots.map(({ actor, counter }) =>
      this.#options.replica.covers({ actor, shard, from: counter, to: counter }),
    );
  }

  #rebuildShard(body: unknown): unknown {
    const fields = open(body);
    const shard = fields.shard();
    fields.end();
    this.#rebuild(shard);
    return true;
  }

  #captured(from: MemberId, id: number, shard: number): ShardCapture {
    const session = this.#sessions.get(from);
    const capture = session?.id === id ? session.captures.get(shard) : undefined;
    if (!session || !capture) throw new Malformed('session: this sweep is over');
    session.heardMs = this.#nowMs();
    return capture;
  }

  #nowMs(): number {
    return this.#options.runtime.clock.monotonicMs();
  }
}

function sizeOf(key: RowKey, row: Row): number {
  let bytes = key.length + 16;
  for (const { value, context } of row) bytes += 64 + value.length + context.length * 32;
  return bytes;
}
