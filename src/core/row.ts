import { contextCovers, contextIncludes, type Context } from './context.ts';
import type { Hlc } from './hybrid-clock.ts';
import type { ActorId } from './ids.ts';

/** Tag of an entry that is the evidence of a removal. Every other tag means what its kind says. */
export const REMOVAL = 255;

/** One write as its row keeps it. The shard of its dot is the row's. */
export interface Entry {
  readonly actor: ActorId;
  readonly counter: number;
  readonly hlc: Hlc;
  /** 0..254 are the kind's own; `REMOVAL` is evidence. */
  readonly tag: number;
  readonly context: Context;
  /** Encoded by the kind; empty for evidence. */
  readonly value: Uint8Array;
}

/** All that is stored under one key. Invariant: sorted by (actor, counter), no dot twice. */
export type Row = readonly Entry[];
export const EMPTY_ROW: Row = [];

/**
 * How the writes under one key combine.
 * - observed: a write drops what its context covers; what no context covers survives.
 * - last: the highest (HLC, actor, counter) alone survives.
 * - once: write once; tag 1 (a recall) wins over everything and erases it.
 * - all: everything stays.
 * - peaks: of each tag the entry of the highest rank (the first 8 bytes of its value) survives; of equal
 *   ranks the one written last.
 */
export type MergePolicy = 'observed' | 'last' | 'once' | 'all' | 'peaks';

export const RECALL = 1;

/**
 * The least row that knows what both know. Commutative and idempotent always; associative for the rows
 * of one causal history, where a context includes the contexts of what it drops (`replace` in
 * operation.ts makes them so).
 */
export function mergeRows(policy: MergePolicy, a: Row, b: Row): Row {
  if (a.length === 0) return normalize(policy, b);
  if (b.length === 0) return normalize(policy, a);
  return normalize(policy, unite(a, b));
}

function normalize(policy: MergePolicy, entries: Row): Row {
  if (entries.length <= 1) return entries;
  switch (policy) {
    case 'observed':
      return entries.filter((entry) => !entries.some((other) => dominates(other, entry)));
    case 'last':
      return [entries.reduce((best, entry) => (compareWritten(entry, best) > 0 ? entry : best))];
    case 'once': {
      const recalls = entries.filter((entry) => entry.tag === RECALL);
      const pool = recalls.length > 0 ? recalls : entries;
      return [pool.reduce((best, entry) => (compareWritten(entry, best) < 0 ? entry : best))];
    }
    case 'all':
      return entries;
    case 'peaks':
      return entries.filter((entry) => !entries.some((other) => outranks(other, entry)));
    default:
      return policy satisfies never;
  }
}

/**
 * True where `winner` makes `loser` superfluous. A put drops puts only: it must not take away evidence
 * that still has older dots to keep out. Evidence drops what it keeps out as much as: a removal with the
 * receipt of a put that its node never saw must not take away what that put had replaced, for the
 * replaced one may come later and nothing else keeps it out. Such a put stays, hidden.
 */
function dominates(winner: Entry, loser: Entry): boolean {
  if (winner === loser || !hides(winner, loser)) return false;
  if (winner.tag === REMOVAL) return contextIncludes(winner.context, loser.context);
  return loser.tag !== REMOVAL;
}

function hides(other: Entry, entry: Entry): boolean {
  return contextCovers(other.context, entry.actor, entry.counter);
}

/** Evidence is not live, nor is a put that some other entry has seen. */
function isLiveEntry(entry: Entry, row: Row): boolean {
  return entry.tag !== REMOVAL && (row.length === 1 || !row.some((other) => hides(other, entry)));
}

function unite(a: Row, b: Row): Row {
  const result: Entry[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    const order = i >= a.length ? 1 : j >= b.length ? -1 : compareDots(a[i]!, b[j]!);
    if (order <= 0) {
      result.push(a[i++]!);
      if (order === 0) j++;
    } else {
      result.push(b[j++]!);
    }
  }
  return result;
}

export function isLive(row: Row): boolean {
  for (const entry of row) if (isLiveEntry(entry, row)) return true;
  return false;
}

export function liveEntries(row: Row): Row {
  return row.every((entry) => isLiveEntry(entry, row))
    ? row
    : row.filter((entry) => isLiveEntry(entry, row));
}

export function hasDot(row: Row, actor: ActorId, counter: number): boolean {
  return row.some((entry) => entry.actor === actor && entry.counter === counter);
}

const RANK_BYTES = 8;

function outranks(other: Entry, entry: Entry): boolean {
  if (other === entry || other.tag !== entry.tag) return false;
  for (let i = 0; i < RANK_BYTES; i++) {
    // A value that ends early is of the lower rank, as bytes sort.
    const difference = (other.value[i] ?? -1) - (entry.value[i] ?? -1);
    if (difference !== 0) return difference > 0;
  }
  return compareWritten(other, entry) > 0;
}

function compareDots(a: Entry, b: Entry): number {
  if (a.actor !== b.actor) return a.actor < b.actor ? -1 : 1;
  return a.counter - b.counter;
}

function compareWritten(a: Entry, b: Entry): number {
  return a.hlc - b.hlc || compareDots(a, b);
}
