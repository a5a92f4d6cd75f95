import test, { type ExecutionContext } from 'ava';
import { personChannel } from '../../src/core/placement.ts';
import { MemoryStoreLocation, type Crash } from '../../src/storage/memory-store.ts';
import { uid } from '../support/ids.ts';
import { message, startLoneCore, type LoneCore } from '../support/lone-core.ts';
import { createVirtualRuntime } from '../support/virtual-runtime.ts';

const [ada, ben] = [uid('ada'), uid('ben')];
const pair = personChannel(ada, ben);
const FLUSH_MS = 10;

/** What a node has of the first message between two users: memberships, conversations, messages. */
async function stateOf({ core: { services } }: LoneCore): Promise<string> {
  const users = [ada, ben];
  const members = users.filter((user) => services.subscriptions.isSubscribed(pair, user));
  const lists = await Promise.all(
    users.map((user) => services.conversations!.list({ uid: user, version: 0, onlyUnread: false })),
  );
  const listed = lists.reduce((sum, { conversations }) => sum + conversations.length, 0);
  const asked = { channel: pair, startSeq: 0, endSeq: 0, limit: 10, direction: 'down' } as const;
  const { messages } = await services.history!.page(asked);
  return [members.length, listed, messages.length].join();
}

const NOTHING = '0,0,0';
const EVERYTHING = '2,2,1';

interface Outcome {
  readonly acknowledged: boolean;
  readonly left: 'nothing' | 'everything';
}

/** The send begins, and so long after it the process is gone; then the next run, and a retry. */
async function crashAt(t: ExecutionContext, afterMs: number, crash: Crash): Promise<Outcome> {
  const runtime = createVirtualRuntime();
  const location = new MemoryStoreLocation({ runtime, flushMs: FLUSH_MS });
  const start = (): Promise<LoneCore> => runtime.settle(startLoneCore(location, { runtime }));
  const before = await start();
  const send = { ...message(pair, 'ada', 'hello'), clientMsgNo: 'n1' };
  let acknowledged = false;
  void before.core.services.publisher.publish(send).then(({ ok }) => (acknowledged = ok));
  await runtime.advance(afterMs);
  location.crash(crash);
  await runtime.settle(before.core.stop());

  const after = await start();
  const state = await runtime.settle(stateOf(after));
  const when = `${afterMs} ms after its begin`;
  t.true([NOTHING, EVERYTHING].includes(state), `all or nothing ${when}, and not ${state}`);
  if (acknowledged) t.is(state, EVERYTHING, `it was acknowledged ${when}`);
  const again = await runtime.settle(after.core.services.publisher.publish(send));
  t.true(again.ok);
  const settled = await runtime.settle(stateOf(after));
  t.is(settled, EVERYTHING, 'a retry under its number yields one message');
  await runtime.settle(after.stop());
  return { acknowledged, left: state === EVERYTHING ? 'everything' : 'nothing' };
}

test('S4-5 a crash at every step of the first message between two users: all of it or none, and one after a retry', async (t) => {
  const seen = new Set<string>();
  for (const crash of [{}, { writeInFlight: true }]) {
    for (let afterMs = 0; afterMs <= 3 * FLUSH_MS; afterMs++) {
      const { acknowledged, left } = await crashAt(t, afterMs, crash);
      seen.add(`${acknowledged ? 'acknowledged' : 'not acknowledged'}: ${left}`);
    }
  }
  t.deepEqual([...seen].toSorted(), [
    'acknowledged: everything',
    'not acknowledged: everything',
    'not acknowledged: nothing',
  ]);
});
