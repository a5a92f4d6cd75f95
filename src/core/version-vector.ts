import type { Context, Span } from './context.ts';
import type { DotRange } from './dot.ts';
import type { ActorId } from './ids.ts';
import { hash32, SHARDS } from './placement.ts';

/** Counters 1..base, and the intervals [above[0], above[1]], [above[2], above[3]] … over it. */
export interface Clock {
  readonly base: number;
  readonly above: readonly number[];
}

/** A clock with its place, as it is stored and sent. */
export interface VectorRow extends Clock {
  readonly actor: ActorId;
  readonly shard: number;
}

/** An ended actor in brief: the highest counter of each shard, everything up to it seen. */
export interface ClosedActor {
  readonly actor: ActorId;
  /** One for each shard, 0 for none. */
  readonly finals: readonly number[];
}

/** Names a set of closed actors: equal sets have equal digests, in whatever order they were closed. */
export interface ClosedDigest {
  readonly count: number;
  readonly low: number;
  readonly high: number;
}

interface MutableClock {
  base: number;
  above: number[];
}

/**
 * The dots this node has seen. Bounded: at most `intervalsMax` intervals above the base of each
 * (actor, shard); a range that would need one more is not taken, the lowest gap has to come first.
 * Invariant: intervals are sorted, do not touch each other nor the base, and each is from ≤ to.
 *
 * Closed actors take one small entry instead of 16 clocks. Closing changes nothing of what is covered,
 * so it needs no agreement; and a dot above a final, should one still come, opens a clock above it.
 */
export class VersionVector {
  readonly #clocks = new Map<ActorId, (MutableClock | undefined)[]>();
  readonly #closed = new Map<ActorId, readonly number[]>();
  readonly #intervalsMax: number;
  /** Of the closed actors without a clock of their own, in order, for each shard that was asked for. */
  readonly #closedSpans: (Context | undefined)[] = Array.from({ length: SHARDS });
  #hash = 0;
  #closedLow = 0;
  #closedHigh = 0;

  constructor(intervalsMax = 64) {
    this.#intervalsMax = intervalsMax;
  }

  covers(actor: ActorId, shard: number, counter: number): boolean {
    return this.coversRange({ actor, shard, from: counter, to: counter });
  }

  coversRange({ actor, shard, from, to }: DotRange): boolean {
    const clock = this.#clocks.get(actor)?.[shard];
    if (!clock) return to <= (this.#closed.get(actor)?.[shard] ?? 0);
    if (to <= clock.base) return true;
    const start = Math.max(from, clock.base + 1);
    for (let i = 0; i < clock.above.length; i += 2) {
      if (clock.above[i]! <= start && to <= clock.above[i + 1]!) return true;
    }
    return false;
  }

  /** Highest counter seen, 0 for none. */
  highest(actor: ActorId, shard: number): number {
    const clock = this.clock(actor, shard);
    return clock.above.at(-1) ?? clock.base;
  }

  clock(actor: ActorId, shard: number): Clock {
    const clock = this.#clocks.get(actor)?.[shard];
    return clock ?? { base: this.#closed.get(actor)?.[shard] ?? 0, above: [] };
  }

  /** False, and nothing changes, where the range would need an interval past the limit. */
  add({ actor, shard, from, to }: DotRange): boolean {
    if (to <= (this.#closed.get(actor)?.[shard] ?? 0)) return true;
    const clock = this.#mutable(actor, shard);
    if (to <= clock.base) return true;
    if (clock.above.length === 0 && from <= clock.base + 1) {
      this.#hash = (this.#hash - clockHash(actor, shard, clock)) >>> 0;
      clock.base = to;
      this.#hash = (this.#hash + clockHash(actor, shard, clock)) >>> 0;
      return true;
    }
    const { base, above } = insertInterval(clock, from, to);
    if (above.length / 2 > this.#intervalsMax) return false;
    this.#hash = (this.#hash - clockHash(actor, shard, clock)) >>> 0;
    clock.base = base;
    clock.above = above;
    this.#hash = (this.#hash + clockHash(actor, shard, clock)) >>> 0;
    return true;
  }

  addAll(rows: Iterable<VectorRow>): void {
    for (const row of rows) for (const range of rangesOf(row)) this.add(range);
  }

  /** What is in `rows` and not here, lowest counters first within each (actor, shard). */
  missing(rows: Iterable<VectorRow>): DotRange[] {
    const result: DotRange[] = [];
    for (const row of rows) {
      for (const range of rangesOf(row)) result.push(...this.#gapsIn(range));
    }
    return result;
  }

  *rows(): Generator<VectorRow> {
    yield* this.openRows();
    for (const [actor, finals] of this.#closed) {
      const clocks = this.#clocks.get(actor);
      for (let shard = 0; shard < SHARDS; shard++) {
        const base = finals[shard]!;
        if (base > 0 && !clocks?.[shard]) yield { actor, shard, base, above: [] };
      }
    }
  }

  /** `rows()` without those that the closed actors say. */
  *openRows(): Generator<VectorRow> {
    for (const [actor, clocks] of this.#clocks) {
      for (let shard = 0; shard < SHARDS; shard++) {
        const clock = clocks[shard];
        if (clock && (clock.base > 0 || clock.above.length > 0)) {
          yield { actor, shard, base: clock.base, above: [...clock.above] };
        }
      }
    }
  }

  /** Everything seen in one shard, as the context of a removal. */
  contextOf(shard: number): Context {
    const spans: Span[] = [];
    const closed = (this.#closedSpans[shard] ??= this.#closedSpansOf(shard));
    let at = 0;
    for (const actor of [...this.#clocks.keys()].sort()) {
      const clock = this.#clocks.get(actor)![shard];
      if (!clock) continue;
      while (at < closed.length && closed[at]!.actor < actor) spans.push(closed[at++]!);
      if (clock.base > 0) spans.push({ actor, from: 1, to: clock.base });
      for (let i = 0; i < clock.above.length; i += 2) {
        spans.push({ actor, from: clock.above[i]!, to: clock.above[i + 1]! });
      }
    }
    while (at < closed.length) spans.push(closed[at++]!);
    return spans;
  }

  isEmpty(): boolean {
    return this.#clocks.size === 0 && this.#closed.size === 0;
  }

  actors(): ActorId[] {
    const reopened = [...this.#clocks.keys()].filter((actor) => this.#closed.has(actor));
    if (reopened.length === 0) return [...this.#clocks.keys(), ...this.#closed.keys()];
    return [...new Set([...this.#clocks.keys(), ...this.#closed.keys()])];
  }

  /** Those with a clock of their own, closed or not. */
  openActors(): ActorId[] {
    return [...this.#clocks.keys()];
  }

  isClosed(actor: ActorId): boolean {
    return this.#closed.has(actor);
  }

  /** The entry that closes an actor as it is; undefined where it has gaps, or is closed. */
  finalsOf(actor: ActorId): ClosedActor | undefined {
    const clocks = this.#clocks.get(actor);
    if (!clocks || this.#closed.has(actor) || clocks.some((clock) => clock?.above.length)) {
      return undefined;
    }
    return { actor, finals: Array.from({ length: SHARDS }, (_, i) => clocks[i]?.base ?? 0) };
  }

  /** Takes the entry in, and the clocks that say no more than it does away. */
  close({ actor, finals }: ClosedActor): void {
    if (this.#closed.has(actor)) return;
    const rows = finals.map((base, shard) => ({ actor, shard, base, above: [] }));
    this.addAll(rows);
    this.#closed.set(actor, finals);
    const [low, high] = closedHash(actor, finals);
    this.#closedLow = (this.#closedLow + low) >>> 0;
    this.#closedHigh = (this.#closedHigh + high) >>> 0;
    const clocks = this.#clocks.get(actor) ?? [];
    for (const [shard, clock] of clocks.entries()) {
      if (clock && clock.above.length === 0 && clock.base === finals[shard]) {
        clocks[shard] = undefined;
      }
    }
    if (clocks.every((clock) => clock === undefined)) this.#clocks.delete(actor);
    this.#closedSpans.fill(undefined);
  }

  closedActors(): ClosedActor[] {
    return [...this.#closed].map(([actor, finals]) => ({ actor, finals }));
  }

  closedDigest(): ClosedDigest {
    return { count: this.#closed.size, low: this.#closedLow, high: this.#closedHigh };
  }

  /** Equal vectors have equal hashes, in whatever order they were filled. 32 bits: a hint, never a proof. */
  hash(): number {
    return this.#hash;
  }

  clone(): VersionVector {
    const copy = new VersionVector(this.#intervalsMax);
    for (const closed of this.closedActors()) copy.close(closed);
    copy.addAll(this.openRows());
    return copy;
  }

  #closedSpansOf(shard: number): Context {
    const spans: Span[] = [];
    for (const [actor, finals] of this.#closed) {
      const to = finals[shard]!;
      if (to > 0 && !this.#clocks.get(actor)?.[shard]) spans.push({ actor, from: 1, to });
    }
    return spans.sort((a, b) => (a.actor < b.actor ? -1 : 1));
  }

  #mutable(actor: ActorId, shard: number): MutableClock {
    let clocks = this.#clocks.get(actor);
    if (!clocks) {
      clocks = Array.from<MutableClock | undefined>({ length: SHARDS });
      this.#clocks.set(actor, clocks);
    }
    if (!clocks[shard]) this.#closedSpans[shard] = undefined;
    return (clocks[shard] ??= { base: this.#closed.get(actor)?.[shard] ?? 0, above: [] });
  }

  #gapsIn({ actor, shard, from, to }: DotRange): DotRange[] {
    const clock = this.clock(actor, shard);
    const gaps: DotRange[] = [];
    let next = Math.max(from, clock.base + 1);
    for (let i = 0; i < clock.above.length && next <= to; i += 2) {
      const [start, end] = [clock.above[i]!, clock.above[i + 1]!];
      if (end < next) continue;
      if (start > next) gaps.push({ actor, shard, from: next, to: Math.min(to, start - 1) });
      next = Math.max(next, end + 1);
    }
    if (next <= to) gaps.push({ actor, shard, from: next, to });
    return gaps;
  }
}

export function rangesOf({ actor, shard, base, above }: VectorRow): DotRange[] {
  const ranges: DotRange[] = base > 0 ? [{ actor, shard, from: 1, to: base }] : [];
  for (let i = 0; i < above.length; i += 2) {
    ranges.push({ actor, shard, from: above[i]!, to: above[i + 1]! });
  }
  return ranges;
}

function insertInterval(clock: Clock, from: number, to: number): MutableClock {
  let [start, end] = [from, to];
  const kept: number[] = [];
  for (let i = 0; i < clock.above.length; i += 2) {
    const [s, e] = [clock.above[i]!, clock.above[i + 1]!];
    if (e < start - 1 || s > end + 1) kept.push(s, e);
    else [start, end] = [Math.min(start, s), Math.max(end, e)];
  }
  if (start <= clock.base + 1) return { base: Math.max(clock.base, end), above: kept };
  const at = kept.findIndex((value, i) => i % 2 === 0 && value > start);
  kept.splice(at < 0 ? kept.length : at, 0, start, end);
  return { base: clock.base, above: kept };
}

/** Two hashes of 32 bits: sets of closed actors are told apart by them, so one would be too few. */
function closedHash(actor: ActorId, finals: readonly number[]): readonly [number, number] {
  const text = `${actor} ${finals.join(' ')}`;
  return [hash32(text), hash32(`${text} high`)];
}

function clockHash(actor: ActorId, shard: number, clock: Clock): number {
  if (clock.base === 0 && clock.above.length === 0) return 0;
  let hash = Math.imul(actorHash(actor) ^ shard, 0x9e3779b1) ^ clock.base;
  for (const bound of clock.above) hash = Math.imul(hash, 0x01000193) ^ bound;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}

let lastActor = '';
let lastActorHash = 0;
function actorHash(actor: ActorId): number {
  if (actor !== lastActor) {
    lastActor = actor;
    lastActorHash = hash32(actor);
  }
  return lastActorHash;
}
