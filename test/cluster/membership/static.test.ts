import test from 'ava';
import { MEMBERS_MAX } from '../../../src/core/member.ts';
import { StaticMembership } from '../../../src/cluster/membership/static.ts';
import { member } from '../../support/members.ts';

const open = (members: ReturnType<typeof member>[], slots = 32): StaticMembership =>
  new StaticMembership({ members, slots });
const [a, b] = [member('a', 0), member('b', 1)];

test('a slot or an id that is listed twice is refused by name', async (t) => {
  const slot = await t.throwsAsync(open([a, member('b', 0)]).start(a), { code: 'DUPLICATE_SLOT' });
  t.regex(slot.message, /members a and b both have slot 0/);
  const id = await t.throwsAsync(open([a, member('a', 1)]).start(a), { code: 'DUPLICATE_ID' });
  t.regex(id.message, /member id a is listed twice/);
});

test('32 members are a cluster, the 33rd is refused', async (t) => {
  const many = (count: number) =>
    Array.from({ length: count }, (_, i) => (i === 0 ? a : member(`m${i}`, i)));
  const roster = await open(many(MEMBERS_MAX)).start(a);
  t.is(roster.members.length, MEMBERS_MAX);
  await t.throwsAsync(open(many(MEMBERS_MAX + 1)).start(a), { code: 'MEMBERS_FULL' });
});

test('a slot outside the cluster is refused', async (t) => {
  await t.throwsAsync(open([member('a', 1)], 1).start(member('a', 1)), {
    code: 'SLOT_OUT_OF_RANGE',
    message: /slot 1 is outside 0\.\.0/,
  });
});

test('a node that is not listed, or with another slot, is refused', async (t) => {
  await t.throwsAsync(open([b]).start(a), { code: 'NOT_ON_ROSTER' });
  await t.throwsAsync(open([b, a]).start(member('a', 7)), { code: 'NOT_ON_ROSTER' });
});

test('all that are listed are live, and nobody can be removed', async (t) => {
  const membership = open([b, a]);
  await membership.start(a);
  t.deepEqual([...membership.live()], [a.id, b.id]);
  await t.throwsAsync(membership.remove(b.id), { code: 'STATIC' });
});

test('equal lists give equal epochs in any order, other lists give others', async (t) => {
  const epoch = async (members: ReturnType<typeof member>[]) =>
    (await open(members).start(a)).epoch;
  t.is(await epoch([a, b]), await epoch([b, a]));
  t.not(await epoch([a, b]), await epoch([a]));
  t.not(await epoch([a, b]), await epoch([a, member('b', 2)]));
});
