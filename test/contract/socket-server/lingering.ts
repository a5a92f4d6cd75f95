import { once } from 'node:events';
import { connect } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { ENDING_MS, type Socket } from '../../../src/gateway/socket-server/port.ts';
import { held } from '../../support/held-connections.ts';
import { until } from '../../support/until.ts';
import { clients, halfOpen, serve, type Client, type Fixture, type Subject } from './fixture.ts';

const LIMITS = { queueBytesMax: 64 * 1024 * 1024, idleSeconds: 120 };
const FRAME = 'x'.repeat(64 * 1024);

/** A client that reads nothing; it has so much queued that the system takes no more. */
async function stalled(t: ExecutionContext, fixture: Fixture): Promise<Socket<string>> {
  const before = fixture.sockets.length;
  const raw = await halfOpen(fixture);
  raw.pause().on('error', () => {});
  t.teardown(() => raw.destroy());
  await until('it is open', () => fixture.sockets.length > before);
  const socket = fixture.sockets[before]!;
  await until('bytes wait', () => {
    socket.send(FRAME);
    return socket.bufferedBytes() > 4 * FRAME.length;
  });
  return socket;
}

/** Nothing of a connection is left behind that was ended, or cut. */
export function lingering(name: string, subject: Subject): void {
  test(`${name}: end to a client that reads what waits sends all of it, and the Close frame`, async (t) => {
    const fixture = await serve(t, subject, { limits: LIMITS });
    const [client] = (await clients(t, fixture, 1)) as [Client];
    const [socket] = fixture.sockets as [Socket<string>];
    client.ws.pause();
    let sent = 0;
    await until('bytes wait', () => {
      if (socket.send(FRAME)) sent += 1;
      return socket.bufferedBytes() > 4 * FRAME.length;
    });
    socket.join('t');
    socket.end(1013, 'slow');
    t.is(fixture.server.memberCount('t'), 0);
    t.false(socket.send('late'));
    socket.answer('late');
    socket.join('t');
    fixture.server.publish('t', 'late');
    client.ws.send('not taken');
    client.ws.resume();
    await until('both sides know', () => client.closed && fixture.ended.length === 1);
    t.is(client.frames.length, sent);
    t.deepEqual(client.closed, { code: 1013, reason: 'slow' });
    t.deepEqual(fixture.ended, [{ id: socket.id, code: 1013, reason: 'slow' }]);
    t.deepEqual(fixture.received, []);
  });

  if (process.platform !== 'linux') return;

  test(`S3-1 ${name}: end to a client that reads nothing leaves no socket behind`, async (t) => {
    const fixture = await serve(t, subject, { limits: LIMITS });
    const socket = await stalled(t, fixture);
    socket.end(1013, 'slow');
    t.is(fixture.ended.length, 0, 'it is known as long as it is there');
    t.is(held(fixture.port), 1);
    await until('the socket went', () => held(fixture.port) === 0, ENDING_MS + 5_000);
    await until('it is known to be gone', () => fixture.ended.length === 1);
    t.deepEqual(fixture.ended, [{ id: socket.id, code: 1013, reason: 'slow' }]);
  });

  test(`S3-1 ${name}: cut leaves nothing of what there was, and the port takes the next`, async (t) => {
    const fixture = await serve(t, subject, { limits: LIMITS });
    await clients(t, fixture, 1);
    const silent = await halfOpen(fixture);
    const before = connect(fixture.port, '127.0.0.1').resume();
    t.teardown(() => [silent, before].forEach((raw) => raw.destroy()));
    await once(before, 'connect');
    await until('all are open', () => fixture.sockets.length === 2);
    // Its Close frame is not answered, and its side is not closed.
    silent.pause();
    fixture.sockets[1]!.end(1012, 'restart');
    const queued = await stalled(t, fixture);
    queued.end(1012, 'restart');
    t.is(held(fixture.port), 4);
    const gone = once(before, 'close');
    fixture.server.cut();
    await until('nothing is held', () => held(fixture.port) === 0);
    await gone;
    await until('all are known to be gone', () => fixture.ended.length === 3);
    await clients(t, fixture, 1);
    t.is(held(fixture.port), 1);
    fixture.server.cut();
    await until('nothing is held again', () => held(fixture.port) === 0);
  });
}
