import type { Context, Span } from '../../core/context.ts';
import { SHARDS } from '../../core/placement.ts';

/** A context as what differs from the one before it. */
export interface ContextDifference {
  /** In order; spans that are not in the one before. */
  readonly added: Context;
  /** Ascending places in the one before whose spans are not in this one. */
  readonly dropped: readonly number[];
}

/** Fewer spans than this are written as they are. */
const SPANS_MIN = 8;
/** More are written as they are too: both ends of every link would keep them. */
const SPANS_MAX = 4_096;

/**
 * One direction of one link, at either end of it: the last long context of each shard. A removal carries
 * the whole vector of its shard, which grows with every restart of every member, and hardly differs from
 * that of the removal before. Messages leave and arrive in one order, so both ends have the same.
 */
export class ContextTrail {
  readonly #last: (Context | undefined)[] = Array.from({ length: SHARDS });

  /** Undefined where it is to be written as it is. Linear in both. */
  difference(shard: number, context: Context): ContextDifference | undefined {
    const last = this.#last[shard];
    if (!this.note(shard, context) || !last) return undefined;
    const added: Span[] = [];
    const dropped: number[] = [];
    let at = 0;
    for (const span of context) {
      while (at < last.length && isBefore(last[at]!, span)) dropped.push(at++);
      if (at < last.length && isSame(last[at]!, span)) at += 1;
      else added.push(span);
    }
    while (at < last.length) dropped.push(at++);
    return added.length + dropped.length < context.length / 2 ? { added, dropped } : undefined;
  }

  /** What `difference` was given; undefined where there is none before it. The order is to be checked. */
  restore(shard: number, { added, dropped }: ContextDifference): Context | undefined {
    const last = this.#last[shard];
    if (!last || (dropped.at(-1) ?? 0) >= last.length) return undefined;
    const context: Span[] = [];
    let [next, gone] = [0, 0];
    for (const [at, span] of last.entries()) {
      if (dropped[gone] === at) {
        gone += 1;
        continue;
      }
      while (next < added.length && isBefore(added[next]!, span)) context.push(added[next++]!);
      context.push(span);
    }
    while (next < added.length) context.push(added[next++]!);
    return context;
  }

  /** What was written or read, in whichever way. False where it is too short or too long to be kept. */
  note(shard: number, context: Context): boolean {
    if (context.length < SPANS_MIN || context.length > SPANS_MAX) return false;
    this.#last[shard] = context;
    return true;
  }
}

function isSame(a: Span, b: Span): boolean {
  return a.actor === b.actor && a.from === b.from && a.to === b.to;
}

/** In the order of contexts; spans that are the same are not before each other. */
function isBefore(a: Span, b: Span): boolean {
  if (a.actor !== b.actor) return a.actor < b.actor;
  return a.from !== b.from ? a.from < b.from : a.to < b.to;
}
