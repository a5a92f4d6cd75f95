import type { Dot, DotRange } from '../core/dot.ts';
import type { ActorId } from '../core/ids.ts';
import { KINDS, type Kind } from '../core/kinds.ts';
import type { Operation, Write } from '../core/operation.ts';
import type { Row } from '../core/row.ts';
import { rangeEnd, shardPrefix, type RowKey } from '../core/row-key.ts';
import { counterOfLogKey, logKey } from './layout.ts';
import type { Store } from './port.ts';
import type { LogAnswer, RowChunk } from './replica-port.ts';
import { decodeLogRow, type Decoded } from './row-codec.ts';

/** The row that the log says the dot wrote; undefined where the log row is gone or damaged. */
export function readKeyOf(store: Store, { actor, shard, counter }: Dot): RowKey | undefined {
  const key = logKey(actor, shard, counter);
  const bytes = store.get(key);
  const decoded = bytes && decodeLogRow(key, bytes);
  return decoded?.ok ? decoded.row.key : undefined;
}

interface Source {
  readonly store: Store;
  readonly read: (key: RowKey) => Row;
}

export interface RowSource extends Source {
  readonly decode: (key: string, bytes: Uint8Array) => Decoded<Row>;
}

/** What an operation costs beside its values: keys, numbers, the envelope's share. Bytes. */
const WRITE_OVERHEAD = 96;

interface Answer {
  readonly operations: Operation[];
  readonly covered: DotRange[];
  bytes: number;
}

/**
 * What the log holds of the ranges (all of them on this disk), at most about `bytesMax`, cut at borders
 * of operations. Invariant: a dot whose log row is there but whose write is not in its row was lost here;
 * it is never called covered, so that a loss does not spread as a removal.
 */
export async function readOperations(
  source: Source,
  ranges: readonly DotRange[],
  bytesMax: number,
): Promise<LogAnswer> {
  const answer: Answer = { operations: [], covered: [], bytes: 0 };
  for (const range of ranges) {
    if (answer.bytes >= bytesMax) return { ...answer, more: true };
    const whole = await readRange(source, range, { answer, bytesMax });
    if (!whole) return { ...answer, more: true };
  }
  return { operations: answer.operations, covered: answer.covered, more: false };
}

/** False where the range was cut. */
async function readRange(
  source: Source,
  range: DotRange,
  { answer, bytesMax }: { answer: Answer; bytesMax: number },
): Promise<boolean> {
  const { actor, shard, from, to } = range;
  let coveredFrom = from;
  let group: Group | undefined;
  let flushed = 0;
  // Up to `before` at most: from there on another operation has the counters.
  const flush = (before: number): void => {
    if (!group) return;
    const end = Math.min(endOf(group), before - 1);
    if (group.lost) {
      if (group.from > coveredFrom) {
        answer.covered.push({ actor, shard, from: coveredFrom, to: group.from - 1 });
      }
      coveredFrom = end + 1;
    } else if (group.writes.length > 0) {
      const within = { from: Math.max(group.from, from), to: Math.min(end, to) };
      answer.operations.push({ actor, shard, ...clip(group, within) });
    }
    flushed = end;
    group = undefined;
  };
  const bounds = { gte: logKey(actor, shard, from), lt: logKey(actor, shard, to + 1) };
  for await (const chunk of source.store.scan(bounds)) {
    for (const [key, bytes] of chunk) {
      const counter = counterOfLogKey(key);
      const decoded = decodeLogRow(key, bytes);
      const place = decoded.ok ? decoded.row : { key: undefined, offset: 0, count: 1 };
      const first = counter - place.offset;
      if (group && (group.first !== first || group.count !== place.count)) {
        const end = Math.min(endOf(group), counter - 1);
        flush(counter);
        if (answer.bytes >= bytesMax) {
          if (end >= coveredFrom) answer.covered.push({ actor, shard, from: coveredFrom, to: end });
          return false;
        }
      }
      group ??= {
        ...{ first, count: place.count, from: Math.max(first, flushed + 1) },
        ...{ hlc: 0, writes: [], lost: false },
      };
      answer.bytes += addWrite(source, group, { actor, shard, counter, key: place.key });
    }
  }
  flush(to + 1);
  if (coveredFrom <= to) answer.covered.push({ actor, shard, from: coveredFrom, to });
  return true;
}

/**
 * The writes of one operation as the log places them. A row that came back whole has log rows that call
 * each of its dots an operation of its own; so where places disagree each group has the counters from its
 * first log row on alone, and nothing is claimed with a write that stands in another group.
 */
interface Group {
  readonly first: number;
  readonly count: number;
  readonly from: number;
  hlc: number;
  readonly writes: Write[];
  lost: boolean;
}

function endOf({ first, count }: Group): number {
  return first + count - 1;
}

function addWrite(
  source: Source,
  group: Group,
  dot: { actor: ActorId; shard: number; counter: number; key: RowKey | undefined },
): number {
  const row = dot.key === undefined ? [] : source.read(dot.key);
  const entry = row.find((e) => e.actor === dot.actor && e.counter === dot.counter);
  if (!entry || dot.key === undefined) {
    // The scan is older than the row: a write that came between them took the log row away too.
    if (source.store.get(logKey(dot.actor, dot.shard, dot.counter))) group.lost = true;
    return 0;
  }
  const { tag, context, value, hlc } = entry;
  group.hlc = hlc;
  group.writes.push({ offset: dot.counter - group.first, key: dot.key, tag, context, value });
  return WRITE_OVERHEAD + dot.key.length + value.length + context.length * 24;
}

/**
 * The part of an operation that was asked for. Who takes an operation covers all of its counters, and the
 * asker may lack those on the other side of the cut.
 */
function clip({ first, count, hlc, writes }: Group, { from, to }: Span): OperationBody {
  const start = Math.max(first, from);
  const end = Math.min(first + count - 1, to);
  const shifted = writes.map((write) => ({ ...write, offset: write.offset - (start - first) }));
  return { first: start, count: end - start + 1, hlc, writes: start > first ? shifted : writes };
}

type Span = Pick<DotRange, 'from' | 'to'>;
type OperationBody = Pick<Operation, 'first' | 'count' | 'hlc' | 'writes'>;

/** Rows of one shard, kind by kind, in key order. */
export async function readRows(
  source: RowSource,
  { shard, after, bytesMax }: { shard: number; after: RowKey | undefined; bytesMax: number },
): Promise<RowChunk> {
  const rows: (readonly [RowKey, Row])[] = [];
  let bytes = 0;
  let damaged = false;
  for (const kind of (Object.keys(KINDS) as Kind[]).sort()) {
    const prefix = shardPrefix(kind, shard);
    const lt = rangeEnd(prefix);
    if (after !== undefined && after >= lt) continue;
    const gte = after !== undefined && after >= prefix ? `${after}\u0000` : prefix;
    for await (const chunk of source.store.scan({ gte, lt })) {
      for (const [key, value] of chunk) {
        if (bytes >= bytesMax) return { rows, last: false, damaged };
        const decoded = source.decode(key, value);
        // A damaged row is not offered; `read` of it reports the damage.
        if (!decoded.ok) {
          damaged = true;
          source.read(key as RowKey);
        } else rows.push([key as RowKey, decoded.row]);
        bytes += WRITE_OVERHEAD + key.length + value.length;
      }
    }
  }
  return { rows, last: true, damaged };
}
