import type { Dot, DotRange } from './dot.ts';
import type { ActorId } from './ids.ts';

/**
 * What a write has seen, within the shard of its row: spans of counters, both ends included, sorted by
 * (actor, from), never overlapping nor touching. A subscribe lists the dots it replaces; an unsubscribe
 * carries its node's whole vector of the shard.
 */
export interface Span {
  readonly actor: ActorId;
  readonly from: number;
  readonly to: number;
}
export type Context = readonly Span[];

export const EMPTY_CONTEXT: Context = [];

export function contextCovers(context: Context, actor: ActorId, counter: number): boolean {
  for (const span of context) {
    if (span.actor === actor && span.from <= counter && counter <= span.to) return true;
  }
  return false;
}

/** True where every dot of `inner` is in `outer`. Linear: contexts grow with every restart. */
export function contextIncludes(outer: Context, inner: Context): boolean {
  let at = 0;
  return inner.every(({ actor, from, to }) => {
    let has = outer[at];
    while (has && (has.actor < actor || (has.actor === actor && has.to < to))) has = outer[++at];
    return has?.actor === actor && has.from <= from;
  });
}

/** The dots that are in both. */
export function meetContexts(a: Context, b: Context): Context {
  const spans: Span[] = [];
  for (const { actor, from, to } of a) {
    for (const other of b) {
      if (other.actor !== actor) continue;
      const [start, end] = [Math.max(from, other.from), Math.min(to, other.to)];
      if (start <= end) spans.push({ actor, from: start, to: end });
    }
  }
  return normalizeSpans(spans);
}

export function contextOfDots(dots: readonly Dot[]): Context {
  return normalizeSpans(dots.map(({ actor, counter }) => ({ actor, from: counter, to: counter })));
}

export function contextOfRanges(ranges: readonly DotRange[]): Context {
  return normalizeSpans(ranges.map(({ actor, from, to }) => ({ actor, from, to })));
}

export function uniteContexts(...contexts: readonly Context[]): Context {
  const filled = contexts.filter((context) => context.length > 0);
  if (filled.length === 0) return EMPTY_CONTEXT;
  // Mostly one of them is a node's whole vector, which holds the others.
  const most = filled.reduce((one, other) => (other.length > one.length ? other : one));
  if (filled.every((one) => one === most || contextIncludes(most, one))) return most;
  return normalizeSpans(filled.flat());
}

function normalizeSpans(spans: Span[]): Context {
  spans.sort((a, b) => (a.actor === b.actor ? a.from - b.from : a.actor < b.actor ? -1 : 1));
  const result: Span[] = [];
  for (const span of spans) {
    const last = result.at(-1);
    if (last && last.actor === span.actor && span.from <= last.to + 1) {
      if (span.to > last.to) result[result.length - 1] = { ...last, to: span.to };
    } else {
      result.push(span);
    }
  }
  return result;
}
