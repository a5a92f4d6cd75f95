import type { ActorId, MemberId } from '../core/ids.ts';
import { hash32 } from '../core/placement.ts';

/** A member as it said of itself the last time it was heard. */
export interface Neighbour {
  readonly member: MemberId;
  readonly actor: ActorId;
  /** The endpoints of its configuration. */
  readonly endpoints: ReadonlySet<string>;
}

/**
 * Who delivers an event: the run of the node that it came from, as long as it is heard; after that the
 * member with the highest hash of the two together (rendezvous), so that the events of a dead node fall to
 * all others, and everybody who hears the same members agrees who. `heard` includes this member.
 */
export function ownerOf(
  { endpoint, id, author }: { endpoint: string; id: string; author: ActorId },
  heard: readonly Neighbour[],
): MemberId | undefined {
  let owner: MemberId | undefined;
  let highest = -1;
  for (const { member, actor, endpoints } of heard) {
    if (!endpoints.has(endpoint)) continue;
    if (actor === author) return member;
    const weight = hash32(`${id}\u0001${endpoint}\u0001${member}`);
    if (weight > highest || (weight === highest && member > owner!)) {
      [owner, highest] = [member, weight];
    }
  }
  return owner;
}
