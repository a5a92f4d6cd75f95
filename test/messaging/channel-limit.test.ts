import test from 'ava';
import { REASON } from '../../src/core/reason-code.ts';
import { silentLog, type Log, type LogFields } from '../../src/observability/log.ts';
import { group, uid } from '../support/ids.ts';
import { RecordingSession, startLoneCore } from '../support/lone-core.ts';
import { until } from '../support/until.ts';

const ALICE = uid('alice');

function recordingLog(): { log: Log; warnings: LogFields[] } {
  const warnings: LogFields[] = [];
  const log: Log = {
    ...silentLog,
    warn: (_message, fields) => void warnings.push(fields ?? {}),
    child: () => log,
  };
  return { log, warnings };
}

test('a subscribe over the limit of a user is refused with the reason, one within it is not', async (t) => {
  const { core, stop } = await startLoneCore(undefined, { channelsPerUserMax: 2 });
  const { subscriptions, sessions } = core.services;
  const session = new RecordingSession('alice');
  await sessions.attach(session);
  const subscribe = (name: string) =>
    subscriptions.subscribe({
      channel: group(name),
      uids: [ALICE],
      cause: 'client',
      waitFor: 'local',
    });
  for (const name of ['a', 'b', 'b']) t.true((await subscribe(name)).ok, name);
  const refused = await subscribe('c');
  t.like(refused, { ok: false, code: REASON.rateLimited });
  t.regex(refused.ok ? '' : refused.message, /alice has as many/);
  t.false(subscriptions.isSubscribed(group('c'), ALICE));
  const { channel } = { channel: group('a') };
  await subscriptions.unsubscribe({ channel, uids: [ALICE], cause: 'client', waitFor: 'local' });
  t.true((await subscribe('c')).ok);
  t.deepEqual(session.joined, new Set([group('b'), group('c')]));
  await stop();
});

test('who has more channels on disk than the limit is told of, and gets the rest when there is room', async (t) => {
  const { log, warnings } = recordingLog();
  const options = { channelsPerUserMax: 2, log };
  const { core, stop } = await startLoneCore(undefined, options);
  const { subscriptions, sessions } = core.services;
  const change = (action: 'subscribe' | 'unsubscribe', name: string) =>
    subscriptions[action]({
      channel: group(name),
      uids: [ALICE],
      cause: 'admin',
      waitFor: 'local',
    });
  for (const name of ['a', 'b', 'c']) await change('subscribe', name);
  const session = new RecordingSession('alice');
  await sessions.attach(session);
  t.deepEqual(session.joined, new Set([group('a'), group('b')]));
  t.deepEqual(warnings, [{ uid: ALICE, channelsMax: 2 }]);
  t.true(core.routing.isOverLimit(ALICE));
  t.is(core.routing.overLimitCount(), 1);
  await change('unsubscribe', 'a');
  await until('the third has taken the place of the first', () => session.joined.has(group('c')));
  t.deepEqual(session.joined, new Set([group('b'), group('c')]));
  t.is(core.routing.overLimitCount(), 0);
  sessions.detach(session);
  t.is(core.routing.channelCount(), 0);
  await stop();
});
