import { EMPTY_CONTEXT, type Context, type Span } from '../../core/context.ts';
import type { DotRange } from '../../core/dot.ts';
import type { ActorId } from '../../core/ids.ts';
import { OPERATION_WRITES_MAX, type Operation, type Write } from '../../core/operation.ts';
import type { Entry, Row } from '../../core/row.ts';
import type { RowKey } from '../../core/row-key.ts';
import type { VectorRow } from '../../core/version-vector.ts';
import type { ContextTrail } from './context-trail.ts';
import type { Fields } from './fields.ts';

/**
 * The parts that messages are made of, as runs of fields. Every `write` has its `read` beside it; a
 * `read` checks the invariants which the core relies on: order, no overlap, counters from 1.
 */
const COUNTER_MIN = 1;
const TAG_MAX = 255;

/** A context of `shard`; with a trail possibly as what differs from the last one. */
export interface ContextPlace {
  readonly shard: number;
  readonly trail: ContextTrail | undefined;
}

/** In the place of the number of spans: what differs follows. */
const DIFFERS = -1;

export function writeContext(
  out: unknown[],
  context: Context,
  { shard, trail }: ContextPlace,
): void {
  const difference = trail?.difference(shard, context);
  if (!difference) return writeSpans(out, context);
  out.push(DIFFERS);
  writeSpans(out, difference.added);
  out.push(difference.dropped.length);
  for (const place of difference.dropped) out.push(place);
}

function writeSpans(out: unknown[], spans: Context): void {
  out.push(spans.length);
  for (const { actor, from, to } of spans) out.push(actor, from, to);
}

export function readContext(fields: Fields, place: ContextPlace): Context {
  const { shard, trail } = place;
  if (!fields.takes(DIFFERS)) {
    const context = readSpans(fields);
    trail?.note(shard, context);
    return context;
  }
  const added = readSpans(fields);
  const dropped: number[] = [];
  for (let left = fields.count('dropped', 1); left > 0; left--) {
    dropped.push(fields.integer('place', (dropped.at(-1) ?? -1) + 1));
  }
  const context = trail?.restore(shard, { added, dropped });
  if (!context) return fields.fail('spans', 'expected a context like the one before it');
  checkOrder(fields, context);
  trail?.note(shard, context);
  return context;
}

function readSpans(fields: Fields): Context {
  const count = fields.count('spans', 3);
  if (count === 0) return EMPTY_CONTEXT;
  const spans: Span[] = [];
  for (let i = 0; i < count; i++) {
    const actor = fields.actor();
    const from = fields.integer('from', COUNTER_MIN);
    spans.push({ actor, from, to: fields.integer('to', from) });
  }
  checkOrder(fields, spans);
  return spans;
}

function checkOrder(fields: Fields, spans: Context): void {
  let last: Span | undefined;
  for (const span of spans) {
    if (last && (last.actor === span.actor ? span.from <= last.to + 1 : span.actor < last.actor)) {
      fields.fail('spans', 'expected spans in order, apart from each other');
    }
    last = span;
  }
}

export function writeOperations(
  out: unknown[],
  operations: readonly Operation[],
  trail: ContextTrail | undefined,
): void {
  out.push(operations.length);
  for (const { actor, shard, first, count, hlc, writes } of operations) {
    out.push(actor, shard, first, count, hlc, writes.length);
    for (const { offset, key, tag, context, value } of writes) {
      out.push(offset, key, tag);
      writeContext(out, context, { shard, trail });
      out.push(value);
    }
  }
}

export function readOperations(
  fields: Fields,
  trail: ContextTrail | undefined,
): readonly Operation[] {
  const operations: Operation[] = [];
  for (let left = fields.count('operations', 6); left > 0; left--) {
    const actor = fields.actor();
    const shard = fields.shard();
    const first = fields.integer(
      'first',
      COUNTER_MIN,
      Number.MAX_SAFE_INTEGER - OPERATION_WRITES_MAX,
    );
    const count = fields.integer('count', 1, OPERATION_WRITES_MAX);
    const hlc = fields.integer('hlc');
    const writes = readWrites(fields, { shard, trail }, count);
    operations.push({ actor, shard, first, count, hlc, writes });
  }
  return operations;
}

function readWrites(fields: Fields, place: ContextPlace, countMax: number): readonly Write[] {
  const writes: Write[] = [];
  const count = fields.integer('writes', 0, countMax);
  let next = 0;
  for (let i = 0; i < count; i++) {
    const offset = fields.integer('offset', next, countMax - 1);
    next = offset + 1;
    const key = fields.key(place.shard);
    const tag = fields.integer('tag', 0, TAG_MAX);
    const context = readContext(fields, place);
    writes.push({ offset, key, tag, context, value: fields.bytes('value') });
  }
  return writes;
}

export function writeRanges(out: unknown[], ranges: readonly DotRange[]): void {
  out.push(ranges.length);
  for (const { actor, shard, from, to } of ranges) out.push(actor, shard, from, to);
}

export function readRanges(fields: Fields): readonly DotRange[] {
  const ranges: DotRange[] = [];
  for (let left = fields.count('ranges', 4); left > 0; left--) {
    const actor = fields.actor();
    const shard = fields.shard();
    const from = fields.integer('from', COUNTER_MIN);
    ranges.push({ actor, shard, from, to: fields.integer('to', from) });
  }
  return ranges;
}

/** In the place of an actor: the one of the row before. A whole vector has 16 rows of most actors. */
const SAME_ACTOR = 0;

export function writeVector(out: unknown[], vector: readonly VectorRow[]): void {
  out.push(vector.length);
  let last: ActorId | undefined;
  for (const { actor, shard, base, above } of vector) {
    out.push(actor === last ? SAME_ACTOR : actor, shard, base, above.length / 2);
    for (const bound of above) out.push(bound);
    last = actor;
  }
}

export function readVector(fields: Fields): readonly VectorRow[] {
  const vector: VectorRow[] = [];
  let last: ActorId | undefined;
  for (let left = fields.count('vector', 4); left > 0; left--) {
    const actor = last !== undefined && fields.takes(SAME_ACTOR) ? last : fields.actor();
    last = actor;
    const shard = fields.shard();
    const base = fields.integer('base');
    const above: number[] = [];
    // Intervals touch neither the base nor each other.
    let reached = base;
    for (let intervals = fields.count('intervals', 2); intervals > 0; intervals--) {
      const from = fields.integer('interval from', reached + 2);
      reached = fields.integer('interval to', from);
      above.push(from, reached);
    }
    vector.push({ actor, shard, base, above });
  }
  return vector;
}

type KeyedRow = readonly [RowKey, Row];

export function writeRows(out: unknown[], rows: readonly KeyedRow[], place: ContextPlace): void {
  out.push(rows.length);
  for (const [key, row] of rows) {
    out.push(key, row.length);
    for (const { actor, counter, hlc, tag, context, value } of row) {
      out.push(actor, counter, hlc, tag);
      writeContext(out, context, place);
      out.push(value);
    }
  }
}

export function readRows(fields: Fields, place: ContextPlace): readonly KeyedRow[] {
  const rows: KeyedRow[] = [];
  for (let left = fields.count('rows', 2); left > 0; left--) {
    const key = fields.key(place.shard);
    const row: Entry[] = [];
    let last: Entry | undefined;
    for (let entries = fields.count('entries', 6); entries > 0; entries--) {
      const entry = readEntry(fields, place);
      const ordered =
        !last ||
        last.actor < entry.actor ||
        (last.actor === entry.actor && last.counter < entry.counter);
      if (!ordered) fields.fail('entries', 'expected entries in the order of their dots');
      row.push(entry);
      last = entry;
    }
    rows.push([key, row]);
  }
  return rows;
}

function readEntry(fields: Fields, place: ContextPlace): Entry {
  const actor = fields.actor();
  const counter = fields.integer('counter', COUNTER_MIN);
  const hlc = fields.integer('hlc');
  const tag = fields.integer('tag', 0, TAG_MAX);
  const context = readContext(fields, place);
  return { actor, counter, hlc, tag, context, value: fields.bytes('value') };
}
