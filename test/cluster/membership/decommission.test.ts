import test from 'ava';
import {
  decommission,
  type DecommissionParts,
} from '../../../src/cluster/membership/decommission.ts';
import type { MembershipErrorCode } from '../../../src/cluster/membership/membership-error.ts';
import type { MembershipStatus } from '../../../src/cluster/membership/port.ts';
import { StaticMembership } from '../../../src/cluster/membership/static.ts';
import type { ActorId, MemberId } from '../../../src/core/ids.ts';
import { member } from '../../support/members.ts';

const MEMBERS = [member('a', 0), member('b', 1), member('c', 2)];
const [self, gone] = ['a' as MemberId, 'c' as MemberId];
const WRITES = [{ actor: '00000000000000aa' as ActorId, from: 1, to: 9 }];

interface World {
  readonly live?: readonly MemberId[];
  readonly status?: MembershipStatus;
  readonly linked?: boolean;
  /** What the member has told to have is here. */
  readonly covered?: boolean;
}

function world({ live = [self], status = { state: 'ok' }, linked, covered }: World) {
  const removed: MemberId[] = [];
  const parts: DecommissionParts = {
    self,
    membership: {
      start: () => Promise.reject(new Error('is running')),
      roster: () => ({ epoch: 3, members: MEMBERS }),
      live: () => new Set(live),
      status: () => status,
      remove: (id) => Promise.resolve(void removed.push(id)),
      stop: () => Promise.resolve(),
    },
    linked: () => linked ?? false,
    reportedBy: () => WRITES,
    covers: () => covered ?? true,
  };
  return { parts, removed };
}

test('F14 a member that is gone leaves the roster', async (t) => {
  const { parts, removed } = world({});
  await decommission(parts, gone, { force: false });
  t.deepEqual(removed, [gone]);
});

interface Refusal extends World {
  readonly member: string;
  readonly code: MembershipErrorCode;
  readonly says: RegExp;
  readonly forced: 'goes on' | 'refused';
}

const frozen: MembershipStatus = { state: 'frozen', sinceMs: 1, reason: 'no answer' };
const REFUSALS: readonly Refusal[] = [
  { member: 'x', code: 'UNKNOWN_MEMBER', says: /which has a, b, c/, forced: 'refused' },
  { member: 'a', code: 'SELF', says: /ask another/, forced: 'refused' },
  { member: 'c', status: frozen, code: 'FROZEN', says: /no answer/, forced: 'refused' },
  { member: 'c', linked: true, code: 'LIVE', says: /connected: stop it/, forced: 'goes on' },
  { member: 'c', live: [self, gone], code: 'LIVE', says: /lease of c/, forced: 'goes on' },
  { member: 'c', covered: false, code: 'AHEAD', says: /start it once more/, forced: 'goes on' },
];

for (const { member: id, code, says, forced, ...given } of REFUSALS) {
  test(`refused with ${code} and what to do (${says.source}), nothing is changed`, async (t) => {
    const { parts, removed } = world(given);
    const ask = (force: boolean) => decommission(parts, id as MemberId, { force });
    const error = await t.throwsAsync(ask(false), { code });
    t.regex(error.message, says);
    t.deepEqual(removed, []);
    if (forced === 'refused') await t.throwsAsync(ask(true), { code });
    else await ask(true);
    t.is(removed.length, forced === 'refused' ? 0 : 1);
  });
}

test('of a static roster the refusal names the file to change, forced or not', async (t) => {
  const membership = new StaticMembership({ members: MEMBERS, slots: 32 });
  await membership.start(MEMBERS[0]!);
  const parts = { ...world({ linked: true }).parts, membership };
  for (const force of [false, true]) {
    const error = await t.throwsAsync(decommission(parts, gone, { force }), { code: 'STATIC' });
    t.regex(error.message, /cluster\.yml: take c out/);
  }
});
