import type { MemberId } from '../../core/ids.ts';
import type { Member, Roster } from '../../core/member.ts';
import { hash32 } from '../../core/placement.ts';
import { MembershipError } from './membership-error.ts';
import { checkMembers, memberOf, sortMembers } from './members.ts';
import type { Membership, MembershipStatus } from './port.ts';

export interface StaticMembershipOptions {
  /** The nodes of cluster.yml; empty for a node that is alone. */
  readonly members: readonly Member[];
  /** The cluster's constant: 1 for a lone node, 32 otherwise. */
  readonly slots: number;
}

/**
 * The members that the configuration lists. Everyone on the list counts as live: who really answers
 * is known to the link layer. The listener is never called, because nothing changes while a node
 * runs.
 */
export class StaticMembership implements Membership {
  readonly fixed = true;
  readonly #options: StaticMembershipOptions;
  #roster: Roster | undefined;
  #live: ReadonlySet<MemberId> = new Set();

  constructor(options: StaticMembershipOptions) {
    this.#options = options;
  }

  /**
   * Rejects with DUPLICATE_ID, DUPLICATE_SLOT, SLOT_OUT_OF_RANGE, MEMBERS_FULL or NOT_ON_ROSTER.
   */
  // oxlint-disable-next-line require-await -- the port's errors are rejections
  async start(self: Member): Promise<Roster> {
    const { members: listed, slots } = this.#options;
    const members = sortMembers(listed.length === 0 ? [self] : listed);
    checkMembers(members, slots);
    const own = members.find((member) => member.id === self.id);
    if (own?.slot !== self.slot) {
      const found = own ? `has slot ${own.slot} there, not ${self.slot}` : 'is not among them';
      throw new MembershipError('NOT_ON_ROSTER', `nodes are listed, but ${self.id} ${found}`);
    }
    this.#roster = { epoch: epochOf(members), members };
    this.#live = new Set(members.map((member) => member.id));
    return this.#roster;
  }

  roster(): Roster {
    if (!this.#roster) throw new Error('roster() before start()');
    return this.#roster;
  }

  live(): ReadonlySet<MemberId> {
    return this.#live;
  }

  status(): MembershipStatus {
    return { state: 'ok' };
  }

  /** Always rejects: the list changes in cluster.yml. */
  remove(member: MemberId): Promise<void> {
    const known = memberOf(this.#roster, member) !== undefined;
    return Promise.reject(
      known
        ? new MembershipError(
            'STATIC',
            `the roster is the list of members in cluster.yml: take ${member} out of it on every node, and ` +
              'restart them one after another',
          )
        : new MembershipError('UNKNOWN_MEMBER', `${member} is not on the roster`),
    );
  }

  async stop(): Promise<void> {}
}

/**
 * Nodes whose lists differ must not agree on an epoch, because evidence is collected only under one
 * roster. So the epoch is a hash of the ids and slots: comparable for equality, not for order.
 */
function epochOf(members: readonly Member[]): number {
  return hash32(members.map(({ id, slot }) => `${id}/${slot}`).join(' ')) || 1;
}
