import test from 'ava';
import type { PublishRequest } from '../../src/messaging/port.ts';
import { StoredMessages } from '../../src/messaging/stored-messages.ts';
import { startCoreTrio } from '../support/core-trio.ts';
import { group, uid } from '../support/ids.ts';
import { message, RecordingSession, startLoneCore } from '../support/lone-core.ts';
import { testRuntime } from '../support/runtime.ts';

const ROOM = group('room');
const ANN = uid('ann');
const LATEST = { startSeq: 0, endSeq: 0, limit: 10, direction: 'down' } as const;
const LIST = { uid: ANN, version: 0, onlyUnread: false } as const;

test('an expired message is in no history, conversation, resume or repair any more; a command makes no conversation', async (t) => {
  let aheadMs = 0;
  const { clock } = testRuntime;
  const runtime = {
    ...testRuntime,
    clock: { ...clock, wallMs: () => clock.wallMs() + aheadMs },
  };
  const { core, store, stop } = await startLoneCore(undefined, { runtime });
  t.teardown(stop);
  const { services } = core;
  const { subscriptions, publisher, history, conversations, resumes, sessions } = services;
  const join = { channel: ROOM, uids: [ANN], cause: 'http', waitFor: 'local' } as const;
  await subscriptions.subscribe(join);
  const token = resumes!.token(ANN);
  const send = async (text: string, more: Partial<PublishRequest>): Promise<void> => {
    const outcome = await publisher.publish({ ...message(ROOM, 'bob', text), ...more });
    if (!outcome.ok) throw new Error(outcome.message);
  };
  await send('stays', {});
  await send('goes', { expire: 60 });
  await send('a command', { syncOnce: true });
  const seen = async () => {
    const page = await history!.page({ channel: ROOM, ...LATEST, commands: 'left-out' });
    const [one] = (await conversations!.list(LIST)).conversations;
    await resumes!.ready();
    await sessions.attach(new RecordingSession('ann'));
    const plan = resumes!.resume({ uid: ANN, token, seen: [] });
    const kept = new StoredMessages(store, core.replica, runtime.clock);
    const repaired = await kept.newest(ROOM, 0, 10);
    const read = await kept.read(ROOM, new Set(repaired.map((each) => each.message.messageSeq)));
    return {
      history: page.messages.length,
      last: Buffer.from(one!.last.payload).toString(),
      unread: one!.unread,
      resumed: plan.deliveries.length,
      repaired: repaired.length,
      read: read.length,
    };
  };
  const before = { history: 2, last: 'goes', unread: 2, resumed: 3, repaired: 3, read: 3 };
  t.deepEqual(await seen(), before);
  aheadMs = 30_000;
  t.deepEqual(await seen(), before);
  aheadMs = 61_000;
  const after = { history: 1, last: 'stays', unread: 1, resumed: 2, repaired: 2, read: 2 };
  t.deepEqual(await seen(), after);
});

test('with write_acks 1 a message is acknowledged by this disk alone, else by two', async (t) => {
  for (const writeAcks of [1, 2] as const) {
    const { nodes } = await startCoreTrio(t, { writeAcks });
    const { publisher } = nodes[0]!.core.services;
    const sent = await publisher.publish(message(ROOM, 'bob', 'hello'));
    t.is(sent.ok && sent.value.disks, writeAcks);
    t.is(nodes[0]!.core.outcomes.shortOfDisk, 0);
  }
});
