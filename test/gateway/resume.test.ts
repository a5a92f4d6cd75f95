import test, { type ExecutionContext } from 'ava';
import { WebSocket } from 'ws';
import type { ClientSession } from '../../src/gateway/session/session.ts';
import type { Delivery } from '../../src/messaging/port.ts';
import { startRealNode, type RealNode } from '../audit/real-node.ts';
import { group, uid } from '../support/ids.ts';
import { until } from '../support/until.ts';
import { ADAPTERS } from './fixture.ts';

interface Frame {
  readonly id?: string;
  readonly method?: string;
  readonly params?: { readonly payload: string; readonly messageId: string };
  readonly result?: { readonly resume?: unknown; readonly messages?: readonly Frame[] } & Record<
    string,
    unknown
  >;
  readonly error?: { readonly code: number; readonly message: string };
}

const textOf = ({ params }: Frame): string => Buffer.from(params!.payload, 'base64').toString();

/** Frames as they came, and the answers to requests. */
async function open(t: ExecutionContext, url: string, params: object) {
  const socket = new WebSocket(url);
  t.teardown(() => socket.terminate());
  const frames: Frame[] = [];
  socket.on('message', (data) => frames.push(JSON.parse((data as Buffer).toString()) as Frame));
  await new Promise((resolve) => socket.once('open', resolve));
  let number = 0;
  const ask = async (method: string, more: object = {}): Promise<Frame> => {
    const id = String(++number);
    socket.send(JSON.stringify({ jsonrpc: '2.0', method, id, params: more }));
    const answer = (): Frame | undefined => frames.find((frame) => frame.id === id);
    await until(`${method} is answered`, () => answer() !== undefined);
    return answer()!;
  };
  const connected = await ask('connect', { uid: 'ann', deviceId: 'd', deviceFlag: 1, ...params });
  const texts = (): string[] => frames.filter(({ method }) => method === 'recv').map(textOf);
  const resumed = connected.result?.resume as
    { token: string; snapshot?: string; live: number; channels: unknown[] } | undefined;
  return { socket, frames, ask, texts, resumed, connected };
}

async function withChannels(t: ExecutionContext, real: RealNode, ...names: string[]) {
  for (const name of names) await real.subscribe(group(name), 'ann');
  const first = await open(t, real.url, { resume: '' });
  return { first, token: first.resumed!.token };
}

for (const [name, factory] of ADAPTERS) {
  test(`${name}: who comes back with a token gets what was missed, in order, and nothing of before`, async (t) => {
    const real = await startRealNode(t, factory);
    const { first } = await withChannels(t, real, 'a', 'b', 'c');
    await real.publish(group('a'), 'x', 'before');
    await until('it came', () => first.texts().length === 1);
    const token = (await first.ask('ping')).result!.resume as string;
    first.socket.terminate();
    for (const text of ['1', '2', '3']) await real.publish(group('a'), 'x', `a${text}`);
    await real.publish(group('b'), 'x', 'b1');
    const second = await open(t, real.url, { resume: token });
    await real.publish(group('a'), 'x', 'live');
    await until('all came', () => second.texts().length >= 5);
    t.deepEqual(
      second.texts().filter((text) => text !== 'b1'),
      ['a1', 'a2', 'a3', 'live'],
    );
    t.is(second.resumed!.live, 1);
    t.deepEqual(
      second.resumed!.channels.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
      [
        { channelId: 'a', channelType: 2, status: 'replayed', count: 3 },
        { channelId: 'b', channelType: 2, status: 'replayed', count: 1 },
      ],
    );
    t.is(second.frames[0]!.method, undefined, 'the answer to connect comes before all messages');
    const younger = (await second.ask('ping')).result!.resume as string;
    const third = await open(t, real.url, { resume: younger });
    t.deepEqual([third.resumed!.live, third.resumed!.channels], [3, []]);
  });

  test(`${name}: what came after the token is not sent again to who names it`, async (t) => {
    const real = await startRealNode(t, factory);
    const { first, token } = await withChannels(t, real, 'a');
    for (const text of ['1', '2']) await real.publish(group('a'), 'x', text);
    await until('they came', () => first.texts().length === 2);
    const seen = [first.frames.find(({ method }) => method === 'recv')!.params!.messageId];
    first.socket.terminate();
    const second = await open(t, real.url, { resume: token, seen });
    await until('the other one comes', () => second.texts().length === 1);
    t.deepEqual(second.texts(), ['2']);
  });

  test(`${name}: a channel with too much is paged, and the others are not kept back by it`, async (t) => {
    const real = await startRealNode(t, factory);
    const { first, token } = await withChannels(t, real, 'a', 'b');
    first.socket.terminate();
    const sent = Array.from({ length: 230 }, (_, i) => `${i}`);
    for (const text of sent) await real.publish(group('a'), 'x', text);
    await real.publish(group('b'), 'x', 'b1');
    const second = await open(t, real.url, { resume: token });
    t.deepEqual(second.resumed!.channels.length, 2);
    await until('the small one came', () => second.texts().length === 1);
    const texts: string[] = [];
    let cursor = '';
    for (let page = 0; page < 3; page++) {
      const named = { channelId: 'a', channelType: 2, token, cursor };
      const { result } = await second.ask('resume', named);
      texts.push(...result!.messages!.map(textOf));
      cursor = result!['cursor'] as string;
      t.is(result!['more'], page < 2);
    }
    t.deepEqual([texts, cursor], [sent, '']);
    const bad = { channelId: 'a', channelType: 2, token, cursor: 'no cursor' };
    t.regex((await second.ask('resume', bad)).error!.message, /cursor/);
    const other = { channelId: 'not mine', channelType: 2, token };
    t.regex((await second.ask('resume', other)).error!.message, /not subscribed/);
  });

  test(`F30 ${name}: a forged or foreign token gets a clear answer, a connection and a fresh token`, async (t) => {
    const real = await startRealNode(t, factory);
    const { token } = await withChannels(t, real, 'a');
    const snapshotOf = async (params: object): Promise<string | undefined> => {
      const { resumed } = await open(t, real.url, params);
      t.not(resumed!.token, '');
      return resumed!.snapshot;
    };
    t.is(await snapshotOf({ resume: 'no token' }), 'token-invalid');
    t.is(await snapshotOf({ resume: 'A'.repeat(20_000) }), 'token-invalid');
    t.is(await snapshotOf({ resume: token, uid: 'bob' }), 'token-of-another');
    const { connected } = await open(t, real.url, { resume: 7 });
    t.regex(connected.error!.message, /^resume: expected a string/);
    const seen = await open(t, real.url, { resume: token, seen: ['x'] });
    t.regex(seen.connected.error!.message, /^seen: expected/);
  });

  test(`${name}: a client that asks for no token is answered as ever`, async (t) => {
    const real = await startRealNode(t, factory);
    await real.subscribe(group('a'), 'ann');
    const { connected, ask } = await open(t, real.url, {});
    t.deepEqual(Object.keys(connected.result!).sort(), [
      ...['nodeId', 'reasonCode', 'serverVersion', 'timeDiff'],
    ]);
    t.deepEqual((await ask('ping')).result, {});
  });
}

for (const [name, factory] of ADAPTERS) {
  test(`${name}: who has seen more than the node is served by itself until the node has caught up, none twice`, async (t) => {
    const real = await startRealNode(t, factory);
    const { first, token } = await withChannels(t, real, 'a');
    first.socket.terminate();
    const resumes = real.core.services.resumes!;
    const plain = resumes.resume.bind(resumes);
    const had = new Set(['seen one', 'seen two']);
    const given: Delivery[] = [];
    let done = false;
    resumes.resume = (request) => ({
      ...plain(request),
      filter: {
        passes: (delivery) => {
          given.push(delivery);
          return !had.delete(Buffer.from(delivery.message.payload).toString());
        },
        isDone: () => done,
      },
    });
    const second = await open(t, real.url, { resume: token });
    const session = real.core.services.sessions.sessionsOf(uid('ann')).at(-1) as ClientSession;
    const { socket } = session;
    t.false(socket.isIn(group('a')));
    t.deepEqual([session.hasJoined(group('a')), session.joinedChannels()], [true, [group('a')]]);
    for (const text of ['seen one', 'new', 'seen two']) await real.publish(group('a'), 'x', text);
    had.add('seen one');
    session.deliver(given[0]!);
    t.false(had.has('seen one'), 'what a replay after a repair brings is held to the same');
    await real.subscribe(group('b'), 'ann');
    await real.publish(group('b'), 'x', 'in b');
    await until('what is new came', () => second.texts().length === 2);
    // The token of before names more than this node could name: it stays until the node has caught up.
    t.is(second.resumed!.token, '');
    t.is((await second.ask('ping')).result!.resume, undefined);
    t.false(socket.isIn(group('a')));
    done = true;
    t.is(typeof (await second.ask('ping')).result!.resume, 'string');
    t.true(socket.isIn(group('a')) && socket.isIn(group('b')));
    await real.publish(group('a'), 'x', 'later');
    await until('it comes as to all others', () => second.texts().length === 3);
    t.deepEqual(second.texts(), ['new', 'in b', 'later']);
    second.socket.terminate();
    await until('nothing of it is left', () => real.core.routing.sessionsIn(group('a')) === 0);
    t.deepEqual(real.repairs, []);
  });
}
