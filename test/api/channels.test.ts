import test, { type ExecutionContext } from 'ava';
import type { ChannelKey, Uid } from '../../src/core/ids.ts';
import { storeFailing, withApi, type Answer, type FakeServices } from './fakes.ts';

const ROOM = { channel_id: 'room', channel_type: 2 };
const KEY = '2/room' as ChannelKey;

function ok(t: ExecutionContext, answer: Answer): void {
  t.is(answer.text, '{"status":200}');
  t.is(answer.status, 200);
}

function refused(t: ExecutionContext, answer: Answer, message: RegExp): void {
  const { msg, status, ...rest } = JSON.parse(answer.text) as Record<string, unknown>;
  t.is(answer.status, 400);
  t.is(status, 400);
  t.deepEqual(rest, {});
  t.regex(msg as string, message);
}

function fill(fake: FakeServices, ...uids: string[]): void {
  fake.subscribers.set(KEY, new Set(uids as Uid[]));
}

test('a channel made by the API is closed, has its flags and its subscribers', async (t) => {
  await withApi(async ({ fake, post }) => {
    const body = { ...ROOM, large: 1, send_ban: 1, subscribers: ['u1', 'u2', 'u1'] };
    ok(t, await post('/channel', body));
    const channel = fake.channels.get(KEY)!;
    t.is(channel.join, 'closed');
    t.true(channel.large);
    t.true(channel.sendBan);
    t.false(channel.ban);
    t.deepEqual(fake.requests[0]!.uids, ['u1', 'u2'] as Uid[]);
    t.is(fake.requests[0]!.cause, 'http');
    t.is(fake.requests[0]!.waitFor, 'all');
  });
});

test('a call lifts no ban that it does not mention', async (t) => {
  await withApi(async ({ fake, post }) => {
    ok(t, await post('/channel/info', { ...ROOM, ban: 1, join: 'open' }));
    ok(t, await post('/channel', { ...ROOM, large: 1 }));
    t.true(fake.channels.get(KEY)!.ban);
    t.is(fake.channels.get(KEY)!.join, 'open');
    ok(t, await post('/channel/info', { ...ROOM, ban: 0 }));
    t.false(fake.channels.get(KEY)!.ban);
  });
});

test('S1-7 a backend names the owner and the managers of a channel, and takes them away', async (t) => {
  await withApi(async ({ fake, post }) => {
    ok(t, await post('/channel', { ...ROOM, owner: 'ow', managers: ['m1', 'm2', 'm1'] }));
    const named = { owner: 'ow', managers: ['m1', 'm2'] as Uid[] };
    t.like(fake.channels.get(KEY), named);
    ok(t, await post('/channel/info', { ...ROOM, large: 1 }));
    t.like(fake.channels.get(KEY), named);
    ok(t, await post('/channel/info', { ...ROOM, owner: '', managers: [] }));
    t.like(fake.channels.get(KEY), { owner: '', managers: [] });
  });
});

test('a deleted channel has no subscribers, and starts afresh when it is made again', async (t) => {
  await withApi(async ({ fake, post }) => {
    ok(t, await post('/channel', { ...ROOM, ban: 1, subscribers: ['u1'] }));
    ok(t, await post('/channel/delete', ROOM));
    t.true(fake.channels.get(KEY)!.deleted);
    t.is(fake.subscribersOf(KEY).size, 0);
    ok(t, await post('/channel/subscriber_add', { ...ROOM, subscribers: ['u2'] }));
    t.false(fake.channels.get(KEY)!.deleted);
    t.false(fake.channels.get(KEY)!.ban);
    t.deepEqual([...fake.subscribersOf(KEY)], ['u2'] as Uid[]);
  });
});

test('subscribers are added and removed; the first call makes the channel', async (t) => {
  await withApi(async ({ fake, post }) => {
    ok(t, await post('/channel/subscriber_add', { ...ROOM, subscribers: ['u1', 'u2', 'u3'] }));
    t.is(fake.channels.get(KEY)!.join, 'closed');
    ok(t, await post('/channel/subscriber_remove', { ...ROOM, subscribers: ['u2'] }));
    t.deepEqual([...fake.subscribersOf(KEY)], ['u1', 'u3'] as Uid[]);
    ok(t, await post('/channel/subscriber_remove_all', ROOM));
    t.is(fake.subscribersOf(KEY).size, 0);
  });
});

test('reset replaces the list, however long it is, and touches nobody who stays', async (t) => {
  await withApi(async ({ fake, post }) => {
    const many = Array.from({ length: 2500 }, (_, index) => `u${String(index).padStart(4, '0')}`);
    fill(fake, ...many);
    const body = { ...ROOM, reset: 1, subscribers: ['u0007', 'u2400', 'new'] };
    ok(t, await post('/channel/subscriber_add', body));
    t.deepEqual([...fake.subscribersOf(KEY)].sort(), ['new', 'u0007', 'u2400'] as Uid[]);
    t.false(fake.requests.slice(0, -1).some(({ uids }) => uids.includes('u0007' as Uid)));
    ok(t, await post('/channel', { ...ROOM, reset: 1 }));
    t.is(fake.subscribersOf(KEY).size, 0);
  });
});

test('what is wrong is named, with what was found and what is allowed; nothing is written', async (t) => {
  const cases: readonly (readonly [string, unknown, RegExp])[] = [
    ['/channel', undefined, /^body: expected a JSON object, found nothing$/],
    ['/channel', '{"channel_id":', /^body: is not JSON: /],
    ['/channel', Buffer.from('{"channel_id":"\xff"}', 'latin1'), /^body: is not UTF-8$/],
    ['/channel', [ROOM], /^body: expected a JSON object, found a list$/],
    ['/channel', { channel_type: 2 }, /^channel_id: expected a string, found undefined$/],
    ['/channel', { ...ROOM, channel_id: '' }, /^channel_id: is empty$/],
    ['/channel', { ...ROOM, channel_id: 'a\u0001b' }, /^channel_id: contains a control character$/],
    ['/channel', { ...ROOM, channel_type: '2' }, /^channel_type: expected an integer, found "2"$/],
    ['/channel', { ...ROOM, channel_type: 11 }, /^channel_type: 11 is outside 1..10$/],
    ['/channel', { ...ROOM, channel_type: 1 }, /^channel_type: 1 is a person channel.*2 to 10$/],
    ['/channel/info', { ...ROOM, channel_type: 1 }, /person channel/],
    ['/channel/delete', { ...ROOM, channel_type: 1 }, /person channel/],
    ['/channel/subscriber_add', { ...ROOM, channel_type: 1 }, /person channel/],
    ['/channel', { ...ROOM, ban: 2 }, /^ban: expected 0 or 1, found 2$/],
    ['/channel', { ...ROOM, large: 'yes' }, /^large: expected 0 or 1, found "yes"$/],
    ['/channel', { ...ROOM, owner: 7 }, /^owner: expected a string, found 7$/],
    ['/channel', { ...ROOM, managers: 'm' }, /^managers: expected a list of uids, found "m"$/],
    ['/channel', { ...ROOM, managers: ['a@b'] }, /^managers\[0\]: character "@"/],
    ['/channel', { ...ROOM, join: 'both' }, /^join: expected open or closed, found "both"$/],
    [
      '/channel',
      { ...ROOM, subscribers: 'u1' },
      /^subscribers: expected a list of uids, found "u1"$/,
    ],
    ['/channel', { ...ROOM, subscribers: ['u1', 'u@2'] }, /^subscribers\[1\]: character "@"/],
    [
      '/channel',
      { ...ROOM, subscribers: ['u1', 7] },
      /^subscribers\[1\]: expected a string, found 7$/,
    ],
    ['/channel', { ...ROOM, disband: 1, subscribers: ['u1'] }, /^subscribers: expected none/],
    [
      '/channel/subscriber_add',
      { ...ROOM, subscribers: [] },
      /^subscribers: expected at least one/,
    ],
    ['/channel/subscriber_remove', ROOM, /^subscribers: expected at least one/],
    [
      '/channel/subscriber_add',
      { ...ROOM, subscribers: ['u1'], temp_subscriber: 2 },
      /^temp_subscriber: expected 0 or 1/,
    ],
    [
      '/channel/subscriber_add',
      { ...ROOM, subscribers: ['u1'], reset: 3 },
      /^reset: expected 0 or 1/,
    ],
    ['/channel', { ...ROOM, subscribers: ['a', 'b', 'c', 'd'] }, /^subscribers: 4 uids, at most 3/],
  ];
  await withApi(
    async ({ fake, post }) => {
      for (const [path, body, message] of cases) refused(t, await post(path, body), message);
      t.is(fake.writes, 0);
    },
    { uidsMax: 3 },
  );
});

test('a disbanded channel takes no subscribers, and reset removes none', async (t) => {
  await withApi(async ({ fake, post }) => {
    fill(fake, 'u1');
    ok(t, await post('/channel/info', { ...ROOM, disband: 1 }));
    const body = { ...ROOM, reset: 1, subscribers: ['u2'] };
    refused(t, await post('/channel/subscriber_add', body), /disbanded/);
    t.deepEqual([...fake.subscribersOf(KEY)], ['u1'] as Uid[]);
  });
});

test('a store that cannot write is 503, in the same shape, on every mutation', async (t) => {
  await withApi(async ({ fake, post }) => {
    fake.refusal = storeFailing;
    const body = { ...ROOM, subscribers: ['u1'] };
    for (const path of [
      '',
      '/info',
      '/delete',
      '/subscriber_add',
      '/subscriber_remove',
      '/subscriber_remove_all',
    ]) {
      const answer = await post(`/channel${path}`, body);
      t.is(answer.status, 503, path);
      const msg = 'the store cannot write: no space left (reason 15)';
      t.deepEqual(JSON.parse(answer.text), { msg, status: 503 }, path);
      t.is(answer.headers['retry-after'], '1');
    }
  });
});
