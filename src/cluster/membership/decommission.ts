import type { Context } from '../../core/context.ts';
import type { DotRange } from '../../core/dot.ts';
import type { MemberId } from '../../core/ids.ts';
import { SHARDS } from '../../core/placement.ts';
import { MembershipError } from './membership-error.ts';
import { memberOf } from './members.ts';
import type { Membership } from './port.ts';

export interface DecommissionParts {
  readonly self: MemberId;
  readonly membership: Membership;
  /** True where a link to the member is open. */
  readonly linked: (member: MemberId) => boolean;
  /** What it last told to have on disk of a shard, however long ago; undefined where it told nothing. */
  readonly reportedBy: (member: MemberId, shard: number) => Context | undefined;
  readonly covers: (range: DotRange) => boolean;
}

export interface DecommissionHow {
  /** Also a member that is live, or that has told of writes which this one lacks. */
  readonly force: boolean;
}

/**
 * Takes a member off the roster for good, by an operator's word: evidence is collected without it from
 * then on, and should it return, it is rebuilt. Rejects with UNKNOWN_MEMBER, SELF, STATIC, FROZEN, and
 * unless forced with LIVE and AHEAD. Nothing is changed then.
 */
export async function decommission(
  parts: DecommissionParts,
  member: MemberId,
  { force }: DecommissionHow,
): Promise<void> {
  const { self, membership } = parts;
  const roster = membership.roster();
  if (!memberOf(roster, member)) {
    const ids = roster.members.map(({ id }) => id).join(', ');
    throw new MembershipError(
      'UNKNOWN_MEMBER',
      `${member} is not on the roster, which has ${ids}; nothing was changed`,
    );
  }
  // Of a list in the configuration no other advice would help, so this refusal comes first.
  if (membership.fixed) return membership.remove(member);
  if (member === self) {
    throw new MembershipError('SELF', `${member} is the node that was asked: ask another one`);
  }
  const status = membership.status();
  if (status.state === 'frozen') {
    throw new MembershipError(
      'FROZEN',
      `${member} cannot be removed while etcd does not answer: ${status.reason}`,
    );
  }
  if (!force) checkGone(parts, member);
  await membership.remove(member);
}

function checkGone(parts: DecommissionParts, member: MemberId): void {
  const { membership, linked, reportedBy, covers } = parts;
  if (linked(member)) {
    throw new MembershipError('LIVE', `${member} is connected: stop it first, or force it`);
  }
  if (membership.live().has(member)) {
    const text = `the lease of ${member} in etcd has not run out: it runs, or stopped a moment ago`;
    throw new MembershipError('LIVE', `${text}; stop it and try again soon, or force it`);
  }
  for (let shard = 0; shard < SHARDS; shard++) {
    const lacks = (reportedBy(member, shard) ?? []).some((span) => !covers({ ...span, shard }));
    if (!lacks) continue;
    const text = `${member} has writes that this node has not yet`;
    throw new MembershipError('AHEAD', `${text}: start it once more, or force it`);
  }
}
