import test, { type ExecutionContext } from 'ava';
import {
  EtcdMembership,
  type EtcdMembershipOptions,
} from '../../../src/cluster/membership/etcd.ts';
import { EtcdClient, type EtcdCalls } from '../../../src/cluster/membership/etcd-client.ts';
import type { MemberId } from '../../../src/core/ids.ts';
import type { Member, Roster } from '../../../src/core/member.ts';
import { silentLog } from '../../../src/observability/log.ts';
import { systemRuntime } from '../../../src/runtime/system.ts';
import { etcdAvailable, startEtcd, type TestEtcd } from '../../support/etcd.ts';
import { member } from '../../support/members.ts';
import { until } from '../../support/until.ts';

const run = etcdAvailable() ? test : test.skip;
/** Short times, so that faults are seen within a test. */
const FAST = { callDeadlineMs: 300, retryMinMs: 50, retryMaxMs: 200, leaseTtlMs: 1_000 };

interface Opened {
  readonly membership: EtcdMembership;
  readonly rosters: Roster[];
  readonly lives: string[][];
  start(cached?: Roster): Promise<Roster>;
}

type Given = Partial<EtcdMembershipOptions>;

/** One etcd for a test, ended with everything that was opened on it. */
async function withEtcd(t: ExecutionContext): Promise<{
  etcd: TestEtcd;
  readonly open: (self: Member, given?: Given) => Opened;
}> {
  const etcd = await startEtcd();
  t.teardown(() => etcd.stop());
  return { etcd, open: (self, given) => openOn(t, etcd.endpoint, { self, ...given }) };
}

function openOn(
  t: ExecutionContext,
  endpoint: string,
  { self, ...given }: Given & { readonly self: Member },
): Opened {
  const membership = new EtcdMembership({
    cluster: 'test',
    endpoints: [endpoint],
    slots: 32,
    log: silentLog,
    runtime: systemRuntime,
    ...FAST,
    ...given,
  });
  t.teardown(() => membership.stop());
  const rosters: Roster[] = [];
  const lives: string[][] = [];
  const listener = {
    onRoster: (roster: Roster) => void rosters.push(roster),
    onLive: (live: ReadonlySet<MemberId>) => void lives.push([...live]),
  };
  return {
    membership,
    rosters,
    lives,
    start: (cached) => membership.start(self, cached, listener),
  };
}

/** Looks at etcd, and changes it, behind the back of the members. */
function clientOf(t: ExecutionContext, etcd: TestEtcd): EtcdClient {
  const client = new EtcdClient({
    endpoints: [etcd.endpoint],
    prefix: '/holdfast/test/',
    callDeadlineMs: 2_000,
    runtime: systemRuntime,
  });
  t.teardown(() => client.close());
  return client;
}

/** Its watches stand and never tell anything. */
function deafClient(t: ExecutionContext, etcd: TestEtcd): EtcdCalls {
  const client = clientOf(t, etcd);
  return {
    list: () => client.list(),
    commit: (commit) => client.commit(commit),
    grant: (ttlMs) => client.grant(ttlMs),
    putLeased: (name, value, lease) => client.putLeased(name, value, lease),
    keepAlive: (lease) => client.keepAlive(lease),
    revoke: (lease) => client.revoke(lease),
    watch: () => () => {},
    close: () => {},
  };
}

const [a, b] = [member('a', 0), member('b', 1)];
const idsOf = ({ members }: Roster): string[] => members.map(({ id }) => id);
const frozen = ({ membership }: Opened): boolean => membership.status().state === 'frozen';

run(
  'needs etcd: members see each other come and go, and a clean stop leaves the roster',
  async (t) => {
    const { open } = await withEtcd(t);
    const [one, two] = [open(a), open(b)];
    await one.start();
    await two.start();
    await until('a sees b', () => one.membership.live().has(b.id));
    t.deepEqual(idsOf(one.rosters.at(-1)!), ['a', 'b']);
    await two.membership.stop();
    await until('b is suspect', () => !one.membership.live().has(b.id), 900);
    t.deepEqual(idsOf(one.membership.roster()), ['a', 'b']);
  },
);

run('needs etcd: members that join at once get different slots', async (t) => {
  const { open } = await withEtcd(t);
  const all = Array.from({ length: 8 }, (_, i) =>
    open(member(`m${i}`, 0), { callDeadlineMs: 5_000 }),
  );
  await Promise.all(all.map((each) => each.start()));
  for (const each of all) {
    await until('all are known', () => each.membership.roster().members.length === 8);
    t.is(new Set(each.membership.roster().members.map(({ slot }) => slot)).size, 8);
    t.is(each.membership.roster().epoch, 8);
  }
});

run(
  'needs etcd: a slot is not reused after a removal, and everyone hears of the removal',
  async (t) => {
    const { open } = await withEtcd(t);
    // A watch may drop the event: then the next list says it.
    const often = { relistMs: 2_000 };
    const [one, two] = [open(a, often), open(b, often)];
    await one.start();
    await two.start();
    await one.membership.remove(b.id);
    await until('b hears that it is off', () => idsOf(two.membership.roster()).join() === 'a');
    await until('a hears it', () => idsOf(one.membership.roster()).join() === 'a');
    t.is(one.membership.roster().epoch, 3);
    t.false(one.membership.live().has(b.id));
    const roster = await open(member('c', 0)).start();
    t.deepEqual(
      roster.members.map(({ id, slot }) => [id, slot]),
      [
        ['a', 0],
        ['c', 2],
      ] as [MemberId, number][],
    );
  },
);

run('needs etcd: a member that was removed while away knows it when it returns', async (t) => {
  const { open } = await withEtcd(t);
  const [one, two] = [open(a), open(b)];
  await one.start();
  const cached = await two.start();
  await two.membership.stop();
  const returned = open(b);
  await returned.start(cached);
  t.false(returned.membership.wasForgotten());
  await returned.membership.stop();
  await one.membership.remove(b.id);
  const late = open(b);
  const roster = await late.start(cached);
  t.true(late.membership.wasForgotten());
  t.is(roster.members.find(({ id }) => id === b.id)?.slot, 1);
});

run('needs etcd: the 33rd member and a slot in use are refused', async (t) => {
  const { open } = await withEtcd(t);
  const many = Array.from({ length: 32 }, (_, i) => open(member(`m${i}`, 0), { slot: i }));
  for (const each of many) await each.start();
  await t.throwsAsync(open(a).start(), { code: 'MEMBERS_FULL' });
  await many[0]!.membership.remove('m0' as MemberId);
  await t.throwsAsync(open(a, { slot: 7 }).start(), { code: 'SLOT_IN_USE' });
  await t.throwsAsync(open(a).start(), { code: 'SLOTS_EXHAUSTED' });
});

run('F16 needs etcd: etcd killed freezes the roster, and it recovers by itself', async (t) => {
  const { etcd, open } = await withEtcd(t);
  const [one, two] = [open(a), open(b)];
  await one.start();
  await two.start();
  await until('a sees b', () => one.membership.live().has(b.id));
  await etcd.kill();
  await until('frozen', () => frozen(one) && frozen(two));
  t.deepEqual(idsOf(one.membership.roster()), ['a', 'b']);
  t.true(one.membership.live().has(b.id), 'nobody is suspected because etcd is away');
  await t.throwsAsync(one.membership.remove(b.id), { code: 'FROZEN' });
  await etcd.restart();
  await until('thawed', () => !frozen(one) && !frozen(two));
  const three = open(member('c', 0));
  await three.start();
  await until('watches work again', () => one.membership.live().has('c' as MemberId));
  t.deepEqual(idsOf(one.membership.roster()), ['a', 'b', 'c']);
});

run('F16 needs etcd: an etcd that hangs is noticed by deadlines, and recovers', async (t) => {
  const { etcd, open } = await withEtcd(t);
  const one = open(a);
  await one.start();
  etcd.pause();
  await until('frozen', () => frozen(one));
  const before = performance.now();
  await t.throwsAsync(one.membership.remove(a.id), { code: 'FROZEN' });
  t.true(performance.now() - before < 3_000);
  etcd.resume();
  await until('thawed', () => !frozen(one));
  const two = open(b);
  await two.start();
  await until('a sees b', () => one.membership.live().has(b.id));
});

run('F13 needs etcd: a lost lease makes a member suspect, and it takes a new one', async (t) => {
  const { etcd, open } = await withEtcd(t);
  const [one, two] = [open(a), open(b)];
  await one.start();
  await two.start();
  await until('a sees b', () => one.membership.live().has(b.id));
  const client = clientOf(t, etcd);
  const live = (await client.list()).find(({ key }) => key === 'live/b')!;
  one.lives.length = 0;
  await client.revoke(live.lease);
  await until('b was suspect and is live again', () => one.lives.length >= 2);
  t.deepEqual(one.lives.slice(0, 2), [['a'], ['a', 'b']]);
  t.deepEqual(idsOf(one.membership.roster()), ['a', 'b']);
});

run('F16 needs etcd: what the watch does not tell is found by the next list', async (t) => {
  const { etcd, open } = await withEtcd(t);
  const one = open(a, { relistMs: 300, client: deafClient(t, etcd) });
  await one.start();
  const two = open(b);
  await two.start();
  await until('a sees b', () => one.membership.live().has(b.id), 3_000);
  t.deepEqual(idsOf(one.membership.roster()), ['a', 'b']);
});

run('needs etcd: a member that is gone without a higher epoch is written back', async (t) => {
  const { etcd, open } = await withEtcd(t);
  const [one, two] = [open(a), open(b)];
  await one.start();
  await two.start();
  await until('a sees b', () => one.membership.live().has(b.id));
  const client = clientOf(t, etcd);
  await client.commit({ epoch: '2', puts: new Map(), deletes: ['roster/b', 'live/b'] });
  await until('etcd has b again', async () => {
    const keys = (await client.list()).map(({ key }) => key);
    return keys.includes('roster/b') && keys.includes('live/b');
  });
  t.deepEqual(idsOf(one.membership.roster()), ['a', 'b']);
  t.true(one.rosters.every(({ members }) => members.length === 2));
});

run('needs etcd: an etcd that lost its data gets the roster back', async (t) => {
  const { etcd, open } = await withEtcd(t);
  const [one, two] = [open(a), open(b)];
  await one.start();
  await two.start();
  await until('a knows b', () => one.membership.roster().members.length === 2);
  await etcd.restart({ wipe: true });
  await until('epochs rise', () => one.membership.roster().epoch > 2 && !frozen(one));
  await until('both are live', () => one.membership.live().has(b.id));
  t.true(
    one.rosters.every(({ members }) => members.length === 2),
    'never a smaller roster',
  );
  t.true(two.rosters.every(({ members }) => members.length >= 1));
  t.deepEqual(idsOf(two.membership.roster()), ['a', 'b']);
});

run('needs etcd: down at start, a cached roster serves frozen until etcd is back', async (t) => {
  const { etcd, open } = await withEtcd(t);
  const first = open(a);
  await first.start();
  const cached = await open(b).start();
  await first.membership.stop();
  await etcd.kill();
  const moved = { ...a, httpAddress: 'http://127.0.0.1:6001' };
  const one = open(moved);
  t.deepEqual(await one.start(cached), cached);
  t.true(frozen(one));
  t.deepEqual([...one.membership.live()], [a.id, b.id]);
  await etcd.restart();
  await until('thawed', () => !frozen(one));
  await until('the new address is on the roster', () =>
    one.membership.roster().members.some(({ httpAddress }) => httpAddress === moved.httpAddress),
  );
});

test('down at start without a cached roster: a clear refusal at the deadline or the signal', async (t) => {
  const nowhere = '127.0.0.1:1';
  const late = openOn(t, nowhere, { self: a, startDeadlineMs: 300 });
  await t.throwsAsync(late.start(), { code: 'UNAVAILABLE', message: /no roster is cached/ });
  const others = openOn(t, nowhere, { self: a, startDeadlineMs: 300 });
  await t.throwsAsync(others.start({ epoch: 1, members: [b] }), { code: 'UNAVAILABLE' });
  const abort = new AbortController();
  const aborted = openOn(t, nowhere, { self: a, signal: abort.signal });
  const starting = aborted.start();
  abort.abort();
  await t.throwsAsync(starting, { code: 'ABORTED' });
});

run('needs etcd: stop is quick when etcd is gone or hangs', async (t) => {
  const { etcd, open } = await withEtcd(t);
  const given = { stopDeadlineMs: 300, callDeadlineMs: 10_000 };
  const [one, two] = [open(a, given), open(b, given)];
  await one.start();
  await two.start();
  etcd.pause();
  let before = performance.now();
  await one.membership.stop();
  t.true(performance.now() - before < 3_000);
  etcd.resume();
  await etcd.kill();
  before = performance.now();
  await two.membership.stop();
  t.true(performance.now() - before < 3_000);
});
