import test from 'ava';
import fc from 'fast-check';
import { perform, type ActionGround } from '../../../src/connections/onebot/actions.ts';
import { KnownMessages } from '../../../src/connections/onebot/known-messages.ts';
import type { Numbers, Place } from '../../../src/connections/onebot/port.ts';
import { readTarget } from '../../../src/connections/onebot/target.ts';

const numbers: Numbers = { numberOf: (_space, name) => Number(name), nameOf: (_s, n) => `${n}` };

function ground() {
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
      kick: async () => {},
    },
    isOnline: () => true,
    wallMs: () => 1_000,
  };
  return { value, sent };
}

test('an echo comes back verbatim, whatever JSON it is, and is left out where there was none', async (t) => {
  const { value } = ground();
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), async (echo) => {
      const reply = await perform(value, { action: 'get_status', echo });
      t.deepEqual(reply.echo, echo);
      t.is(reply.retcode, 0);
    }),
  );
  t.false('echo' in (await perform(value, { action: 'get_status' })));
  t.false('echo' in (await perform(value, { action: 'nothing_known' })));
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
  t.like(await perform(value, { action: 'get_msg', params: { message_id: 9 } }), { retcode: 1404 });
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
