import test from 'ava';
import { reverseKey, subscriptionKey } from '../../src/core/row-key.ts';
import type { VerifyProgress } from '../../src/audit/verify/port.ts';
import type { MemberId } from '../../src/core/ids.ts';
import type { Delivery } from '../../src/messaging/port.ts';
import type { Store } from '../../src/storage/port.ts';
import { startCoreTrio } from '../support/core-trio.ts';
import { group, uid } from '../support/ids.ts';
import { message, RecordingSession } from '../support/lone-core.ts';
import { until } from '../support/until.ts';

const ROOM = group('room');
const USER = uid('user-7');
const PAIR = { channel: ROOM, uid: USER };
/** The audits do not come by themselves while a test looks. */
const ASLEEP = { sweep: { intervalMs: 600_000 }, auditPace: 0.01 };

const behindItsBack = (store: Store, keys: readonly string[]) =>
  new Promise<void>((resolve) => {
    store.stage(
      keys.map((key) => ({ key })),
      resolve,
    );
  });

test('S2-9 a row deleted behind a node: explain says so, repair fixes it, the message arrives', async (t) => {
  const deliveries: Delivery[] = [];
  const { nodes } = await startCoreTrio(t, {
    ...ASLEEP,
    fanoutOf: (index) => ({
      deliver: (delivery) => {
        if (index === 2) deliveries.push(delivery);
      },
      notify: () => {},
    }),
  });
  const [first, , third] = nodes;
  const { services } = first!.core;
  const asked = { ...PAIR, uids: [USER], cause: 'http', waitFor: 'all' } as const;
  t.true((await services.subscriptions.subscribe(asked)).ok);
  await until('the third node has it', () =>
    third!.core.services.subscriptions.isSubscribed(ROOM, USER),
  );
  await behindItsBack(third!.store, [subscriptionKey(ROOM, USER), reverseKey(USER, ROOM)]);
  const session = new RecordingSession('user-7');
  await third!.core.services.sessions.attach(session);
  t.false(session.joined.has(ROOM));

  const { explainer, repairer } = first!.core.diagnosis;
  const sick = await explainer.explain(PAIR);
  t.like(sick.verdict, { code: 'row-lost', member: 'node-3', receives: 'no' });
  t.regex(
    sick.verdict.text,
    /^user-7 does NOT receive on node-3: it lacks the row that node-1 and node-2/,
  );
  t.deepEqual(sick.silent, []);

  const repaired = await repairer.repair(PAIR);
  t.deepEqual(
    repaired.members.map(({ failed }) => failed),
    [[], [], []],
  );
  t.true(repaired.changes.length > 0);
  t.true(repaired.changes.every(({ member }) => member === 'node-3'));
  t.true(repaired.changes.some(({ action }) => action === 'restored'));
  t.like(repaired.after.verdict, { code: 'receives', receives: 'yes' });
  t.true(session.joined.has(ROOM));
  await services.publisher.publish(message(ROOM, 'sender', 'are you there?'));
  await until('the message arrives', () => deliveries.length === 1);

  const again = await repairer.repair(PAIR);
  t.deepEqual(again.changes, []);
  t.is(again.after.verdict.receives, 'yes');
  const { entries } = await first!.core.diagnosis.log.query({ ...PAIR, limit: 20 });
  t.true(entries.some(({ action, result }) => action === 'repair' && result === 'restored'));
});

test('S2-9 a socket dropped from its topic, an entry dropped from the index: named and put right', async (t) => {
  const { nodes } = await startCoreTrio(t, ASLEEP);
  const [first, second] = nodes;
  const asked = { ...PAIR, uids: [USER], cause: 'client', waitFor: 'all' } as const;
  await first!.core.services.subscriptions.subscribe(asked);
  const session = new RecordingSession('user-7');
  await second!.core.services.sessions.attach(session);
  session.joined.delete(ROOM);
  const { explainer, repairer } = first!.core.diagnosis;
  t.like((await explainer.explain(PAIR)).verdict, { code: 'topic-missing', member: 'node-2' });
  const { changes, after } = await repairer.repair(PAIR);
  t.deepEqual(
    changes.map(({ member, layer, action }) => [member, layer, action]),
    [['node-2', 'sockets', 'joined']],
  );
  t.is(after.verdict.receives, 'yes');
  second!.core.routing.drop(ROOM, USER);
  const dropped = await explainer.explain(PAIR);
  t.like(dropped.verdict, { code: 'index-missing', member: 'node-2' });
  t.is((await repairer.repair(PAIR)).after.verdict.receives, 'yes');
});

test('repair takes nobody away: what is gone everywhere but in a log stays a question for people', async (t) => {
  const { nodes } = await startCoreTrio(t, ASLEEP);
  const asked = { ...PAIR, uids: [USER], cause: 'client', waitFor: 'all' } as const;
  await nodes[0]!.core.services.subscriptions.subscribe(asked);
  await until('all have it', () =>
    nodes.every(({ core }) => core.services.subscriptions.isSubscribed(ROOM, USER)),
  );
  // The copy of the third node is the only one left.
  for (const { store } of nodes.slice(0, 2)) {
    await behindItsBack(store, [subscriptionKey(ROOM, USER), reverseKey(USER, ROOM)]);
  }
  await nodes[0]!.core.diagnosis.repairer.repair(PAIR);
  t.true(nodes.every(({ core }) => core.services.subscriptions.isSubscribed(ROOM, USER)));
});

async function verdictOf(run: AsyncGenerator<VerifyProgress>): Promise<VerifyProgress> {
  let last: VerifyProgress | undefined;
  for await (const progress of run) last = progress;
  return last!;
}

test('verify proves equal layers under writes, and every member remembers when', async (t) => {
  const { nodes } = await startCoreTrio(t, ASLEEP);
  const [first, second] = nodes;
  const { subscriptions } = first!.core.services;
  const uids = Array.from({ length: 500 }, (_, i) => uid(`u${i}`));
  await subscriptions.subscribe({ channel: ROOM, uids, cause: 'admin', waitFor: 'all' });
  await second!.core.services.sessions.attach(new RecordingSession('u1'));
  const writing = new AbortController();
  const writes = (async () => {
    for (let i = 0; !writing.signal.aborted; i++) {
      const one = { channel: group(`g${i % 50}`), uids: [uid(`w${i}`)], cause: 'http' } as const;
      await subscriptions.subscribe({ ...one, waitFor: 'local' });
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  const signal = new AbortController().signal;
  const proved = await verdictOf(first!.core.diagnosis.verifier.verify(signal));
  writing.abort();
  await writes;
  t.true(proved.proved, JSON.stringify(proved.steps));
  t.is(proved.steps.filter(({ name }) => name.startsWith('sweep')).length, 6);
  t.true(second!.core.diagnosis.verifier.lastTrueMs() > 0);
});

test('verify compares tables by the writes that they show, be they on a slow disk yet or not', async (t) => {
  let flushMs = 0;
  const { nodes } = await startCoreTrio(t, {
    ...ASLEEP,
    flushMsOf: (index) => (index === 0 ? flushMs : 0),
  });
  const { subscriptions } = nodes[0]!.core.services;
  const { signal } = new AbortController();
  let written: Promise<unknown> | undefined;
  let last: VerifyProgress | undefined;
  for await (last of nodes[0]!.core.diagnosis.verifier.verify(signal)) {
    const passed = last.steps.filter(
      ({ name, state }) => name.startsWith('topics') && state === 'ok',
    );
    if (written || passed.length < 3) continue;
    // The tables are read from here on; longer than all attempts to read them is this write on its way.
    flushMs = 5_000;
    const one = { channel: ROOM, uids: [USER], cause: 'http' } as const;
    written = subscriptions.subscribe({ ...one, waitFor: 'local' });
  }
  flushMs = 0;
  const tables = last?.steps.at(-1);
  t.is(tables?.state, 'ok');
  t.regex(tables?.detail ?? '', /^1 subscriptions, digest/);
  await written;
});

test('verify names a member that does not answer, and proves nothing then', async (t) => {
  const { nodes, network } = await startCoreTrio(t, ASLEEP);
  const [first] = nodes;
  network.partition('node-1' as MemberId, 'node-3' as MemberId);
  const { signal } = new AbortController();
  const ended = await verdictOf(first!.core.diagnosis.verifier.verify(signal));
  t.false(ended.proved);
  t.true(ended.steps.some(({ member, state }) => member === 'node-3' && state === 'unproven'));
});
