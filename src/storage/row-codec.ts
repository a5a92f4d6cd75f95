import { crc32, crc32Text } from '../core/checksum.ts';
import { EMPTY_CONTEXT, type Context, type Span } from '../core/context.ts';
import type { Entry, Row } from '../core/row.ts';
import type { RowKey } from '../core/row-key.ts';
import { SHARDS } from '../core/placement.ts';
import type { ClosedActor, VectorRow } from '../core/version-vector.ts';
import type { ClosedContexts, SplitContext } from './closed-contexts.ts';
import {
  ACTOR_BYTES,
  RowReader,
  RowWriter,
  uint32At,
  UINT56_BYTES,
  VARINT_BYTES_MAX,
} from './row-bytes.ts';

/**
 * Rows as they are stored. Every row starts with the version of its format and ends in a CRC-32 of its
 * key and its body, so that a flipped bit and a row under another row's key are both noticed, by anyone
 * who reads it. Numbers are varints, actors 8 bytes.
 *
 *     row     1, entries, then for each: tag u8, actor, counter, hlc 7 bytes,
 *             spans, then for each span: actor, from, to - from; value length, value
 *     row     2, the same, but before the spans of each entry: a count of closed actors and, unless it
 *             is 0, a check of them in 4 bytes: the context holds all of them in the row's shard too
 *     closed  1, actor, its place in the order of closing, its highest counter in each of the 16 shards
 *     vector  1, actor, shard u8, base, intervals, then for each: gap from what is before, to - from
 *     log     1, offset, count, row key in UTF-8
 *
 * A row of one entry without context is about 27 bytes and its value, and about 0.3 µs either way.
 */
const FORMAT = 1;
/** Only of rows that it makes smaller. */
const FORMAT_SPLIT = 2;
const CRC_BYTES = 4;
/** Format and one count. */
const HEAD_BYTES_MAX = 1 + VARINT_BYTES_MAX;
const ENTRY_BYTES_MAX = 1 + ACTOR_BYTES + UINT56_BYTES + 4 * VARINT_BYTES_MAX + 4;
const SPAN_BYTES_MAX = ACTOR_BYTES + 2 * VARINT_BYTES_MAX;

/**
 * `truncated`: too short to be a row. `checksum`: not what was written under this key. `format`: written
 * so, and not by a version this one knows. `closed`: a context counts on closed actors that are not
 * known here.
 */
export type RowError = 'checksum' | 'truncated' | 'format' | 'closed';

export type Decoded<Value> =
  { readonly ok: true; readonly row: Value } | { readonly ok: false; readonly error: RowError };

/** A closed actor with its place, from 0, in the order in which this store closed its actors. */
export interface ClosedRow extends ClosedActor {
  readonly order: number;
}

/** What a log row says about its dot: the row it wrote, and its place in its operation. */
export interface LogRow extends LogPlace {
  readonly key: RowKey;
}

export interface LogPlace {
  /** Of the write in its operation: the operation's first counter is the dot's less this. */
  readonly offset: number;
  /** Of the operation's writes. */
  readonly count: number;
}

// The codec is synchronous and never calls out, so one of each serves all rows.
const writer = new RowWriter();
const reader = new RowReader();

/**
 * Throws a RangeError where a number of the row is no integer from 0 to 2^53 - 1. With `contexts`, the
 * closed actors of the store it is for, long contexts are short.
 */
export function encodeRow(key: string, row: Row, contexts?: ClosedContexts): Uint8Array {
  const split = contexts && splitContexts(key, row, contexts);
  writer.begin(rowBytesMax(row));
  writer.uint8(split ? FORMAT_SPLIT : FORMAT);
  writer.varint(row.length);
  for (const [i, entry] of row.entries()) {
    writer.uint8(entry.tag);
    writer.actor(entry.actor);
    writer.varint(entry.counter);
    writer.uint56(entry.hlc);
    const known = split?.[i];
    if (split) writer.varint(known?.closed ?? 0);
    if (known) writer.uint32(known.check);
    const context = known?.rest ?? entry.context;
    writer.varint(context.length);
    for (const { actor, from, to } of context) {
      writer.actor(actor);
      writer.varint(from);
      writer.varint(to - from);
    }
    writer.varint(entry.value.length);
    writer.blob(entry.value);
  }
  return seal(crc32Text(key));
}

/** `contexts`: the closed actors of the store that the row was read from. */
export function decodeRow(key: string, bytes: Uint8Array, contexts?: ClosedContexts): Decoded<Row> {
  const error = open(bytes, crc32Text(key), FORMAT_SPLIT);
  if (error !== undefined) return { ok: false, error };
  const count = reader.varint();
  if (bytes[0] === FORMAT_SPLIT) return decodeSplit(shardOf(key), count, contexts);
  if (count === 1) {
    const entry = readEntry();
    return closed() ? { ok: true, row: [entry] } : BAD_FORMAT;
  }
  const row: Entry[] = [];
  for (let i = 0; i < count && !reader.bad; i++) row.push(readEntry());
  return closed() ? { ok: true, row } : BAD_FORMAT;
}

/** The row of one (actor, shard) under `v`. Throws a RangeError as `encodeRow` does. */
export function encodeVectorRow(key: string, row: VectorRow): Uint8Array {
  writer.begin(
    HEAD_BYTES_MAX + ACTOR_BYTES + 1 + (2 + row.above.length) * VARINT_BYTES_MAX + CRC_BYTES,
  );
  writer.uint8(FORMAT);
  writer.actor(row.actor);
  writer.uint8(row.shard);
  writer.varint(row.base);
  writer.varint(row.above.length / 2);
  let last = row.base;
  for (const bound of row.above) {
    writer.varint(bound - last);
    last = bound;
  }
  return seal(crc32Text(key));
}

export function decodeVectorRow(key: string, bytes: Uint8Array): Decoded<VectorRow> {
  const error = open(bytes, crc32Text(key));
  if (error !== undefined) return { ok: false, error };
  const actor = reader.actor();
  const shard = reader.uint8();
  const base = reader.varint();
  const intervals = reader.varint();
  const above: number[] = [];
  let last = base;
  for (let i = 0; i < 2 * intervals && !reader.bad; i++) {
    last += reader.varint();
    above.push(last);
  }
  if (!closed() || !Number.isSafeInteger(last)) return BAD_FORMAT;
  return { ok: true, row: { actor, shard, base, above } };
}

/** The row of a closed actor under `x`. Throws a RangeError as `encodeRow` does. */
export function encodeClosedRow(key: string, { actor, finals, order }: ClosedRow): Uint8Array {
  writer.begin(
    HEAD_BYTES_MAX + ACTOR_BYTES + VARINT_BYTES_MAX + finals.length * VARINT_BYTES_MAX + CRC_BYTES,
  );
  writer.uint8(FORMAT);
  writer.actor(actor);
  writer.varint(order);
  for (const final of finals) writer.varint(final);
  return seal(crc32Text(key));
}

export function decodeClosedRow(key: string, bytes: Uint8Array): Decoded<ClosedRow> {
  const error = open(bytes, crc32Text(key));
  if (error !== undefined) return { ok: false, error };
  const actor = reader.actor();
  const order = reader.varint();
  const finals = Array.from({ length: SHARDS }, () => reader.varint());
  return closed() ? { ok: true, row: { actor, order, finals } } : BAD_FORMAT;
}

/** The row of one dot under `l`: the key that it wrote, and its place in its operation. */
export function encodeLogRow(key: RowKey, { offset, count }: LogPlace): Uint8Array {
  const bytesMax = HEAD_BYTES_MAX + 2 * VARINT_BYTES_MAX + 3 * key.length + CRC_BYTES;
  writer.begin(bytesMax);
  writer.uint8(FORMAT);
  writer.varint(offset);
  writer.varint(count);
  writeText(key);
  return seal(0);
}

/**
 * The checksum is of the body alone: a log row under another dot's key is noticed when the row that it
 * names does not hold the dot.
 */
export function decodeLogRow(_logKey: string, bytes: Uint8Array): Decoded<LogRow> {
  const error = open(bytes, 0);
  if (error !== undefined) return { ok: false, error };
  const offset = reader.varint();
  const count = reader.varint();
  if (reader.bad || offset >= count) return BAD_FORMAT;
  const key = textOf(bytes, reader.at, reader.end) as RowKey;
  return { ok: true, row: { key, offset, count } };
}

const BAD_FORMAT = { ok: false, error: 'format' } as const;

function rowBytesMax(row: Row): number {
  let bytesMax = HEAD_BYTES_MAX + CRC_BYTES;
  for (const { context, value } of row) {
    bytesMax += ENTRY_BYTES_MAX + context.length * SPAN_BYTES_MAX + value.length;
  }
  return bytesMax;
}

function readEntry(): Entry {
  const tag = reader.uint8();
  const actor = reader.actor();
  const counter = reader.varint();
  const hlc = reader.uint56();
  const spans = reader.varint();
  const context = spans === 0 ? EMPTY_CONTEXT : readContext(spans);
  const value = reader.blob(reader.varint());
  return { actor, counter, hlc, tag, context, value };
}

function decodeSplit(shard: number, count: number, contexts?: ClosedContexts): Decoded<Row> {
  const row: Entry[] = [];
  let isKnown = true;
  for (let i = 0; i < count && !reader.bad; i++) {
    const tag = reader.uint8();
    const actor = reader.actor();
    const counter = reader.varint();
    const hlc = reader.uint56();
    const closedActors = reader.varint();
    const check = closedActors === 0 ? 0 : reader.uint32();
    const rest = readContext(reader.varint());
    const value = reader.blob(reader.varint());
    const context =
      closedActors === 0 ? rest : contexts?.join(shard, { closed: closedActors, check, rest });
    if (context) row.push({ actor, counter, hlc, tag, context, value });
    else isKnown = false;
  }
  if (!closed()) return BAD_FORMAT;
  return isKnown ? { ok: true, row } : { ok: false, error: 'closed' };
}

/** Undefined where no entry gets shorter. */
function splitContexts(
  key: string,
  row: Row,
  contexts: ClosedContexts,
): readonly (SplitContext | undefined)[] | undefined {
  let split: (SplitContext | undefined)[] | undefined;
  for (const [i, { context }] of row.entries()) {
    const known = contexts.split(shardOf(key), context);
    if (known) (split ??= [])[i] = known;
  }
  return split;
}

/** A row key's second character is its shard as a hex digit. */
function shardOf(key: string): number {
  return Number.parseInt(key[1]!, 16);
}

function readContext(spans: number): Context {
  const context: Span[] = [];
  for (let i = 0; i < spans && !reader.bad; i++) {
    const actor = reader.actor();
    const from = reader.varint();
    const to = from + reader.varint();
    if (to > Number.MAX_SAFE_INTEGER) reader.bad = true;
    context.push({ actor, from, to });
  }
  return context;
}

function seal(seed: number): Uint8Array {
  writer.uint32(crc32(writer.bytes, seed, writer.at));
  return writer.take();
}

/** Verifies the whole row first, so that nothing is read from one that is not as it was written. */
function open(bytes: Uint8Array, seed: number, formatMax = FORMAT): RowError | undefined {
  const end = bytes.length - CRC_BYTES;
  if (end < 2) return 'truncated';
  if (crc32(bytes, seed, end) !== uint32At(bytes, end)) return 'checksum';
  if (bytes[0]! < FORMAT || bytes[0]! > formatMax) return 'format';
  reader.begin(bytes, end);
  reader.at = 1;
  return undefined;
}

/** True where the row was read to its end and not past it. */
function closed(): boolean {
  return !reader.bad && reader.at === reader.end;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function writeText(text: string): void {
  const { bytes, at } = writer;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 127) {
      writer.at = at + encoder.encodeInto(text, bytes.subarray(at)).written;
      return;
    }
    bytes[at + i] = unit;
  }
  writer.at = at + text.length;
}

function textOf(bytes: Uint8Array, from: number, to: number): string {
  return decoder.decode(bytes.subarray(from, to));
}
