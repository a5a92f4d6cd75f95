import test from 'ava';
import type { Member, Roster } from '../../../src/core/member.ts';
import {
  hasForgotten,
  planJoin,
  planRemoval,
  planRestore,
  readState,
  type EtcdEntry,
  type EtcdState,
} from '../../../src/cluster/membership/etcd-roster.ts';
import { formatMember } from '../../../src/cluster/membership/members.ts';
import { member } from '../../support/members.ts';

interface Stored {
  readonly epoch?: number;
  readonly members?: readonly Member[];
  /** Slots given to members who are gone. */
  readonly given?: Record<number, string>;
}

function stateOf({ epoch, members = [], given = {} }: Stored): EtcdState {
  const entry = (key: string, value: string): EtcdEntry => ({ key, value, lease: '0' });
  return readState([
    ...(epoch === undefined ? [] : [entry('epoch', String(epoch))]),
    ...members.map((each) => entry(`roster/${each.id}`, formatMember(each))),
    ...members.map((each) => entry(`slots/${each.slot}`, each.id)),
    ...Object.entries(given).map(([slot, id]) => entry(`slots/${slot}`, id)),
  ]);
}

function join(state: EtcdState, self: Member, more: { slot?: number; before?: number } = {}) {
  return planJoin(state, { self, slot: more.slot, slotBefore: more.before, slots: 32 });
}

const [a, b] = [member('a', 0), member('b', 1)];

test('the first member gets slot 0 and makes epoch 1', (t) => {
  const change = join(stateOf({}), member('a', 9))!;
  t.deepEqual(change.roster, {
    epoch: 1,
    members: [a].map((it) => ({ ...member('a', 9), slot: it.slot })),
  });
  t.is(change.puts.get('slots/0'), 'a');
  t.is(change.puts.get('epoch'), '1');
});

test('a slot that was given once is never given to another, but its owner gets it back', (t) => {
  const state = stateOf({ epoch: 5, members: [a], given: { 1: 'gone' } });
  t.is(join(state, b)!.roster.members.find(({ id }) => id === 'b')!.slot, 2);
  const back = join(state, member('gone', 0))!.roster.members.find(({ id }) => id === 'gone')!;
  t.is(back.slot, 1);
});

test('an explicit slot is honoured, or refused where it is another member’s', (t) => {
  const state = stateOf({ epoch: 5, members: [a], given: { 3: 'gone' } });
  t.is(join(state, b, { slot: 7 })!.puts.get('slots/7'), 'b');
  for (const slot of [0, 3]) t.throws(() => join(state, b, { slot }), { code: 'SLOT_IN_USE' });
  t.throws(() => join(state, b, { slot: 32 }), { code: 'SLOT_OUT_OF_RANGE' });
});

test('joining again changes nothing; a new address is written under the same epoch', (t) => {
  const state = stateOf({ epoch: 5, members: [a, b] });
  t.is(join(state, a), undefined);
  const change = join(state, { ...a, httpAddress: 'http://other:1' })!;
  t.is(change.roster.epoch, 5);
  t.deepEqual([...change.puts.keys()], ['roster/a']);
});

test('the 33rd member is refused, and so is one for whom no slot is left', (t) => {
  const many = Array.from({ length: 32 }, (_, i) => member(`m${i}`, i));
  t.throws(() => join(stateOf({ epoch: 32, members: many }), a), { code: 'MEMBERS_FULL' });
  t.notThrows(() => join(stateOf({ epoch: 32, members: many }), many[4]!));
  const given = Object.fromEntries(many.slice(1).map(({ id, slot }) => [slot, id]));
  const state = stateOf({ epoch: 40, members: [many[0]!], given });
  t.throws(() => join(state, a), { code: 'SLOTS_EXHAUSTED' });
});

test('a removal deletes the member, raises the epoch and keeps the slot', (t) => {
  const change = planRemoval(stateOf({ epoch: 5, members: [a, b] }), b.id);
  t.deepEqual(change.deletes, ['roster/b']);
  t.deepEqual([...change.puts], [['epoch', '6']]);
  t.throws(() => planRemoval(stateOf({ epoch: 5, members: [a] }), b.id), {
    code: 'UNKNOWN_MEMBER',
  });
});

test('only a higher epoch is evidence of a removal; anything else that is gone is restored', (t) => {
  const known: Roster = { epoch: 5, members: [a, b] };
  t.false(hasForgotten(stateOf({ epoch: 5, members: [a, b] }), known));
  t.false(hasForgotten(stateOf({ epoch: 6, members: [a] }), known));
  for (const lost of [
    stateOf({}),
    stateOf({ epoch: 4, members: [a, b] }),
    stateOf({ epoch: 5, members: [a] }),
  ]) {
    t.true(hasForgotten(lost, known));
    const { roster } = planRestore(lost, known, 32);
    t.deepEqual(roster, { epoch: 6, members: [a, b] });
  }
});

test('a restore keeps who joined a forgetful etcd, and refuses two owners of a slot', (t) => {
  const known: Roster = { epoch: 5, members: [a, b] };
  const joined = stateOf({ epoch: 1, members: [member('c', 2)] });
  t.is(planRestore(joined, known, 32).roster.members.length, 3);
  const clash = stateOf({ epoch: 1, members: [member('c', 1)] });
  t.throws(() => planRestore(clash, known, 32), { code: 'DUPLICATE_SLOT' });
});

test('entries that cannot be read are an error that names them, never a smaller roster', (t) => {
  const entry = (key: string, value: string) => () => readState([{ key, value, lease: '0' }]);
  const damaged = { code: 'DAMAGED' };
  t.throws(entry('roster/a', '{'), { ...damaged, message: /^roster\/a: is not JSON/ });
  t.throws(entry('roster/a', 'null'), damaged);
  t.throws(entry('roster/a', formatMember(b)), { ...damaged, message: /holds the member b/ });
  t.throws(entry('roster/a', '{"id":"a","slot":-1}'), { ...damaged, message: /slot/ });
  t.throws(entry('roster/a', '{"id":"a","slot":1}'), { ...damaged, message: /peerAddress/ });
  t.throws(entry('epoch', 'x'), { ...damaged, message: /^epoch/ });
  t.throws(entry('slots/1', 'no id!'), damaged);
  t.notThrows(entry('of-a-later-release', 'x'));
});
