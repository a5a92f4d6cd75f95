import type { DotRange } from '../../../core/dot.ts';
import type { ActorId } from '../../../core/ids.ts';

/** Counters up to `upTo` were noticed missing at `noticedMs`, and may still be on their way. */
export interface Deferred {
  readonly upTo: number;
  readonly noticedMs: number;
}

export interface PullQuestion {
  /** What the peer has and this store lacks, lowest counters first within each (actor, shard). */
  readonly missing: readonly DotRange[];
  /** True where what is missing of this actor cannot be on its way any more. */
  readonly lost: (actor: ActorId) => boolean;
  readonly deferred: ReadonlyMap<string, Deferred>;
  /** Asked of another peer, or not to be had from this one. */
  readonly taken: readonly DotRange[];
  readonly nowMs: number;
  readonly deferMs: number;
  readonly rangesMax: number;
}

export interface PullPlan {
  readonly ranges: readonly DotRange[];
  readonly deferred: ReadonlyMap<string, Deferred>;
  /** Counters missing in all, asked for or not. */
  readonly behind: number;
}

/**
 * Decides what to ask of one peer. What a live stream may still bring is asked for only after it stayed
 * missing; everything else at once.
 */
export function planPull(question: PullQuestion): PullPlan {
  const { missing, lost, nowMs, deferMs, rangesMax } = question;
  const ranges: DotRange[] = [];
  const deferred = new Map<string, Deferred>();
  const due = new Map<string, number>();
  const taken = byPlace(question.taken);
  let behind = 0;
  for (const range of missing) {
    behind += range.to - range.from + 1;
    let upTo = range.to;
    if (!lost(range.actor)) {
      const place = placeOf(range);
      let limit = due.get(place);
      if (limit === undefined) {
        const before = question.deferred.get(place);
        const ripe = before !== undefined && nowMs - before.noticedMs >= deferMs;
        limit = ripe ? before.upTo : 0;
        due.set(place, limit);
        deferred.set(place, before && !ripe ? before : { upTo: range.to, noticedMs: nowMs });
      }
      const noted = deferred.get(place)!;
      if (noted.noticedMs === nowMs) deferred.set(place, { ...noted, upTo: range.to });
      upTo = Math.min(upTo, limit);
    }
    if (upTo < range.from || ranges.length >= rangesMax) continue;
    ranges.push(...subtract({ ...range, to: upTo }, taken.get(placeOf(range)) ?? []));
  }
  return { ranges: ranges.slice(0, rangesMax), deferred, behind };
}

/** `range` without `minus`, which may overlap and come in any order. */
export function subtract(range: DotRange, minus: readonly DotRange[]): DotRange[] {
  let rest = [range];
  for (const cut of minus) {
    if (cut.actor !== range.actor || cut.shard !== range.shard) continue;
    rest = rest.flatMap((part) => {
      if (cut.to < part.from || cut.from > part.to) return [part];
      const kept: DotRange[] = [];
      if (part.from < cut.from) kept.push({ ...part, to: cut.from - 1 });
      if (cut.to < part.to) kept.push({ ...part, from: cut.to + 1 });
      return kept;
    });
  }
  return rest;
}

/** The parts of `ranges` that are in `within` too. */
export function intersect(ranges: readonly DotRange[], within: readonly DotRange[]): DotRange[] {
  const places = byPlace(within);
  return ranges.flatMap((range) =>
    (places.get(placeOf(range)) ?? []).flatMap((other) => {
      const [from, to] = [Math.max(range.from, other.from), Math.min(range.to, other.to)];
      return from <= to ? [{ ...range, from, to }] : [];
    }),
  );
}

export function dotsIn(ranges: readonly DotRange[]): number {
  return ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0);
}

export function placeOf({ actor, shard }: Pick<DotRange, 'actor' | 'shard'>): string {
  return `${actor}:${shard}`;
}

function byPlace(ranges: readonly DotRange[]): Map<string, DotRange[]> {
  const places = new Map<string, DotRange[]>();
  for (const range of ranges) {
    const place = placeOf(range);
    const list = places.get(place);
    if (list) list.push(range);
    else places.set(place, [range]);
  }
  return places;
}
