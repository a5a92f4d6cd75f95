import type { ActorId } from './ids.ts';

/**
 * The name of one write. Counters of an (actor, shard) start at 1 and have no gaps.
 * Invariant: no dot ever names two different writes.
 */
export interface Dot {
  readonly actor: ActorId;
  readonly shard: number;
  readonly counter: number;
}

/** Counters `from` to `to`, both included, of one (actor, shard). */
export interface DotRange {
  readonly actor: ActorId;
  readonly shard: number;
  readonly from: number;
  readonly to: number;
}

/** `actor:shard:counter`, for receipts, logs and people. */
export function formatDot(dot: Dot): string {
  return `${dot.actor}:${dot.shard}:${dot.counter}`;
}

export function parseDot(text: string): Dot | undefined {
  const match = /^([0-9a-f]{16}):(\d{1,2}):([1-9]\d{0,15})$/.exec(text);
  if (!match) return undefined;
  const [, actor, shard, counter] = match;
  if (Number(shard) >= 16) return undefined;
  return { actor: actor as ActorId, shard: Number(shard), counter: Number(counter) };
}
