import type { ActorId } from '../core/ids.ts';
import { SEPARATOR } from '../core/row-key.ts';

/**
 * Keys of what is not a replicated row itself (those: core/row-key.ts). Actors and numbers have a fixed
 * width, so they need no separator and sort as numbers.
 */
const HEX = '0123456789abcdef';

/** The delta log: dot → row key. A superseded dot's row goes in the batch that brings its successor. */
export function logKey(actor: ActorId, shard: number, counter: number): string {
  return 'l' + actor + HEX[shard]! + counter.toString(16).padStart(13, '0');
}

export function counterOfLogKey(key: string): number {
  return Number.parseInt(key.slice(18), 16);
}

export function vectorKey(actor: ActorId, shard: number): string {
  return 'v' + actor + HEX[shard]!;
}

/** A closed actor: one row in the place of its up to 16 vector rows. */
export function closedKey(actor: ActorId): string {
  return 'x' + actor;
}

export const CLOSED_RANGE = { gte: 'x', lt: 'y' } as const;
export const VECTOR_RANGE = { gte: 'v', lt: 'w' } as const;
export const LOG_RANGE = { gte: 'l', lt: 'm' } as const;

/** Small facts of this node alone: store id, reservations, peers' last vectors, the last roster. */
export function factKey(name: string): string {
  return 'n' + SEPARATOR + name;
}
