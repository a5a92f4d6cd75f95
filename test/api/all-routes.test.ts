import test from 'ava';
import type { Uid } from '../../src/core/ids.ts';
import { group } from '../support/ids.ts';
import { RecordingSession } from '../support/lone-core.ts';
import { realApi } from './real-api.ts';

const ROOM = { channel_id: 'room', channel_type: 2 };
const PAYLOAD = Buffer.from('hello').toString('base64');
const SEND = { from_uid: 'ann', client_msg_no: 'n1', payload: PAYLOAD };
const HEADER = { no_persist: 0, red_dot: 1, sync_once: 0 };
const PLACE = { uid: 'bob', ...ROOM };
const OK = /^\{"status":200\}$/;
const BAD_TYPE = /^channel_type: /;

type Case = readonly [path: string, good: unknown, answer: RegExp, bad: unknown, message: RegExp];

/** Lists of a channel: four routes each, the second pair of lists is ours. */
function listCases(list: string): readonly Case[] {
  const uids = ['zed'];
  const wrong = { ...ROOM, channel_type: 11, uids };
  return [
    [`/channel/${list}_add`, { ...ROOM, uids }, OK, { ...ROOM, uids: [] }, /^uids: expected at/],
    [`/channel/${list}_set`, { ...ROOM, uids }, OK, wrong, BAD_TYPE],
    [`/channel/${list}_remove`, { ...ROOM, uids }, OK, { ...ROOM, uids: ['a@b'] }, /^uids\[0\]: /],
    [`/channel/${list}_remove_all`, ROOM, OK, { channel_type: 2 }, /^channel_id: /],
  ];
}

/** Every POST of the document, in an order in which each good one finds what it needs. */
const POSTS: readonly Case[] = [
  [
    '/user/token',
    { uid: 'ann', token: 's', device_flag: 1, device_level: 1 },
    OK,
    { uid: 'ann', device_flag: 1 },
    /^token: /,
  ],
  [
    '/channel',
    { ...ROOM, large: 0, ban: 0, disband: 0, send_ban: 0, allow_stranger: 0, subscribers: ['ann'] },
    OK,
    { ...ROOM, send_ban: 2 },
    /^send_ban: expected 0 or 1, found 2$/,
  ],
  [
    '/channel/info',
    { channel_id: 'bob', channel_type: 1, allow_stranger: 1 },
    OK,
    { channel_id: 'bob', channel_type: 1, ban: 1 },
    /^channel_type: 1 is a person channel/,
  ],
  [
    '/channel/subscriber_add',
    { ...ROOM, reset: 0, temp_subscriber: 1, subscribers: ['bob', 'zed'] },
    OK,
    { ...ROOM, subscribers: [] },
    /^subscribers: expected at least one/,
  ],
  [
    '/channel/subscriber_remove',
    { ...ROOM, subscribers: ['zed'] },
    OK,
    { ...ROOM, subscribers: ['z#'] },
    /^subscribers\[0\]: /,
  ],
  [
    '/tmpchannel/subscriber_set',
    { channel_id: 'party', uids: ['ann', 'bob'] },
    OK,
    { channel_id: 'party', uids: [] },
    /^uids: expected at least one/,
  ],
  ...listCases('blacklist'),
  ...listCases('whitelist'),
  ...listCases('mute'),
  ['/user/systemuids_add', { uids: ['root'] }, OK, { uids: [] }, /^uids: expected at least one/],
  ['/user/systemuids_remove', { uids: ['root'] }, OK, { uids: 'root' }, /^uids: expected a list/],
  [
    '/user/device_quit',
    { uid: 'ann', device_flag: -1 },
    OK,
    { uid: 'ann', device_flag: 3 },
    /^device_flag: expected an integer from -1 to 2, found 3$/,
  ],
  ['/user/onlinestatus', ['ann'], /^\[\]$/, { uid: 'ann' }, /^body: expected a list of uids/],
  [
    '/route/batch',
    ['ann'],
    /^\[\{"uids":\["ann"\],"tcp_addr":"","ws_addr":"ws:/,
    'ann',
    /^body: is not JSON/,
  ],
  [
    '/message/send',
    { ...SEND, header: HEADER, ...ROOM, expire: 0 },
    /^\{"status":200,"data":\{"message_id":(\d+),"message_idstr":"\1","message_seq":1,"client_msg_no":"n1"/,
    { ...SEND, ...ROOM, payload: 'other!' },
    /^payload: is not base64/,
  ],
  [
    '/message/sendbatch',
    { ...SEND, header: HEADER, subscribers: ['bob', 'cid'] },
    /^\{"status":200,"fail_uids":\[\],"reason":\[\]\}$/,
    { ...SEND, subscribers: [] },
    /^subscribers: expected at least one/,
  ],
  [
    '/channel/messagesync',
    { login_uid: 'bob', ...ROOM, start_message_seq: 0, end_message_seq: 0, limit: 10 },
    /^\{"start_message_seq":0,"end_message_seq":0,"more":0,.*"client_msg_no":"n1".*\}$/,
    { login_uid: 'bob', ...ROOM, pull_mode: 2 },
    /^pull_mode: /,
  ],
  [
    '/conversation/sync',
    { uid: 'bob', version: 0, last_msg_seqs: '', msg_count: 1, only_unread: 0 },
    /^\[\{"channel_id":".*"recents":\[\{"header"/,
    { uid: 'bob', last_msg_seqs: 'nonsense' },
    /^last_msg_seqs\[0\]: expected channel:type:seq/,
  ],
  ['/conversations/clearUnread', PLACE, OK, { ...PLACE, message_seq: -1 }, /^message_seq: /],
  ['/conversations/setUnread', { ...PLACE, unread: 1 }, OK, PLACE, /^unread: /],
  ['/conversations/delete', PLACE, OK, ROOM, /^uid: /],
  [
    '/message/revoke',
    { ...ROOM, client_msg_no: 'n1', from_uid: 'ann', operator: 'boss' },
    OK,
    { ...ROOM, client_msg_no: 'n1' },
    /^message_id: expected one, or client_msg_no together with from_uid$/,
  ],
  ['/channel/subscriber_remove_all', ROOM, OK, {}, BAD_TYPE],
  ['/channel/delete', ROOM, OK, { ...ROOM, channel_type: 1 }, /person channel/],
];

const GETS: readonly (readonly [good: string, answer: RegExp, bad: string | undefined])[] = [
  ['/route?uid=ann', /^\{"tcp_addr":"","ws_addr":"ws:.*","wss_addr":""\}$/, '/route?uid=a@b'],
  ['/channel/whitelist?channel_id=room&channel_type=2', /^\[\]$/, '/channel/whitelist'],
  [
    '/channel/blacklist?channel_id=room&channel_type=2',
    /^\[\]$/,
    '/channel/blacklist?channel_id=room&channel_type=x',
  ],
  ['/user/systemuids', /^\[\]$/, undefined],
];

test('every route of the document answers good input with its body and bad input with what is wrong', async (t) => {
  const { post, get } = await realApi(t);
  for (const [path, good, expected, bad, message] of POSTS) {
    const answer = await post(path, good);
    t.is(answer.status, 200, `${path}: ${answer.text}`);
    t.regex(answer.text, expected, path);
    for (const [body, why] of [
      [bad, message],
      ['{"uid":', /^body: is not JSON/],
    ] as const) {
      const refused = await post(path, body);
      t.is(refused.status, 400, `${path}: ${refused.text}`);
      const { msg, status, ...rest } = JSON.parse(refused.text) as Record<string, unknown>;
      t.deepEqual([status, rest], [400, {}], path);
      t.regex(String(msg), why, path);
    }
  }
  for (const [path, expected, bad] of GETS) {
    const answer = await get(path);
    t.is(answer.status, 200, `${path}: ${answer.text}`);
    t.regex(answer.text, expected, path);
    if (bad) t.is((await get(bad)).status, 400, bad);
  }
});

test('lists can be read, of a channel and of one user, and refuse who is on them', async (t) => {
  const { post, get, services } = await realApi(t);
  await post('/channel', { ...ROOM, subscribers: ['ann', 'bob'] });
  await post('/channel/blacklist_add', { ...ROOM, uids: ['ann', 'zed'] });
  await post('/channel/blacklist_add', { channel_id: 'bob', channel_type: 1, uids: ['ann'] });
  const read = async (query: string) => (await get(`/channel/blacklist?${query}`)).text;
  t.is(await read('channel_id=room&channel_type=2'), '["ann","zed"]');
  t.is(await read('channel_id=bob&channel_type=1'), '["ann"]');
  t.true(services.moderation!.isListed(group('room'), 'zed' as Uid, 'blacklist'));
  await post('/user/systemuids_add', { uids: ['root', 'root'] });
  t.is((await get('/user/systemuids')).text, '["root"]');
});

test('a device quits: its token ends and its sessions with it, other devices stay', async (t) => {
  const { post, services } = await realApi(t);
  await post('/user/token', { uid: 'ann', token: 's', device_flag: 1 });
  const sessions = [0, 1, 1].map((flag) => new RecordingSession('ann', flag));
  const other = new RecordingSession('bob', 1);
  for (const session of [...sessions, other]) await services.sessions.attach(session);
  await post('/user/device_quit', { uid: 'ann', device_flag: 1 });
  t.deepEqual(
    sessions.map(({ kicked }) => kicked),
    [undefined, 'signed out', 'signed out'],
  );
  t.false(services.directory.checkToken('ann' as Uid, 1, 's').ok);
  await post('/user/device_quit', { uid: 'ann', device_flag: -1 });
  t.is(sessions[0]!.kicked, 'signed out');
  t.is(other.kicked, undefined);
});

test('a message to a list of users reaches each of them, and a retry in another order is the same', async (t) => {
  const { post, services } = await realApi(t);
  const sent = await post('/message/send', { ...SEND, subscribers: ['bob', 'cid'] });
  const again = await post('/message/send', { ...SEND, subscribers: ['cid', 'bob', 'cid'] });
  t.is(sent.status, 200, sent.text);
  t.is(sent.text, again.text);
  for (const uid of ['bob', 'cid']) {
    const list = JSON.parse((await post('/conversation/sync', { uid, msg_count: 1 })).text) as {
      channel_id: string;
      recents: { message_idstr: string }[];
    }[];
    t.is(list.length, 1);
    t.true(sent.text.includes(list[0]!.recents[0]!.message_idstr));
    t.regex(list[0]!.channel_id, /^list-[0-9a-f]{32}$/);
  }
  t.is((await services.subscriptions.channelsOf('ann' as Uid, undefined, 5)).length, 0);
});
