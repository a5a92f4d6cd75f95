import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { WebSocket } from 'ws';
import { Backoff } from '../../src/client/backoff.ts';
import { HoldfastClient, type ClientOptions, type Resumed } from '../../src/client/client.ts';
import type { ClientSocket } from '../../src/client/options.ts';
import { createWsServer } from '../../src/gateway/socket-server/ws.ts';
import { startRealNode } from '../audit/real-node.ts';
import { group, uid } from '../support/ids.ts';
import { until } from '../support/until.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

function client(t: ExecutionContext, options: Partial<ClientOptions>) {
  const texts: string[] = [];
  const states: string[] = [];
  const resumed: Resumed[] = [];
  const one = new HoldfastClient({
    ...{ addresses: ['ws://127.0.0.1:1'], uid: 'ann', pingMs: 100 },
    ...{ backoffMinMs: 5, backoffMaxMs: 20, openSocket: (address) => new WebSocket(address) },
    onMessage: ({ payload }) => texts.push(Buffer.from(payload, 'base64').toString()),
    onState: (state, reason) => states.push(`${state}: ${reason}`),
    onResumed: (what) => resumed.push(what),
    ...options,
  });
  t.teardown(() => one.stop());
  return { one, texts, states, resumed };
}

/** A socket whose other side answers the first request with `answer`, or with undefined hangs up. */
function scripted(answer: object | undefined): ClientSocket {
  const heard: Record<string, ((event: never) => void)[]> = {};
  const tell = (type: string, event: object = {}): void => {
    setTimeout(() => heard[type]?.forEach((listener) => listener(event as never)), 0);
  };
  if (answer) tell('open');
  else tell('close', { code: 1006, reason: '' });
  return {
    send(text) {
      const { id } = JSON.parse(text) as { id: string };
      tell('message', { data: JSON.stringify({ jsonrpc: '2.0', id, ...answer }) });
    },
    close: (code = 1000) => tell('close', { code, reason: '' }),
    addEventListener: (type: string, listener: (event: never) => void) =>
      void (heard[type] ??= []).push(listener),
  };
}

test('S3-8 the wait doubles from 1 s to 30 s with full jitter, and starts again after 60 s of connection', (t) => {
  const most = (backoff: Backoff, connectedMs = 0): number => backoff.waitMs(connectedMs, 1);
  const backoff = new Backoff({});
  const doubling = [1, 2, 4, 8, 16, 30, 30, 30].map((seconds) => seconds * 1_000);
  t.deepEqual(
    doubling.map(() => most(backoff)),
    doubling,
  );
  for (let i = 0; i < 5_000; i++) t.is(most(backoff), 30_000);
  t.is(most(backoff, 59_999), 30_000, 'a short connection is none');
  t.is(most(backoff, 60_000), 1_000);
  t.is(most(backoff), 2_000);
  fc.assert(
    fc.property(fc.nat(40), fc.double({ min: 0, max: 1, noNaN: true }), (failures, random) => {
      const one = new Backoff({});
      for (let i = 0; i < failures; i++) one.waitMs(0, 0.5);
      const expected = random * Math.min(30_000, 1_000 * 2 ** failures);
      return Math.abs(one.waitMs(0, random) - expected) < 1e-6;
    }),
  );
});

test('S3-8 it tries for ever, at each address in turn, and says why it waits', async (t) => {
  const opened: string[] = [];
  const addresses = ['ws://a', 'ws://b', 'ws://c'];
  const { one, states } = client(t, {
    ...{ addresses, backoffMinMs: 1, backoffMaxMs: 2 },
    openSocket(address) {
      opened.push(address);
      return scripted(undefined);
    },
  });
  one.start();
  await until('it has tried often', () => opened.length >= 40);
  t.deepEqual(opened.slice(0, 39), Array.from({ length: 13 }, () => addresses).flat());
  t.true(states.includes('waiting: 1006'));
});

test('S3-8 F35 after an authentication refusal it stays away, with any other it comes back', async (t) => {
  const refused = client(t, {
    openSocket: () => scripted({ error: { code: 2, message: 'the token is none' } }),
  });
  refused.one.start();
  await until('it is refused', () => refused.one.state === 'refused');
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.deepEqual(
    refused.states.map((state) => state.split(':')[0]),
    ['connecting', 'refused'],
  );
  const other = client(t, {
    openSocket: () => scripted({ error: { code: 15, message: 'not now' } }),
  });
  other.one.start();
  await until('it tries again', () => other.states.length >= 6);
  t.true(other.states.includes('waiting: not now'));
});

test('S3-8 F35 a close that says all went well (1000) is one more after which it comes back', async (t) => {
  const real = await startRealNode(t, createWsServer);
  const { one, states } = client(t, { addresses: [real.url] });
  one.start();
  await until('it is connected', () => one.state === 'connected');
  real.socketOf('ann').end(1000, 'normal closure');
  const names = () => states.map((line) => line.split(':')[0]);
  await until('it is connected again', () => names().length > 2 && one.state === 'connected');
  t.deepEqual(names(), ['connecting', 'connected', 'waiting', 'connecting', 'connected']);
});

test('each connection has a token of its own; one that cannot be had now is asked for again', async (t) => {
  const real = await startRealNode(t, createWsServer);
  const asked: number[] = [];
  const { one, states } = client(t, {
    addresses: [real.url],
    token() {
      asked.push(asked.length);
      if (asked.length === 1) throw new Error('the issuer is away');
      return Promise.resolve(`token ${asked.length}`);
    },
  });
  one.start();
  await until('it is connected', () => one.state === 'connected');
  real.socketOf('ann').end(1012, 'service restart');
  await until('it is asked once more', () => asked.length === 3);
  await until('it is connected again', () => one.state === 'connected');
  t.true(states.includes('waiting: the issuer is away'));
});

test('S3-8 F28 over connections that break at any moment the application sees each message once, in order', async (t) => {
  const real = await startRealNode(t, createWsServer);
  const channels = ['a', 'b', 'c'];
  for (const name of channels) await real.subscribe(group(name), 'ann');
  const { one, texts, states, resumed } = client(t, { addresses: [real.url] });
  one.start();
  await until('it is connected', () => one.channels().length === 3);
  const sent: string[] = [];
  for (let i = 0; i < 600; i++) {
    const name = channels[i % 3]!;
    sent.push(`${name}${i}`);
    await real.publish(group(name), 'bob', `${name}${i}`);
    if (i % 60 === 30) {
      const session = real.core.services.sessions.sessionsOf(uid('ann'))[0];
      // Sometimes in the middle of a burst, sometimes while it is away anyway.
      if (session)
        (session as unknown as { end: (code: number, why: string) => void }).end(1012, '');
    }
  }
  await until('all came', () => texts.length >= sent.length);
  await new Promise((resolve) => setTimeout(resolve, 200));
  for (const name of channels) {
    const of = (all: readonly string[]): string[] => all.filter((text) => text.startsWith(name));
    t.deepEqual(of(texts), of(sent));
  }
  t.true(states.filter((state) => state.startsWith('waiting')).length >= 5);
  t.true(resumed.some(({ replayed, paged }) => replayed + paged > 0));
});

test('what is sent without a connection is sent with the next one, once, and in order; the queue has an end', async (t) => {
  const real = await startRealNode(t, createWsServer);
  await real.subscribe(group('g'), 'ann', 'bob');
  const bob = client(t, { addresses: [real.url], uid: 'bob' });
  bob.one.start();
  await until('bob is there', () => bob.one.channels().length === 1);
  const { one } = client(t, { addresses: [real.url], sendQueueMax: 5 });
  const texts = ['1', '2', '3', '4', '5'];
  const all = texts.map((text) =>
    one.send('g', 2, { payload: base64(text), clientMsgNo: `number ${text}` }),
  );
  await t.throwsAsync(one.send('g', 2, { payload: base64('6') }), { code: 'busy' });
  t.is(one.unsent, 5);
  one.start();
  const seqs = (await Promise.all(all)).map(({ messageSeq }) => messageSeq);
  t.deepEqual(
    seqs,
    seqs.toSorted((a, b) => a - b),
  );
  await until('bob has all', () => bob.texts.length === 5);
  t.deepEqual(bob.texts, texts);
  // The answer was lost with the connection: the retry is the same message.
  await one.send('g', 2, { payload: base64('1'), clientMsgNo: 'number 1' });
  await t.throwsAsync(one.send('g', 2, { payload: base64('x'), clientMsgNo: 'number 1' }), {
    code: 28,
  });
  t.deepEqual(bob.texts, texts);
  const waiting = one.send('g', 2, { payload: base64('7') });
  one.stop();
  await waiting.catch((error: { code: unknown }) => t.is(error.code, 'closed'));
});

test('the conversations of the client are those of the server: unread, preview, read on another device', async (t) => {
  const real = await startRealNode(t, createWsServer);
  await real.subscribe(group('g'), 'ann');
  await real.publish(group('g'), 'bob', 'early');
  const devices = ['phone', 'desk'].map(
    (deviceId) =>
      client(t, { addresses: [real.url], deviceId, onConversations: () => undefined }).one,
  );
  const [phone, desk] = devices as [HoldfastClient, HoldfastClient];
  for (const one of devices) one.start();
  const unread = (): number[] => devices.map((one) => one.conversations.unread());
  await until('both have the first', () => unread().join() === '1,1');
  await real.publish(group('g'), 'bob', 'late');
  await until('both count the second', () => unread().join() === '2,2');
  await phone.send('g', 2, { payload: base64('mine') });
  await until('both show it', () =>
    devices.every((one) => one.conversations.all()[0]?.last.payload === base64('mine')),
  );
  t.deepEqual(unread(), [2, 2]);
  await desk.conversations.read('g', 2);
  await until('both know', () => unread().join() === '0,0');
  await phone.conversations.remove('g', 2);
  await until('it is gone on both', () =>
    devices.every((one) => one.conversations.all().length === 0),
  );
});

test('a client that is told to go elsewhere goes there at once, and to nothing less safe', async (t) => {
  const opened: string[] = [];
  const drain = (next: unknown): object => ({
    method: 'event',
    params: {
      ...{ id: 'e', type: 'lifecycle.drain', timestamp: 1 },
      data: JSON.stringify({ sub_type: 'drain', reconnect: true, next }),
    },
  });
  const { one } = client(t, {
    ...{ addresses: ['wss://a', 'wss://b', 'wss://c'], backoffMinMs: 60_000, backoffMaxMs: 60_000 },
    openSocket(address) {
      opened.push(address);
      if (address === 'wss://z') return scripted(undefined);
      const next = ['ws://plain', 7, 'wss://z', ...(address === 'wss://a' ? ['wss://c'] : [])];
      const said = [{ result: { reasonCode: 1 } }, drain(next)];
      return speaking(said.map((frame, i) => (i === 0 ? { id: '1', ...frame } : frame)));
    },
  });
  one.start();
  await until('it went where it was told to', () => opened.length === 3);
  t.deepEqual(opened, ['wss://a', 'wss://c', 'wss://z'], 'its own first, then the other');
  await until('it waits', () => one.state === 'waiting');
  t.is(opened.length, 3, 'a named one that is not there is no reason to hurry');
});

/** A socket that says all this once it is asked something, and closes. */
function speaking(frames: readonly object[]): ClientSocket {
  const heard: Record<string, ((event: never) => void)[]> = {};
  const tell = (type: string, event: object = {}): void =>
    heard[type]?.forEach((listener) => listener(event as never));
  setTimeout(() => tell('open'), 0);
  let said = false;
  return {
    send() {
      if (said) return;
      said = true;
      setTimeout(() => {
        for (const frame of frames) tell('message', { data: JSON.stringify(frame) });
        tell('close', { code: 1012, reason: 'draining' });
      }, 0);
    },
    close: () => {},
    addEventListener: (type: string, listener: (event: never) => void) =>
      void (heard[type] ??= []).push(listener),
  };
}
