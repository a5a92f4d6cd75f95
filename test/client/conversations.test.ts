import test, { type ExecutionContext } from 'ava';
import { WebSocket } from 'ws';
import { HoldfastClient, type ClientOptions } from '../../src/client/client.ts';
import { hash32 } from '../../src/client/channel-list.ts';
import { ConversationStore, type ClientConversation } from '../../src/client/conversations.ts';
import type { Result } from '../../src/client/connection.ts';
import { ClientError } from '../../src/client/options.ts';
import { personChannel } from '../../src/core/placement.ts';
import { createWsServer } from '../../src/gateway/socket-server/ws.ts';
import { startRealNode, type RealNode } from '../audit/real-node.ts';
import { group, uid } from '../support/ids.ts';
import { until } from '../support/until.ts';

const withAnn = (name: string) => personChannel(uid('ann'), uid(name));

/** A device of ann whose connection can be cut. */
function device(t: ExecutionContext, url: string, options: Partial<ClientOptions> = {}) {
  const line: { cut: boolean; socket?: WebSocket } = { cut: false };
  const one = new HoldfastClient({
    ...{ addresses: [url], uid: 'ann', backoffMinMs: 5, backoffMaxMs: 20, pingMs: 60_000 },
    openSocket(address) {
      line.socket = new WebSocket(line.cut ? 'ws://127.0.0.1:1' : address);
      return line.socket;
    },
    onMessage: () => {},
    onConversations: () => {},
    ...options,
  });
  t.teardown(() => one.stop());
  one.start();
  const unread = () =>
    one.conversations
      .all()
      .map((each) => `${each.channelId},${each.unread}`)
      .sort()
      .join(' ');
  const cut = async (): Promise<void> => {
    line.cut = true;
    line.socket!.terminate();
    await until('it is cut off', () => one.state !== 'connected');
  };
  const mend = async (): Promise<void> => {
    line.cut = false;
    await until('it is back', () => one.state === 'connected');
  };
  return { one, unread, cut, mend };
}

async function leave({ core }: RealNode, name: string): Promise<void> {
  const request = { channel: group(name), uids: [uid('ann')], cause: 'admin' } as const;
  await core.services.subscriptions.unsubscribe({ ...request, waitFor: 'local' });
}

test('S4-7 what was deleted, left and read while a device was away is so when it is back', async (t) => {
  const real = await startRealNode(t, createWsServer);
  const conversations = real.core.services.conversations!;
  await real.subscribe(group('g'), 'ann', 'bob');
  const { one, unread, cut, mend } = device(t, real.url);
  await until('it is connected', () => one.state === 'connected');
  for (const name of ['f1', 'f2', 'f3']) await real.publish(withAnn(name), name, 'hi');
  await real.publish(group('g'), 'bob', 'hi');
  await until('all are unread', () => unread() === 'f1,1 f2,1 f3,1 g,1');
  await one.conversations.load();
  await cut();
  t.true((await conversations.hide(uid('ann'), withAnn('f1'))).ok);
  t.true((await conversations.read(uid('ann'), withAnn('f2'))).ok);
  await leave(real, 'g');
  await mend();
  await until('it is as the server has it', () => unread() === 'f2,0 f3,1');
  t.is(one.conversations.unread(), 1);
  // It comes back with a message, on every device.
  await real.publish(withAnn('f1'), 'f1', 'again');
  await until('the deleted one is back', () => unread() === 'f1,1 f2,0 f3,1');
});

test('S4-7 a device that is connected is told at once of what was deleted, and of a channel that was left', async (t) => {
  const real = await startRealNode(t, createWsServer);
  await real.subscribe(group('g'), 'ann', 'bob');
  await real.publish(withAnn('f1'), 'f1', 'hi');
  await real.publish(group('g'), 'bob', 'hi');
  const { unread } = device(t, real.url);
  await until('both are there', () => unread() === 'f1,1 g,1');
  await leave(real, 'g');
  await until('the channel that was left is gone', () => unread() === 'f1,1');
  await real.core.services.conversations!.hide(uid('ann'), withAnn('f1'));
  await until('the deleted one is gone', () => unread() === '');
});

test('a channel that others gave comes with the heartbeat, with what is in it', async (t) => {
  const real = await startRealNode(t, createWsServer);
  await real.subscribe(group('g'), 'bob');
  await real.publish(group('g'), 'bob', 'early');
  const { one, unread } = device(t, real.url, { pingMs: 50 });
  await until('it is connected', () => one.state === 'connected');
  await real.subscribe(group('g'), 'ann');
  await until('it is listed', () => unread() === 'g,0');
});

/** A server that knows the whole list and what changed. */
function scripted(conversationsMax = 1_000) {
  const server = {
    list: [] as ClientConversation[],
    version: 1,
    /** What a list since a version holds. */
    changed: [] as ClientConversation[],
    hasDigest: true,
    refusals: 0,
    meanwhile: () => {},
    asked: [] as string[],
  };
  const request = async (_method: string, params: Result): Promise<Result> => {
    if (server.refusals-- > 0) throw new ClientError(22, 'too many requests');
    const since = Number(params['version']);
    const from = Number(params['after'] === '' ? 0 : params['after']);
    server.asked.push(`${since}/${from}`);
    const all = since === 0 ? server.list : server.changed;
    const to = from + Number(params['limit']);
    const answer = {
      conversations: all.slice(from, to),
      next: to < all.length ? `${to}` : '',
      version: server.version,
      ...(server.hasDigest && from === 0 ? { digest: digestOf(server.list) } : {}),
    };
    await Promise.resolve();
    server.meanwhile();
    return answer;
  };
  const store = new ConversationStore({
    ...{ uid: 'ann', conversationsMax, request, onChange: () => {} },
  });
  const names = () => store.all().map(({ channelId, unread }) => `${channelId},${unread}`);
  return { server, store, names };
}

function conversation(channelId: string, unread: number, messageSeq = 1): ClientConversation {
  const last = {
    ...{ messageId: `${channelId}${messageSeq}`, messageSeq, clientMsgNo: '', timestamp: 1 },
    ...{ channelId, channelType: 2, fromUid: 'bob', payload: '' },
  };
  return { channelId, channelType: 2, unread, readSeq: 0, last };
}

function digestOf(list: readonly ClientConversation[]): string {
  let sum = 0;
  for (const { channelId, unread, readSeq, last } of list) {
    sum += hash32(`2/${channelId}\n${unread}\n${readSeq}\n${last.messageSeq}`);
  }
  return `${list.length}-${(sum % 2 ** 32).toString(16)}`;
}

test('only changes are asked for while the list is the server’s; another digest, or none, reads it whole', async (t) => {
  const { server, store, names } = scripted();
  server.list = [conversation('a', 1), conversation('b', 2)];
  await store.load();
  await store.load();
  t.deepEqual(server.asked.splice(0), ['0/0', '1/0']);
  server.list = [conversation('b', 2)];
  await store.load();
  t.deepEqual([names(), server.asked.splice(0)], [['b,2'], ['1/0', '0/0']]);
  // Read on a node whose clock is behind: no change since the version.
  server.list = [conversation('b', 0)];
  await store.load();
  t.deepEqual(names(), ['b,0']);
  server.asked.splice(0);
  server.hasDigest = false;
  server.list = [];
  await store.load();
  t.deepEqual([names(), server.asked.splice(0)], [[], ['1/0', '0/0']]);
});

test('a list is read in pages up to what is kept, and again where the server says too many requests', async (t) => {
  const { server, store, names } = scripted(250);
  server.list = Array.from({ length: 400 }, (_, i) => conversation(`c${i}`, 1));
  server.refusals = 1;
  await store.load();
  t.is(names().length, 250);
  t.deepEqual(server.asked, ['0/0', '0/100', '0/200']);
});

test('what comes while an answer is on its way is not undone by it', async (t) => {
  const { server, store, names } = scripted();
  server.list = [conversation('a', 1), conversation('b', 1), conversation('c', 1)];
  await store.load();
  // The answer was made before all of this.
  server.changed = server.list;
  server.meanwhile = () => {
    server.meanwhile = () => {};
    const event = { id: '', type: 'conversation.updated', timestampMs: 0 };
    store.event({ ...event, data: { channelId: 'a', channelType: 2, deleted: true } });
    const read = { channelId: 'b', channelType: 2, unread: 0, readSeq: 1 };
    store.event({ ...event, data: read });
    store.received(conversation('c', 0, 2).last);
    store.received(conversation('d', 0, 1).last);
    server.list = [
      { ...conversation('b', 0), readSeq: 1 },
      conversation('c', 2, 2),
      conversation('d', 1),
    ];
    server.changed = server.list.slice(1);
  };
  await store.load();
  t.deepEqual(names().sort(), ['b,0', 'c,2', 'd,1']);
  t.is(server.asked.at(-1), '1/0', 'once more, and that was it');
});

test('what begins while the whole list is read stays on it', async (t) => {
  const { server, store, names } = scripted();
  server.list = [conversation('a', 1)];
  server.meanwhile = () => {
    server.meanwhile = () => {};
    store.received(conversation('b', 0, 2).last);
    server.list = [conversation('b', 1, 2), conversation('a', 1)];
    server.changed = [conversation('b', 1, 2)];
  };
  await store.load();
  t.deepEqual(names().sort(), ['a,1', 'b,1']);
  t.deepEqual(server.asked, ['0/0', '1/0']);
});

test('a message that the server had counted before it came counts once; one that came late is asked for', async (t) => {
  const { server, store, names } = scripted();
  server.list = [conversation('a', 2, 98)];
  await store.load();
  store.received(conversation('a', 0, 98).last);
  store.received(conversation('a', 0, 130).last);
  store.received(conversation('a', 0, 129).last);
  t.deepEqual(names(), ['a,4']);
  // Out of a partition: the server counts it now, the client cannot tell it from one that it knew.
  store.received(conversation('a', 0, 66).last);
  server.list = [conversation('a', 5, 130)];
  server.changed = server.list;
  t.deepEqual(names(), ['a,4']);
  await until('it asked', () => names()[0] === 'a,5');
  t.deepEqual(server.asked, ['0/0', '1/0'], 'once for both');
});
