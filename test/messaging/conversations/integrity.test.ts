import test, { type ExecutionContext } from 'ava';
import type { Repair } from '../../../src/audit/port.ts';
import { EMPTY_CONTEXT } from '../../../src/core/context.ts';
import { encodeMessage } from '../../../src/core/kinds/message.ts';
import { personChannel, shardOf } from '../../../src/core/placement.ts';
import { messageKey, reverseKey, subscriptionKey } from '../../../src/core/row-key.ts';
import { IntegrityCheck } from '../../../src/messaging/conversations/integrity.ts';
import { silentLog } from '../../../src/observability/log.ts';
import { uid } from '../../support/ids.ts';
import { message, RecordingSession, startLoneCore } from '../../support/lone-core.ts';
import { testRuntime } from '../../support/runtime.ts';
import { until } from '../../support/until.ts';

const [ada, ben] = [uid('ada'), uid('ben')];
const pair = personChannel(ada, ben);

async function startNode(t: ExecutionContext) {
  const node = await startLoneCore();
  t.teardown(node.stop);
  const { core, store } = node;
  const repairs: Repair[] = [];
  const check = new IntegrityCheck({
    ...{ store, replica: core.replica, gate: core.gate, runtime: testRuntime, log: silentLog },
    conversations: core.services.conversations!,
    repairs: { onRepair: (repair) => void repairs.push(repair) },
  });
  /** What a defect would do: the message and nothing around it. */
  const storeAlone = (seq: number, syncOnce = false): Promise<void> => {
    const { channel: _, sender, cause: __, ...content } = message(pair, 'ada', 'nobody sees it');
    const value = encodeMessage({
      ...{ ...content, messageId: BigInt(seq), messageSeq: seq, fromUid: sender, syncOnce },
      timestamp: Math.floor(Date.now() / 1000),
    });
    const key = messageKey(pair, seq, core.replica.actor);
    return new Promise((resolve) => {
      core.replica.submit(shardOf(pair), [{ key, tag: 0, context: EMPTY_CONTEXT, value }], resolve);
    });
  };
  const pass = async (): Promise<readonly string[]> => {
    repairs.length = 0;
    await check.look();
    await check.putRight();
    return repairs.map(({ cause, uid: of }) => `${cause} ${of}`).toSorted();
  };
  const list = async (of: typeof ada) => {
    const asked = { uid: of, version: 0, onlyUnread: false };
    return (await core.services.conversations!.list(asked)).conversations;
  };
  return { core, store, storeAlone, pass, list };
}

test('S4-6 a message whose memberships are missing is found, counted and given both of them', async (t) => {
  const { core, storeAlone, pass, list } = await startNode(t);
  const session = new RecordingSession('ben');
  await core.services.sessions.attach(session);
  await storeAlone(1);
  await storeAlone(2);
  t.deepEqual([await list(ada), await list(ben)], [[], []], 'stored, and nobody sees it');
  t.deepEqual(await pass(), ['membership-missing ada', 'membership-missing ben']);
  await until('ben is routed to', () => session.joined.has(pair));
  const [ofBen] = await list(ben);
  t.is(ofBen!.unread, 2, 'all of what was missed is unread');
  t.is((await list(ada))[0]!.unread, 0);
  t.deepEqual(await pass(), [], 'there is nothing left to repair');
});

test('S4-6 a conversation that its user cannot find is found, counted and put back', async (t) => {
  const { core, store, pass, list } = await startNode(t);
  await core.services.publisher.publish(message(pair, 'ada', 'hi'));
  store.stage([{ key: reverseKey(ben, pair) }]);
  t.deepEqual(await list(ben), []);
  t.deepEqual(await pass(), ['conversation-missing ben']);
  t.is((await list(ben))[0]!.unread, 1);
});

test('S4-6 what comes by itself within the grace is left alone', async (t) => {
  const { core, store, storeAlone } = await startNode(t);
  await storeAlone(1);
  const repairs: Repair[] = [];
  const check = new IntegrityCheck({
    ...{ store, replica: core.replica, gate: core.gate, runtime: testRuntime, log: silentLog },
    conversations: core.services.conversations!,
    repairs: { onRepair: (repair) => void repairs.push(repair) },
  });
  await check.look();
  await core.services.subscriptions.subscribe({
    ...{ channel: pair, uids: [ada, ben], cause: 'http', waitFor: 'local' },
  });
  await check.putRight();
  t.deepEqual(repairs, []);
});

test('S4-6 whoever left a direct channel stays away, also when the evidence has been collected', async (t) => {
  const { core, store, pass, list } = await startNode(t);
  await core.services.publisher.publish(message(pair, 'ada', 'hi'));
  const leave = { channel: pair, uids: [ben], cause: 'http', waitFor: 'local' } as const;
  await core.services.subscriptions.unsubscribe(leave);
  t.deepEqual(await pass(), []);
  // What a collection leaves of the row.
  store.stage([{ key: subscriptionKey(pair, ben) }]);
  t.deepEqual(await pass(), []);
  t.deepEqual(await list(ben), []);
  await core.services.publisher.publish(message(pair, 'ada', 'come back'));
  t.is((await list(ben))[0]!.unread, 1, 'a new message brings it back');
});

test('S4-6 evidence that nobody marked is marked before it can go; who was banned stays away', async (t) => {
  const { core, store, storeAlone, pass } = await startNode(t);
  await core.services.publisher.publish(message(pair, 'ada', 'hi'));
  await core.services.directory.deny(pair, ben, 'ban');
  t.deepEqual(await pass(), []);
  await core.services.directory.allow(pair, ben, 'ban');
  store.stage([{ key: subscriptionKey(pair, ben) }]);
  t.deepEqual(await pass(), []);
  await storeAlone(99, true);
  t.deepEqual(await pass(), [], 'a command makes no conversation');
});

test('S4-6 a node looks by itself', async (t) => {
  const node = await startLoneCore(undefined, { auditPace: 600 });
  t.teardown(node.stop);
  await node.core.services.publisher.publish(message(pair, 'ada', 'hi'));
  await until('it has looked', () => node.core.integrity.passes() > 1);
  t.pass();
});
