import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import test from 'ava';
import type { ChannelKey, Uid } from '../../src/core/ids.ts';
import type { ClientSession } from '../../src/gateway/session/session.ts';
import { held } from '../support/held-connections.ts';
import { until } from '../support/until.ts';
import { ADAPTERS, startGateway } from './fixture.ts';

const DISABLE = { retryAfterSeconds: 7, terminateAfterMs: 3000 };

/** The status and headers with which the port answers a WebSocket upgrade. */
function upgrade(port: number): Promise<{ status: number; retryAfter: string | undefined }> {
  return new Promise((resolve, reject) => {
    const headers = {
      ...{ connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' },
      'sec-websocket-key': Buffer.alloc(16, 7).toString('base64'),
    };
    const asked = request({ host: '127.0.0.1', port, headers });
    asked.on('response', (response) => {
      response.resume();
      resolve({ status: response.statusCode!, retryAfter: response.headers['retry-after'] });
    });
    asked.on('upgrade', (_response, socket) => {
      socket.destroy();
      resolve({ status: 101, retryAfter: undefined });
    });
    asked.on('error', reject).end();
  });
}

for (const [name, factory] of ADAPTERS) {
  test(`S3-1 ${name}: disable tells every client, sends Close frames, and leaves nothing`, async (t) => {
    const { client, fake, gateway, port } = await startGateway(t, factory);
    fake.subscribe('2/g' as ChannelKey, 'a' as Uid);
    const clients = [client('a'), client('b'), client('c')];
    const told: number[] = [];
    for (const one of clients) {
      await one.connect();
      one.ws!.on('close', () => told.push(one.events.length));
    }
    const ended = await gateway.disable(DISABLE);
    t.deepEqual(ended, { connections: 3, terminated: 0 });
    await until('all are closed', () => told.length === 3);
    t.deepEqual(told, [1, 1, 1], 'each had its event before its Close frame');
    for (const one of clients) {
      t.deepEqual(
        one.events.map(({ type }) => type),
        ['lifecycle.disable'],
      );
      t.deepEqual(one.closes, [{ code: 1012, reason: 'disabled: come back after 7 s' }]);
    }
    t.is(fake.attached.size, 0);
    t.is(gateway.counters.sockets, 0);
    t.is(gateway.counters.sessions, 0);
    t.is((await upgrade(port)).status, 503, 'the port stays bound');
  });

  test(`S3-1 ${name}: who does not answer the Close frame is terminated in time and forgotten`, async (t) => {
    const { client, fake, gateway } = await startGateway(t, factory);
    const deaf = client('deaf');
    await deaf.connect();
    deaf.ws!.pause();
    const ended = await gateway.disable({ ...DISABLE, terminateAfterMs: 200 });
    // uWS ends the connection behind its Close frame and waits for no answer.
    t.deepEqual(ended, { connections: 1, terminated: name === 'ws' ? 1 : 0 });
    await until('it has gone', () => gateway.counters.sockets === 0);
    t.is(fake.attached.size, 0);
  });

  const onLinux = process.platform === 'linux' ? test : test.skip;
  onLinux(`S3-1 ${name}: a disable leaves no open socket, whatever waits in it`, async (t) => {
    const limits = { queueSoftBytesMax: 64 * 1024 * 1024, queueBytesMax: 64 * 1024 * 1024 };
    const { client, fake, gateway, port } = await startGateway(t, factory, { limits });
    const slow = client('slow');
    await slow.connect();
    slow.ws!.pause();
    const [session] = [...fake.attached] as ClientSession[];
    await until('bytes wait', () => {
      session!.send('x'.repeat(64 * 1024));
      return session!.socket.bufferedBytes() > 256 * 1024;
    });
    const noUpgrade = connect(port, '127.0.0.1').resume();
    t.teardown(() => noUpgrade.destroy());
    await once(noUpgrade, 'connect');
    await until('both are open', () => held(port) === 2);
    const ended = await gateway.disable({ ...DISABLE, terminateAfterMs: 200 });
    t.deepEqual(ended, { connections: 1, terminated: 1 });
    await until('nothing is held', () => held(port) === 0, 1_000);
    gateway.enable();
    await client('next').connect();
  });

  test(`S3-2 ${name}: a disable without return closes with 1001 and says so`, async (t) => {
    const { client, gateway } = await startGateway(t, factory);
    const a = client('a');
    await a.connect();
    await gateway.disable({ ...DISABLE, retryAfterSeconds: 0 });
    await until('it is closed', () => a.closes.length === 1);
    t.deepEqual(a.closes, [{ code: 1001, reason: 'disabled: no return is planned' }]);
  });

  test(`S3-3 ${name}: while disabled an upgrade gets 503 with Retry-After`, async (t) => {
    const { gateway, port } = await startGateway(t, factory);
    t.is((await upgrade(port)).status, 101);
    await until('it has gone', () => gateway.counters.sockets === 0);
    await gateway.disable(DISABLE);
    t.deepEqual(await upgrade(port), { status: 503, retryAfter: '7' });
    gateway.enable();
    t.is((await upgrade(port)).status, 101);
  });

  test(`S3-4 ${name}: who reconnects after enable gets connect and then enable`, async (t) => {
    const { client, gateway } = await startGateway(t, factory);
    const a = client('a');
    await a.connect();
    t.deepEqual(a.events, [], 'no greeting where nothing was disabled');
    await gateway.disable(DISABLE);
    gateway.enable();
    const again = client('a');
    await again.connect();
    await until('it is greeted', () => again.events.length === 2);
    t.deepEqual(
      again.events.map(({ type }) => type),
      ['lifecycle.connect', 'lifecycle.enable'],
    );
  });

  test(`S3-6 ${name}: ten quick toggles leave one listener that serves and no socket`, async (t) => {
    const { client, fake, gateway } = await startGateway(t, factory);
    for (let i = 0; i < 10; i++) {
      await client(`u${i}`).connect();
      const disabling = gateway.disable({ ...DISABLE, terminateAfterMs: 500 });
      if (i % 2 === 0) await disabling;
      gateway.enable();
      await disabling;
    }
    await until('nothing is left', () => gateway.counters.sockets === 0);
    t.is(fake.attached.size, 0);
    const last = client('last');
    await last.connect();
    t.is((await last.ping()).error, undefined);
    t.is(gateway.counters.sessions, 1);
  });

  test(`S3-7 ${name}: the end of a connection is logged with role, code, reason, duration, last message`, async (t) => {
    const { client, gateway, log } = await startGateway(t, factory);
    await client('a').connect();
    await gateway.disable(DISABLE);
    const line = log.find(({ message }) => message === 'client connection ended')!;
    t.like(line.fields, { role: 'client', uid: 'a', peer: '127.0.0.1', code: 1012 });
    for (const key of ['session', 'durationMs', 'lastMessageMsAgo']) {
      t.is(typeof line.fields[key], 'number', key);
    }
    t.regex(String(line.fields['reason']), /come back/);
  });

  test(`${name}: a drain is paced, says where to go next, and is called off by enable`, async (t) => {
    const { client, gateway } = await startGateway(t, factory);
    const clients = Array.from({ length: 6 }, (_, i) => client(`u${i}`));
    for (const one of clients) await one.connect();
    const next = ['ws://127.0.0.1:5300'];
    const start = performance.now();
    const ended = await gateway.drain({ sessionsPerSecond: 20, next, withinMs: 10_000 });
    t.is(ended.connections, 6);
    t.true(performance.now() - start >= 240, 'six at twenty a second');
    t.is(gateway.service, 'draining');
    await until('all are closed', () => clients.every(({ closes }) => closes.length === 1));
    t.deepEqual(clients[0]!.closes, [{ code: 1012, reason: `draining: go to ${next[0]}` }]);
    t.deepEqual(JSON.parse(clients[5]!.events[0]!.data), {
      ...{ sub_type: 'drain', reconnect: true, retryAfterSeconds: 0 },
      next,
    });
    await t.throwsAsync(client('late').connect());
    gateway.enable();
    const stays = [client('x'), client('y')];
    for (const one of stays) await one.connect();
    const called = gateway.drain({ sessionsPerSecond: 1, next: [], withinMs: 10_000 });
    gateway.enable();
    t.is((await called).connections, 1, 'the second one was left alone');
    t.is(gateway.counters.sessions, 1);
  });
}
