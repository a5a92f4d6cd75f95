import test from 'ava';
import type { NodeCore } from '../../../src/node/core.ts';
import type { Delivery } from '../../../src/messaging/port.ts';
import { startCoreTrio } from '../../support/core-trio.ts';
import { group, uid } from '../../support/ids.ts';
import { message, RecordingSession, startLoneCore } from '../../support/lone-core.ts';
import { until } from '../../support/until.ts';

const G = group('g');
const ann = uid('ann');

async function publish(core: NodeCore, text: string): Promise<void> {
  const outcome = await core.services.publisher.publish(message(G, 'bob', text));
  if (!outcome.ok) throw new Error(outcome.message);
}

async function subscribe(core: NodeCore, ...channels: (typeof G)[]): Promise<void> {
  for (const channel of channels) {
    const request = { channel, uids: [ann], cause: 'admin', waitFor: 'all' } as const;
    await core.services.subscriptions.subscribe(request);
  }
}

function texts(deliveries: readonly Delivery[]): string[] {
  return deliveries.map((one) => Buffer.from(one.message.payload).toString());
}

/** As a client that connects with the token and names these ids. */
async function resume(core: NodeCore, token: string, seen: readonly string[] = []) {
  const session = new RecordingSession('ann');
  await core.services.resumes!.ready();
  await core.services.sessions.attach(session);
  return core.services.resumes!.resume({ uid: ann, token, seen });
}

test('a token of one node is answered on another, with what all nodes wrote since and no more', async (t) => {
  const { nodes } = await startCoreTrio(t);
  const [one, two, three] = nodes.map(({ core }) => core) as [NodeCore, NodeCore, NodeCore];
  await subscribe(one, G, group('silent'));
  await publish(one, 'before');
  await publish(two, 'before too');
  await until('all is everywhere', () => one.delivery.log.count === 2);
  const token = one.services.resumes!.token(ann);
  const sent: string[] = [];
  for (let i = 0; i < 12; i++) {
    sent.push(`after ${i}`);
    await publish([one, two, three][i % 3]!, `after ${i}`);
    await until('it is everywhere', () =>
      nodes.every(({ core }) => core.delivery.log.count === 3 + i),
    );
  }
  for (const core of [three, two, one]) {
    const plan = await resume(core, token);
    t.deepEqual(texts(plan.deliveries), sent);
    t.deepEqual([plan.live, plan.channels], [1, [[G, { status: 'replayed', count: 12 }]]]);
    t.is(plan.filter, undefined);
  }
});

test('who has seen more than the node it comes to is not sent it again, and what is new at once', async (t) => {
  const deliveries: Delivery[] = [];
  const { nodes, network } = await startCoreTrio(t, {
    fanoutOf: (index) => ({
      deliver: (delivery) => void (index === 2 && deliveries.push(delivery)),
      notify: () => {},
    }),
  });
  const [one, , three] = nodes.map(({ core }) => core) as [NodeCore, NodeCore, NodeCore];
  await subscribe(one, G);
  for (const { core } of nodes.slice(0, 2)) network.partition(core.self.id, three.self.id);
  await publish(one, 'seen by token');
  const token = one.services.resumes!.token(ann);
  await publish(one, 'seen by id');
  const found = await resume(one, token);
  const seen = found.deliveries.map((one) => String(one.message.messageId));
  await publish(one, 'new');
  const plan = await resume(three, token, seen);
  t.deepEqual(texts(plan.deliveries), []);
  t.false(plan.filter!.isDone());
  network.heal();
  await until('the node has caught up', () => deliveries.length === 3);
  const passed = deliveries.filter((one) => plan.filter!.passes(one));
  t.deepEqual(texts(passed), ['new']);
  await until('there is nothing left to keep back', () => plan.filter!.isDone());
});

test('a node whose disk fails gives no younger token, which would not name what the client has seen', async (t) => {
  const { nodes } = await startCoreTrio(t);
  const [one, two] = nodes.map(({ core }) => core) as [NodeCore, NodeCore];
  const disk = nodes[1]!.location;
  await subscribe(one, G);
  const token = one.services.resumes!.token(ann);
  disk.fail();
  t.teardown(() => disk.heal());
  await publish(one, 'seen by id');
  await until('it went out ahead of the disk', () => two.delivery.log.count === 1);
  const found = await resume(one, token);
  const seen = found.deliveries.map(({ message: { messageId } }) => String(messageId));
  const plan = await resume(two, token, seen);
  t.deepEqual(texts(plan.deliveries), []);
  t.false(plan.filter!.isDone());
  disk.heal();
  await until('its vector names it too', () => plan.filter!.isDone());
  const younger = two.services.resumes!.token(ann);
  t.deepEqual(texts((await resume(one, younger)).deliveries), []);
});

test('a node that starts again knows what was written before, and says so where it does not', async (t) => {
  const first = await startLoneCore();
  await subscribe(first.core, G);
  await publish(first.core, 'before');
  const token = first.core.services.resumes!.token(ann);
  for (const text of ['1', '2', '3']) await publish(first.core, text);
  await first.stop();
  const second = await startLoneCore(first.location);
  t.teardown(() => second.stop());
  await publish(second.core, '4');
  const early = second.core.services.resumes!.resume({ uid: ann, token, seen: [] });
  t.is(early.snapshot, undefined);
  const plan = await resume(second.core, token);
  t.deepEqual(texts(plan.deliveries), ['1', '2', '3', '4']);
});

test('runs that one node has closed and another not yet make no difference', async (t) => {
  const { nodes } = await startCoreTrio(t);
  const [one, two] = nodes.map(({ core }) => core) as [NodeCore, NodeCore];
  await subscribe(one, G);
  await publish(one, 'before');
  await until('it is everywhere', () => two.delivery.log.count === 1);
  const open = one.services.resumes!.token(ann);
  // As if another run had ended: two nodes that close it one after the other.
  t.true(two.replica.close(one.replica.actor));
  const closed = two.services.resumes!.token(ann);
  await publish(two, 'after');
  await until('it is everywhere', () => one.delivery.log.count === 2);
  t.deepEqual(texts((await resume(one, closed)).deliveries), ['after']);
  t.deepEqual(texts((await resume(two, open)).deliveries), ['after']);
  t.deepEqual(texts((await resume(two, closed)).deliveries), ['after']);
});

test('a recalled message is not replayed', async (t) => {
  const { core, stop } = await startLoneCore();
  t.teardown(stop);
  await subscribe(core, G);
  const token = core.services.resumes!.token(ann);
  for (const text of ['kept', 'taken back']) await publish(core, text);
  const [, second] = (await resume(core, token)).deliveries;
  const outcome = await core.services.recalls!.recall({
    ...{ channel: G, messageId: second!.message.messageId, messageSeq: 0, clientMsgNo: '' },
    ...{ sender: uid('bob'), by: uid('bob'), as: 'user', reason: '' },
  });
  t.true(outcome.ok);
  t.deepEqual(texts((await resume(core, token)).deliveries), ['kept']);
});

test('what retention took while somebody was away is counted and not passed over in silence', async (t) => {
  const rule = { ageMs: 0, bytesMax: 0 };
  const retention = { ruleOf: () => rule, checkEveryMs: 3_600_000 };
  const { core, stop } = await startLoneCore(undefined, { retention });
  t.teardown(stop);
  await subscribe(core, G, group('silent'));
  const token = core.services.resumes!.token(ann);
  for (const text of ['one', 'two']) await publish(core, text);
  // Ages are of whole seconds.
  const sentMs = Date.now();
  await until('they are old enough', () => Date.now() - sentMs > 1_000);
  rule.ageMs = 1;
  await core.retention.judge!.pass();
  rule.ageMs = 0;
  await until('they are off the disk', () => core.retention.state().messagesRemoved === 2);
  const gone = await resume(core, token);
  t.deepEqual([gone.live, gone.channels], [1, [[G, { status: 'replayed', count: 0, cut: 2 }]]]);
  await publish(core, 'three');
  const plan = await resume(core, token);
  t.deepEqual(texts(plan.deliveries), ['three']);
  t.deepEqual(plan.channels, [[G, { status: 'replayed', count: 1, cut: 2 }]]);
});
