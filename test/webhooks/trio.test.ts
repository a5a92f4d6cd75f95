import test, { type ExecutionContext } from 'ava';
import type { WebhookRequest, WebhookSender } from '../../src/webhooks/port.ts';
import { startCoreTrio, type TrioCore } from '../support/core-trio.ts';
import { group, uid } from '../support/ids.ts';
import { message, RecordingSession } from '../support/lone-core.ts';
import { until } from '../support/until.ts';
import { endpoint, FakeReceiver } from './receiver.ts';

const channel = group('g');

/** Three nodes and one receiver; each request is noted with the node that made it. */
async function startTrio(t: ExecutionContext) {
  const receiver = new FakeReceiver();
  const by: number[] = [];
  const senderOf = (index: number): WebhookSender => ({
    async post(request: WebhookRequest) {
      const before = receiver.taken.length;
      const status = await receiver.post(request);
      if (receiver.taken.length > before) by.push(index);
      return status;
    },
    close: () => {},
  });
  const webhooks = {
    endpoints: [endpoint()],
    ...{ backoffMinMs: 5, backoffMaxMs: 50, takeoverMs: 2_500 },
  };
  const trio = await startCoreTrio(t, { webhooks, webhookSenderOf: senderOf });
  return { ...trio, receiver, by };
}

async function sendAt({ core }: TrioCore, text: string): Promise<bigint> {
  const outcome = await core.services.publisher.publish(message(channel, 'u', text));
  if (!outcome.ok) throw new Error(outcome.message);
  return outcome.value.messageId;
}

/** `uid-flag-0|1-session-ofDevice-total`, as they came. */
function statusesOf(receiver: FakeReceiver): readonly string[] {
  return receiver.bodies('user.onlinestatus').map(String);
}

function idle(nodes: readonly TrioCore[]): Promise<unknown> {
  return until('nothing waits anywhere', () =>
    nodes.every(({ core }) => {
      const [state] = core.webhooks!.endpoints();
      return state!.waiting + state!.copies === 0;
    }),
  );
}

test('each event of three nodes is told once, by the node that it came from, and kept by none', async (t) => {
  const { nodes, receiver, by } = await startTrio(t);
  const ids = await Promise.all(nodes.map((node, index) => sendAt(node, `from ${index}`)));
  const recalled = await nodes[1]!.core.services.recalls!.recall({
    ...{ channel, messageId: ids[0]!, by: uid('u'), as: 'api', reason: '' },
  });
  t.true(recalled.ok);
  await nodes[2]!.core.routing.attach(new RecordingSession('u'));
  await until('all were told', () => receiver.taken.length >= 5);
  await idle(nodes);
  t.deepEqual(
    receiver.ids('msg.notify').toSorted(),
    ids.map((id) => `msg.notify:${id}`).toSorted(),
  );
  t.deepEqual(receiver.ids('message.recalled'), [`message.recalled:${ids[0]}`]);
  t.is(receiver.ids('user.onlinestatus').length, 1);
  for (const [index, { type, ids: told }] of receiver.taken.entries()) {
    if (type === 'message.recalled') t.is(by[index], 1);
    if (type === 'user.onlinestatus') t.is(by[index], 2);
    if (type === 'msg.notify')
      t.is(
        by[index],
        ids.findIndex((id) => told[0]!.endsWith(`${id}`)),
      );
  }
});

test('S1-9 what a dead node had not delivered is taken over by the others, each event by one', async (t) => {
  const { nodes, network, receiver, by } = await startTrio(t);
  const [first, ...others] = nodes;
  receiver.answer = () => 503;
  const ids: bigint[] = [];
  for (let i = 0; i < 20; i++) ids.push(await sendAt(first!, `m${i}`));
  const recalled = await first!.core.services.recalls!.recall({
    ...{ channel, messageId: ids[0]!, by: uid('u'), as: 'api', reason: '' },
  });
  t.true(recalled.ok);
  await first!.core.routing.attach(new RecordingSession('u'));
  // What of it is for nobody, 20 of msg.offline, is settled whenever the backoff lets that lane have its turn.
  await until('the others know', () => {
    const { waiting } = first!.core.webhooks!.endpoints()[0]!;
    return (
      (waiting === 22 || waiting === 42) &&
      others.every(({ core }) => core.webhooks!.endpoints()[0]!.copies === waiting)
    );
  });
  const [one, two, three] = nodes.map(({ core }) => core.self.id);
  first!.core.webhooks!.stop();
  network.partition(one!, two!);
  network.partition(one!, three!);
  receiver.answer = () => 200;
  await until('all were told', () => receiver.ids('msg.notify').length >= 20, 20_000);
  await idle(others);
  t.deepEqual(
    receiver.ids('msg.notify').toSorted(),
    ids.map((id) => `msg.notify:${id}`).toSorted(),
  );
  t.deepEqual(receiver.ids('message.recalled'), [`message.recalled:${ids[0]}`]);
  t.is(statusesOf(receiver).filter((text) => /^u-\d+-1-/.test(text)).length, 1);
  t.deepEqual(
    [1, 2, 3].filter((k) => by.includes(k)),
    [1, 2],
  );
});

test('what waits at a node that is being drained is told by another at once, and by it no more', async (t) => {
  const { nodes, receiver, by } = await startTrio(t);
  receiver.answer = () => 500;
  const id = await sendAt(nodes[0]!, 'waits');
  await until('the others have it', () =>
    nodes.every(
      ({ core }) =>
        core.webhooks!.endpoints()[0]!.waiting + core.webhooks!.endpoints()[0]!.copies > 0,
    ),
  );
  await nodes[0]!.core.webhooks!.leave();
  receiver.answer = () => 200;
  await until('it was told', () => receiver.ids('msg.notify').includes(`msg.notify:${id}`));
  t.true(by[0] === 1 || by[0] === 2);
  t.is(by.length, 1);
  nodes[0]!.core.webhooks!.stay();
  const next = await sendAt(nodes[0]!, 'after the drain was called off');
  await until('it tells again', () => receiver.ids('msg.notify').includes(`msg.notify:${next}`));
  t.is(by[1], 0);
});

test('F17 who goes offline with a node that dies is told of once, by one of the others', async (t) => {
  const { nodes, receiver, by } = await startTrio(t);
  const [first, second, third] = nodes;
  await first!.core.routing.attach(new RecordingSession('ann'));
  await first!.core.routing.attach(new RecordingSession('bob'));
  await second!.core.routing.attach(new RecordingSession('bob'));
  const isThere = ({ core }: TrioCore, name: string, times: number): boolean =>
    core.services.sessions.online(uid(name)).length === times;
  await until('all know', () => nodes.every((node) => isThere(node, 'bob', 2)));
  await until('all three were told of', () => receiver.ids('user.onlinestatus').length === 3);
  await first!.core.stop();
  await until('their sessions are gone with it', () =>
    [second!, third!].every((node) => isThere(node, 'ann', 0) && isThere(node, 'bob', 1)),
  );
  await until('it was told', () => receiver.ids('user.onlinestatus').length >= 5, 20_000);
  await idle([second!, third!]);
  const told = statusesOf(receiver).slice(3).toSorted();
  t.is(told.length, 2);
  t.regex(told[0]!, /^ann-\d+-0-\d+-0-0$/);
  t.regex(told[1]!, /^bob-\d+-0-\d+-1-1$/);
  t.false(by.slice(3).includes(0));
});

test('F13 who was only cut off is told of as offline, and as online once the node is heard again', async (t) => {
  const { nodes, network, receiver } = await startTrio(t);
  const [first, second, third] = nodes;
  await first!.core.routing.attach(new RecordingSession('ann'));
  await until('it is known', () =>
    [second!, third!].every(({ core }) => core.services.sessions.online(uid('ann')).length === 1),
  );
  await until('told of', () => receiver.ids('user.onlinestatus').length === 1);
  const [one, two, three] = nodes.map(({ core }) => core.self.id);
  network.partition(one!, two!);
  network.partition(one!, three!);
  await until('offline', () => receiver.ids('user.onlinestatus').length >= 2, 20_000);
  network.heal();
  await until('online again', () => receiver.ids('user.onlinestatus').length >= 3, 20_000);
  const states = statusesOf(receiver).map((text) => text.split('-')[2]);
  t.deepEqual(states, ['1', '0', '1']);
});

test('F13 a node that was cut off tells of the end of a session as the whole cluster sees its user', async (t) => {
  const { nodes, network, receiver } = await startTrio(t);
  const [first, second, third] = nodes;
  const old = new RecordingSession('ann');
  await first!.core.routing.attach(old);
  await until('it is known', () =>
    [second!, third!].every(({ core }) => core.services.sessions.online(uid('ann')).length === 1),
  );
  const [one, two, three] = nodes.map(({ core }) => core.self.id);
  network.partition(one!, two!);
  network.partition(one!, three!);
  // She comes again, elsewhere, while her first node hears nobody.
  await third!.core.routing.attach(new RecordingSession('ann'));
  await until('nobody is heard', () => first!.core.replicator.livePeers() === 0);
  await new Promise((resolve) => setTimeout(resolve, 2_600));
  first!.core.routing.detach(old);
  network.heal();
  const ended = (): string | undefined =>
    statusesOf(receiver).find((text) => text.startsWith(`ann-1-0-${old.id}-1-1`));
  await until('its end was told, and that she is online', () => ended(), 30_000);
  t.deepEqual(
    statusesOf(receiver).filter((text) => text.endsWith('-0-0')),
    [],
  );
});
