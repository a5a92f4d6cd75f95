import type { Member } from '../core/member.ts';
import { hash32 } from '../core/placement.ts';

/** What clients are told of the node they are on: below 2^53, so that JavaScript reads it exactly. */
export function nodeIdOf({ slot, id }: Pick<Member, 'slot' | 'id'>): bigint {
  return (BigInt(slot + 1) << 32n) | BigInt(hash32(id));
}
