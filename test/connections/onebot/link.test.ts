import { EventEmitter } from 'node:events';
import test from 'ava';
import { WebSocket } from 'ws';
import type { ActionGround } from '../../../src/connections/onebot/actions.ts';
import { Events } from '../../../src/connections/onebot/events.ts';
import { BridgeLink } from '../../../src/connections/onebot/link.ts';
import { KnownMessages } from '../../../src/connections/onebot/known-messages.ts';
import type { Numbers } from '../../../src/connections/onebot/port.ts';
import { createLog } from '../../../src/observability/log.ts';
import { createVirtualRuntime } from '../../support/virtual-runtime.ts';

const numbers: Numbers = { numberOf: (_space, name) => Number(name), nameOf: (_s, n) => `${n}` };
const HEARTBEAT_MS = 1_000;

/** What a socket of ws does here; the test is its other side. */
class FakeSocket extends EventEmitter {
  readonly readyState = WebSocket.OPEN;
  readonly bufferedAmount = 0;
  readonly pings: string[] = [];
  isTerminated = false;

  readonly sent: string[] = [];

  send(text: string): void {
    this.sent.push(text);
  }

  close(code: number, reason: string): void {
    this.emit('close', code, Buffer.from(reason));
  }

  ping(data: string): void {
    this.pings.push(data);
  }

  pong(data: string | undefined): void {
    this.emit('pong', Buffer.from(data ?? ''));
  }

  terminate(): void {
    this.isTerminated = true;
    this.emit('close', 1006, Buffer.alloc(0));
  }
}

function linked() {
  const runtime = createVirtualRuntime();
  const socket = new FakeSocket();
  const ends: string[] = [];
  const link = new BridgeLink({
    socket: socket as unknown as WebSocket,
    ...{ role: 'Universal', peer: 'the bot', heartbeatMs: HEARTBEAT_MS, runtime },
    events: new Events('1', {
      ...{ numbers, messages: new KnownMessages(10) },
      roleOf: () => 'member',
    }),
    ground: { isOnline: () => true } as ActionGround,
    log: createLog({ level: 'silent', pretty: false }),
    onClosed: (_link, why) => ends.push(why),
  });
  return { runtime, socket, ends, link };
}

test('S2-7 a link that hears nothing is cut off after two heartbeats, once; one that hears any sign stays', async (t) => {
  const { runtime, socket, ends } = linked();
  for (let i = 0; i < 10; i++) {
    await runtime.advance(HEARTBEAT_MS);
    if (i % 3 === 0) socket.emit('ping', Buffer.alloc(0));
    else if (i % 3 === 1) socket.emit('message', Buffer.from('{"action":"none"}'));
    else socket.pong(socket.pings.at(-1));
  }
  t.deepEqual(ends, []);
  await runtime.advance(2 * HEARTBEAT_MS - 1);
  t.false(socket.isTerminated);
  await runtime.advance(HEARTBEAT_MS);
  t.true(socket.isTerminated);
  t.deepEqual(ends, ['nothing heard for 2 heartbeats']);
});

test('an event is read when the pong to a ping after it came, and never when the link ended before', async (t) => {
  const { runtime, socket, link } = linked();
  const told: string[] = [];
  const tell = (name: string): void => {
    link.event({ name });
    void link.whenRead().then((isRead) => told.push(`${name} ${isRead}`));
  };
  const settled = () => runtime.advance(0);
  tell('a');
  tell('b');
  t.is(socket.pings.length, 1, 'one ping at a time');
  // A pong that nobody asked for, and one that says more than was sent.
  for (const odd of [undefined, '99', 'x', '-1']) socket.pong(odd);
  await settled();
  t.deepEqual(told, []);
  socket.pong(socket.pings[0]);
  await settled();
  t.deepEqual(told, ['a true']);
  t.is(socket.pings.length, 2, 'for what came after the first');
  tell('c');
  socket.pong(socket.pings[1]);
  await settled();
  t.deepEqual(told, ['a true', 'b true']);
  socket.terminate();
  await settled();
  t.deepEqual(told, ['a true', 'b true', 'c false']);
  t.false(await link.whenRead());
  t.false(link.event({ name: 'd' }));
});

test('a link that answers no ping is closed when too much is not known to be read', async (t) => {
  const { socket, ends, link } = linked();
  const asked: Promise<boolean>[] = [];
  for (let i = 0; i <= 20_000; i++) {
    link.event({ i });
    asked.push(link.whenRead());
  }
  t.deepEqual(ends, ['closed with 1013 answers no ping']);
  t.is(socket.pings.length, 1);
  t.true((await Promise.all(asked)).every((isRead) => !isRead));
});

test('a frame is answered with its echo as it stands there; what cannot be written ends no process', async (t) => {
  const { runtime, socket, link } = linked();
  const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
  for (const echo of ['12345678901234567890', deep, 'null']) {
    socket.emit('message', Buffer.from(`{"action":"get_status","echo":${echo}}`));
    await runtime.advance(0);
    t.true(socket.sent.at(-1)!.startsWith('{"status":"ok","retcode":0,'));
    t.true(socket.sent.at(-1)!.endsWith(`,"echo":${echo}}`));
  }
  socket.emit('message', Buffer.from('{"action":"get_status"}'));
  await runtime.advance(0);
  t.notRegex(socket.sent.at(-1)!, /echo/);
  const { length } = socket.sent;
  t.true(link.event({ nested: JSON.parse(deep) as unknown }), 'it need not come again');
  t.is(socket.sent.length, length);
});
