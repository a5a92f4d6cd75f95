import test from 'ava';
import type { ChannelKey, Uid } from '../../src/core/ids.ts';
import { until } from '../support/until.ts';
import { ADAPTERS, startGateway } from './fixture.ts';

for (const [name, factory] of ADAPTERS) {
  test(`S2-7 ${name}: the late close of an old socket does not remove its successor`, async (t) => {
    const { client, fake, gateway } = await startGateway(t, factory);
    fake.subscribe('2/g' as ChannelKey, 'a' as Uid);
    const [old, next, b] = [client('a'), client('a'), client('b')];
    for (const one of [old, next, b]) await one.connect();
    t.is(fake.attached.size, 3);
    old.tear();
    await until('the old one went', () => gateway.counters.sockets === 2);
    t.deepEqual(fake.sessionsOf('a').map(({ id }) => id).length, 1);
    await b.send('g', 2, 'hello');
    await until('the successor has it', () => next.texts().length === 1);
    t.is(gateway.counters.sessions, 2);
  });

  test(`${name}: a master device kicks the older one of its kind (reason 12), and no other`, async (t) => {
    const { client, fake, gateway } = await startGateway(t, factory, { auth: 'token' });
    fake.tokens.set('a/1', { token: 'web', level: 1 });
    fake.tokens.set('a/0', { token: 'app', level: 0 });
    const web = { token: 'web', deviceFlag: 1 };
    const app = { token: 'app', deviceFlag: 0 };
    const [app1, web1, web2, app2] = [
      client('a', app),
      client('a', web),
      client('a', web),
      client('a', app),
    ];
    await app1.connect();
    await web1.connect();
    await web2.connect();
    await app2.connect();
    await until('the older one is closed', () => web1.closes.length === 1);
    t.is(web1.disconnects.length, 1);
    t.is(web1.disconnects[0]!.reasonCode, 12);
    t.is(web1.closes[0]!.code, 1008);
    for (const one of [app1, app2, web2]) t.is((await one.ping()).error, undefined);
    t.is(fake.attached.size, 3);
    t.is(gateway.counters.kicked, 1);
  });

  test(`S3-2 ${name}: stop closes with 1012 and a reason, refuses what comes, and leaves nothing`, async (t) => {
    const { client, fake, gateway, log } = await startGateway(t, factory);
    const [a, b] = [client('a'), client('b')];
    await a.connect();
    await b.connect();
    await gateway.stop(2000);
    await until('both are closed', () => a.closes.length === 1 && b.closes.length === 1);
    t.deepEqual(a.closes, [{ code: 1012, reason: 'service restart' }]);
    t.deepEqual(a.disconnects, []);
    t.is(fake.attached.size, 0);
    t.is(gateway.counters.sockets, 0);
    t.is(gateway.counters.sessions, 0);
    await t.throwsAsync(client('c').connect());
    const ends = log.filter(({ message }) => message === 'client connection ended');
    t.is(ends.length, 2);
    t.like(ends.find(({ fields }) => fields['uid'] === 'a')!.fields, {
      peer: '127.0.0.1',
      code: 1012,
      reason: 'service restart',
    });
    t.true(ends.every(({ fields }) => typeof fields['durationMs'] === 'number'));
  });

  test(`${name}: stop terminates a client that does not answer the Close frame`, async (t) => {
    const { client, gateway } = await startGateway(t, factory);
    const a = client('a');
    await a.connect();
    a.ws!.pause();
    const start = performance.now();
    await gateway.stop(300);
    t.true(performance.now() - start < 2500);
    t.is(gateway.counters.sockets, 0);
  });

  test(`${name}: a session whose queue grows past the soft limit is ended with 1013, others are not held up`, async (t) => {
    const { client, fake, gateway, log } = await startGateway(t, factory, {
      limits: {
        queueSoftBytesMax: 64 * 1024,
        queueBytesMax: 64 * 1024 * 1024,
        sendsPerSecondMax: 0,
      },
    });
    for (const uid of ['slow', 'fast']) fake.subscribe('2/g' as ChannelKey, uid as Uid);
    const [slow, fast, sender] = [client('slow'), client('fast'), client('s')];
    for (const one of [slow, fast, sender]) await one.connect();
    slow.ws!.pause();
    const payload = 'x'.repeat(30_000);
    let sent = 0;
    await until('the slow one is ended', async () => {
      for (let i = 0; i < 5; i++) await sender.send('g', 2, payload);
      sent += 5;
      return gateway.counters.slow === 1;
    });
    await until('the fast one has all', () => fast.received.length === sent);
    t.is(fake.sessionsOf('slow').length, 0);
    slow.ws!.resume();
    await until('the slow one knows why', () => slow.closes.length === 1);
    t.deepEqual(slow.closes[0], { code: 1013, reason: 'slow consumer' });
    await until('it is logged', () =>
      log.some(({ fields }) => fields['code'] === 1013 && fields['uid'] === 'slow'),
    );
  });

  test(`${name}: a client that goes while it is being attached leaves nothing behind`, async (t) => {
    const { client, fake, gateway } = await startGateway(t, factory);
    let open = (): void => {};
    fake.attachGate = new Promise((resolve) => (open = resolve));
    const a = client('a');
    const connecting = a.connect();
    await until('it is being attached', () => fake.attached.size === 1);
    a.tear();
    await t.throwsAsync(connecting);
    await until('it went', () => gateway.counters.sockets === 0);
    open();
    await fake.attachGate;
    t.is(fake.attached.size, 0);
    t.is(gateway.counters.sessions, 0);
  });

  test(`${name}: the reconnecting client comes back after a torn connection, not after a kick`, async (t) => {
    const { client, fake } = await startGateway(t, factory);
    const a = client('a', { reconnect: true });
    await a.connect();
    a.tear();
    await until('it is back', () => a.connects === 2 && a.connected, 5000);
    fake.sessionsOf('a')[0]!.kick(12, 'enough');
    await until('it was kicked', () => a.closes.length === 2);
    t.deepEqual(a.disconnects, [{ reasonCode: 12, reason: 'enough' }]);
    t.false(a.connected);
  });
}
