import { parseMemberId, type MemberId } from '../../core/ids.ts';
import { MEMBERS_MAX, type Member, type Roster } from '../../core/member.ts';
import { MembershipError } from './membership-error.ts';

const ADDRESSES = ['peerAddress', 'clientAddress', 'httpAddress', 'adminAddress'] as const;
const ADDRESS_LENGTH_MAX = 512;

/**
 * Throws a `MembershipError` where the members cannot be one cluster. `slots`: the cluster's
 * constant.
 */
export function checkMembers(members: readonly Member[], slots: number): void {
  if (members.length > MEMBERS_MAX) {
    throw new MembershipError(
      'MEMBERS_FULL',
      `${members.length} members are listed, a cluster has at most ${MEMBERS_MAX}`,
    );
  }
  const bySlot = new Map<number, MemberId>();
  const ids = new Set<MemberId>();
  for (const { id, slot } of members) {
    if (ids.has(id)) {
      throw new MembershipError('DUPLICATE_ID', `member id ${id} is listed twice`);
    }
    checkSlot(slot, slots, id);
    const other = bySlot.get(slot);
    if (other !== undefined) {
      throw new MembershipError(
        'DUPLICATE_SLOT',
        `members ${other} and ${id} both have slot ${slot}`,
      );
    }
    ids.add(id);
    bySlot.set(slot, id);
  }
}

export function checkSlot(slot: number, slots: number, id: MemberId): void {
  if (Number.isInteger(slot) && slot >= 0 && slot < slots) return;
  throw new MembershipError(
    'SLOT_OUT_OF_RANGE',
    `member ${id}: slot ${slot} is outside 0..${slots - 1}`,
  );
}

export function sortMembers(members: Iterable<Member>): readonly Member[] {
  return [...members].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
}

export function memberOf(roster: Roster | undefined, id: MemberId): Member | undefined {
  return roster?.members.find((member) => member.id === id);
}

/** The form in which a member is stored; equal members have equal texts. */
export function formatMember(member: Member): string {
  const { id, slot, peerAddress, clientAddress, httpAddress, adminAddress } = member;
  return JSON.stringify({ id, slot, peerAddress, clientAddress, httpAddress, adminAddress });
}

export function sameRoster(a: Roster, b: Roster): boolean {
  return (
    a.epoch === b.epoch &&
    a.members.length === b.members.length &&
    a.members.every((member, i) => formatMember(member) === formatMember(b.members[i]!))
  );
}

/**
 * Reads what `formatMember` wrote; `where` is named in the error. Fields it does not know are left
 * out.
 */
export function parseMember(text: string, where: string): Member {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch (cause) {
    throw new MembershipError('DAMAGED', `${where}: is not JSON`, cause);
  }
  if (typeof found !== 'object' || found === null) {
    throw new MembershipError('DAMAGED', `${where}: expected an object, found ${typeof found}`);
  }
  const fields = found as Record<string, unknown>;
  const id = parseMemberId(fields['id']);
  if (!id.ok) throw new MembershipError('DAMAGED', `${where}: ${id.error}`);
  const slot = fields['slot'];
  if (typeof slot !== 'number' || !Number.isInteger(slot) || slot < 0) {
    throw new MembershipError('DAMAGED', `${where}: slot is no whole number from 0`);
  }
  const [peerAddress, clientAddress, httpAddress, adminAddress] = ADDRESSES.map((name) => {
    const address = fields[name];
    if (typeof address === 'string' && address.length <= ADDRESS_LENGTH_MAX) return address;
    throw new MembershipError('DAMAGED', `${where}: ${name} is no address`);
  }) as [string, string, string, string];
  return { id: id.value, slot, peerAddress, clientAddress, httpAddress, adminAddress };
}
