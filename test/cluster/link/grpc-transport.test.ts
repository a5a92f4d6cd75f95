import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import test from 'ava';
import fc from 'fast-check';
import { GrpcPeerTransport } from '../../../src/cluster/link/grpc-transport.ts';
import type { PeerMessage, Transient } from '../../../src/cluster/link/message.ts';
import type { ChannelKey, MemberId, Uid } from '../../../src/core/ids.ts';
import { silentLog } from '../../../src/observability/log.ts';
import { systemRuntime } from '../../../src/runtime/system.ts';
import { hear, listen } from '../../support/links.ts';
import { member } from '../../support/members.ts';
import { anyMessageOf, plain } from '../../support/peer-messages.ts';
import { until } from '../../support/until.ts';

const numbered = (number: number, bytes = 3): Transient => ({
  type: 'transient',
  number,
  channel: '2/g' as ChannelKey,
  sender: 'u' as Uid,
  value: Buffer.alloc(bytes, number),
});
const numbersOf = (messages: readonly PeerMessage[]): number[] =>
  messages.map((message) => (message.type === 'transient' ? message.number : NaN));

test('every type of message arrives as it was sent, both ways and in order', async (t) => {
  const [a, b] = [await listen(t, 'a'), await listen(t, 'b')];
  const { link, heard } = await a.dial(b);
  t.is(link.peer, 'b' as MemberId);
  const accepted = await until('b has the link', () => b.accepted[0]);
  t.is(accepted.link.peer, 'a' as MemberId);
  const messages = Object.values(anyMessageOf).flatMap((each) =>
    fc.sample(each, { numRuns: 20, seed: 7 }),
  );
  for (const message of messages) {
    link.send(message);
    accepted.link.send(message);
  }
  for (const each of [accepted.heard, heard]) {
    await until('all came', () => each.messages.length === messages.length);
    t.deepEqual(plain(each.messages), plain(messages));
  }
});

test('the first message comes after connect has resolved, even if it was sent at once', async (t) => {
  const a = await listen(t, 'a');
  const b = new GrpcPeerTransport({
    ...{ self: 'b' as MemberId, cluster: 'test', host: '127.0.0.1', port: 0 },
    ...{ secrets: ['the secret of the tests'], log: silentLog, runtime: systemRuntime },
  });
  t.teardown(() => b.close());
  await b.listen((link) => {
    for (let i = 1; i <= 50; i++) link.send(numbered(i));
    return hear();
  });
  let resolved = false;
  const early: PeerMessage[] = [];
  const heard = hear();
  const onMessage = (message: PeerMessage): void => {
    if (!resolved) early.push(message);
    heard.onMessage(message);
  };
  const peer = member('b', 1, `127.0.0.1:${b.address()!.port}`);
  await a.transport.connect(peer, { ...heard, onMessage }, new AbortController().signal);
  resolved = true;
  await until('all came', () => heard.messages.length === 50);
  t.deepEqual(early, []);
});

test('a message near the limit passes; one over it closes the link and says why', async (t) => {
  const [a, b] = [await listen(t, 'a'), await listen(t, 'b')];
  const { link, heard } = await a.dial(b);
  const { heard: there } = await until('b has the link', () => b.accepted[0]);
  const limit = 4 * 1024 * 1024;
  link.send(numbered(1, limit - 200));
  await until('it came', () => there.messages.length === 1);
  t.is((there.messages[0] as Transient).value.length, limit - 200);
  t.false(link.send(numbered(2, limit)));
  await until('closed', () => heard.closed.length === 1);
  t.regex(heard.closed[0]!, /a message of \d+ bytes \(transient\) is over 4194304/);
  await until('closed there', () => there.closed.length === 1);
  t.is(there.messages.length, 1);
});

test('F25 a peer that does not read: send answers false, bytes are counted, drain comes', async (t) => {
  const bufferBytesMax = 256 * 1024;
  const a = await listen(t, 'a', { bufferBytesMax, overrunBytesMax: 2 * 1024 * 1024 });
  const b = await listen(t, 'b');
  // A tap between them that can stop to read.
  const tap = await startTap(t, b.transport.address()!.port);
  const { link, heard } = await a.dial({ member: member('b', 1, `127.0.0.1:${tap.port}`) });
  const { heard: there } = await until('b has the link', () => b.accepted[0]);
  tap.pause();
  let sent = 0;
  await until('the buffer is full', () => {
    // The kernel takes some megabytes first.
    for (let i = 0; i < 64; i++) if (!link.send(numbered(++sent, 8_000))) return true;
    return false;
  });
  t.true(link.bufferedBytes() >= bufferBytesMax);
  t.true(link.bufferedBytes() < bufferBytesMax + 9_000);
  t.is(heard.drains, 0);
  tap.resume();
  await until('drained', () => heard.drains === 1);
  t.true(link.bufferedBytes() <= bufferBytesMax / 2);
  await until('nothing was lost', () => there.messages.length === sent);
  t.deepEqual(
    numbersOf(there.messages),
    Array.from({ length: sent }, (_, i) => i + 1),
  );
  await until('empty', () => link.bufferedBytes() === 0);
});

test('who sends on against a full buffer loses the link, not the memory', async (t) => {
  const a = await listen(t, 'a', { bufferBytesMax: 64 * 1024, overrunBytesMax: 256 * 1024 });
  const b = await listen(t, 'b');
  const { link, heard } = await a.dial(b);
  let most = 0;
  for (let i = 1; i < 200; i++) {
    link.send(numbered(i, 8_000));
    most = Math.max(most, link.bufferedBytes());
  }
  t.true(most <= 256 * 1024);
  await until('closed', () => heard.closed.length === 1);
  t.regex(heard.closed[0]!, /bytes wait already, over 262144/);
});

test('a close tells both sides the reason, once, and the opener can dial again', async (t) => {
  const [a, b] = [await listen(t, 'a'), await listen(t, 'b')];
  const first = await a.dial(b);
  const there = await until('b has the link', () => b.accepted[0]);
  first.link.send(numbered(1));
  first.link.close('had enough');
  first.link.close('twice');
  t.false(first.link.send(numbered(2)));
  await until('closed', () => first.heard.closed.length > 0 && there.heard.closed.length > 0);
  t.deepEqual(first.heard.closed, ['had enough']);
  t.deepEqual(there.heard.closed, ['closed by the peer: had enough']);
  t.deepEqual(numbersOf(there.heard.messages), [1], 'what was sent before the close arrives');

  const second = await a.dial(b);
  const { link, heard } = await until('b has the new link', () => b.accepted[1]);
  link.close('not today');
  await until('closed', () => second.heard.closed.length > 0 && heard.closed.length > 0);
  t.deepEqual(second.heard.closed, ['closed by the peer: not today']);
  t.deepEqual(heard.closed, ['not today']);
});

test('F24 a newer link of a member ends the older one first, and only that one', async (t) => {
  const [a, b] = [await listen(t, 'a'), await listen(t, 'b')];
  await a.dial(b);
  const old = await until('b has the link', () => b.accepted[0]);
  const { link } = await a.dial(b);
  const young = await until('b has the new link', () => b.accepted[1]);
  t.deepEqual(old.heard.closed, ['replaced by a newer link of the same member']);
  link.send(numbered(1));
  await until('the new link works', () => young.heard.messages.length === 1);
  t.deepEqual(young.heard.closed, []);
});

test('a peer that dies is noticed, one that is silent too, and a new link opens', async (t) => {
  const keepalive = { keepaliveMs: 500, keepaliveTimeoutMs: 500 };
  const a = await listen(t, 'a', keepalive);
  const b = await listen(t, 'b', keepalive);
  const tap = await startTap(t, b.transport.address()!.port);
  const target = { member: member('b', 1, `127.0.0.1:${tap.port}`) };
  const first = await a.dial(target);
  const there = await until('b has the link', () => b.accepted[0]);
  tap.pause();
  await until(
    'silence is noticed',
    () => first.heard.closed.length + there.heard.closed.length === 2,
    10_000,
  );
  tap.resume();
  const second = await a.dial(target);
  tap.cut();
  await until('death is noticed', () => second.heard.closed.length === 1);
  await t.notThrowsAsync(a.dial(target));
});

test('nobody there, a deadline and a signal are errors of their own', async (t) => {
  const a = await listen(t, 'a', { connectDeadlineMs: 300 });
  const nobody = { member: member('b', 1, '127.0.0.1:1') };
  await t.throwsAsync(a.dial(nobody), { code: 'UNREACHABLE', message: /^b at 127\.0\.0\.1:1: / });
  const tap = await startTap(t, (await listen(t, 'b')).transport.address()!.port);
  tap.pause();
  const mute = { member: member('b', 1, `127.0.0.1:${tap.port}`) };
  await t.throwsAsync(a.dial(mute), { code: 'DEADLINE' });
  const abort = new AbortController();
  const dialling = a.transport.connect(mute.member, hear(), abort.signal);
  abort.abort();
  await t.throwsAsync(dialling, { code: 'ABORTED' });
  await t.throwsAsync(a.transport.connect(mute.member, hear(), abort.signal), { code: 'ABORTED' });
});

test('closing the transport closes its links and frees the port', async (t) => {
  const [a, b] = [await listen(t, 'a'), await listen(t, 'b')];
  const { heard } = await a.dial(b);
  await until('b has the link', () => b.accepted[0]);
  const { port } = b.transport.address()!;
  const dialling = b.transport.connect(
    member('x', 1, '127.0.0.1:1'),
    hear(),
    new AbortController().signal,
  );
  await Promise.all([b.transport.close(), t.throwsAsync(dialling)]);
  await until('closed', () => heard.closed.length === 1);
  t.regex(heard.closed[0]!, /this node is stopping/);
  await listen(t, 'c', { port });
});

test('a port in use is a clear error', async (t) => {
  const a = await listen(t, 'a');
  const { port } = a.transport.address()!;
  await t.throwsAsync(listen(t, 'b', { port }), {
    code: 'LISTEN',
    message: new RegExp(`:${port}`),
  });
});

interface Tap {
  readonly port: number;
  pause(): void;
  resume(): void;
  cut(): void;
}

/** A TCP connection in between that can go silent without closing. */
async function startTap(t: { teardown(end: () => void): void }, target: number): Promise<Tap> {
  const sockets = new Set<Socket>();
  let paused = false;
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('data', (data) => {
        if (!to.write(data)) from.pause();
      });
      to.on('drain', () => {
        if (!paused) from.resume();
      });
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      if (paused) from.pause();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    port: (server.address() as AddressInfo).port,
    pause() {
      paused = true;
      for (const socket of sockets) socket.pause();
    },
    resume() {
      paused = false;
      for (const socket of sockets) socket.resume();
    },
    cut() {
      for (const socket of sockets) socket.resetAndDestroy();
    },
  };
}

test('a dial that was refused leaves nothing that dials later', async (t) => {
  const a = await listen(t, 'a');
  const peer = createServer();
  await new Promise<void>((resolve) => peer.listen(0, '127.0.0.1', resolve));
  const { port } = peer.address() as AddressInfo;
  await new Promise((resolve) => peer.close(resolve));
  const b = { member: member('b', 1, `127.0.0.1:${port}`) };
  await t.throwsAsync(a.dial(b), {
    message: `b at 127.0.0.1:${port}: connect ECONNREFUSED 127.0.0.1:${port}`,
  });
  let connections = 0;
  peer.on('connection', (socket) => {
    connections += 1;
    socket.destroy();
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
  await new Promise<void>((resolve) => peer.listen(port, '127.0.0.1', resolve));
  t.teardown(() => void peer.close());
  // gRPC's own backoff would have ended after 0.8 to 1.2 s.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  t.is(connections, 0);
});
