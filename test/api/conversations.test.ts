import test, { type ExecutionContext } from 'ava';
import { realApi } from './real-api.ts';

interface Synced {
  readonly channel_id: string;
  readonly channel_type: number;
  readonly unread: number;
  readonly last_msg_seq: number;
  readonly readed_to_msg_seq: number;
  readonly offset_msg_seq: number;
  readonly version: number;
  readonly recents: readonly Record<string, unknown>[];
  readonly recalls?: readonly Record<string, unknown>[];
}

async function startChat(t: ExecutionContext) {
  const { post } = await realApi(t);
  const sync = async (uid: string, more: object = {}): Promise<readonly Synced[]> => {
    const { status, text } = await post('/conversation/sync', { uid, msg_count: 5, ...more });
    t.is(status, 200, text);
    return JSON.parse(text) as Synced[];
  };
  const send = async (from: string, to: string, text = 'hi'): Promise<void> => {
    const payload = Buffer.from(text).toString('base64');
    const body = { from_uid: from, channel_id: to, channel_type: 1, payload };
    t.is((await post('/message/send', body)).status, 200);
  };
  return { post, sync, send };
}

test('S4-3 a conversation is synced as its viewer sees it, with the newest messages first', async (t) => {
  const { sync, send } = await startChat(t);
  await send('ada', 'ben', 'one');
  await send('ada', 'ben', 'two');
  const [ofBen] = await sync('ben');
  t.like(ofBen, { channel_id: 'ada', channel_type: 1, unread: 2, last_msg_seq: 2 });
  t.deepEqual(
    ofBen!.recents.map((each) => Buffer.from(String(each['payload']), 'base64').toString()),
    ['two', 'one'],
  );
  t.like(ofBen!.recents[0], { from_uid: 'ada', channel_id: 'ada', message_seq: 2 });
  t.is(typeof ofBen!.recents[0]!['message_idstr'], 'string');
  const [ofAda] = await sync('ada', { msg_count: 0 });
  t.like(ofAda, { channel_id: 'ben', unread: 0, recents: [] });
  t.deepEqual(await sync('nobody'), []);
});

test('S4-7 clearing, setting and deleting over HTTP', async (t) => {
  const { post, sync, send } = await startChat(t);
  await send('ada', 'ben');
  await send('ada', 'ben');
  const place = { uid: 'ben', channel_id: 'ada', channel_type: 1 };
  t.is((await post('/conversations/clearUnread', place)).text, '{"status":200}');
  const [read] = await sync('ben');
  t.like(read, { unread: 0, readed_to_msg_seq: 2 });
  t.deepEqual(await sync('ben', { version: read!.version }), []);
  t.is((await post('/conversations/setUnread', { ...place, unread: 4 })).status, 200);
  t.like((await sync('ben', { version: read!.version }))[0], { unread: 4 });
  t.is((await post('/conversations/delete', place)).status, 200);
  t.deepEqual(await sync('ben'), []);
  await send('ada', 'ben', 'again');
  const [back] = await sync('ben');
  t.like(back, { unread: 1, offset_msg_seq: 2 });
  t.is(back!.recents.length, 1, 'what was deleted stays deleted');
  t.is((await sync('ada'))[0]!.recents.length, 3);
});

test('S1-5 a sync since a version names what was recalled meanwhile', async (t) => {
  const { post, sync, send } = await startChat(t);
  for (const text of ['one', 'two', 'three']) await send('ada', 'ben', text);
  const place = { uid: 'ben', channel_id: 'ada', channel_type: 1 };
  await post('/conversations/clearUnread', place);
  const [before] = await sync('ben');
  const slip = before!.recents.at(-1)!;
  t.false('recalls' in before!);
  const { version } = before!;
  const asked = { operator: 'ada', channel_id: 'ben', channel_type: 1 };
  const { status } = await post('/message/revoke', {
    ...asked,
    message_id: slip['message_idstr'],
  });
  t.is(status, 200);
  const [after] = await sync('ben', { version, msg_count: 1, last_msg_seqs: 'ada:1:3' });
  t.like(after, { recents: [], unread: 0 });
  t.like(after!.recalls![0], { message_seq: 1, revoke: 1, revoker: 'ada', payload: '' });
  t.deepEqual(await sync('ben', { version: after!.version }), []);
});

test('what the client has already is not sent again', async (t) => {
  const { sync, send } = await startChat(t);
  for (const text of ['one', 'two', 'three']) await send('ada', 'ben', text);
  const [one] = await sync('ben', { last_msg_seqs: 'ada:1:2|some:thing:2:9' });
  t.is(one!.recents.length, 1);
  t.is((await sync('ben', { last_msg_seqs: 'ada:1:3', msg_count: 1 }))[0]!.recents.length, 0);
});

test('a wrong conversation call says what was wrong and where', async (t) => {
  const { post } = await startChat(t);
  const place = { uid: 'ben', channel_id: 'ada', channel_type: 1 };
  const cases: readonly (readonly [string, object, RegExp])[] = [
    ['/conversation/sync', {}, /^uid: expected a string/],
    ['/conversation/sync', { uid: 'a', version: -1 }, /^version: expected an integer from 0/],
    ['/conversation/sync', { uid: 'a', msg_count: 1000 }, /^msg_count: .* to 200, found 1000/],
    ['/conversation/sync', { uid: 'a', last_msg_seqs: 'x:1:2|y' }, /^last_msg_seqs\[1\]: expected/],
    ['/conversation/sync', { uid: 'a', last_msg_seqs: 'x:77:2' }, /^last_msg_seqs\[0\]: expected/],
    ['/conversations/clearUnread', { ...place, channel_type: 0 }, /^channel_type: /],
    ['/conversations/clearUnread', { ...place, channel_id: 'a@b' }, /^channel_id: character "@"/],
    ['/conversations/setUnread', place, /^unread: expected an integer/],
    ['/conversations/setUnread', { ...place, unread: 1 }, /no message to be unread/],
    ['/conversations/delete', { ...place, uid: '' }, /^uid: is empty/],
  ];
  for (const [path, body, message] of cases) {
    const answer = await post(path, body);
    t.is(answer.status, 400, path);
    t.regex((JSON.parse(answer.text) as { msg: string }).msg, message);
  }
});
