import { Packr } from 'msgpackr';
import type { Operation } from '../../core/operation.ts';
import { REMOVAL } from '../../core/row.ts';
import { SEPARATOR } from '../../core/row-key.ts';
import type { Repair } from '../port.ts';
import { formatDot } from '../../core/dot.ts';
import type { LogEntry, LoggedAction, RefusedOperation } from './port.ts';

/**
 * How the log's ring stores what happened: a row is one byte, then a msgpack array of one array a record.
 * The byte is `FRONT_CODED` where some record of the row is: then no name can be looked for in its bytes.
 */
const codec = new Packr({ useRecords: false });

const OPERATION = 0;
const REPAIR = 1;
const REFUSED = 2;
const COUNTED = 3;

/** uids of one refused call that are named; the others are counted. */
const REFUSED_UIDS_MAX = 8;
/** Operations with as many keys: what bytes cost on disk is more than what coding them costs. */
const FRONT_CODED_MIN = 8;
const FRONT_CODED = 1;
/** First byte of a row in whose bytes no name can be looked for. */
export const FRONT_CODED_ROW = FRONT_CODED;
/** A key begins with how many characters it shares with the one before it, as one printable character. */
const SHARED_MAX = 90;
const SHARED_ZERO = 32;
const DOTS_MAX = 8;
const ARRAY_16_MAX = 0xffff;
const DETAIL_LENGTH_MAX = 300;

/** A record as it is packed. */
export type LogRecord = readonly unknown[];

/** True where an operation changes who receives what: everything else (messages, tokens) is not logged. */
export function isLogged({ writes }: Operation): boolean {
  for (const { key } of writes) if (key[0] === 's' || key[0] === 'd') return true;
  return false;
}

export function operationRecord(atMs: number, cause: string, operation: Operation): LogRecord {
  const { actor, shard, first, writes } = operation;
  const keys: string[] = [];
  const offsets: number[] = [];
  let removals = 0;
  for (const { key, tag, offset } of writes) {
    if (key[0] !== 's' && key[0] !== 'd') continue;
    keys.push(key);
    offsets.push(tag === REMOVAL ? -offset - 1 : offset);
    if (tag === REMOVAL) removals += 1;
  }
  // The usual bulk operation is all puts or all removals, without gaps: then one number says it all.
  const plain = keys.length === writes.length && keys.length === operation.count;
  const shape = plain && removals === 0 ? 1 : plain && removals === keys.length ? -1 : offsets;
  if (keys.length < FRONT_CODED_MIN)
    return [OPERATION, atMs, cause, actor, shard, first, keys, shape];
  return [OPERATION, atMs, cause, actor, shard, first, frontCode(keys), shape, FRONT_CODED];
}

export function repairRecord(repair: Repair): LogRecord {
  const { wallMs, layer, action, cause, channel, uid, peer, dots = [], detail } = repair;
  const about = [layer, ...(peer ? [`with ${peer}`] : []), ...(detail ? [detail] : [])];
  const named = dots.slice(0, DOTS_MAX).map(formatDot).join(',');
  const text = about.join(': ').slice(0, DETAIL_LENGTH_MAX);
  return [REPAIR, wallMs, cause, channel ?? '', uid ?? '', named, action, text];
}

export function refusedRecord(atMs: number, refused: RefusedOperation): LogRecord {
  const { action, channel, uids, cause, refusal } = refused;
  const named = uids.slice(0, REFUSED_UIDS_MAX);
  const text = refusal.message.slice(0, DETAIL_LENGTH_MAX);
  return [REFUSED, atMs, cause, action, channel, named, uids.length, refusal.code, text];
}

/** Something that is only counted: rows of a snapshot, entries that were left out. */
export function countedRecord(
  atMs: number,
  action: 'snapshot' | 'unwritten',
  detail: string,
): LogRecord {
  return [COUNTED, atMs, action, detail];
}

/** Lines that the record is shown as: what the ring is bounded by. */
export function entriesIn(record: LogRecord): number {
  const named = record[0] === OPERATION ? record[6] : record[0] === REFUSED ? record[5] : [''];
  return Array.isArray(named) ? named.length : 0;
}

export function encodeRecords(records: readonly LogRecord[]): Uint8Array {
  const packed = codec.pack(records);
  const row = new Uint8Array(packed.length + 1);
  row[0] = records.some((record) => record[8] === FRONT_CODED) ? FRONT_CODED : 0;
  row.set(packed, 1);
  return row;
}

/**
 * The rows as one, without decoding a record: their arrays are joined behind one length. Undefined where a
 * row is none of `encodeRecords`.
 */
export function joinRows(rows: readonly Uint8Array[]): Uint8Array | undefined {
  let count = 0;
  const bodies: Uint8Array[] = [];
  for (const row of rows) {
    const array = arrayIn(row);
    if (!array) return undefined;
    count += array.length;
    bodies.push(row.subarray(array.from));
  }
  if (count > ARRAY_16_MAX) return undefined;
  const coded = rows.some((row) => row[0] === FRONT_CODED) ? FRONT_CODED : 0;
  return Buffer.concat([Uint8Array.of(coded, 0xdc, count >> 8, count & 0xff), ...bodies]);
}

/** Where the elements of a row's msgpack array begin, and how many there are. */
function arrayIn(row: Uint8Array): { readonly length: number; readonly from: number } | undefined {
  const [, tag = 0, high = 0, low = 0] = row;
  if (tag >= 0x90 && tag <= 0x9f) return { length: tag & 0x0f, from: 2 };
  return tag === 0xdc ? { length: (high << 8) | low, from: 4 } : undefined;
}

/** False where none of the row's lines has this text in it: most rows need not be decoded. */
export function mayHold(row: Uint8Array, text: Buffer): boolean {
  if (row[0] === FRONT_CODED) return true;
  return Buffer.from(row.buffer, row.byteOffset, row.byteLength).includes(text);
}

/** Keys of one operation mostly share shard, channel and half of the uid: a few bytes each instead of 25. */
export function frontCode(keys: readonly string[]): string[] {
  let before = '';
  return keys.map((key) => {
    const most = Math.min(SHARED_MAX, before.length, key.length);
    let shared = 0;
    while (shared < most && key.charCodeAt(shared) === before.charCodeAt(shared)) shared++;
    before = key;
    return String.fromCharCode(SHARED_ZERO + shared) + key.slice(shared);
  });
}

export function frontDecode(coded: readonly unknown[]): string[] {
  let before = '';
  return coded.map((text) => {
    const shared = typeof text === 'string' ? text.charCodeAt(0) - SHARED_ZERO : 0;
    before = before.slice(0, Math.max(0, shared)) + textOf(text).slice(1);
    return before;
  });
}

/** The records of a row, oldest first; empty where the row is damaged: a line of a log is no promise. */
export function decodeRecords(bytes: Uint8Array): readonly LogRecord[] {
  try {
    const records: unknown = codec.unpack(bytes.subarray(1));
    return Array.isArray(records) ? records.filter((record) => Array.isArray(record)) : [];
  } catch {
    return [];
  }
}

/** When the record was written; 0 where it is damaged. */
export function timeOf(record: LogRecord): number {
  return typeof record[1] === 'number' ? record[1] : 0;
}

/** The lines of one record, in the order of its writes. */
export function toEntries(record: LogRecord): readonly LogEntry[] {
  switch (record[0]) {
    case OPERATION:
      return operationEntries(record);
    case REPAIR: {
      const [, , cause, channel, uid, dot, result, detail] = record;
      return [entry(record, 'repair', { cause, channel, uid, dot, result, detail })];
    }
    case REFUSED: {
      const [, , cause, action, channel, uids, count, code, message] = record;
      const known = action === 'unsubscribe' ? 'unsubscribe' : 'subscribe';
      const named: readonly unknown[] = Array.isArray(uids) ? uids : [];
      const more = numberOf(count) - named.length;
      const detail = more > 0 ? `${textOf(message)} (and ${more} uids more)` : message;
      const result = `refused (${numberOf(code)})`;
      return named.map((uid) => entry(record, known, { cause, channel, uid, result, detail }));
    }
    case COUNTED: {
      const action = record[2] === 'snapshot' ? 'snapshot' : 'unwritten';
      return [entry(record, action, { cause: 'system', result: 'counted', detail: record[3] })];
    }
    default:
      return [];
  }
}

function operationEntries(record: LogRecord): readonly LogEntry[] {
  const [, , cause, actor, shard, first, named, shape, coded] = record;
  if (!Array.isArray(named)) return [];
  const keys: readonly unknown[] = coded === FRONT_CODED ? frontDecode(named) : named;
  return keys.flatMap((key: unknown, i) => {
    const about = typeof key === 'string' ? readKey(key) : undefined;
    if (!about) return [];
    const { channel, uid, detail, deny } = about;
    const place = Array.isArray(shape) ? numberOf(shape[i]) : shape === -1 ? -i - 1 : i;
    const removal = place < 0;
    const offset = removal ? -place - 1 : place;
    const dot = `${textOf(actor)}:${numberOf(shard)}:${numberOf(first) + offset}`;
    const action = deny ? (removal ? 'allow' : 'deny') : removal ? 'unsubscribe' : 'subscribe';
    return [entry(record, action, { cause, channel, uid, dot, result: 'applied', detail })];
  });
}

function readKey(key: string) {
  const [channel = '', ...parts] = key.slice(3).split(SEPARATOR);
  if (key[0] === 's') return { channel, uid: parts[0], detail: '', deny: false };
  if (key[0] !== 'd') return undefined;
  const [scope, reason, uid = ''] = parts;
  return { channel, uid, detail: scope === 'f' ? `the channel: ${reason}` : reason, deny: true };
}

function entry(
  record: LogRecord,
  action: LoggedAction,
  fields: Partial<Record<'cause' | 'channel' | 'uid' | 'dot' | 'result' | 'detail', unknown>>,
): LogEntry {
  return {
    atMs: timeOf(record),
    action,
    cause: textOf(fields.cause),
    channel: textOf(fields.channel),
    uid: textOf(fields.uid),
    dot: textOf(fields.dot),
    result: textOf(fields.result),
    detail: textOf(fields.detail),
  };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
