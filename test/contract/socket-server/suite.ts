import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { WebSocket } from 'ws';
import type { Socket } from '../../../src/gateway/socket-server/port.ts';
import { until } from '../../support/until.ts';
import {
  CA,
  Client,
  clients,
  DEAF,
  halfOpen,
  LIMITS,
  plainRequest,
  serve,
  type Subject,
} from './fixture.ts';
import { lingering } from './lingering.ts';
import { rebinding } from './rebinding.ts';

/** Every adapter of the port behaves like this. */
export function socketServerSuite(name: string, subject: Subject): void {
  frames(name, subject);
  topics(name, subject);
  endings(name, subject);
  limits(name, subject);
  listening(name, subject);
  rebinding(name, subject);
  lingering(name, subject);
}

function frames(name: string, subject: Subject): void {
  test(`${name}: text and binary frames both ways, ids never reused`, async (t) => {
    const fixture = await serve(t, subject);
    const [a, b] = (await clients(t, fixture, 2)) as [Client, Client];
    t.is(fixture.server.implementation, implementationOf(name));
    t.not(fixture.sockets[0]!.id, fixture.sockets[1]!.id);
    t.is(fixture.sockets[0]!.remoteAddress, '127.0.0.1');
    t.is(fixture.sockets[0]!.data, `session ${fixture.sockets[0]!.id}`);
    a.ws.send('héllo');
    a.ws.send(Buffer.from('bytes'));
    await until('both arrived', () => fixture.received.length === 2);
    t.deepEqual(fixture.received, [
      { text: 'héllo', binary: false },
      { text: 'bytes', binary: true },
    ]);
    t.true(fixture.sockets[1]!.send('grüße'));
    t.true(fixture.sockets[1]!.send(Buffer.from('b')));
    t.true(fixture.sockets[1]!.send('x'.repeat(300)));
    t.true(fixture.sockets[1]!.send('y'.repeat(70_000)));
    await until('all arrived', () => b.frames.length === 4);
    t.deepEqual(b.frames.slice(0, 2), ['text grüße', 'binary b']);
    t.is(b.frames[2], `text ${'x'.repeat(300)}`);
    t.is(b.frames[3]!.length, 70_005);
    t.deepEqual(a.frames, []);
  });

  test(`${name}: an upgrade is judged by path, query, origin and host, and refused with a status`, async (t) => {
    const seen: unknown[] = [];
    const fixture = await serve(t, subject, {
      handlers: {
        onUpgrade: (request) => {
          seen.push(request);
          return { accept: false, status: 503, headers: { 'retry-after': '7' }, body: 'not now' };
        },
      },
    });
    const ws = new WebSocket(`${subject.scheme}://127.0.0.1:${fixture.port}/path?a=b`, {
      ...{ origin: 'http://page', ca: CA },
    });
    ws.on('error', () => {});
    const [, response] = await once(ws, 'unexpected-response');
    t.is(response.statusCode, 503);
    t.is(response.headers['retry-after'], '7');
    t.deepEqual(seen, [
      {
        path: '/path',
        query: 'a=b',
        origin: 'http://page',
        host: `127.0.0.1:${fixture.port}`,
        remoteAddress: '127.0.0.1',
      },
    ]);
    t.is(fixture.sockets.length, 0);
    t.is(await plainRequest(fixture), 426);
  });
}

function topics(name: string, subject: Subject): void {
  test(`${name}: publish reaches the members of a topic, in order with direct frames, none twice`, async (t) => {
    const fixture = await serve(t, subject);
    const [a, b, c] = (await clients(t, fixture, 3)) as [Client, Client, Client];
    const [sa, sb] = fixture.sockets as [Socket<string>, Socket<string>, Socket<string>];
    sa.join('t');
    sa.join('t');
    sb.join('t');
    sb.join('u');
    t.deepEqual([...sb.topics()].sort(), ['t', 'u']);
    t.is(fixture.server.memberCount('t'), 2);
    t.is(fixture.server.memberCount('nobody'), 0);
    t.deepEqual(
      [sa.isIn('t'), sa.isIn('u'), sb.isIn('u'), sb.isIn('nobody')],
      [true, false, true, false],
    );
    sa.send('1');
    fixture.server.publish('t', '2');
    sa.send('3');
    fixture.server.publish('t', Buffer.from('4'));
    fixture.server.publish('nobody', 'x');
    await until('all arrived', () => a.frames.length === 4 && b.frames.length === 2);
    t.deepEqual(a.frames, ['text 1', 'text 2', 'text 3', 'binary 4']);
    t.deepEqual(b.frames, ['text 2', 'binary 4']);
    t.deepEqual(c.frames, []);
    sb.leave('t');
    sb.leave('never joined');
    t.false(sb.isIn('t'));
    t.is(fixture.server.memberCount('t'), 1);
    b.ws.close();
    await until('it went', () => fixture.ended.length === 1);
    t.is(fixture.server.memberCount('u'), 0);
  });

  test(`${name}: what was published before a socket left its topic reaches it, the last topic or not`, async (t) => {
    const fixture = await serve(t, subject);
    const { server } = fixture;
    const [a, b] = (await clients(t, fixture, 2)) as [Client, Client];
    const [sa, sb] = fixture.sockets as [Socket<string>, Socket<string>];
    for (const topic of ['room', 'hall']) sa.join(topic);
    sb.join('room');
    for (const topic of ['room', 'hall']) {
      server.publish(topic, `${topic} before`);
      sa.leave(topic);
      server.publish(topic, `${topic} after`);
      t.false(sa.isIn(topic));
    }
    t.deepEqual(sa.topics(), []);
    sa.join('room');
    server.publish('room', 'back');
    await until('all came', () => b.frames.length === 3 && a.frames.includes('text back'));
    t.deepEqual(a.frames, ['text room before', 'text hall before', 'text back']);
    t.deepEqual(b.frames, ['text room before', 'text room after', 'text back']);
    t.deepEqual([server.memberCount('room'), server.memberCount('hall')], [2, 0]);
  });

  test(`${name}: answers keep their order with direct frames, and each arrives once`, async (t) => {
    const fixture = await serve(t, subject);
    const [a] = (await clients(t, fixture, 1)) as [Client];
    const [socket] = fixture.sockets as [Socket<string>];
    socket.join('t');
    socket.answer('1');
    socket.send('2');
    fixture.server.publish('t', '3');
    for (let i = 4; i < 204; i++) socket.answer(String(i));
    await until('all arrived', () => a.frames.length === 203);
    t.deepEqual(
      a.frames,
      Array.from({ length: 203 }, (_, i) => `text ${i + 1}`),
    );
    // Where nothing but answers waits, a publish may overtake them, and nothing is lost by it.
    socket.answer('x');
    fixture.server.publish('t', 'y');
    await until('both arrived', () => a.frames.length === 205);
    t.deepEqual(a.frames.slice(203).toSorted(), ['text x', 'text y']);
    a.ws.close();
    await until('it went', () => fixture.ended.length === 1);
    t.notThrows(() => socket.answer('late'));
  });

  test(`${name}: publishExcept spares one socket, whether it is in the topic or in none`, async (t) => {
    const fixture = await serve(t, subject);
    const [a, b] = (await clients(t, fixture, 3)) as [Client, Client, Client];
    const [sa, sb, sc] = fixture.sockets as [Socket<string>, Socket<string>, Socket<string>];
    sa.join('t');
    sb.join('t');
    fixture.server.publishExcept(sa, 't', 'not for a');
    fixture.server.publishExcept(sc, 't', 'for both');
    sc.join('other');
    fixture.server.publishExcept(sc, 't', 'for both again');
    await until('all arrived', () => a.frames.length === 2 && b.frames.length === 3);
    t.deepEqual(a.frames, ['text for both', 'text for both again']);
    t.deepEqual(b.frames, ['text not for a', 'text for both', 'text for both again']);
  });
}

function endings(name: string, subject: Subject): void {
  test(`${name}: end sends what is queued and a Close frame; afterwards every call is harmless`, async (t) => {
    const fixture = await serve(t, subject);
    const [a] = (await clients(t, fixture, 1)) as [Client];
    const [socket] = fixture.sockets as [Socket<string>];
    socket.join('t');
    socket.send('last');
    socket.end(1012, 'service restart');
    t.is(fixture.server.memberCount('t'), 0, 'whoever was ended is no member from then on');
    t.false(socket.isIn('t'));
    await until('both sides know', () => a.closed && fixture.ended.length === 1);
    t.deepEqual(a.frames, ['text last']);
    t.deepEqual(a.closed, { code: 1012, reason: 'service restart' });
    t.deepEqual(fixture.ended, [{ id: socket.id, code: 1012, reason: 'service restart' }]);
    t.false(socket.send('late'));
    socket.join('t');
    socket.leave('t');
    socket.end(1000, '');
    socket.terminate();
    fixture.server.publishExcept(socket, 't', 'x');
    t.deepEqual(socket.topics(), []);
    t.is(socket.bufferedBytes(), 0);
    t.is(fixture.server.memberCount('t'), 0);
    t.is(fixture.ended.length, 1);
  });

  test(`${name}: a client's close is reported with its code, a torn connection with 1006`, async (t) => {
    const fixture = await serve(t, subject);
    const [a, b, c] = (await clients(t, fixture, 3)) as [Client, Client, Client];
    a.ws.close(4001, 'mine');
    await until('a went', () => fixture.ended.length === 1);
    b.ws.terminate();
    await until('b went', () => fixture.ended.length === 2);
    fixture.sockets[2]!.terminate();
    await until('c went', () => fixture.ended.length === 3 && c.closed);
    t.deepEqual(
      fixture.ended.map(({ code }) => code),
      [4001, 1006, 1006],
    );
    t.is(fixture.ended[0]!.reason, 'mine');
    t.is(c.closed!.code, 1006);
  });

  test(`${name}: close ends every open socket`, async (t) => {
    const fixture = await serve(t, subject);
    const all = await clients(t, fixture, 3);
    await fixture.server.close();
    await until('all went', () => fixture.ended.length === 3 && all.every(({ closed }) => closed));
    t.pass();
  });
}

function limits(name: string, subject: Subject): void {
  test(`${name}: a frame at the limit is taken, one over it closes with 1009`, async (t) => {
    const fixture = await serve(t, subject);
    const [a, b] = (await clients(t, fixture, 2)) as [Client, Client];
    a.ws.send('x'.repeat(1000));
    await until('it arrived', () => fixture.received.length === 1);
    a.ws.send('x'.repeat(1001));
    b.ws.send(Buffer.alloc(1_000_000));
    await until('both went', () => a.closed && b.closed && fixture.ended.length === 2);
    t.deepEqual([a.closed!.code, b.closed!.code], [1009, 1009]);
    t.deepEqual(
      fixture.ended.map(({ code }) => code),
      [1009, 1009],
    );
    t.is(fixture.received.length, 1);
  });

  test(`${name}: a client that does not read is closed at the hard limit and holds nobody up`, async (t) => {
    const fixture = await serve(t, subject);
    const [slow, fast] = (await clients(t, fixture, 2)) as [Client, Client];
    for (const socket of fixture.sockets) socket.join('t');
    slow.ws.pause();
    const frame = 'x'.repeat(8 * 1024);
    let published = 0;
    await until('the slow one went', () => {
      for (let i = 0; i < 8; i++) fixture.server.publish('t', frame);
      published += 8;
      return fixture.ended.length > 0;
    });
    t.is(fixture.ended[0]!.id, fixture.sockets[0]!.id);
    t.is(fixture.ended[0]!.code, 1006);
    await until('the fast one got all', () => fast.frames.length === published);
    t.true(fixture.sockets[0]!.bufferedBytes() <= LIMITS.queueBytesMax);
  });

  test(`S2-7 ${name}: a half-open socket goes within the limit, though it is published to; a live one stays`, async (t) => {
    const fixture = await serve(t, subject, { limits: { idleSeconds: 8 } });
    const raw = await halfOpen(fixture);
    t.teardown(() => raw.destroy());
    await until('it is open', () => fixture.sockets.length === 1);
    const [live] = (await clients(t, fixture, 1)) as [Client];
    for (const socket of fixture.sockets) socket.join('t');
    const beat = setInterval(() => {
      live.ws.send('beat');
      fixture.server.publish('t', 'x');
    }, 1000);
    t.teardown(() => clearInterval(beat));
    const start = performance.now();
    await until('the half-open one went', () => fixture.ended.length === 1, 15_000);
    t.true(performance.now() - start < 14_000);
    t.is(fixture.ended[0]!.id, fixture.sockets[0]!.id);
    t.is(live.closed, undefined);
    t.is(fixture.server.memberCount('t'), 1);
  });
}

/** Titles begin with it. */
function implementationOf(name: string): 'uws' | 'ws' {
  return name.startsWith('uws') ? 'uws' : 'ws';
}

function listening(name: string, subject: Subject): void {
  test(`${name}: a port that another process holds is refused`, async (t) => {
    const fixture = await serve(t, subject);
    const child = spawn(
      process.execPath,
      [
        '--import=tsx',
        fileURLToPath(new URL('second-process.ts', import.meta.url)),
        implementationOf(name),
        String(fixture.port),
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    t.teardown(() => child.kill('SIGKILL'));
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await once(child, 'close');
    t.is(output.trim(), 'EADDRINUSE');
  });

  test(`${name}: a port that this process holds is refused`, async (t) => {
    const fixture = await serve(t, subject);
    const second = subject.create<string>(DEAF, LIMITS);
    await t.throwsAsync(second.listen('127.0.0.1', fixture.port), { code: 'EADDRINUSE' });
    await second.close();
  });

  test(`${name}: stopListening refuses the new, keeps the old, and frees the port`, async (t) => {
    const fixture = await serve(t, subject);
    const [a] = (await clients(t, fixture, 1)) as [Client];
    fixture.server.stopListening();
    const late = new Client(fixture);
    await until('the late one is refused', () => late.closed);
    fixture.sockets[0]!.send('still here');
    await until('the old one lives', () => a.frames.length === 1);
    const next = await (async () => {
      const server = subject.create<string>(DEAF, LIMITS);
      t.teardown(() => server.close());
      return server.listen('127.0.0.1', fixture.port);
    })();
    t.is(next, fixture.port);
  });
}
