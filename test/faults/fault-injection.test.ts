import test from 'ava';
import { status } from '@grpc/grpc-js';
import { injectFault } from '../../src/admin/calls/faults.ts';
import { AdminError } from '../../src/admin/errors.ts';
import type { FaultRequest } from '../../src/admin/messages.ts';
import type { PeerMessage } from '../../src/cluster/link/message.ts';
import type { Link, LinkHandler, PeerTransport } from '../../src/cluster/link/port.ts';
import { StaticMembership } from '../../src/cluster/membership/static.ts';
import type { ChannelKey, MemberId } from '../../src/core/ids.ts';
import { subscriptionKey } from '../../src/core/row-key.ts';
import { FaultInjection } from '../../src/faults/fault-injection.ts';
import { FaultyMembership } from '../../src/faults/faulty-membership.ts';
import { FaultyTransport } from '../../src/faults/faulty-transport.ts';
import { FaultError, type Fault } from '../../src/faults/port.ts';
import { readRow } from '../../src/node/faults.ts';
import { silentLog } from '../../src/observability/log.ts';
import { decodeRow, encodeRow } from '../../src/storage/row-codec.ts';
import { uid } from '../support/ids.ts';
import { noPeers, RecordingSession, startLoneCore } from '../support/lone-core.ts';
import { testRuntime } from '../support/runtime.ts';
import { until } from '../support/until.ts';

const room = '2/room' as ChannelKey;
const peer = 'n2' as MemberId;

function request(fields: Partial<FaultRequest>): FaultRequest {
  const none = { kind: '', uid: '', channelId: '', channelType: 2, member: '' };
  return { ...none, percent: 0, delayMs: 0, seconds: 0, ...fields };
}

async function refusal(run: Promise<unknown>): Promise<AdminError> {
  try {
    await run;
  } catch (error) {
    if (error instanceof AdminError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

test('S4-7 fault injection that is off is refused, and says which key turns it on', async (t) => {
  const off = { faults: undefined, member: 'n1' as MemberId };
  const error = await refusal(injectFault(off, request({ kind: 'nonsense' })));
  t.is(error.code, status.FAILED_PRECONDITION);
  t.regex(error.message, /audit\.fault_injection: on/);
});

test('S4-7 a fault names what it damaged; a wrong one damages nothing', async (t) => {
  const injected: Fault[] = [];
  const faults = {
    inject: (fault: Fault) => {
      injected.push(fault);
      if (fault.kind === 'lose-membership') return Promise.reject(new FaultError('not here'));
      return Promise.resolve(['it is gone']);
    },
  };
  const on = { faults, member: 'n1' as MemberId };
  const reply = await injectFault(on, request({ kind: 'freeze-peer', member: 'n2' }));
  t.deepEqual(reply, { member: 'n1', kind: 'freeze-peer', damage: ['it is gone'] });
  t.deepEqual(injected, [{ kind: 'freeze-peer', member: peer, seconds: 5 }]);
  t.is((await refusal(injectFault(on, request({ kind: 'lose-membership' })))).code, 5);
  const wrong = [
    [request({ kind: 'explode' }), 'kind'],
    [request({ kind: 'delete-row', channelId: 'room' }), 'uid'],
    [request({ kind: 'freeze-peer', member: 'n2', seconds: 601 }), 'seconds'],
    [request({ kind: 'drop-deltas', member: 'n2', percent: 101 }), 'percent'],
    [request({ kind: 'delay-deltas', member: 'n2', delayMs: 60_001 }), 'delay_ms'],
  ] as const;
  for (const [asked, field] of wrong) {
    const error = await refusal(injectFault(on, asked));
    t.is(error.code, status.INVALID_ARGUMENT);
    t.is(error.field, field);
  }
  t.is(injected.length, 2);
});

test('S4-7 rows, index and topics are damaged behind the node', async (t) => {
  const { core, store, stop } = await startLoneCore();
  t.teardown(stop);
  const { subscriptions, sessions } = core.services;
  const user = uid('user');
  await subscriptions.subscribe({ channel: room, uids: [user], cause: 'client', waitFor: 'all' });
  const session = new RecordingSession('user');
  await sessions.attach(session);
  const faults = new FaultInjection({
    ...{ store, runtime: testRuntime, log: silentLog },
    rows: { encode: encodeRow, decode: readRow },
    transport: new FaultyTransport(noPeers, testRuntime),
    membership: new FaultyMembership(
      new StaticMembership({ members: [core.self], slots: 1 }),
      testRuntime,
    ),
    ...{ routing: core.routing, replicator: core.replicator },
  });
  const key = subscriptionKey(room, user);
  const at = { channel: room, uid: user };
  const changes: unknown[] = [];
  core.replica.addListener({
    onSubmitted: () => {},
    onStaged: (staged) => changes.push(staged),
    onDurable: () => {},
  });
  const before = store.get(key)!;

  await faults.inject({ kind: 'alter-row', ...at });
  const altered = decodeRow(key, store.get(key)!);
  t.true(altered.ok, 'its checksum holds');
  t.notDeepEqual(store.get(key), before);
  store.stage([{ key, value: before }]);

  await faults.inject({ kind: 'corrupt-row', ...at });
  t.false(decodeRow(key, store.get(key)!).ok);
  await t.throwsAsync(faults.inject({ kind: 'insert-row', ...at }), { name: 'FaultError' });
  t.regex((await faults.inject({ kind: 'delete-row', ...at }))[0]!, /deleted/);
  t.is(store.get(key), undefined);
  await t.throwsAsync(faults.inject({ kind: 'delete-row', ...at }), { name: 'FaultError' });
  await faults.inject({ kind: 'insert-row', ...at });
  t.true(decodeRow(key, store.get(key)!).ok);
  t.deepEqual(changes, [], 'nobody heard of it');

  t.regex((await faults.inject({ kind: 'drop-topic', ...at }))[0]!, /out of topic/);
  t.false(session.hasJoined(room));
  t.is(core.routing.entryOf(room, user), 'joined');
  await faults.inject({ kind: 'drop-index-entry', ...at });
  t.is(core.routing.entryOf(room, user), 'absent');
  const strange: Fault = { kind: 'freeze-peer', member: peer, seconds: 1 };
  await t.throwsAsync(faults.inject(strange), { message: /no peer/ });
});

test('S4-7 deltas are lost or late, reading stops; order is kept', async (t) => {
  const sent: PeerMessage[] = [];
  const link: Link = {
    peer,
    send: (message) => sent.push(message) > 0,
    bufferedBytes: () => 0,
    close: () => {},
  };
  let reader: LinkHandler | undefined;
  const under: PeerTransport = {
    async listen(accept) {
      reader = accept(link);
    },
    connect: () => Promise.reject(new Error('nobody is there')),
    close: () => Promise.resolve(),
  };
  const transport = new FaultyTransport(under, testRuntime);
  const got: PeerMessage[] = [];
  const handler = { onMessage: (m: PeerMessage) => got.push(m), onDrain() {}, onClose() {} };
  let outer: Link | undefined;
  await transport.listen((opened) => {
    outer = opened;
    return handler;
  });
  const operations = (frame: number): PeerMessage => ({
    type: 'operations',
    frame,
    operations: [],
  });
  const other: PeerMessage = { type: 'interest-wanted' };
  outer!.send(operations(1));
  transport.damageDeltas(peer, { kind: 'drop-deltas', percent: 100, delayMs: 0 }, 60);
  outer!.send(operations(2));
  outer!.send(other);
  t.deepEqual(sent, [operations(1), other]);
  transport.damageDeltas(peer, { kind: 'delay-deltas', percent: 100, delayMs: 20 }, 60);
  outer!.send(operations(3));
  outer!.send(other);
  t.is(sent.length, 2);
  await until('what was late is sent', () => sent.length === 4);
  t.deepEqual(sent.slice(2), [operations(3), other]);
  transport.damageReading(peer, 0.05);
  reader!.onMessage(operations(7));
  reader!.onMessage(other);
  t.deepEqual(got, []);
  await until('it is read again', () => got.length === 2);
  t.deepEqual(got, [operations(7), other]);
  await transport.close();
});

test('S4-7 membership that is lost is frozen, keeps its roster, and comes back', async (t) => {
  const { core, stop } = await startLoneCore();
  t.teardown(stop);
  const members = [core.self];
  const membership = new FaultyMembership(new StaticMembership({ members, slots: 1 }), testRuntime);
  await membership.start(core.self, undefined, { onRoster() {}, onLive() {} });
  membership.damageContact(0.05);
  t.is(membership.status().state, 'frozen');
  t.deepEqual(membership.roster().members, members);
  await t.throwsAsync(membership.remove(peer), { name: 'MembershipError' });
  await until('it answers again', () => membership.status().state === 'ok');
  await membership.stop();
});
