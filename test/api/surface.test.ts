import { connect } from 'node:net';
import test from 'ava';
import { HttpApi } from '../../src/api/http-server.ts';
import type { SeenRequest } from '../../src/api/port.ts';
import { until } from '../support/until.ts';
import { apiOptions, call, FakeServices, withApi } from './fakes.ts';

test('an unknown route is 404 in the shape of every failure', async (t) => {
  await withApi(async ({ get, post }) => {
    for (const answer of [await get('/nowhere?token=x'), await post('/healthz', {})]) {
      t.is(answer.status, 404);
      t.regex(answer.text, /^\{"msg":"(GET|POST) \/\w+: there is no such route","status":404\}$/);
    }
    const odd = await get('/%zz');
    t.is(odd.status, 400);
    t.is((JSON.parse(odd.text) as { status: number }).status, 400);
  });
});

test('a body over the limit is 413, announced or not, and the node lives on', async (t) => {
  await withApi(
    async ({ get, post }) => {
      for (const headers of [{}, { 'transfer-encoding': 'chunked' }]) {
        const answer = await post('/channel', 'x'.repeat(5000), headers);
        t.is(answer.status, 413);
        t.deepEqual(JSON.parse(answer.text), { msg: 'body: at most 1024 bytes', status: 413 });
      }
      t.is((await get('/healthz')).status, 200);
    },
    { bodyBytesMax: 1024 },
  );
});

test('the body is JSON whatever its Content-Type says', async (t) => {
  await withApi(async ({ post }) => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'nonsense']) {
      const answer = await post('/user/onlinestatus', ['u1'], { 'content-type': type });
      t.is(answer.text, '[]', type);
    }
  });
});

test('with manager tokens every call needs one; probes and the page do not', async (t) => {
  await withApi(
    async ({ fake, get, post }) => {
      const body = { uid: 'u1', token: 'x' };
      const wrong: Record<string, string>[] = [
        {},
        { token: 'wrong' },
        { token: 'new x' },
        { authorization: 'Bearer no' },
      ];
      for (const headers of wrong) {
        const answer = await post('/user/token', body, headers);
        t.is(answer.status, 401);
        t.is((JSON.parse(answer.text) as { status: number }).status, 401);
      }
      t.is(fake.writes, 0);
      for (const path of ['/route?uid=u1', '/metrics', '/page/cluster']) {
        t.is((await get(path)).status, 401, path);
        t.is((await get(path, { token: 'old' })).status, 200, path);
        t.is((await get(path, { authorization: 'Bearer new' })).status, 200, path);
      }
      for (const path of ['/healthz', '/readyz', '/', '/page/page.js', '/page/config']) {
        t.is((await get(path)).status, 200, path);
      }
      t.is((await get('/nowhere')).status, 404);
    },
    { managerTokens: ['new', 'old'] },
  );
});

test('a name that is not this node is refused: DNS rebinding ends here', async (t) => {
  await withApi(async ({ get, port }) => {
    const known = [
      'localhost',
      `127.0.0.1:${port}`,
      '[::1]:5001',
      '10.1.2.3',
      'CHAT-1.example.com:80',
      'node-2.example.com.',
    ];
    for (const host of known) t.is((await get('/page/config', { host })).status, 200, host);
    for (const host of [
      'evil.example',
      'localhost.evil.example',
      'a@localhost',
      '127.0.0.1.evil.example',
    ]) {
      for (const path of ['/page/config', '/', '/metrics', '/nowhere']) {
        t.is((await get(path, { host })).status, 403, host);
      }
      t.is((await get('/healthz', { host })).status, 200);
    }
  });
  await withApi(
    async ({ get }) => {
      t.is((await get('/page/config', { host: 'chat.example:443' })).status, 200);
      t.is((await get('/page/config', { host: 'localhost' })).status, 403);
    },
    { hostsAllowed: ['Chat.example'] },
  );
});

test('a foreign page is refused by its Origin before anything is written', async (t) => {
  await withApi(
    async ({ fake, post, port }) => {
      const body = { uid: 'u1', token: 'x' };
      const plain = { 'content-type': 'text/plain' };
      for (const origin of [
        'null',
        'https://evil.example',
        'http://localhost:9',
        `http://localhost:${port}.evil`,
      ]) {
        const answer = await post('/user/token', body, { ...plain, origin });
        t.is(answer.status, 403, origin);
        t.regex(answer.text, /Origin: .* may not use this API/);
      }
      t.is(fake.writes, 0);
      for (const origin of [`http://127.0.0.1:${port}`, 'https://Admin.example']) {
        t.is((await post('/user/token', body, { ...plain, origin })).status, 200, origin);
      }
    },
    { originsAllowed: ['https://admin.example'] },
  );
});

test('a node that is ready although something is degraded answers 200 and says what', async (t) => {
  const degraded = ['peer n2 is not heard: ECONNREFUSED'];
  await withApi(
    async ({ get }) => {
      const { status, text } = await get('/readyz');
      t.is(status, 200);
      t.deepEqual(JSON.parse(text), { status: 'ready', reasons: [], degraded });
    },
    { health: () => ({ ready: true, reasons: [], degraded }) },
  );
});

test('readiness says why not; liveness and metrics go on', async (t) => {
  let reasons: readonly string[] = ['the store is catching up'];
  await withApi(
    async ({ get }) => {
      const waiting = await get('/readyz');
      t.is(waiting.status, 503);
      t.deepEqual(JSON.parse(waiting.text), { status: 'not ready', reasons });
      t.is((await get('/healthz')).status, 200);
      reasons = [];
      t.is((await get('/readyz')).status, 200);
      const metrics = await get('/metrics');
      t.is(metrics.text, 'up 1\n');
      t.is(metrics.headers['content-type'], 'text/plain; version=0.0.4');
    },
    { health: () => ({ ready: reasons.length === 0, reasons }) },
  );
});

test('a defect is 500 without details, and logged', async (t) => {
  const logged: unknown[] = [];
  const log = {
    debug() {},
    info() {},
    warn() {},
    error: (...line: unknown[]) => void logged.push(line),
  };
  await withApi(
    async ({ fake, post }) => {
      fake.defect = new Error('secret detail');
      const answer = await post('/user/token', { uid: 'u1', token: 'x' });
      t.is(answer.status, 500);
      t.notRegex(answer.text, /secret detail/);
      t.is(logged.length, 1);
    },
    { log },
  );
});

test('the page comes with a policy, is never sniffed, and is cached by its tag', async (t) => {
  await withApi(async ({ get }) => {
    const page = await get('/');
    t.regex(page.headers['content-type'] as string, /^text\/html/);
    const policy = page.headers['content-security-policy'] as string;
    t.regex(policy, /default-src 'none'; script-src 'self'/);
    t.regex(
      policy,
      /connect-src 'self' ws:\/\/chat-1\.example\.com:5200 ws:\/\/chat-2\.example\.com:5200;/,
    );
    t.is(page.headers['x-frame-options'], 'DENY');
    const assets = [...page.text.matchAll(/(?:href|src)="(\/page\/[^"]+)"/g)].map(
      (match) => match[1]!,
    );
    t.true(assets.length >= 3);
    for (const path of ['/', ...assets, '/page/view.js', '/page/chat-client.js']) {
      const asset = await get(path);
      t.is(asset.status, 200, path);
      t.is(asset.headers['x-content-type-options'], 'nosniff', path);
      const again = await get(path, { 'if-none-match': asset.headers['etag'] as string });
      t.is(again.status, 304, path);
    }
    t.notRegex(page.text, /https?:\/\//, 'nothing from another host');
  });
});

test('the page learns its node, its address and who is live', async (t) => {
  await withApi(async ({ get }) => {
    const address = 'ws://chat-1.example.com:5200';
    t.deepEqual(JSON.parse((await get('/page/config')).text), { node: 'node-1', address });
    const cluster = JSON.parse((await get('/page/cluster')).text) as {
      members: { id: string; live: boolean }[];
    };
    t.like(cluster, { node: 'node-1', sessions: 3 });
    t.deepEqual(
      cluster.members.map(({ id, live }) => [id, live]),
      [
        ['node-1', true],
        ['node-2', false],
      ],
    );
    t.notRegex(JSON.stringify(cluster), /7100|5300/, 'no internal address');
  });
});

test('more requests than the limit get 503; a client that leaves frees its place', async (t) => {
  let release = (): void => {};
  const seen: SeenRequest[] = [];
  await withApi(
    async ({ fake, get, post, port }) => {
      fake.hold = new Promise((resolve) => (release = resolve));
      const body = '{"uid":"u1","token":"x"}';
      const socket = connect(port, '127.0.0.1');
      socket.write(
        `POST /user/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
      await until('the first is in work', () => fake.writes === 1);
      const second = post('/user/token', { uid: 'u2', token: 'x' });
      await until('the second is in work', () => fake.writes === 2);
      const third = await get('/route');
      t.is(third.status, 503);
      t.regex(third.text, /2 requests are in work/);
      socket.destroy();
      await until('its place is free', async () => (await get('/route')).status === 200);
      release();
      t.is((await second).status, 200);
      t.deepEqual(seen[0], { method: 'GET', route: '/route', status: 503 });
    },
    { requestsMax: 2, onRequest: (one) => void seen.push(one) },
  );
});

test('bytes that are no HTTP get 400 in the same shape and the connection ends', async (t) => {
  await withApi(async ({ port, get }) => {
    const text = await new Promise<string>((resolve, reject) => {
      let received = '';
      const socket = connect(port, '127.0.0.1', () =>
        socket.write('\u0000\u0001 nonsense\r\n\r\n'),
      );
      socket.on('data', (chunk) => (received += chunk.toString()));
      socket.on('close', () => resolve(received));
      socket.on('error', reject);
    });
    t.regex(text, /^HTTP\/1.1 400 [\s\S]*\{"msg":"this is not HTTP","status":400\}$/);
    t.is((await get('/healthz')).status, 200);
  });
});

test('stop lets requests in work end, and cuts off those that do not', async (t) => {
  const fake = new FakeServices();
  const api = new HttpApi(apiOptions(fake, { closeGraceMs: 200 }));
  const port = await api.start('127.0.0.1', 0);
  const path = '/user/token';
  const headers = {};
  const body = '{"uid":"u1","token":"x"}';
  let release = (): void => {};
  fake.hold = new Promise((resolve) => (release = resolve));
  const first = call({ port, path, method: 'POST', headers }, body);
  await until('the first is in work', () => fake.writes === 1);
  fake.hold = new Promise(() => {});
  const second = call({ port, path, method: 'POST', headers }, body);
  await until('the second is in work', () => fake.writes === 2);
  const stopped = api.stop();
  release();
  t.is((await first).status, 200);
  await t.throwsAsync(second);
  await stopped;
  await t.throwsAsync(call({ port, path, method: 'POST', headers }, body), {
    code: 'ECONNREFUSED',
  });
  await api.stop();
});

test('a taken port is an error of start, and another start may follow', async (t) => {
  await withApi(async ({ port }) => {
    const api = new HttpApi(apiOptions(new FakeServices()));
    await t.throwsAsync(api.start('127.0.0.1', port), { code: 'EADDRINUSE' });
    t.true((await api.start('127.0.0.1', 0)) > 0);
    await api.stop();
  });
});
