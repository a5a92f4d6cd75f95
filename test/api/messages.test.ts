import test from 'ava';
import fc from 'fast-check';
import { personChannel } from '../../src/core/placement.ts';
import { REASON, refuse } from '../../src/core/reason-code.ts';
import type { ChannelKey, Uid } from '../../src/core/ids.ts';
import { storeFailing, withApi } from './fakes.ts';

const payload = Buffer.from('{"type":1,"content":"hé"}').toString('base64');
const MESSAGE = { from_uid: 'u1', channel_id: 'room', channel_type: 2, payload };

test('a sent message answers with the exact digits of its id', async (t) => {
  await withApi(async ({ fake, post }) => {
    const header = { no_persist: 0, red_dot: 1, sync_once: 1 };
    const body = { ...MESSAGE, header, client_msg_no: 'c"1', expire: 60, unknown_field: {} };
    const answer = await post('/message/send', body);
    t.is(answer.status, 200);
    t.is(
      answer.text,
      '{"status":200,"data":{"message_id":9007199254740993,"message_idstr":"9007199254740993",' +
        '"message_seq":7,"client_msg_no":"c\\"1","disks":2}}',
    );
    const [sent] = fake.published;
    t.is(Buffer.from(sent!.payload).toString(), '{"type":1,"content":"hé"}');
    t.like(sent, {
      sender: 'u1' as Uid,
      clientMsgNo: 'c"1',
      noPersist: false,
      redDot: true,
      syncOnce: true,
      expire: 60,
      cause: 'http',
    });
    t.is(sent!.channel, '2/room' as ChannelKey);
  });
});

test('a person channel is stored under the pair of its uids', async (t) => {
  await withApi(async ({ fake, post }) => {
    const answer = await post('/message/send', { ...MESSAGE, channel_id: 'u2', channel_type: 1 });
    t.is(answer.status, 200);
    t.is(fake.published[0]!.channel, personChannel('u2' as Uid, 'u1' as Uid));
  });
});

test('a message without a client number gets one of its own', async (t) => {
  await withApi(async ({ fake, post }) => {
    await post('/message/send', MESSAGE);
    await post('/message/send', { ...MESSAGE, client_msg_no: '', header: { no_persist: 1 } });
    const [first, second] = fake.published;
    t.regex(first!.clientMsgNo, /^[0-9a-f]{32}$/);
    t.not(first!.clientMsgNo, second!.clientMsgNo);
    t.false(first!.noPersist);
    t.true(second!.noPersist);
  });
});

test('what is wrong with a message is named, and nothing is sent', async (t) => {
  const cases: readonly (readonly [Record<string, unknown>, RegExp])[] = [
    [{ from_uid: undefined }, /^from_uid: expected a string/],
    [{ from_uid: 'a#b' }, /^from_uid: character "#" is not allowed/],
    [{ payload: undefined }, /^payload: expected the base64 text of bytes, found nothing$/],
    [{ payload: '' }, /^payload: is empty$/],
    [{ payload: { type: 1 } }, /^payload: expected the base64 text of bytes, found an object$/],
    [{ payload: 'not base64!' }, /^payload: is not base64/],
    [{ payload: 'YQ' }, /^payload: is not base64/],
    [{ channel_type: 1, channel_id: 'a@b' }, /^channel_id: character "@"/],
    [{ channel_type: 0 }, /^channel_type: 0 is outside 1..10$/],
    [{ header: [] }, /^header: expected a JSON object, found a list$/],
    [{ header: { red_dot: 'x' } }, /^red_dot: expected 0 or 1, found "x"$/],
    [{ expire: -1 }, /^expire: expected an integer from 0 to 4294967295, found -1$/],
    [{ client_msg_no: 'a\u0001b' }, /^client_msg_no: contains a control character$/],
    [{ client_msg_no: 'x'.repeat(1025) }, /^client_msg_no: 1025 characters, at most 1024$/],
    [{ subscribers: ['u2'] }, /^subscribers: expected none together with channel_id/],
  ];
  await withApi(async ({ fake, post }) => {
    for (const [change, message] of cases) {
      const answer = await post('/message/send', { ...MESSAGE, ...change });
      const { msg, status } = JSON.parse(answer.text) as { msg: string; status: number };
      t.is(answer.status, 400);
      t.is(status, 400);
      t.regex(msg, message);
    }
    t.is(fake.writes, 0);
  });
});

test('a refusal of the business is 400 with its reason, of the store 503', async (t) => {
  await withApi(async ({ fake, post }) => {
    fake.refusal = refuse(REASON.banned, 'the channel is banned');
    const banned = await post('/message/send', MESSAGE);
    t.is(banned.status, 400);
    t.deepEqual(JSON.parse(banned.text), { msg: 'the channel is banned (reason 19)', status: 400 });
    fake.refusal = storeFailing;
    t.is((await post('/message/send', MESSAGE)).status, 503);
  });
});

test('any JSON at all is answered with 200 or 400, never with a defect', async (t) => {
  await withApi(async ({ post }) => {
    const paths = ['/message/send', '/channel', '/channel/subscriber_add', '/user/token'];
    const fields = fc.record(
      {
        from_uid: fc.jsonValue(),
        uid: fc.jsonValue(),
        channel_id: fc.oneof(fc.string(), fc.jsonValue()),
        channel_type: fc.oneof(fc.integer({ min: -1, max: 11 }), fc.jsonValue()),
        payload: fc.oneof(fc.base64String(), fc.jsonValue()),
        subscribers: fc.jsonValue(),
        header: fc.jsonValue(),
        token: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    const bodies = fc.oneof(
      fc.json(),
      fc.string(),
      fields.map((value) => JSON.stringify(value)),
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), bodies, async (path, body) => {
        const answer = await post(path, body);
        const parsed = JSON.parse(answer.text) as { status: number };
        return [200, 400].includes(answer.status) && parsed.status === answer.status;
      }),
      { numRuns: 300 },
    );
  });
  t.pass();
});

test('a batch is one direct message to each user; who is refused is named, with the reason', async (t) => {
  await withApi(async ({ fake, post }) => {
    const batch = { from_uid: 'u1', subscribers: ['u2', 'u3', 'u2'], payload };
    const answer = await post('/message/sendbatch', batch);
    t.is(answer.text, '{"status":200,"fail_uids":[],"reason":[]}');
    t.deepEqual(
      fake.published.map(({ channel }) => channel),
      [personChannel('u1' as Uid, 'u2' as Uid), personChannel('u1' as Uid, 'u3' as Uid)],
    );
    fake.refusal = storeFailing;
    const refused = JSON.parse((await post('/message/sendbatch', batch)).text) as {
      fail_uids: string[];
      reason: string[];
    };
    t.deepEqual(refused.fail_uids, ['u2', 'u3']);
    t.regex(refused.reason[1]!, /no space left \(reason 15\)$/);
    for (const [body, message] of [
      [{ ...batch, subscribers: [] }, /^subscribers: expected at least one uid$/],
      [{ ...batch, subscribers: ['a', 'b@c'] }, /^subscribers\[1\]: character "@"/],
      [{ ...batch, payload: '' }, /^payload: is empty$/],
    ] as const) {
      const { status, text } = await post('/message/sendbatch', body);
      t.is(status, 400);
      t.regex((JSON.parse(text) as { msg: string }).msg, message);
    }
  });
});
