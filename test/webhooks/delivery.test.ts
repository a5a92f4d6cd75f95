import { createHmac } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import { personChannel } from '../../src/core/placement.ts';
import type { PublishRequest } from '../../src/messaging/port.ts';
import { MemoryStoreLocation } from '../../src/storage/memory-store.ts';
import type { WebhookOptions } from '../../src/webhooks/options.ts';
import { group, uid } from '../support/ids.ts';
import { message, RecordingSession, startLoneCore } from '../support/lone-core.ts';
import { testRuntime } from '../support/runtime.ts';
import { until } from '../support/until.ts';
import { endpoint, FakeReceiver, SECRET } from './receiver.ts';

const channel = group('g');

async function startNode(
  t: ExecutionContext,
  options: Partial<WebhookOptions> = {},
  location = new MemoryStoreLocation({ runtime: testRuntime }),
) {
  const receiver = new FakeReceiver();
  const webhooks = { endpoints: [endpoint()], backoffMinMs: 5, backoffMaxMs: 20, ...options };
  const node = await startLoneCore(location, { webhooks, webhookSender: receiver });
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= node.stop());
  t.teardown(stop);
  const { services } = node.core;
  const send = async (text: string, more: Partial<PublishRequest> = {}) => {
    const outcome = await services.publisher.publish({ ...message(channel, 'u', text), ...more });
    if (!outcome.ok) throw new Error(outcome.message);
    return outcome.value;
  };
  const subscribe = (...names: string[]) =>
    services.subscriptions.subscribe({
      ...{ channel, uids: names.map(uid), cause: 'http', waitFor: 'local' },
    });
  return {
    core: node.core,
    webhooks: node.core.webhooks!,
    services,
    receiver,
    location,
    ...{ send, subscribe, stop },
  };
}

test('msg.notify is a signed POST of an array of messages as WuKongIM has them', async (t) => {
  const { send, receiver } = await startNode(t);
  const sent = [await send('one'), await send('two'), await send('three')];
  await until('all were told', () => receiver.ids('msg.notify').length === 3);
  t.deepEqual(
    receiver.ids('msg.notify'),
    sent.map(({ messageId }) => `msg.notify:${messageId}`),
  );
  const { request } = receiver.taken[0]!;
  t.true(request.url.endsWith('/hook?event=msg.notify'));
  const { 'holdfast-timestamp': timestamp, 'holdfast-signature': signature } = request.headers;
  const hmac = createHmac('sha256', SECRET).update(`${timestamp}.${request.body}`).digest('hex');
  t.is(signature, `v1=${hmac}`);
  t.true(request.body.includes(`"message_id":${sent[0]!.messageId}`));
  const [first] = receiver.bodies('msg.notify') as Record<string, unknown>[];
  t.is(first!['message_idstr'], String(sent[0]!.messageId));
  t.is(first!['channel_id'], 'g');
  t.is(first!['from_uid'], 'u');
  t.is(Buffer.from(first!['payload'] as string, 'base64').toString(), 'one');
});

test('what is not stored is not told, and a person channel is named by its other user', async (t) => {
  const { send, receiver } = await startNode(t);
  await send('unheard', { noPersist: true });
  await send('direct', { channel: personChannel(uid('u'), uid('v')) });
  await until('it was told', () => receiver.ids('msg.notify').length > 0);
  const bodies = receiver.bodies('msg.notify') as Record<string, unknown>[];
  t.is(bodies.length, 1);
  t.is(bodies[0]!['channel_id'], 'v');
});

test('msg.offline names the subscribers without a session, the sender left out', async (t) => {
  const { core, send, subscribe, receiver } = await startNode(t);
  await subscribe('u', 'here', 'away', 'gone');
  await core.routing.attach(new RecordingSession('here'));
  await send('hello');
  await send('a command', { syncOnce: true });
  await until('it was told', () => receiver.ids('msg.offline').length > 0);
  await until('both were stored', () => receiver.ids('msg.notify').length === 2);
  const [body, more] = receiver.bodies('msg.offline') as Record<string, unknown>[];
  t.is(more, undefined);
  t.deepEqual((body!['to_uids'] as string[]).toSorted(), ['away', 'gone']);
  t.is(Buffer.from(body!['payload'] as string, 'base64').toString(), 'hello');
});

test('user.onlinestatus counts the sessions of the device and of the user', async (t) => {
  const { core, receiver } = await startNode(t);
  const [phone, page] = [new RecordingSession('u', 0), new RecordingSession('u', 1)];
  await core.routing.attach(phone);
  await core.routing.attach(page);
  core.routing.detach(phone);
  await until('all were told', () => receiver.ids('user.onlinestatus').length === 3);
  t.deepEqual(receiver.bodies('user.onlinestatus'), [
    `u-0-1-${phone.id}-1-1`,
    `u-1-1-${page.id}-1-2`,
    `u-0-0-${phone.id}-0-1`,
  ]);
});

test('subscription.repaired tells what was put right, and nothing of alarms', async (t) => {
  const { core, receiver } = await startNode(t);
  const repair = { layer: 'peers', cause: 'lost-row', channel, uid: uid('u'), wallMs: 5 } as const;
  core.repairs.onRepair({ ...repair, action: 'alarm' });
  core.repairs.onRepair({ ...repair, action: 'restored' });
  await until('it was told', () => receiver.ids('subscription.repaired').length > 0);
  const [body, more] = receiver.bodies('subscription.repaired') as Record<string, unknown>[];
  t.is(more, undefined);
  t.like(body, { uid: 'u', channel_id: 'g', channel_type: 2, action: 'restored', node: 'n1' });
  t.is(body!['id'], receiver.ids('subscription.repaired')[0]);
});

test('a receiver that is down gets everything when it is back, in order, and nothing twice', async (t) => {
  const { send, receiver, webhooks } = await startNode(t, { batchEventsMax: 2 });
  receiver.answer = () => new Error('connection refused');
  for (let i = 0; i < 5; i++) await send(`m${i}`);
  await until('it was tried again', () => receiver.refused > 3);
  const [state] = webhooks.endpoints();
  t.true(state!.waiting >= 5 && state!.failures > 0);
  t.is(state!.lastError, 'connection refused');
  receiver.answer = () => 503;
  receiver.answer = () => 200;
  await until('all were told', () => receiver.ids('msg.notify').length === 5);
  const texts = (receiver.bodies('msg.notify') as { payload: string }[]).map(({ payload }) =>
    Buffer.from(payload, 'base64').toString(),
  );
  t.deepEqual(texts, ['m0', 'm1', 'm2', 'm3', 'm4']);
  await until('nothing waits', () => webhooks.endpoints()[0]!.waiting === 0);
  t.is(webhooks.endpoints()[0]!.failures, 0);
});

test('an event that is refused becomes a dead letter, the others of its batch do not; replayed, it goes', async (t) => {
  const { send, receiver, webhooks } = await startNode(t, { refusalsMax: 2 });
  const isBad = (body: unknown) => JSON.stringify(body).includes(btoa('bad'));
  receiver.answer = (_, body) => (isBad(body) ? 422 : 200);
  await Promise.all(['a', 'bad', 'b', 'c'].map((text) => send(text)));
  await until('the others were told', () => receiver.ids('msg.notify').length === 3);
  const letters = await until('it is a dead letter', async () => {
    const found = (await webhooks.dead('main', '', 10))!;
    return found.some(({ type }) => type === 'msg.notify') ? found : undefined;
  });
  const letter = letters.find(({ type }) => type === 'msg.notify')!;
  t.is(letter.error, 'status 422');
  t.is(await webhooks.dead('nobody', '', 10), undefined);
  t.is(await webhooks.replay('nobody', []), undefined);
  t.is(await webhooks.replay('main', ['msg.notify:1']), 0);
  receiver.answer = () => 200;
  t.is(await webhooks.replay('main', [letter.id]), 1);
  await until('it was told', () => receiver.ids('msg.notify').includes(letter.id));
  t.is(receiver.ids('msg.notify').length, 4);
  t.false((await webhooks.dead('main', '', 10))!.some(({ id }) => id === letter.id));
});

test('dead letters and the queue have a limit; what finds no room is counted', async (t) => {
  const endpoints = [endpoint({ events: ['msg.notify'] })];
  const { send, receiver, webhooks } = await startNode(t, {
    ...{ endpoints, refusalsMax: 1, deadLettersMax: 2, queueEventsMax: 3, backoffMinMs: 1 },
  });
  receiver.answer = () => 400;
  for (let i = 0; i < 3; i++) await send(`m${i}`);
  await until('all were given up', () => webhooks.endpoints()[0]!.waiting === 0);
  t.is((await webhooks.dead('main', '', 10))!.length, 2);
  t.is(webhooks.endpoints()[0]!.dead, 2);
  receiver.answer = () => 500;
  for (let i = 0; i < 5; i++) await send(`m${i}`);
  t.is(webhooks.endpoints()[0]!.waiting, 3);
  t.is(webhooks.endpoints()[0]!.dropped, 2);
});

test('S1-9 message.recalled is told at least once after a crash right behind the acknowledgement', async (t) => {
  const { send, services, receiver, location, stop } = await startNode(t);
  receiver.answer = () => new Error('down');
  const { messageId } = await send('secret');
  const recalled = await services.recalls!.recall({
    ...{ channel, messageId, by: uid('u'), as: 'user', reason: 'typo' },
  });
  t.true(recalled.ok);
  location.crash();
  await stop().catch(() => undefined);

  const second = await startNode(t, { takeoverMs: 10 }, location);
  await until('it was told', () => second.receiver.ids('message.recalled').length > 0);
  t.deepEqual(second.receiver.ids('message.recalled'), [`message.recalled:${messageId}`]);
  const [body] = second.receiver.bodies('message.recalled') as Record<string, unknown>[];
  t.like(body, { by: 'u', role: 'sender', reason: 'typo', message_idstr: String(messageId) });
  t.is(body!['id'], `message.recalled:${messageId}`);
  t.regex(second.receiver.taken[0]!.request.headers['holdfast-signature']!, /^v1=/);
  // The message itself goes out as what is left of it.
  await until('the message was told', () => second.receiver.ids('msg.notify').length > 0);
  t.false(JSON.stringify(second.receiver.taken).includes(btoa('secret')));
});

test('S1-2 a receiver that is down or answers 500 breaks no send and no recall', async (t) => {
  const { send, services, receiver } = await startNode(t, { queueEventsMax: 1 });
  for (const answer of [new Error('down'), 500]) {
    receiver.answer = () => answer;
    const { messageId } = await send('x');
    const outcome = await services.recalls!.recall({
      ...{ channel, messageId, by: uid('u'), as: 'user', reason: '' },
    });
    t.true(outcome.ok);
  }
});
