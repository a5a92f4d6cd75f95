import test from 'ava';
import type { MemberId, Uid } from '../../src/core/ids.ts';
import { storeFailing, withApi } from './fakes.ts';

test('a token is set for a device', async (t) => {
  await withApi(async ({ fake, post }) => {
    const body = { uid: 'u1', token: 's3cret', device_flag: 1, device_level: 1 };
    const answer = await post('/user/token', body);
    t.is(answer.text, '{"status":200}');
    t.deepEqual(fake.tokens.get('u1/1'), { token: 's3cret', level: 1 });
    await post('/user/token', { uid: 'u2', token: 'x' });
    t.deepEqual(fake.tokens.get('u2/0'), { token: 'x', level: 0 });
  });
});

test('a wrong token call is refused without repeating the token', async (t) => {
  const cases: readonly (readonly [Record<string, unknown>, RegExp])[] = [
    [{ token: 'x' }, /^uid: expected a string/],
    [{ uid: 'u&1', token: 'x' }, /^uid: character "&"/],
    [{ uid: 'u1' }, /^token: expected a string, found nothing$/],
    [{ uid: 'u1', token: '' }, /^token: is empty$/],
    [{ uid: 'u1', token: 'x'.repeat(2000) }, /^token: 2000 characters, at most 1024$/],
    [
      { uid: 'u1', token: 'x', device_flag: 3 },
      /^device_flag: expected an integer from 0 to 2, found 3$/,
    ],
    [{ uid: 'u1', token: 'x', device_level: 1.5 }, /^device_level: .* found 1.5$/],
  ];
  await withApi(async ({ fake, post }) => {
    for (const [body, message] of cases) {
      const answer = await post('/user/token', body);
      t.is(answer.status, 400);
      t.regex((JSON.parse(answer.text) as { msg: string }).msg, message);
    }
    t.is(fake.writes, 0);
    fake.refusal = storeFailing;
    t.is((await post('/user/token', { uid: 'u1', token: 'x' })).status, 503);
  });
});

test('online devices are listed once, whatever the number of nodes; nobody else is', async (t) => {
  await withApi(async ({ fake, post }) => {
    for (const [uid, deviceFlag, member] of [
      ['u1', 0, 'node-1'],
      ['u1', 1, 'node-2'],
      ['u1', 1, 'node-3'],
      ['u3', 2, 'node-1'],
    ] as const) {
      fake.online.push({ uid: uid as Uid, deviceFlag, member: member as MemberId });
    }
    const answer = await post('/user/onlinestatus', ['u1', 'u2', 'u1']);
    t.deepEqual(JSON.parse(answer.text), [
      { uid: 'u1', device_flag: 0, online: 1 },
      { uid: 'u1', device_flag: 1, online: 1 },
    ]);
    t.is((await post('/user/onlinestatus', [])).text, '[]');
    const wrong = await post('/user/onlinestatus', { uids: ['u1'] });
    t.deepEqual(JSON.parse(wrong.text), {
      msg: 'body: expected a list of uids, found an object',
      status: 400,
    });
    const bad = await post('/user/onlinestatus', ['u1', null]);
    t.regex(bad.text, /body\[1\]: expected a string, found null/);
  });
});

test('a route is a WebSocket address, secure or not', async (t) => {
  const clientAddressFor = (uid: Uid | undefined) =>
    uid === 'u2' ? 'wss://chat-2.example.com' : 'ws://chat-1.example.com:5200';
  const plain = { tcp_addr: '', ws_addr: 'ws://chat-1.example.com:5200', wss_addr: '' };
  const secure = { tcp_addr: '', ws_addr: '', wss_addr: 'wss://chat-2.example.com' };
  await withApi(
    async ({ get, post }) => {
      t.deepEqual(JSON.parse((await get('/route?uid=u1')).text), plain);
      t.deepEqual(JSON.parse((await get('/route?uid=u2')).text), secure);
      t.deepEqual(JSON.parse((await get('/route')).text), plain);
      t.is((await get('/route?uid=a%40b')).status, 400);
      t.is((await get('/route?uid=a&uid=b')).status, 400);
      t.deepEqual(JSON.parse((await post('/route/batch', ['u1', 'u2', 'u3'])).text), [
        { uids: ['u1', 'u3'], ...plain },
        { uids: ['u2'], ...secure },
      ]);
      t.is((await post('/route/batch', 'u1')).status, 400);
    },
    { clientAddressFor },
  );
});
