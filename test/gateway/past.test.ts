import test, { type ExecutionContext } from 'ava';
import { REASON } from '../../src/core/reason-code.ts';
import { ClientGateway, type ClientGatewayOptions } from '../../src/gateway/gateway.ts';
import type { ClientSession } from '../../src/gateway/session/session.ts';
import { createWsServer } from '../../src/gateway/socket-server/ws.ts';
import type { NodeCore } from '../../src/node/core.ts';
import { silentLog } from '../../src/observability/log.ts';
import { systemRuntime } from '../../src/runtime/system.ts';
import { EasyClient } from '../support/clients/easy-client.ts';
import { group, uid } from '../support/ids.ts';
import { message, startLoneCore, type LoneOptions } from '../support/lone-core.ts';
import { until } from '../support/until.ts';

interface PastMessage {
  readonly messageId: string;
  readonly messageSeq: number;
  readonly channelId: string;
  readonly fromUid: string;
  readonly payload: string;
  readonly recall?: Readonly<Record<string, unknown>>;
}

interface ListedConversation {
  readonly channelId: string;
  readonly unread: number;
  readonly readSeq: number;
  readonly version: number;
  readonly last: PastMessage;
}

interface Answered {
  readonly messages: readonly PastMessage[];
  readonly more: boolean;
  readonly nextSeq: number;
  readonly conversations: readonly ListedConversation[];
  readonly next: string;
  readonly version: number;
  readonly recall: Readonly<Record<string, unknown>>;
  readonly reasonCode: number;
  readonly repeated: boolean;
}

/** A gateway over a node's own core. */
async function startNode(
  t: ExecutionContext,
  limits: ClientGatewayOptions['limits'] = {},
  options: LoneOptions = {},
) {
  let core: NodeCore | undefined;
  const gateway = new ClientGateway({
    services: () => core!.services,
    runtime: systemRuntime,
    log: silentLog,
    socketServerFactory: createWsServer,
    auth: 'none',
    nodeId: 1n,
    limits,
  });
  const node = await startLoneCore(undefined, { ...options, fanout: gateway.fanout });
  core = node.core;
  const port = await gateway.start('127.0.0.1', 0);
  t.teardown(async () => {
    await gateway.stop(1000);
    await node.stop();
  });
  const connect = async (name: string): Promise<EasyClient> => {
    const client = new EasyClient({ url: `ws://127.0.0.1:${port}`, uid: name });
    t.teardown(() => client.stop());
    await client.connect();
    return client;
  };
  return { connect, core, gateway };
}

async function ask(client: EasyClient, method: string, params: object): Promise<Answered> {
  const { result, error } = await client.request(method, { ...params });
  if (error) throw new Error(`${error.code} ${error.message}`);
  return result as unknown as Answered;
}

async function refusal(client: EasyClient, method: string, params: object): Promise<number> {
  const { error } = await client.request(method, { ...params });
  return error?.code ?? REASON.success;
}

function texts({ messages }: Answered): readonly string[] {
  return messages.map(({ payload }) => Buffer.from(payload, 'base64').toString());
}

const group2 = { channelId: 'g', channelType: 2 };

test('a member reads the history of a channel both ways; a stranger and a former member do not', async (t) => {
  const { connect } = await startNode(t);
  const [ada, eve] = [await connect('ada'), await connect('eve')];
  await ada.subscribe('g');
  for (const text of ['1', '2', '3', '4', '5']) await ada.send('g', 2, text);
  await ada.send('g', 2, 'a command', { header: { syncOnce: true } });
  const latest = await ask(ada, 'history', { ...group2, limit: 2 });
  t.deepEqual([texts(latest), latest.more], [['4', '5'], true]);
  const older = await ask(ada, 'history', { ...group2, startSeq: latest.nextSeq });
  t.deepEqual([texts(older), older.more, older.nextSeq], [['1', '2', '3'], false, 0]);
  const up = { ...group2, startSeq: 2, endSeq: 4, direction: 'up' };
  t.deepEqual(texts(await ask(ada, 'history', up)), ['2', '3']);
  t.like(latest.messages[0], { fromUid: 'ada', channelId: 'g', messageSeq: 4 });
  t.is(await refusal(eve, 'history', group2), REASON.subscriberMissing);
  await ada.unsubscribe('g');
  t.is(await refusal(ada, 'history', group2), REASON.subscriberMissing);
});

test('each of two reads their own history, and nobody else', async (t) => {
  const { connect } = await startNode(t);
  const [ada, ben, eve] = [await connect('ada'), await connect('ben'), await connect('eve')];
  await ada.send('ben', 1, 'hello');
  const ofBen = await ask(ben, 'history', { channelId: 'ada', channelType: 1 });
  t.deepEqual([texts(ofBen), ofBen.messages[0]!.channelId], [['hello'], 'ada']);
  t.deepEqual(texts(await ask(eve, 'history', { channelId: 'ada', channelType: 1 })), []);
  const pair = { channelId: 'ada@ben', channelType: 1 };
  t.is(await refusal(eve, 'history', pair), REASON.channelIdInvalid);
});

test('a page ends at its messages and at its bytes', async (t) => {
  const { connect, core } = await startNode(t, { pageMax: 3, pageBytesMax: 1000 });
  const ada = await connect('ada');
  await ada.subscribe('g');
  for (let n = 0; n < 5; n++) await ada.send('g', 2, `${n}`);
  t.is((await ask(ada, 'history', { ...group2, limit: 1000 })).messages.length, 3);
  for (let n = 0; n < 3; n++) {
    await core.services.publisher.publish(message(group('g'), 'ada', 'x'.repeat(600)));
  }
  const page = await ask(ada, 'history', group2);
  t.deepEqual([page.messages.length, page.more], [2, true]);
});

test('S1-3 S1-7 a client recalls its own message and is told why it may not another', async (t) => {
  const { connect, core } = await startNode(
    t,
    {},
    { recallWindowMs: (type) => (type === 2 ? 60_000 : -1) },
  );
  const [ada, ben] = [await connect('ada'), await connect('ben')];
  for (const client of [ada, ben]) await client.subscribe('g');
  const sent = await ada.send('g', 2, 'secret');
  const { messageId } = sent;
  t.is(await refusal(ben, 'recall', { ...group2, messageId }), REASON.recallDenied);
  const missing = { ...group2, messageId: '4000000000000000001' };
  t.is(await refusal(ada, 'recall', missing), REASON.messageMissing);
  const direct = await ada.send('ben', 1, 'too late');
  const late = { channelId: 'ben', channelType: 1, messageId: direct.messageId };
  t.is(await refusal(ada, 'recall', late), REASON.recallExpired);
  const done = await ask(ada, 'recall', { ...group2, messageId, reason: 'typo' });
  t.like(done, { reasonCode: 1, repeated: false, recall: { by: 'ada', role: 'sender' } });
  t.like(await ask(ada, 'recall', { ...group2, messageId }), { repeated: true });
  const [tombstone] = (await ask(ben, 'history', group2)).messages;
  t.like(tombstone, { messageId, payload: '', recall: { by: 'ada', reason: 'typo' } });
  await until('both are told', () => ada.events.length > 0 && ben.events.length > 0);
  t.is(ben.events.filter(({ type }) => type === 'message.recalled').length, 1);
  await core.services.directory.setChannel(group('g'), { managers: [uid('ben')] }, {});
  const second = await ada.send('g', 2, 'rude');
  const byManager = await ask(ben, 'recall', { ...group2, messageId: second.messageId });
  t.like(byManager, { recall: { by: 'ben', role: 'manager' } });
});

test('a client recalls its message by its own number of it', async (t) => {
  const { connect } = await startNode(t);
  const [ada, ben] = [await connect('ada'), await connect('ben')];
  for (const client of [ada, ben]) await client.subscribe('g');
  const { messageId } = await ada.send('g', 2, 'oops', { clientMsgNo: 'n1' });
  const byNumber = { ...group2, clientMsgNo: 'n1' };
  t.is(
    await refusal(ben, 'recall', byNumber),
    REASON.messageMissing,
    'the number is of its sender',
  );
  t.like(await ask(ada, 'recall', byNumber), { messageId, reasonCode: 1 });
});

test('conversations come in pages, the newest first; then only what changed', async (t) => {
  const { connect } = await startNode(t);
  const [ada, ben] = [await connect('ada'), await connect('ben')];
  const names = ['u1', 'u2', 'u3', 'u4', 'u5'];
  for (const name of names) await ada.send(name, 1, `to ${name}`);
  const seen: string[] = [];
  let page = await ask(ada, 'conversations', { limit: 2 });
  const { version } = page;
  for (;;) {
    seen.push(...page.conversations.map(({ channelId }) => channelId));
    if (!page.more) break;
    page = await ask(ada, 'conversations', { limit: 2, after: page.next });
  }
  t.deepEqual(seen.toSorted(), names);
  t.deepEqual((await ask(ada, 'conversations', { version })).conversations, []);
  await ben.send('ada', 1, 'hi');
  const { conversations } = await ask(ada, 'conversations', { version });
  t.is(conversations.length, 1);
  t.like(conversations[0], { channelId: 'ben', unread: 1, last: { fromUid: 'ben' } });
  t.is(await refusal(ada, 'conversations', { after: 'nonsense' }), REASON.payloadDecode);
});

test('read, set unread and delete change the conversation of the one who asks', async (t) => {
  const { connect } = await startNode(t);
  const [ada, ben] = [await connect('ada'), await connect('ben')];
  const first = await ada.send('ben', 1, 'one');
  await ada.send('ben', 1, 'two');
  const place = { channelId: 'ada', channelType: 1 };
  const unreadOf = async (): Promise<readonly number[]> =>
    (await ask(ben, 'conversations', {})).conversations.map(({ unread }) => unread);
  t.deepEqual(await unreadOf(), [2]);
  t.is((await ask(ben, 'read', { ...place, messageSeq: first.messageSeq })).reasonCode, 1);
  t.deepEqual(await unreadOf(), [1]);
  await ask(ben, 'read', place);
  t.deepEqual(await unreadOf(), [0]);
  await ask(ben, 'read', { ...place, unread: 7 });
  t.deepEqual(await unreadOf(), [7]);
  await ask(ben, 'read', { ...place, deleted: true });
  t.deepEqual(await unreadOf(), []);
  t.is((await ask(ada, 'conversations', {})).conversations.length, 1, 'the other one keeps theirs');
  t.is(await refusal(ben, 'read', group2), REASON.subscriberMissing);
});

test('more requests than allowed are refused with reason 22, and other frames go on', async (t) => {
  const { connect } = await startNode(t, { queriesPerSecondMax: 2 });
  const ada = await connect('ada');
  await ada.subscribe('g');
  const codes = await Promise.all(
    Array.from({ length: 10 }, () => refusal(ada, 'history', group2)),
  );
  t.true(codes.filter((code) => code === REASON.rateLimited).length >= 5);
  t.true(codes.filter((code) => code === REASON.success).length >= 4);
  t.is((await ada.send('g', 2, 'x')).reasonCode, 1);
});

test('who does not read what was sent gets an error and no page', async (t) => {
  const { connect, core } = await startNode(t, { queueSoftBytesMax: 64 * 1024 });
  const ada = await connect('ada');
  await ada.subscribe('g');
  const [session] = core.services.sessions.sessionsOf(uid('ada')) as [ClientSession];
  const unsent = pretendUnsent(session.socket, 40 * 1024);
  t.is(await refusal(ada, 'history', group2), REASON.rateLimited);
  unsent.restore();
  t.is(await refusal(ada, 'history', group2), REASON.success);
});

/** What a socket says to be unsent, until it is put back. */
function pretendUnsent(socket: { bufferedBytes(): number }, bytes: number): { restore(): void } {
  const before = socket.bufferedBytes.bind(socket);
  socket.bufferedBytes = () => bytes;
  return { restore: () => void (socket.bufferedBytes = before) };
}

test('a wrong request says which field', async (t) => {
  const { connect } = await startNode(t);
  const ada = await connect('ada');
  const cases: readonly (readonly [string, object, RegExp])[] = [
    ['history', { channelType: 2 }, /channelId: expected a string/],
    ['history', { ...group2, direction: 'left' }, /direction: expected down or up/],
    ['history', { ...group2, limit: -1 }, /limit: expected an integer/],
    ['recall', group2, /messageId: expected one/],
    ['recall', { ...group2, messageId: '9'.repeat(19) }, /messageId: .*int64/],
    ['recall', { ...group2, messageId: '1', reason: 'x'.repeat(300) }, /reason: 300 characters/],
    ['conversations', { onlyUnread: 1 }, /onlyUnread: expected true or false/],
    ['read', { ...group2, unread: 'x' }, /unread: expected an integer/],
  ];
  for (const [method, params, message] of cases) {
    const { error } = await ada.request(method, { ...params });
    t.regex(error?.message ?? '', message, method);
  }
  t.is((await ada.send('g', 2, 'x')).reasonCode, 1, 'the connection stays');
});
