import { parseMemberId, type MemberId } from '../../core/ids.ts';
import { MEMBERS_MAX, type Member, type Roster } from '../../core/member.ts';
import { MembershipError } from './membership-error.ts';
import {
  checkMembers,
  checkSlot,
  formatMember,
  memberOf,
  parseMember,
  sortMembers,
} from './members.ts';

/**
 * What etcd holds under the cluster's prefix, and the decisions about it, without I/O:
 * epoch, roster/<id> (JSON member), slots/<n> (member id, for ever), live/<id> (under a lease).
 */
export interface EtcdEntry {
  /** Without the cluster's prefix. */
  readonly key: string;
  readonly value: string;
  /** Id of the lease, '0' for none. */
  readonly lease: string;
}

export interface EtcdState {
  readonly roster: Roster;
  /** The epoch as etcd has it, undefined where it has none: what a transaction compares with. */
  readonly epochText: string | undefined;
  readonly slots: ReadonlyMap<number, MemberId>;
  readonly live: ReadonlyMap<MemberId, string>;
}

export interface RosterChange {
  readonly puts: ReadonlyMap<string, string>;
  readonly deletes: readonly string[];
  readonly roster: Roster;
}

/**
 * Throws DAMAGED where an entry cannot be read: a roster that is read in part would forget members.
 */
export function readState(entries: readonly EtcdEntry[]): EtcdState {
  let epochText: string | undefined;
  const members: Member[] = [];
  const slots = new Map<number, MemberId>();
  const live = new Map<MemberId, string>();
  for (const { key, value, lease } of entries) {
    const [room, name] = [key.slice(0, key.indexOf('/') + 1), key.slice(key.indexOf('/') + 1)];
    if (key === 'epoch') epochText = value;
    else if (room === 'roster/') members.push(readMember(key, name, value));
    else if (room === 'slots/') slots.set(Number(name), readId(key, value));
    else if (room === 'live/') live.set(readId(key, name), lease);
  }
  const epoch = epochText === undefined ? 0 : Number(epochText);
  if (!Number.isSafeInteger(epoch) || epoch < 0) {
    throw new MembershipError('DAMAGED', `epoch: ${JSON.stringify(epochText)} is no whole number`);
  }
  return { roster: { epoch, members: sortMembers(members) }, epochText, slots, live };
}

/**
 * True where etcd forgot what this node knows: an older epoch (a backup restored, a new etcd), or a
 * member that is gone although the epoch did not rise. Only a higher epoch is evidence of a
 * removal.
 */
export function hasForgotten(state: EtcdState, known: Roster): boolean {
  if (state.roster.epoch !== known.epoch) return state.roster.epoch < known.epoch;
  return known.members.some((member) => !memberOf(state.roster, member.id));
}

/** What to write so that etcd knows again all that `known` says; presence wins over absence. */
export function planRestore(state: EtcdState, known: Roster, slots: number): RosterChange {
  const lost = known.members.filter((member) => !memberOf(state.roster, member.id));
  const members = sortMembers([...state.roster.members, ...lost]);
  checkMembers(members, slots);
  for (const member of lost) checkOwner(state, member);
  const roster = { epoch: Math.max(state.roster.epoch, known.epoch) + 1, members };
  return changeOf(state, roster);
}

export interface JoinWanted {
  readonly self: Member;
  /** The slot that the configuration states; undefined: one is given. */
  readonly slot: number | undefined;
  /** A slot that this member had, taken again where nobody else has it. */
  readonly slotBefore: number | undefined;
  /** The cluster's constant. */
  readonly slots: number;
}

/**
 * Puts this member on the roster, or its new addresses; undefined where all is there. Throws
 * MEMBERS_FULL, SLOTS_EXHAUSTED, SLOT_IN_USE, SLOT_OUT_OF_RANGE.
 */
export function planJoin(state: EtcdState, wanted: JoinWanted): RosterChange | undefined {
  const { self } = wanted;
  const others = state.roster.members.filter((member) => member.id !== self.id);
  if (others.length >= MEMBERS_MAX) {
    throw new MembershipError(
      'MEMBERS_FULL',
      `${self.id} cannot join: the cluster has ${others.length} members, at most ${MEMBERS_MAX}`,
    );
  }
  const own: Member = { ...self, slot: chooseSlot(state, wanted) };
  const before = memberOf(state.roster, self.id);
  if (
    before &&
    formatMember(before) === formatMember(own) &&
    state.slots.get(own.slot) === own.id
  ) {
    return undefined;
  }
  const placed = before?.slot === own.slot;
  const epoch = placed ? state.roster.epoch : state.roster.epoch + 1;
  return changeOf(state, { epoch, members: sortMembers([...others, own]) });
}

export function planRemoval(state: EtcdState, id: MemberId): RosterChange {
  if (!memberOf(state.roster, id)) {
    throw new MembershipError('UNKNOWN_MEMBER', `${id} is not on the roster`);
  }
  const members = state.roster.members.filter((member) => member.id !== id);
  return changeOf(state, { epoch: state.roster.epoch + 1, members });
}

/** An explicit slot or none; else the one it had; else the lowest that nobody ever had. */
function chooseSlot(state: EtcdState, { self, slot, slotBefore, slots }: JoinWanted): number {
  if (slot !== undefined) {
    checkSlot(slot, slots, self.id);
    checkOwner(state, { ...self, slot });
    return slot;
  }
  const had = [memberOf(state.roster, self.id)?.slot, slotBefore];
  for (const [given, owner] of state.slots) if (owner === self.id) had.push(given);
  for (const candidate of had) {
    if (candidate === undefined || candidate >= slots) continue;
    const owner = ownerOf(state, candidate);
    if (owner === undefined || owner === self.id) return candidate;
  }
  for (let free = 0; free < slots; free++) if (ownerOf(state, free) === undefined) return free;
  throw new MembershipError(
    'SLOTS_EXHAUSTED',
    `${self.id} cannot join: all ${slots} slots were given, and a slot is never given again`,
  );
}

function checkOwner(state: EtcdState, { id, slot }: Member): void {
  const owner = ownerOf(state, slot);
  if (owner === undefined || owner === id) return;
  throw new MembershipError('SLOT_IN_USE', `slot ${slot} of ${id} belongs to ${owner}`);
}

function ownerOf(state: EtcdState, slot: number): MemberId | undefined {
  return state.slots.get(slot) ?? state.roster.members.find((member) => member.slot === slot)?.id;
}

function changeOf(state: EtcdState, roster: Roster): RosterChange {
  const puts = new Map<string, string>();
  for (const member of roster.members) {
    const before = memberOf(state.roster, member.id);
    const text = formatMember(member);
    if (!before || formatMember(before) !== text) puts.set(`roster/${member.id}`, text);
    if (state.slots.get(member.slot) !== member.id) puts.set(`slots/${member.slot}`, member.id);
  }
  if (String(roster.epoch) !== state.epochText) puts.set('epoch', String(roster.epoch));
  const deletes = state.roster.members
    .filter((member) => !memberOf(roster, member.id))
    .map((member) => `roster/${member.id}`);
  return { puts, deletes, roster };
}

function readMember(key: string, name: string, value: string): Member {
  const member = parseMember(value, key);
  if (member.id === name) return member;
  throw new MembershipError('DAMAGED', `${key}: holds the member ${member.id}`);
}

function readId(key: string, text: string): MemberId {
  const id = parseMemberId(text);
  if (!id.ok) throw new MembershipError('DAMAGED', `${key}: ${id.error}`);
  return id.value;
}
