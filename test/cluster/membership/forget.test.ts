import test from 'ava';
import { Forgetter } from '../../../src/cluster/membership/forget.ts';
import type { Membership, MembershipStatus } from '../../../src/cluster/membership/port.ts';
import type { MemberId } from '../../../src/core/ids.ts';
import { silentLog } from '../../../src/observability/log.ts';
import { member } from '../../support/members.ts';
import { createVirtualRuntime } from '../../support/virtual-runtime.ts';

const HOUR = 3_600_000;
const [A, B] = ['a', 'b'] as MemberId[] as [MemberId, MemberId];

function setup() {
  const runtime = createVirtualRuntime();
  const state = {
    live: new Set([A, B]),
    linked: false,
    status: { state: 'ok' } as MembershipStatus,
    removed: [] as MemberId[],
  };
  const membership: Membership = {
    start: () => Promise.reject(new Error('not used')),
    roster: () => ({ epoch: 1, members: [member('a', 0), member('b', 1)] }),
    live: () => state.live,
    status: () => state.status,
    remove(id) {
      state.removed.push(id);
      return Promise.resolve();
    },
    stop: () => Promise.resolve(),
  };
  const forgetter = new Forgetter({
    ...{ membership, runtime, self: A, log: silentLog, forgetAfterMs: 24 * HOUR },
    linked: () => state.linked,
  });
  forgetter.start();
  return { runtime, state, forgetter };
}

test('who is neither live nor linked for the whole time leaves the roster, not a minute before', async (t) => {
  const { runtime, state } = setup();
  await runtime.advance(48 * HOUR);
  t.deepEqual(state.removed, []);
  state.live = new Set([A]);
  await runtime.advance(23.9 * HOUR);
  t.deepEqual(state.removed, []);
  await runtime.advance(0.2 * HOUR);
  t.deepEqual(state.removed, [B]);
});

test('F12 a lost lease, a link, a frozen roster or a stepped wall clock forget nobody', async (t) => {
  const { runtime, state } = setup();
  state.live = new Set([A]);
  state.linked = true;
  await runtime.advance(30 * HOUR);
  state.linked = false;
  await runtime.advance(20 * HOUR);
  state.status = { state: 'frozen', sinceMs: 0, reason: 'etcd does not answer' };
  await runtime.advance(30 * HOUR);
  state.status = { state: 'ok' };
  await runtime.advance(20 * HOUR);
  runtime.stepWall(1_000 * HOUR);
  await runtime.advance(3 * HOUR);
  t.deepEqual(state.removed, []);
});

test('nothing is forgotten after the stop', async (t) => {
  const { runtime, state, forgetter } = setup();
  state.live = new Set([A]);
  forgetter.stop();
  await runtime.advance(48 * HOUR);
  t.deepEqual(state.removed, []);
});
