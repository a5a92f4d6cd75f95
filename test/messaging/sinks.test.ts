import test from 'ava';
import type { Outcome } from '../../src/core/reason-code.ts';
import type { Services, Sink } from '../../src/messaging/port.ts';
import { subscriptionKey } from '../../src/core/row-key.ts';
import { group, uid } from '../support/ids.ts';
import { message, RecordingSession, startLoneCore } from '../support/lone-core.ts';
import { until } from '../support/until.ts';

/** A sink that keeps all it is told. */
function recorder<Value>(): Sink<Value> & { readonly told: (Outcome<Value> | 'failed')[] } {
  const told: (Outcome<Value> | 'failed')[] = [];
  return {
    told,
    settle: (outcome) => void told.push(outcome),
    fail: () => void told.push('failed'),
  };
}

/** An outcome without what differs from call to call. */
function shape(outcome: unknown): unknown {
  const json = JSON.stringify(outcome, (key, value: unknown) =>
    ['messageId', 'messageSeq', 'counter', 'shard'].includes(key)
      ? '#'
      : typeof value === 'bigint'
        ? '#'
        : value,
  );
  return JSON.parse(json);
}

async function into<Value>(call: (sink: Sink<Value>) => void): Promise<Outcome<Value> | 'failed'> {
  const sink = recorder<Value>();
  call(sink);
  await until('the sink is told', () => sink.told.length > 0);
  if (sink.told.length > 1) throw new Error('told twice');
  return sink.told[0]!;
}

const ask = (name: string, who: string) =>
  ({ channel: group(name), uids: [uid(who)], cause: 'client', waitFor: 'all' }) as const;

test('a sink is told what the promise resolves with', async (t) => {
  const { core, deliveries, stop } = await startLoneCore();
  const { subscriptions, publisher, sessions, directory } = core.services;
  const session = new RecordingSession('alice');
  await sessions.attach(session);
  t.deepEqual(
    shape(await into((sink) => subscriptions.subscribeInto(ask('a', 'alice'), sink))),
    shape(await subscriptions.subscribe(ask('b', 'alice'))),
  );
  t.true(session.joined.has(group('a')));
  // Again, over a row that is there: the old write is replaced.
  const again = await into((sink) => subscriptions.subscribeInto(ask('a', 'alice'), sink));
  t.true(again !== 'failed' && again.ok);
  t.is(core.replica.read(subscriptionKey(group('a'), uid('alice'))).length, 1);
  t.deepEqual(
    shape(await into((sink) => subscriptions.unsubscribeInto(ask('a', 'alice'), sink))),
    shape(await subscriptions.unsubscribe(ask('b', 'alice'))),
  );
  t.false(session.joined.has(group('a')));
  await directory.setChannel(group('closed'), { join: 'closed' }, {});
  t.deepEqual(
    await into((sink) => subscriptions.subscribeInto(ask('closed', 'alice'), sink)),
    await subscriptions.subscribe(ask('closed', 'alice')),
  );
  await sameSends(publisher, (left, right) => t.deepEqual(shape(left), shape(right)));
  t.is(deliveries.length, 4);
  await stop();
});

/** New, repeated with another payload, and not stored; each by both ways. */
async function sameSends(
  publisher: Services['publisher'],
  same: (left: unknown, right: unknown) => void,
): Promise<void> {
  const first = { ...message(group('c'), 'm1', 'm'), clientMsgNo: 'once' };
  const second = { ...first, channel: group('d') };
  const conflict = { payload: new Uint8Array([1]) };
  for (const change of [{}, {}, conflict, { noPersist: true }, { clientMsgNo: '\u0001' }]) {
    same(
      await into((sink) => publisher.publishInto({ ...first, ...change }, sink)),
      await publisher.publish({ ...second, ...change }),
    );
  }
}

test('a no-persist message is acknowledged within the call, after its delivery', async (t) => {
  const { core, deliveries, stop } = await startLoneCore();
  const sink = recorder<unknown>();
  core.services.publisher.publishInto({ ...message(group('n'), 'n', 'n'), noPersist: true }, sink);
  t.is(sink.told.length, 1);
  t.is(deliveries.length, 1);
  await stop();
});
