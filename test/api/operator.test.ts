import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import test from 'ava';
import type { OperatorPort } from '../../src/api/operator-port.ts';
import { silentLog } from '../../src/observability/log.ts';
import { certificateText, tlsSource } from '../support/certificates.ts';
import { withApi, type RunningApi } from './fakes.ts';

const EIGHT_HOURS_MS = 8 * 3_600_000;

interface Asked {
  readonly name: string;
  readonly request: unknown;
}

function operatorOf(changes: Partial<OperatorPort> = {}) {
  const asked: Asked[] = [];
  const at = { nowMs: 1_000, tokens: ['right', 'older'] as readonly string[] };
  const port: OperatorPort = {
    tokens: () => at.tokens,
    openWithoutToken: true,
    nowMs: () => at.nowMs,
    answer(name, request) {
      asked.push({ name, request });
      if (name === 'late') return Promise.resolve({ ok: false, status: 409, message: 'too late' });
      return Promise.resolve({ ok: true, value: { said: name } });
    },
    ...changes,
  };
  return { port, asked, at };
}

async function login({ post }: RunningApi, token: string): Promise<string> {
  const { status, headers } = await post('/operator/login', { token });
  if (status !== 200) throw new Error(`${status}`);
  return String(headers['set-cookie']).split(';')[0]!;
}

test('operator: no call without a login, none with a wrong token', async (t) => {
  const { port, asked } = operatorOf();
  await withApi(
    async ({ post, get }) => {
      t.is((await post('/operator/call/state', {})).status, 401);
      const wrong = await post('/operator/login', { token: 'wrong' });
      t.is(wrong.status, 401);
      t.is(wrong.headers['set-cookie'], undefined);
      t.is((await post('/operator/login', { token: 7 })).status, 400);
      const { headers } = await get('/operator');
      const made = (await post('/operator/login', {})).headers['set-cookie'];
      t.is(made, undefined);
      t.regex(String(headers['content-security-policy']), /default-src 'none'.*frame-ancestors/);
    },
    { operator: port, managerTokens: ['of the API'] },
  );
  t.deepEqual(asked, []);
});

test('operator: refused logins are told once a second, with their number', async (t) => {
  const { port, at } = operatorOf();
  const told: unknown[] = [];
  const log = { ...silentLog, warn: (_: string, fields: unknown) => void told.push(fields) };
  await withApi(
    async ({ post }) => {
      for (let i = 0; i < 5; i++) await post('/operator/login', { token: `wrong ${i}` });
      at.nowMs += 1_000;
      await post('/operator/login', { token: 'wrong' });
    },
    { operator: port, log },
  );
  t.deepEqual(told, [
    { from: '127.0.0.1', logins: 1 },
    { from: '127.0.0.1', logins: 5 },
  ]);
});

test('operator: a login is a cookie that scripts and other pages cannot use', async (t) => {
  const { port, asked } = operatorOf();
  await withApi(
    async (api) => {
      const { headers } = await api.post('/operator/login', { token: 'older' });
      const set = String(headers['set-cookie']);
      t.regex(set, /^holdfast-operator-[0-9a-f]{12}=[\w-]{43}; Max-Age=28800; Path=\/operator; /);
      t.regex(set, /HttpOnly; SameSite=Strict$/);
      const cookie = set.split(';')[0]!;
      const answer = await api.post('/operator/call/explain', { uid: 'a' }, { cookie });
      t.is(answer.text, '{"said":"explain"}');
      const late = await api.post('/operator/call/late', {}, { cookie });
      t.deepEqual([late.status, JSON.parse(late.text).msg], [409, 'too late']);
      await api.post('/operator/logout', {}, { cookie });
      t.is((await api.post('/operator/call/state', {}, { cookie })).status, 401);
    },
    { operator: port },
  );
  t.deepEqual(asked[0], { name: 'explain', request: { uid: 'a' } });
});

test('operator: what another page sends does nothing, whatever the cookie', async (t) => {
  const { port, asked } = operatorOf();
  await withApi(
    async (api) => {
      const cookie = await login(api, 'right');
      const foreign: Record<string, string>[] = [
        { origin: 'https://evil.example.com' },
        { origin: 'null' },
        { origin: 'https://friend.example.com' },
        { origin: `http://127.0.0.1:${api.port + 1}` },
        { 'sec-fetch-site': 'cross-site' },
        { 'sec-fetch-site': 'same-site' },
        { 'sec-fetch-site': 'none' },
      ];
      for (const headers of foreign) {
        const answer = await api.post('/operator/call/repair', {}, { cookie, ...headers });
        t.is(answer.status, 403, JSON.stringify(headers));
      }
      const own = { origin: `http://127.0.0.1:${api.port}`, 'sec-fetch-site': 'same-origin' };
      t.is((await api.post('/operator/call/repair', {}, { cookie, ...own })).status, 200);
    },
    { operator: port, originsAllowed: ['https://friend.example.com'] },
  );
  t.is(asked.length, 1);
});

test('operator: a login ends after eight hours, with its token, and where there are too many', async (t) => {
  const { port, at } = operatorOf();
  await withApi(
    async (api) => {
      const state = async (cookie: string) =>
        (await api.post('/operator/call/state', {}, { cookie })).status;
      const first = await login(api, 'right');
      at.nowMs += EIGHT_HOURS_MS - 1;
      t.is(await state(first), 200);
      at.nowMs += 1;
      t.is(await state(first), 401);
      const [old, young] = [await login(api, 'older'), await login(api, 'right')];
      at.tokens = ['right'];
      t.is(await state(old), 401);
      t.is(await state(young), 200);
      for (let i = 0; i < 64; i++) await login(api, 'right');
      t.is(await state(young), 401);
    },
    { operator: port },
  );
});

test('operator: without a token only where the port is on loopback, and never without an origin check', async (t) => {
  const open = operatorOf({ tokens: () => [] });
  await withApi(
    async ({ post }) => {
      t.is((await post('/operator/call/state', {})).status, 200);
      const foreign = { origin: 'https://evil.example.com' };
      t.is((await post('/operator/call/state', {}, foreign)).status, 403);
    },
    { operator: open.port },
  );
  const closed = operatorOf({ tokens: () => [], openWithoutToken: false });
  await withApi(
    async ({ post }) => {
      const { status, text } = await post('/operator/call/state', {});
      t.is(status, 403);
      t.regex(text, /admin\.token: is not set/);
      t.is((await post('/operator/login', { token: '' })).status, 403);
    },
    { operator: closed.port },
  );
  t.is(closed.asked.length, 0);
  await withApi(async ({ post }) => {
    t.is((await post('/operator/call/state', {})).status, 501);
  });
});

test('operator: over TLS the cookie never goes in the clear', async (t) => {
  const { port } = operatorOf();
  await withApi(
    async (api) => {
      const asked = request({
        ...{ port: api.port, path: '/operator/login', method: 'POST', agent: false },
        ...{ host: '127.0.0.1', ca: certificateText('ca') },
      });
      asked.end('{"token":"right"}');
      const [response] = (await once(asked, 'response')) as [IncomingMessage];
      response.resume();
      t.is(response.statusCode, 200);
      t.regex(String(response.headers['set-cookie']), /; Secure$/);
    },
    { operator: port, tls: tlsSource('server') },
  );
});
