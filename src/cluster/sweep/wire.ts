import type { Context } from '../../core/context.ts';
import { hash32, SHARDS } from '../../core/placement.ts';
import type { SetItem } from '../../core/reconciliation/item.ts';
import { CONTENT_MAX, COUNTER_MAX } from '../../core/reconciliation/item-hash.ts';
import type { Row } from '../../core/row.ts';
import { shardOfKey, type RowKey } from '../../core/row-key.ts';
import type { ShardTotals } from '../../storage/summary-port.ts';
import {
  readContext,
  readRows,
  writeContext,
  writeRows,
  type ContextPlace,
} from '../link/codec-parts.ts';
import { ContextTrail } from '../link/context-trail.ts';
import { Fields, Malformed } from '../link/fields.ts';

/**
 * Bodies of the sweep's questions and answers: flat arrays of numbers, texts, flags and bytes, as the
 * messages of a link are, so that nothing in them is deeper or longer than its bytes. Every `read` throws
 * `Malformed` with the field's name.
 *
 *     compare   a shard's count (6 bytes), sum (8) and vector hash (4): 288 bytes in all; the answer to
 *               equal sets is about 10 bytes, each unequal shard adds 20 and its first symbols (30 each)
 *     items     20 bytes each, rows as in a snapshot
 */
export const METHODS = {
  compare: 'sweep/compare',
  symbols: 'sweep/symbols',
  buckets: 'sweep/buckets',
  items: 'sweep/items',
  rows: 'sweep/rows',
  offer: 'sweep/offer',
  replace: 'sweep/replace',
  covers: 'sweep/covers',
  rebuild: 'sweep/rebuild',
  cut: 'sweep/cut',
} as const;

export type KeyedRow = readonly [RowKey, Row];

export function open(body: unknown): Fields {
  if (!Array.isArray(body)) throw new Malformed('expected an array');
  return new Fields(body);
}

/** Of a shard whose sums are not built. */
const NOT_READY = 0xff;
const TOTAL_BYTES = 6 + 8 + 4;

export interface ShardDigest extends ShardTotals {
  readonly vectorHash: number;
}

export type ShardDigests = readonly (ShardDigest | undefined)[];

export function packDigests(digests: ShardDigests): Uint8Array {
  const bytes = new Uint8Array(SHARDS * TOTAL_BYTES).fill(NOT_READY);
  const view = new DataView(bytes.buffer);
  digests.forEach((digest, shard) => {
    if (!digest) return;
    const at = shard * TOTAL_BYTES;
    view.setUint16(at, Math.floor(digest.count / 2 ** 32));
    view.setUint32(at + 2, digest.count % 2 ** 32);
    view.setBigUint64(at + 6, digest.sum);
    view.setUint32(at + 14, digest.vectorHash);
  });
  return bytes;
}

export function readDigests(fields: Fields): ShardDigests {
  const bytes = fields.bytes('digests');
  if (bytes.length !== SHARDS * TOTAL_BYTES) {
    return fields.fail('digests', `expected ${SHARDS * TOTAL_BYTES} bytes`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: SHARDS }, (_, shard) => {
    const at = shard * TOTAL_BYTES;
    if (bytes[at] === NOT_READY) return undefined;
    const count = view.getUint16(at) * 2 ** 32 + view.getUint32(at + 2);
    return { count, sum: view.getBigUint64(at + 6), vectorHash: view.getUint32(at + 14) };
  });
}

/** 32 bits: where it errs, a vector is taken for another one, and the rows decide as always. */
export function contextHash(context: Context): number {
  let hash = 1;
  for (const { actor, from, to } of context) {
    hash = Math.imul(hash ^ hash32(actor), 0x85ebca6b);
    hash = Math.imul(hash ^ from ^ (hash >>> 13), 0xc2b2ae35);
    hash = Math.imul(hash ^ to ^ (hash >>> 16), 0x9e3779b1);
  }
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** What a peer captured of a shard in which the two differ. */
export interface PeerShard {
  readonly shard: number;
  readonly count: number;
  /** Absent: the same as the asker's. */
  readonly vector: Context | undefined;
  readonly symbols: Uint8Array;
  readonly symbolsTo: number;
}

export interface Compared {
  readonly session: number;
  readonly epoch: number;
  readonly storeId: string;
  /** Bit i: shard i was compared. */
  readonly mask: number;
  readonly unequal: readonly PeerShard[];
}

export function writeCompared({ session, epoch, storeId, mask, unequal }: Compared): unknown[] {
  const out: unknown[] = [session, epoch, storeId, mask, unequal.length];
  for (const { shard, count, vector, symbols, symbolsTo } of unequal) {
    out.push(shard, count, symbolsTo, symbols, vector !== undefined);
    if (vector) writeContext(out, vector, alone(shard));
  }
  return out;
}

export function readCompared(body: unknown): Compared {
  const fields = open(body);
  const [session, epoch] = [fields.integer('session'), fields.integer('epoch')];
  const storeId = fields.text('storeId', 64);
  const mask = fields.integer('mask', 0, 2 ** SHARDS - 1);
  const unequal: PeerShard[] = [];
  for (let left = fields.count('unequal', 5); left > 0; left--) {
    const [shard, count] = [fields.shard(), fields.integer('count')];
    const [symbolsTo, symbols] = [fields.integer('symbolsTo'), fields.bytes('symbols')];
    const vector = fields.flag('vector') ? readContext(fields, alone(shard)) : undefined;
    unequal.push({ shard, count, vector, symbols, symbolsTo });
  }
  fields.end();
  return { session, epoch, storeId, mask, unequal };
}

export function writeItems(items: readonly SetItem[]): unknown[] {
  const out: unknown[] = [];
  writeByActor(out, items, ({ counter, content }) => [counter, content]);
  return out;
}

export function readItems(body: unknown): readonly SetItem[] {
  const fields = open(body);
  const items: SetItem[] = [];
  for (let actors = fields.count('actors', 2); actors > 0; actors--) {
    const actor = fields.actor();
    for (let left = fields.count('items', 2); left > 0; left--) {
      const counter = fields.integer('counter', 1, COUNTER_MAX);
      items.push({ actor, counter, content: fields.integer('content', 0, CONTENT_MAX) });
    }
  }
  fields.end();
  return items;
}

type ShardDot = Pick<SetItem, 'actor' | 'counter'>;

export function writeDots(out: unknown[], dots: readonly ShardDot[]): void {
  writeByActor(out, dots, ({ counter }) => [counter]);
}

export function readDots(fields: Fields): readonly ShardDot[] {
  const dots: ShardDot[] = [];
  for (let actors = fields.count('actors', 2); actors > 0; actors--) {
    const actor = fields.actor();
    for (let left = fields.count('dots', 1); left > 0; left--) {
      dots.push({ actor, counter: fields.integer('counter', 1) });
    }
  }
  return dots;
}

/** An actor is 17 bytes and comes again and again: once for all of its dots. */
function writeByActor<Each extends ShardDot>(
  out: unknown[],
  each: readonly Each[],
  fieldsOf: (one: Each) => readonly unknown[],
): void {
  const byActor = new Map<string, Each[]>();
  for (const one of each) {
    const list = byActor.get(one.actor);
    if (list) list.push(one);
    else byActor.set(one.actor, [one]);
  }
  out.push(byActor.size);
  for (const [actor, list] of byActor) {
    out.push(actor, list.length);
    for (const one of list) out.push(...fieldsOf(one));
  }
}

export interface RowsWanted {
  readonly shard: number;
  readonly keys: readonly RowKey[];
  /** Dots whose rows the answerer has to find. */
  readonly dots: readonly ShardDot[];
}

export function writeRowsWanted({ shard, keys, dots }: RowsWanted): unknown[] {
  const out: unknown[] = [shard, keys.length, ...keys];
  writeDots(out, dots);
  return out;
}

export function readRowsWanted(body: unknown): RowsWanted {
  const fields = open(body);
  const shard = fields.shard();
  const keys = Array.from({ length: fields.count('keys', 1) }, () => fields.key(shard));
  const dots = readDots(fields);
  fields.end();
  return { shard, keys, dots };
}

/**
 * Rows of the asked keys and of the asked dots, in this order; a key without a row is an empty row, a dot
 * without one is absent. `answered`: how many of the keys the answer had room for.
 */
export interface RowsFound {
  readonly answered: number;
  readonly rows: readonly KeyedRow[];
}

export function writeRowsFound({ answered, rows }: RowsFound): unknown[] {
  const out: unknown[] = [answered];
  const [first] = rows;
  writeRows(out, rows, together(first ? shardOfKey(first[0]) : 0));
  return out;
}

export function readRowsFound(body: unknown, shard: number): RowsFound {
  const fields = open(body);
  const answered = fields.integer('answered');
  const rows = readRows(fields, together(shard));
  fields.end();
  return { answered, rows };
}

export function writeShardRows(shard: number, rows: readonly KeyedRow[], session = 0): unknown[] {
  const out: unknown[] = [shard, session];
  writeRows(out, rows, together(shard));
  return out;
}

export function readShardRows(body: unknown): {
  readonly shard: number;
  readonly session: number;
  readonly rows: readonly KeyedRow[];
} {
  const fields = open(body);
  const [shard, session] = [fields.shard(), fields.integer('session')];
  const rows = readRows(fields, together(shard));
  fields.end();
  return { shard, session, rows };
}

/** A context by itself. */
function alone(shard: number): ContextPlace {
  return { shard, trail: undefined };
}

/** The contexts of one message's rows, each as what differs from the one before. */
function together(shard: number): ContextPlace {
  return { shard, trail: new ContextTrail() };
}
