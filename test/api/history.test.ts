import test, { type ExecutionContext } from 'ava';
import { realApi } from './real-api.ts';
import type { LoneOptions } from '../support/lone-core.ts';

interface Synced {
  readonly start_message_seq: number;
  readonly end_message_seq: number;
  readonly more: number;
  readonly next_message_seq: number;
  readonly messages: readonly Readonly<Record<string, unknown>>[];
}

async function startChat(t: ExecutionContext, options: LoneOptions = {}) {
  const { post } = await realApi(t, options);
  const send = async (text: string, more: object = {}): Promise<string> => {
    const payload = Buffer.from(text).toString('base64');
    const body = { from_uid: 'ada', channel_id: 'ben', channel_type: 1, payload, ...more };
    const answer = await post('/message/send', body);
    t.is(answer.status, 200, answer.text);
    return /"message_id":(\d+)/.exec(answer.text)![1]!;
  };
  const sync = async (more: object = {}): Promise<Synced> => {
    const place = { login_uid: 'ben', channel_id: 'ada', channel_type: 1 };
    const { status, text } = await post('/channel/messagesync', { ...place, ...more });
    t.is(status, 200, text);
    return JSON.parse(text) as Synced;
  };
  const revoke = async (more: object): Promise<string> => {
    const place = { operator: 'ada', channel_id: 'ben', channel_type: 1 };
    const { status, text } = await post('/message/revoke', { ...place, ...more });
    return status === 200 ? text : (JSON.parse(text) as { msg: string }).msg;
  };
  return { post, send, sync, revoke };
}

function texts({ messages }: Synced): readonly string[] {
  return messages.map(({ payload }) => Buffer.from(String(payload), 'base64').toString());
}

test('messagesync: the latest, down from a message, up from a message, with the end left out', async (t) => {
  const { send, sync } = await startChat(t);
  for (const text of ['1', '2', '3', '4', '5']) await send(text);
  const latest = await sync({ limit: 2 });
  t.deepEqual(texts(latest), ['4', '5']);
  t.like(latest, { start_message_seq: 0, end_message_seq: 0, more: 1, next_message_seq: 3 });
  t.like(latest.messages[1], { from_uid: 'ada', channel_id: 'ada', message_seq: 5 });
  t.deepEqual(texts(await sync({ limit: 2, pull_mode: 1 })), ['4', '5']);
  const down = await sync({ start_message_seq: 3, end_message_seq: 1, limit: 10, pull_mode: 0 });
  t.deepEqual([texts(down), down.more], [['2', '3'], 0]);
  t.like(down, { start_message_seq: 3, end_message_seq: 1 });
  const up = await sync({ start_message_seq: 2, end_message_seq: 5, limit: 2, pull_mode: 1 });
  t.deepEqual([texts(up), up.more, up.next_message_seq], [['2', '3'], 1, 4]);
  t.is((await sync({ login_uid: 'ada', channel_id: 'ben' })).messages[0]!['channel_id'], 'ben');
  t.deepEqual((await sync({ channel_id: 'nobody' })).messages, []);
});

test('messagesync: a command is in no history', async (t) => {
  const { send, sync } = await startChat(t);
  await send('said');
  await send('done', { header: { sync_once: 1 } });
  t.deepEqual(texts(await sync()), ['said']);
});

test('S1-6 a message that was revoked over HTTP is read as a tombstone at once', async (t) => {
  const { send, sync, revoke } = await startChat(t);
  const id = await send('one');
  await send('two');
  t.is(await revoke({ message_id: id, reason: 'typo' }), '{"status":200}');
  const [one, two] = (await sync()).messages;
  t.like(one, {
    payload: '',
    revoke: 1,
    revoker: 'ada',
    revoke_role: 'api',
    revoke_reason: 'typo',
  });
  t.false('revoke' in two!);
});

test('S1-3 revoke over HTTP: not found, denied and expired are distinct; twice is OK', async (t) => {
  const { send, sync, revoke } = await startChat(t, { recallWindowMs: () => -1 });
  const id = await send('one');
  const as = 'user';
  t.regex(await revoke({ message_id: '4000000000000000001' }), /no such message .*reason 101/);
  t.regex(await revoke({ message_id: id, as, operator: 'ben', from_uid: 'ada' }), /reason 102/);
  t.regex(await revoke({ message_id: id, as }), /reason 103/);
  t.is(await revoke({ message_id: id }), '{"status":200}', 'the backend may at any time');
  const [before] = (await sync()).messages;
  t.is(await revoke({ message_id: id, operator: 'ben', from_uid: 'ada' }), '{"status":200}');
  t.deepEqual((await sync()).messages, [before!]);
});

test('an id that came as a JSON number keeps its digits; a send number finds the message too', async (t) => {
  const { post, send, sync } = await startChat(t);
  const ids = [await send('one'), await send('two')];
  await send('three', { client_msg_no: 'n3' });
  t.false(Number.isSafeInteger(Number(ids[0])), 'JSON.parse would round it');
  const quoted = '"note":"\\"message_id\\": 1234567890123456789"';
  for (const id of ids) {
    const body = `{"message_id" : ${id},"channel_id":"ada","channel_type":1,"operator":"ben",${quoted}}`;
    t.is((await post('/message/revoke', body)).text, '{"status":200}');
  }
  const bySender = { from_uid: 'ada', channel_id: 'ben', channel_type: 1, client_msg_no: 'n3' };
  t.is((await post('/message/revoke', bySender)).text, '{"status":200}');
  t.deepEqual(
    (await sync()).messages.map(({ revoke, revoker }) => [revoke, revoker]),
    [
      [1, 'ben'],
      [1, 'ben'],
      [1, ''],
    ],
  );
});

test('a wrong history call says what was wrong and where', async (t) => {
  const { post } = await startChat(t);
  const place = { login_uid: 'ben', channel_id: 'ada', channel_type: 1 };
  const sync = '/channel/messagesync';
  const revoke = '/message/revoke';
  const cases: readonly (readonly [string, unknown, RegExp])[] = [
    [sync, [], /^body: expected a JSON object/],
    [sync, { ...place, login_uid: '' }, /^login_uid: is empty/],
    [sync, { ...place, channel_type: 77 }, /^channel_type: /],
    [sync, { ...place, start_message_seq: -1 }, /^start_message_seq: expected an integer from 0/],
    [sync, { ...place, limit: 'x' }, /^limit: expected an integer/],
    [sync, { ...place, pull_mode: 2 }, /^pull_mode: expected an integer from 0 to 1/],
    [revoke, { channel_id: 'g', channel_type: 2 }, /^message_id: expected one, or client_msg_no/],
    [revoke, { channel_id: 'a', channel_type: 1, message_id: 1 }, /^operator: expected a string/],
    [revoke, { channel_id: 'g', channel_type: 2, message_id: '1x' }, /^message_id: .*int64/],
    [revoke, { channel_id: 'g', channel_type: 2, message_id: 1.5 }, /^message_id: .*int64/],
    [revoke, { channel_id: 'g', channel_type: 2, message_id: 1, as: 'x' }, /^as: .*api or user/],
    [revoke, '{"channel_id":"g","channel_type":2,"message_id":9999999999999999999}', /^message_id/],
  ];
  for (const [path, body, message] of cases) {
    const answer = await post(path, body);
    t.is(answer.status, 400, path);
    t.regex((JSON.parse(answer.text) as { msg: string }).msg, message);
  }
});
