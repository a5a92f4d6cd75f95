import type { Context, Span } from '../core/context.ts';
import { hash32, SHARDS } from '../core/placement.ts';
import type { ClosedActor } from '../core/version-vector.ts';

/** A context in two parts: the first `closed` closed actors, all of each in this shard, and the rest. */
export interface SplitContext {
  readonly closed: number;
  /** Of those closed actors in this shard: no other table is taken for this one. 32 bits. */
  readonly check: number;
  readonly rest: Context;
}

/** Fewer spans than this are written as they are. */
const SPANS_MIN = 4;

interface PlacedSpan {
  readonly span: Span;
  readonly order: number;
}

interface ShardTable {
  /** One for each closed actor with writes in the shard, by actor. */
  readonly spans: readonly PlacedSpan[];
  /** `checks[n]`: of the first n closed actors. */
  readonly checks: readonly number[];
}

/**
 * The closed actors of one store as a dictionary for the contexts in its rows: a removal's context is
 * the whole vector of its shard and would grow with every restart of every member, for ever.
 *
 * Invariant: entries are in the order in which this store closed them, and none is taken back or changes
 * its place, so a number of entries names the same spans for ever. The row of an entry is on disk no
 * later than a row that counts on it. Where an entry cannot be read, rows that count on it cannot either
 * and peers are asked for them, as for any damaged row.
 */
export class ClosedContexts {
  readonly #log: (ClosedActor | undefined)[];
  /** Entries before the first that is missing. */
  #length = 0;
  readonly #shards: (ShardTable | undefined)[] = Array.from({ length: SHARDS });

  constructor(log: readonly (ClosedActor | undefined)[] = []) {
    this.#log = [...log];
    this.#measure();
  }

  add(closed: ClosedActor, order: number): void {
    this.#log[order] = closed;
    this.#measure();
    this.#shards.fill(undefined);
  }

  /** Undefined where it saves nothing, or the context is not in order. Linear in both. */
  split(shard: number, context: Context): SplitContext | undefined {
    if (context.length < SPANS_MIN || this.#length === 0 || !isInOrder(context)) return undefined;
    const { spans, checks } = this.#table(shard);
    let closed = this.#length;
    let at = 0;
    for (const { span, order } of spans) {
      while (at < context.length && context[at]!.actor < span.actor) at += 1;
      const has = context[at];
      const isContained = has?.actor === span.actor && has.from === 1 && has.to >= span.to;
      if (!isContained && order < closed) closed = order;
    }
    const rest = without(context, spans, closed);
    if (context.length - rest.length < SPANS_MIN) return undefined;
    return { closed, check: checks[closed]!, rest };
  }

  /** What `split` was given; undefined where these are not the closed actors it was split by. */
  join(shard: number, { closed, check, rest }: SplitContext): Context | undefined {
    if (closed > this.#length) return undefined;
    const { spans, checks } = this.#table(shard);
    if (checks[closed] !== check) return undefined;
    const context: Span[] = [];
    let at = 0;
    for (const { span, order } of spans) {
      if (order >= closed) continue;
      while (at < rest.length && rest[at]!.actor < span.actor) context.push(rest[at++]!);
      const next = rest[at];
      // The rest has more of this actor from its first counter on.
      if (next?.actor === span.actor && next.from === 1) continue;
      context.push(span);
    }
    while (at < rest.length) context.push(rest[at++]!);
    return context;
  }

  #measure(): void {
    while (this.#log[this.#length]) this.#length += 1;
  }

  #table(shard: number): ShardTable {
    return (this.#shards[shard] ??= tableOf(shard, this.#log.slice(0, this.#length)));
  }
}

function tableOf(shard: number, log: readonly (ClosedActor | undefined)[]): ShardTable {
  const spans: PlacedSpan[] = [];
  const checks = [0];
  for (const [order, entry] of log.entries()) {
    const { actor, finals } = entry!;
    const to = finals[shard]!;
    if (to > 0) spans.push({ span: { actor, from: 1, to }, order });
    checks.push((Math.imul(checks[order]!, 0x9e3779b1) ^ hash32(`${actor} ${to}`)) >>> 0);
  }
  spans.sort(({ span: a }, { span: b }) => (a.actor < b.actor ? -1 : a.actor > b.actor ? 1 : 0));
  return { spans, checks };
}

function without(context: Context, known: readonly PlacedSpan[], closed: number): Context {
  const rest: Span[] = [];
  let at = 0;
  for (const span of context) {
    while (at < known.length && known[at]!.span.actor < span.actor) at += 1;
    const same = known[at];
    const isKnown =
      same?.span.actor === span.actor &&
      same.order < closed &&
      span.from === 1 &&
      span.to === same.span.to;
    if (!isKnown) rest.push(span);
  }
  return rest;
}

function isInOrder(context: Context): boolean {
  for (let i = 1; i < context.length; i++) {
    const [last, next] = [context[i - 1]!, context[i]!];
    if (last.actor === next.actor ? next.from <= last.to + 1 : next.actor < last.actor)
      return false;
  }
  return true;
}
