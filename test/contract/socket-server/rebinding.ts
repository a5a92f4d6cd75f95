import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import test from 'ava';
import { until } from '../../support/until.ts';
import { Client, clients, LIMITS, serve, type Fixture, type Subject } from './fixture.ts';

/** Whether the address takes clients. */
async function takes(fixture: Fixture, port: number): Promise<boolean> {
  const client = new Client({ ...fixture, port });
  let opened = false;
  client.ws.on('open', () => (opened = true));
  await until('it opens or ends', () => opened || client.closed !== undefined);
  client.ws.terminate();
  return opened;
}

/** How every adapter changes its address and its limits while sockets are open. */
export function rebinding(name: string, subject: Subject): void {
  test(`S3-5 ${name}: another port is bound beside the first, and then takes its place; open sockets stay`, async (t) => {
    const fixture = await serve(t, subject);
    const [a] = (await clients(t, fixture, 1)) as [Client];
    const next = await fixture.server.rebind('127.0.0.1', 0);
    t.not(next.port, fixture.port);
    t.deepEqual(
      [await takes(fixture, fixture.port), await takes(fixture, next.port)],
      [true, true],
    );
    next.commit();
    t.deepEqual(
      [await takes(fixture, fixture.port), await takes(fixture, next.port)],
      [false, true],
    );
    fixture.sockets[0]!.join('topic');
    const later = new Client({ ...fixture, port: next.port });
    t.teardown(() => later.ws.terminate());
    await once(later.ws, 'open');
    fixture.sockets.at(-1)!.join('topic');
    fixture.server.publish('topic', 'to both');
    await until('both have it', () => a.frames.length === 1 && later.frames.length === 1);
    t.pass();
  });

  test(`S3-5 ${name}: a cut or a close while a second address is bound loses no address, and no process`, async (t) => {
    const fixture = await serve(t, subject);
    const [a] = (await clients(t, fixture, 1)) as [Client];
    const next = await fixture.server.rebind('127.0.0.1', 0);
    fixture.server.cut();
    await until('it went', () => a.closed);
    next.commit();
    t.deepEqual(
      [await takes(fixture, fixture.port), await takes(fixture, next.port)],
      [false, true],
    );
    for (const end of ['commit', 'abort'] as const) {
      const other = await serve(t, subject);
      const pending = await other.server.rebind('127.0.0.1', 0);
      await other.server.close();
      await pending[end]();
    }
  });

  test(`S3-5 ${name}: a second address that is given up leaves the first as it was`, async (t) => {
    const fixture = await serve(t, subject);
    const next = await fixture.server.rebind('127.0.0.1', 0);
    await next.abort();
    t.deepEqual(
      [await takes(fixture, fixture.port), await takes(fixture, next.port)],
      [true, false],
    );
  });

  test(`S3-5 ${name}: the same port of another host, there and back`, async (t) => {
    const fixture = await serve(t, subject);
    const [a] = (await clients(t, fixture, 1)) as [Client];
    const aborted = await fixture.server.rebind('0.0.0.0', fixture.port);
    await aborted.abort();
    t.true(await takes(fixture, fixture.port));
    const next = await fixture.server.rebind('0.0.0.0', fixture.port);
    next.commit();
    t.true(await takes(fixture, fixture.port));
    a.ws.send('still here');
    await until('it is heard', () => fixture.received.length === 1);
    t.is(next.port, fixture.port);
  });

  test(`S3-5 ${name}: an address that cannot be bound is said so, and the first goes on`, async (t) => {
    const fixture = await serve(t, subject);
    const taken = createServer().listen(0, '127.0.0.1');
    t.teardown(() => taken.close());
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    await t.throwsAsync(fixture.server.rebind('127.0.0.1', port), { code: 'EADDRINUSE' });
    t.true(await takes(fixture, fixture.port));
    // No address of this machine: the first one was let go for it.
    await t.throwsAsync(fixture.server.rebind('192.0.2.1', fixture.port));
    t.true(await takes(fixture, fixture.port));
  });

  test(`S3-5 ${name}: other limits keep the open sockets, and the frame limit holds for those too`, async (t) => {
    const fixture = await serve(t, subject);
    const [a] = (await clients(t, fixture, 1)) as [Client];
    fixture.sockets[0]!.join('topic');
    fixture.server.setLimits({ ...LIMITS, idleSeconds: 120, frameBytesMax: 5_000 });
    const [b] = (await clients(t, fixture, 1)) as [Client];
    fixture.sockets[1]!.join('topic');
    fixture.server.publish('topic', 'to both');
    await until('both have it', () => a.frames.length === 1 && b.frames.length === 1);
    a.ws.send('x'.repeat(4_000));
    b.ws.send('x'.repeat(4_000));
    await until('larger frames come', () => fixture.received.length === 2);
    fixture.server.setLimits({ ...LIMITS, frameBytesMax: 100 });
    const [c] = (await clients(t, fixture, 1)) as [Client];
    b.ws.send('x'.repeat(200));
    c.ws.send('x'.repeat(200));
    await until(
      'a frame over it ends the sockets',
      () => b.closed?.code === 1009 && c.closed?.code === 1009,
    );
    t.is(a.closed, undefined);
    t.is(fixture.server.memberCount('topic'), 1);
  });
}
