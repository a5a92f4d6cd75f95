import test from 'ava';
import fc from 'fast-check';
import { perform, type ActionGround } from '../../../src/connections/onebot/actions.ts';
import { echoOf } from '../../../src/connections/onebot/echo.ts';
import { KnownMessages } from '../../../src/connections/onebot/known-messages.ts';
import type { BotMessage, BotRole, Numbers, Place } from '../../../src/connections/onebot/port.ts';
import { readTarget } from '../../../src/connections/onebot/target.ts';

const numbers: Numbers = { numberOf: (_space, name) => Number(name), nameOf: (_s, n) => `${n}` };

function ground(roles: Readonly<Record<string, BotRole>> = {}) {
  const kicked: string[] = [];
  const sent: { readonly to: Place; readonly text: string }[] = [];
  const value: ActionGround = {
    ...{ uid: '1', version: '0', numbers, messages: new KnownMessages(10) },
    account: {
      async send(to, payload) {
        sent.push({ to, text: new TextDecoder().decode(payload) });
        return { messageId: '5', messageSeq: sent.length };
      },
      recall: () => Promise.reject(new Error('not yours')),
      recent: () => Promise.resolve([]),
    },
    world: {
      groupsOf: async () => ['7'],
      membersOf: async () => ['1', '2'],
      partnersOf: async () => ['2'],
      kick: async (group, uid) => void kicked.push(`${group}/${uid}`),
      roleOf: (_group, uid) => roles[uid] ?? 'member',
      hasRoles: () => Object.keys(roles).length > 0,
    },
    isOnline: () => true,
    wallMs: () => 1_000,
  };
  return { value, sent, kicked };
}

test('an echo comes back verbatim, whatever JSON it is, and there is none where there was none', (t) => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (echo, other) => {
      const frame = { action: 'get_status', params: { echo: other }, echo, 'e"{': other };
      t.is(echoOf(JSON.stringify(frame)), JSON.stringify(echo));
    }),
  );
  t.is(echoOf('{ "echo" :  12345678901234567890 }'), '12345678901234567890');
  t.is(echoOf('{"\\u0065cho":1.0,"a":"echo"}'), '1.0');
  t.is(echoOf('{"echo":1,"echo":[2, "}"]}'), '[2, "}"]');
  const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
  t.is(echoOf(`{"action":"get_status","echo":${deep}}`), deep);
  for (const none of ['{}', '{"params":{"echo":1}}', '{"a":"\\"echo\\":1"}']) {
    t.is(echoOf(none), undefined, none);
  }
});

test('what an action refuses at once ends no process, with _async too; odd messages are 1400', async (t) => {
  const { value, sent } = ground();
  t.like(await perform(value, { action: 'send_group_msg_async', params: {} }), { retcode: 1 });
  for (const params of [
    { user_id: 2, message_type: 'foo', message: 'x' },
    { user_id: 2, message: '' },
    { user_id: 2, message: [] },
  ]) {
    t.like(await perform(value, { action: 'send_msg', params }), { retcode: 1400 });
  }
  t.is(sent.length, 0);
});

test('a kick is for owner and managers where a group names them, and never for its owner', async (t) => {
  const kick = { action: 'set_group_kick', params: { group_id: 7, user_id: 2 } };
  const tried = async (roles: Readonly<Record<string, BotRole>>) => {
    const { value, kicked } = ground(roles);
    const { status } = await perform(value, kick);
    t.is(kicked.length, status === 'ok' ? 1 : 0);
    return status;
  };
  t.is(await tried({}), 'ok', 'a group without roles');
  t.is(await tried({ 1: 'owner', 2: 'admin' }), 'ok');
  t.is(await tried({ 1: 'admin' }), 'ok');
  t.is(await tried({ 1: 'admin', 2: 'admin' }), 'failed');
  t.is(await tried({ 1: 'admin', 2: 'owner' }), 'failed');
  t.is(await tried({ 3: 'owner' }), 'failed');
  const { value } = ground();
  const outside = { ...value, uid: '9' };
  t.like(await perform(outside, kick), { status: 'failed' });
  const list = { action: 'get_group_member_list', params: { group_id: 7 } };
  t.like(await perform(outside, list), {
    retcode: 1400,
    message: 'group_id: the bot is not in this group',
  });
  const { value: owned } = ground({ 2: 'owner' });
  const { data } = await perform(owned, list);
  t.deepEqual(
    (data as { role: string }[]).map(({ role }) => role),
    ['member', 'owner'],
  );
});

test('S1-4 what was taken back has no content any more, and no number names two messages', async (t) => {
  const { value } = ground();
  const { messages } = value;
  const at = (channelId: string, messageSeq: number): BotMessage => ({
    ...{ channelId, channelType: 2, messageSeq, messageId: '1', fromUid: '3', timestamp: 1 },
    payload: new TextEncoder().encode('secret'),
  });
  const number = messages.note(at('7', 1));
  const get = { action: 'get_msg', params: { message_id: number } };
  t.like(await perform(value, get), { status: 'ok' });
  messages.recalled(at('7', 1));
  t.is(messages.note(at('7', 1)), number, 'what comes again is known to be taken back');
  t.like(await perform(value, get), { status: 'failed', retcode: 1400 });
  // Two names with one hash.
  const two = ['team-26688', 'team-75130'].map((name) => at(name, 16));
  const numbers = two.map((message) => messages.note(message));
  t.not(numbers[0], numbers[1]);
  numbers.forEach((one, i) => t.is(messages.get(one)!.channelId, two[i]!.channelId));
});

test('any frame is answered: 1400 where it is wrong, 1404 where the action is unknown', async (t) => {
  const { value } = ground();
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), async (frame) => {
      t.is((await perform(value, frame)).status, 'failed');
    }),
  );
  t.like(await perform(value, { action: 'constructor' }), { retcode: 1404 });
  t.like(await perform(value, { action: 'send_msg', params: { user_id: 'x', message: 'm' } }), {
    retcode: 1400,
  });
  t.like(await perform(value, { action: 'send_msg', params: { user_id: 2 } }), { retcode: 1400 });
  t.like(await perform(value, { action: 'get_msg', params: { message_id: 9 } }), { retcode: 1400 });
});

test('send_msg goes where its ids say, the suffixes and the quick operation too', async (t) => {
  const { value, sent } = ground();
  const params = { group_id: '7', message: 'hi' };
  t.like(await perform(value, { action: 'send_msg', params }), { status: 'ok' });
  t.like(await perform(value, { action: 'send_msg_async', params }), {
    status: 'async',
    retcode: 1,
  });
  t.like(await perform(value, { action: 'send_msg_rate_limited', params }), { retcode: 0 });
  const quick = { context: { user_id: 2 }, operation: { reply: 'yes' } };
  await perform(value, { action: '.handle_quick_operation', params: quick });
  t.deepEqual(
    sent.map(({ to }) => `${to.channelType}/${to.channelId}`),
    ['2/7', '2/7', '2/7', '1/2'],
  );
  const id = (await perform(value, { action: 'send_msg', params })).data as { message_id: number };
  t.true(Number.isInteger(id.message_id) && id.message_id > 0 && id.message_id < 2 ** 31);
  const deleted = await perform(value, { action: 'delete_msg', params: id });
  t.like(deleted, { status: 'failed', retcode: 1500, message: 'not yours' });
});

test('a target says what is wrong with it and where', (t) => {
  const faults: readonly (readonly ['forward' | 'reverse', string, RegExp])[] = [
    ['reverse', '{', /JSON/],
    ['reverse', '[]', /object/],
    ['reverse', '{"uid":"b","url":"http://x"}', /^url:/],
    ['reverse', '{"uid":"b","url":"ws://x","roles":["Api"]}', /^roles:/],
    ['reverse', '{"url":"ws://x"}', /^uid:/],
    ['reverse', '{"uid":"b","url":"ws://x","ulr":1}', /^ulr: unknown/],
    ['forward', '{"uid":"b","port":0}', /^port:/],
    ['forward', '{"uid":"b","port":1,"host":"0.0.0.0"}', /^accessToken:/],
    ['forward', '{"uid":"b","port":1,"heartbeatMs":5}', /^heartbeatMs:/],
  ];
  for (const [kind, text, fault] of faults) {
    const read = readTarget(text, kind);
    t.regex(typeof read === 'string' ? read : 'taken', fault, text);
  }
  t.like(readTarget('{"uid":"b","url":"wss://x/y"}', 'reverse'), { roles: ['Universal'] });
});
