import test from 'ava';
import type { AdminCallError } from '../../src/admin/client.ts';
import { EventQueue } from '../../src/admin/calls/watch.ts';
import type { ClusterEvent } from '../../src/admin/port.ts';
import type { ChannelKey, MemberId, Uid } from '../../src/core/ids.ts';
import { until } from '../support/until.ts';
import { startAdmin } from './support/start.ts';

function subscribed(index: number): ClusterEvent {
  const [channel, uid] = ['2/g' as ChannelKey, `u${index}` as Uid];
  return { atMs: index, kind: 'subscription', change: 'subscribed', channel, uid };
}

const b = 'b' as MemberId;
const EVENTS: readonly ClusterEvent[] = [
  { atMs: 1, kind: 'member', id: b, change: 'suspect' },
  {
    atMs: 2,
    kind: 'peer',
    state: {
      member: b,
      live: false,
      lagging: true,
      behind: 4,
      lagMs: 0,
      unacknowledgedBytes: 5,
      lastHeardMs: 6,
      lastError: 'gone',
    },
  },
  {
    atMs: 3,
    kind: 'session',
    change: 'connected',
    id: 9,
    uid: 'u' as Uid,
    remoteAddress: '10.0.0.1',
    protocol: 'wkproto',
  },
  subscribed(4),
  {
    atMs: 5,
    kind: 'status',
    subject: 'store',
    status: { state: 'failing', sinceMs: 1, error: new Error('full') },
  },
  { atMs: 6, kind: 'status', subject: 'membership', status: { state: 'ok' } },
  { atMs: 7, kind: 'status', subject: 'writes', accepted: false },
];

test('every kind of event is told, after the watching', async (t) => {
  const { client, events } = await startAdmin(t);
  const controller = new AbortController();
  const watching = client.watch({}, controller.signal);
  t.like((await watching.next()).value, { event: 'watching', watching: { member: 'a' } });
  for (const event of EVENTS) events.emit(event);
  const told = [];
  for (const event of EVENTS) told.push({ event, told: (await watching.next()).value! });
  t.deepEqual(
    told.map(({ told }) => told.atMs),
    [1, 2, 3, 4, 5, 6, 7],
  );
  const [member, peer, session, subscription, store, membership, writes] = told.map((x) => x.told);
  t.like(member, { event: 'member', member: { id: 'b', change: 'suspect' } });
  t.like(peer, { event: 'peer', peer: { member: 'b', lagging: true, lastError: 'gone' } });
  t.like(session, { event: 'session', session: { id: 9, uid: 'u', change: 'connected' } });
  t.like(subscription, { subscription: { channelId: 'g', channelType: 2, uid: 'u4' } });
  t.like(store, { status: { subject: 'store', status: { state: 'failing', reason: 'full' } } });
  t.like(membership, { status: { subject: 'membership', status: { state: 'ok' } } });
  t.like(writes, { status: { subject: 'writes', status: { state: 'refused' } } });
  controller.abort();
  t.true((await watching.next()).done);
  await until('nobody listens', () => !events.watched);
});

test('kinds filter; a kind that does not exist is refused', async (t) => {
  const { client, events } = await startAdmin(t);
  const controller = new AbortController();
  const kinds = ['EVENT_KIND_MEMBER', 'EVENT_KIND_STATUS'] as const;
  const watching = client.watch({ kinds }, controller.signal);
  await watching.next();
  for (const event of EVENTS) events.emit(event);
  const times = [];
  for (let i = 0; i < 4; i++) times.push((await watching.next()).value!.atMs);
  t.deepEqual(times, [1, 5, 6, 7]);
  controller.abort();
  const bad = client.watch({ kinds: ['EVENT_KIND_UNSPECIFIED'] }, new AbortController().signal);
  const error = await t.throwsAsync<AdminCallError>(bad.next());
  t.like(error, { code: 'INVALID_ARGUMENT', field: 'kinds[0]' });
});

test('a slow watcher is told how many it lost, where it lost them, and goes on', async (t) => {
  const { client, events } = await startAdmin(t, { limits: { watchEventsMax: 100 } });
  const controller = new AbortController();
  const watching = client.watch({}, controller.signal);
  await watching.next();
  const burst = 50_000;
  for (let i = 1; i <= burst; i++) events.emit(subscribed(i));
  let [told, lost, last] = [0, 0, 0];
  while (told + lost < burst) {
    const event = (await watching.next()).value!;
    if (event.event === 'lost') lost += event.lost!;
    else {
      told++;
      // What is told keeps its order, and the number lost fits the gap exactly.
      t.is(event.atMs, told + lost);
      last = event.atMs;
    }
  }
  t.true(lost > burst / 2, `${lost} lost`);
  events.emit(subscribed(burst + 1));
  t.is((await watching.next()).value!.atMs, burst + 1);
  t.true(last <= burst);
  controller.abort();
});

test('the queue of a watcher never holds more than its limit and one mark', (t) => {
  const queue = new EventQueue(3);
  for (let i = 1; i <= 10; i++) queue.push(subscribed(i), i);
  const first = [queue.shift(), queue.shift()].map((event) => event!.atMs);
  t.deepEqual(first, [1, 2]);
  queue.push(subscribed(11), 11);
  const rest = [];
  for (let event = queue.shift(); event; event = queue.shift()) rest.push(event.lost ?? event.atMs);
  t.deepEqual(rest, [3, 7, 11]);
  for (let i = 1; i <= 5; i++) queue.push(subscribed(i), i);
  const again = [];
  for (let event = queue.shift(); event; event = queue.shift())
    again.push(event.lost ?? -event.atMs);
  t.deepEqual(again, [-1, -2, -3, 2]);
});

test('a watcher that vanishes leaves no listener', async (t) => {
  const { client, events, server } = await startAdmin(t);
  const watching = client.watch({}, new AbortController().signal);
  await watching.next();
  t.true(events.watched);
  client.close();
  await watching.return(undefined);
  await until('it is gone', () => !events.watched && server.openStreams() === 0);
  t.pass();
});
