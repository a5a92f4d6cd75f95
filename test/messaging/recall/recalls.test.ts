import test, { type ExecutionContext } from 'ava';
import { EMPTY_CONTEXT } from '../../../src/core/context.ts';
import type { ChannelKey } from '../../../src/core/ids.ts';
import { encodeMessage } from '../../../src/core/kinds/message.ts';
import { personChannel, shardOf } from '../../../src/core/placement.ts';
import { REASON, type Outcome } from '../../../src/core/reason-code.ts';
import { messageKey } from '../../../src/core/row-key.ts';
import { composeMessageId } from '../../../src/core/sequence.ts';
import type { ClientEvent, Delivery, PublishRequest } from '../../../src/messaging/port.ts';
import type { RecallRequest, RecallResult } from '../../../src/messaging/recall/port.ts';
import { MessageFinder } from '../../../src/messaging/recall/find-message.ts';
import { group, uid } from '../../support/ids.ts';
import { message, startLoneCore, type LoneOptions } from '../../support/lone-core.ts';

const channel = group('g');

async function startNode(t: ExecutionContext, options: LoneOptions = {}) {
  const deliveries: Delivery[] = [];
  const events: { readonly channel: ChannelKey; readonly event: ClientEvent }[] = [];
  const fanout = {
    deliver: (delivery: Delivery) => void deliveries.push(delivery),
    notify: () => {},
    announce: (to: ChannelKey, eventFor: (channelId: string) => ClientEvent) =>
      void events.push({ channel: to, event: eventFor('as-seen') }),
  };
  const node = await startLoneCore(undefined, { fanout, ...options });
  t.teardown(node.stop);
  const { services } = node.core;
  const send = async (text: string, more: Partial<PublishRequest> = {}) => {
    const outcome = await services.publisher.publish({ ...message(channel, 'u', text), ...more });
    if (!outcome.ok) throw new Error(outcome.message);
    return outcome.value;
  };
  const recall = (request: Partial<RecallRequest>): Promise<Outcome<RecallResult>> =>
    services.recalls!.recall({
      ...{ channel, messageId: undefined, by: uid('u'), as: 'user', reason: '' },
      ...request,
    });
  const history = (of: ChannelKey = channel) =>
    services.history!.page({ channel: of, startSeq: 0, endSeq: 0, limit: 100, direction: 'down' });
  return { node, services, deliveries, events, send, recall, history };
}

function codeOf(outcome: Outcome<unknown>): number {
  return outcome.ok ? 1 : outcome.code;
}

test('S1-3 not found, permission denied and window expired are three errors; twice is OK', async (t) => {
  const { services, send, recall, events, history } = await startNode(t, {
    recallWindowMs: (type) => (type === 2 ? 60_000 : -1),
  });
  const { messageId } = await send('mine');
  await services.subscriptions.subscribe({
    ...{ channel, uids: [uid('member')], cause: 'http', waitFor: 'local' },
  });
  const missing = 4_000_000_000_000_000_001n;
  const member = { by: uid('member') };
  t.is(codeOf(await recall({ messageId: missing, ...member })), REASON.messageMissing);
  t.is(codeOf(await recall({ messageId: missing, as: 'api' })), REASON.messageMissing);
  t.is(codeOf(await recall({ messageId, ...member })), REASON.recallDenied);
  // A stranger does not learn what exists.
  t.is(codeOf(await recall({ messageId: missing, by: uid('stranger') })), REASON.recallDenied);
  const direct = personChannel(uid('u'), uid('v'));
  const late = await send('late', { channel: direct });
  const window = await recall({ channel: direct, messageId: late.messageId });
  t.is(codeOf(window), REASON.recallExpired);
  t.is(events.length, 0);

  const first = await recall({ messageId, reason: 'typo' });
  t.true(first.ok && !first.value.repeated);
  const again = await recall({ messageId, reason: 'other' });
  t.true(again.ok && again.value.repeated);
  if (!first.ok || !again.ok) return;
  t.deepEqual(again.value.recall, first.value.recall);
  t.is(again.value.recall.reason, 'typo');
  t.deepEqual((await history()).messages[0]!.recall, first.value.recall);
  t.is(events.length, 1);
});

test('S1-7 the sender within the window of the channel type; owner, manager and API at any time', async (t) => {
  const { services, send, recall, history } = await startNode(t, { recallWindowMs: () => -1 });
  const roles = { owner: uid('boss'), managers: [uid('left'), uid('right')] };
  await services.directory.setChannel(channel, { join: 'open', ...roles }, {});
  const ask = async (request: Partial<RecallRequest>): Promise<string> => {
    const { messageId } = await send('said');
    const outcome = await recall({ messageId, ...request });
    return outcome.ok ? outcome.value.recall.role : String(outcome.code);
  };
  t.is(await ask({}), '103');
  t.is(await ask({ by: uid('boss') }), 'owner');
  t.is(await ask({ by: uid('right') }), 'manager');
  t.is(await ask({ by: '', as: 'api' }), 'api');
  t.is(await ask({ by: uid('other') }), '102');
  // The owner is one also for what she wrote herself.
  const { messageId } = await send('own', { sender: uid('boss') });
  const own = await recall({ messageId, by: uid('boss') });
  t.true(own.ok && own.value.recall.role === 'owner');
  const { messages } = await history();
  t.deepEqual(
    messages.map(({ recall: by }) => by?.role),
    [undefined, 'owner', 'manager', 'api', undefined, 'owner'],
  );
});

test('S1-7 a sender recalls for 120 s unless configured, by the clock of the server', async (t) => {
  const { node, recall } = await startNode(t);
  const { replica } = node.core;
  const now = Math.floor(Date.now() / 1000);
  const ages = [0, 118, 122, 86_400];
  const drafts = ages.map((age, i) => ({
    ...{ key: messageKey(channel, i + 1, replica.actor), tag: 0, context: EMPTY_CONTEXT },
    value: encodeMessage({
      ...{ messageId: BigInt(i + 1), messageSeq: i + 1, clientMsgNo: '', fromUid: uid('u') },
      ...{ timestamp: now - age, payload: new Uint8Array([1]), noPersist: false, redDot: true },
      ...{ syncOnce: false, setting: 0, topic: '', expire: 0 },
    }),
  }));
  replica.submit(shardOf(channel), drafts);
  const codes: number[] = [];
  for (const at of ages.keys()) codes.push(codeOf(await recall({ messageId: BigInt(at + 1) })));
  t.deepEqual(codes, [1, 1, REASON.recallExpired, REASON.recallExpired]);
});

test('S1-6 a read at once after the recall shows a tombstone in its place', async (t) => {
  const { send, recall, history } = await startNode(t);
  await send('before');
  const said = await send('said', { topic: 'what it is about' });
  await send('after');
  const done = recall({ messageId: said.messageId, messageSeq: said.messageSeq });
  t.true((await done).ok);
  const [, tombstone] = (await history()).messages;
  t.is(tombstone!.messageId, said.messageId);
  t.is(tombstone!.messageSeq, 2);
  t.is(tombstone!.payload.length, 0);
  t.is(tombstone!.topic, '');
  t.like(tombstone!.recall, { by: 'u', role: 'sender', reason: '' });
});

test('S1-5 one event and one command message, told when it is on disk; a retry tells nothing', async (t) => {
  const { send, recall, events, deliveries } = await startNode(t);
  const { messageId, messageSeq } = await send('said');
  const outcomes = await Promise.all([
    recall({ messageId, reason: 'typo' }),
    recall({ messageId, messageSeq }),
    recall({ messageId, as: 'api', by: '' }),
  ]);
  t.true(outcomes.every(({ ok }) => ok));
  t.is(events.length, 1);
  const { event } = events[0]!;
  t.is(event.type, 'message.recalled');
  t.like(event.data, { channelId: 'as-seen', channelType: 2, messageId: String(messageId) });
  t.like(event.data, { messageSeq, by: 'u', role: 'sender', at: event.timestampMs });
  t.is(deliveries.length, 2);
  const command = deliveries[1]!.message;
  t.like(command, { syncOnce: true, noPersist: false, redDot: false, messageSeq: 0 });
  t.not(command.messageId, messageId);
  t.true(command.messageId > 0n && command.messageId < 2n ** 63n);
  t.deepEqual(JSON.parse(new TextDecoder().decode(command.payload)), {
    ...{ type: 99, cmd: 'messageRevoke', param: { message_id: String(messageId) } },
  });
});

test('S1-2 a recall needs nothing but the store of its node: what tells of it may fail', async (t) => {
  const broken = (): never => {
    throw new Error('a listener that always fails');
  };
  const fanout = { deliver: () => {}, notify: broken, announce: broken };
  const { send, recall, history } = await startNode(t, { fanout });
  const { messageId } = await send('said');
  t.true((await recall({ messageId })).ok);
  t.is((await history()).messages[0]!.recall!.role, 'sender');
});

test('a message is found by its seq, its send key, or its id alone', async (t) => {
  const { send, recall } = await startNode(t);
  for (let i = 0; i < 40; i++) await send(`m${i}`, { clientMsgNo: `n-${i}` });
  const target = await send('here', { clientMsgNo: 'mine' });
  for (let i = 40; i < 80; i++) await send(`m${i}`, { clientMsgNo: `n-${i}` });
  const { messageId, messageSeq } = target;
  const wrong = await recall({ messageId: messageId + 1n, messageSeq, by: uid('u'), as: 'api' });
  t.is(codeOf(wrong), REASON.messageMissing);
  const byKey = await recall({ clientMsgNo: 'n-50', sender: uid('u') });
  t.true(byKey.ok && byKey.value.messageSeq === 52);
  const byId = await recall({ messageId });
  t.true(byId.ok && byId.value.messageSeq === messageSeq);
  const bySeq = await recall({ messageId, messageSeq });
  t.true(bySeq.ok && bySeq.value.repeated);
  const nothing = await recall({ clientMsgNo: 'unknown', sender: uid('u'), as: 'api' });
  t.is(codeOf(nothing), REASON.messageMissing);
});

test('an id is found where its time points, and a bound ends the search for one that is not there', async (t) => {
  const { node, send } = await startNode(t);
  const ids: bigint[] = [];
  for (let i = 0; i < 200; i++) ids.push((await send(`m${i}`)).messageId);
  let rows = 0;
  const store = {
    async *scan(range: Parameters<typeof node.store.scan>[0]) {
      for await (const chunk of node.store.scan(range)) {
        rows += chunk.length;
        yield chunk;
      }
    },
  };
  const bounds = { windowRows: 8, newestRows: 20 };
  const finder = new MessageFinder({ store, replica: node.core.replica, ...bounds });
  const request = { channel, by: '' as const, as: 'api' as const, reason: '' };
  for (const at of [0, 1, 99, 150, 199]) {
    const found = await finder.find({ ...request, messageId: ids[at]! });
    t.is(found?.message.messageSeq, at + 1);
  }
  rows = 0;
  const absent = composeMessageId(1_600_000_000_000, 3, 7);
  t.is(await finder.find({ ...request, messageId: absent }), undefined);
  t.true(rows <= 8 + 8 + 20 + 20, `${rows} rows`);
});
