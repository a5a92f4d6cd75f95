import test from 'ava';
import { REASON } from '../../src/core/reason-code.ts';
import { personChannel } from '../../src/core/placement.ts';
import { group, uid } from '../support/ids.ts';
import { message, RecordingSession, startLoneCore } from '../support/lone-core.ts';
import { until } from '../support/until.ts';

test('a subscribe is acknowledged when it is on disk and routed, an unsubscribe takes it away', async (t) => {
  const { core, location, stop } = await startLoneCore();
  const { subscriptions, sessions } = core.services;
  const channel = group('g1');
  const session = new RecordingSession('alice');
  await sessions.attach(session);
  const request = { channel, uids: [uid('alice')], cause: 'client', waitFor: 'all' } as const;
  const done = await subscriptions.subscribe(request);
  t.true(done.ok);
  if (!done.ok) return;
  t.deepEqual(done.value.missing, []);
  t.is(done.value.receipts.length, 1);
  t.true(session.joined.has(channel));
  t.true(location.diskRows({ gte: 's', lt: 't' }).length === 1);
  t.deepEqual(await subscriptions.subscribersOf(channel, undefined, 10), [uid('alice')]);
  t.deepEqual(await subscriptions.channelsOf(uid('alice'), undefined, 10), [channel]);
  await subscriptions.unsubscribe(request);
  t.false(session.joined.has(channel));
  t.false(subscriptions.isSubscribed(channel, uid('alice')));
  t.deepEqual(await subscriptions.channelsOf(uid('alice'), undefined, 10), []);
  await stop();
});

test('subscriptions outlive the process; a session finds them when it connects', async (t) => {
  const first = await startLoneCore();
  const channel = group('g2');
  const uids = Array.from({ length: 700 }, (_, i) => uid(`u${i}`));
  const done = await first.core.services.subscriptions.subscribe({
    channel,
    uids,
    cause: 'admin',
    waitFor: 'local',
  });
  t.true(done.ok && done.value.receipts.length === 700);
  const before = await first.core.services.subscriptions.digest();
  t.is(before.subscriptions, 700);
  await first.stop();
  const second = await startLoneCore(first.location);
  t.deepEqual(await second.core.services.subscriptions.digest(), before);
  const session = new RecordingSession('u699');
  await second.core.services.sessions.attach(session);
  t.true(session.joined.has(channel));
  await second.stop();
});

test('a message is durable when acknowledged, numbered without holes, delivered once', async (t) => {
  const { core, deliveries, location, stop } = await startLoneCore();
  const channel = group('g3');
  const results = await Promise.all(
    Array.from({ length: 5 }, (_, i) =>
      core.services.publisher.publish(message(channel, 'a', `m${i}`)),
    ),
  );
  t.deepEqual(
    results.map((result) => result.ok && result.value.messageSeq),
    [1, 2, 3, 4, 5],
  );
  t.deepEqual(
    deliveries.map(({ message: { messageSeq }, prevSeq }) => [messageSeq, prevSeq]),
    [
      [1, 0],
      [2, 1],
      [3, 2],
      [4, 3],
      [5, 4],
    ],
  );
  const ids = results.map((result) => (result.ok ? result.value.messageId : 0n));
  t.is(new Set(ids).size, 5);
  t.true(ids.every((id) => id > 0n && id < 1n << 63n));
  await stop();
  const again = await startLoneCore(location);
  const next = await again.core.services.publisher.publish(message(channel, 'a', 'after'));
  t.true(next.ok && next.value.messageSeq === 6 && next.value.messageId > ids.at(-1)!);
  await again.stop();
});

test('a retry with the same client message number yields one message, another payload is reason 28', async (t) => {
  const { core, deliveries, stop } = await startLoneCore();
  const request = { ...message(group('g4'), 'a', 'hello'), clientMsgNo: 'n1' };
  const first = await core.services.publisher.publish(request);
  const retry = await core.services.publisher.publish(request);
  t.true(first.ok && retry.ok && first.value.messageId === retry.value.messageId);
  t.is(deliveries.length, 1);
  const other = await core.services.publisher.publish({
    ...request,
    payload: new TextEncoder().encode('other'),
  });
  t.is(!other.ok && other.code, REASON.idempotencyConflict);
  await stop();
});

test('the first message between two users subscribes both in the operation that stores it', async (t) => {
  const { core, stop } = await startLoneCore();
  const channel = personChannel(uid('a'), uid('b'));
  const told: number[] = [];
  core.replica.addListener({
    onSubmitted: (operation) => void told.push(operation.writes.length),
    onDurable: () => {},
  });
  const sent = await core.services.publisher.publish(message(channel, 'a', 'hi'));
  t.true(sent.ok);
  t.deepEqual(told, [3]);
  t.true(core.services.subscriptions.isSubscribed(channel, uid('b')));
  const stranger = await core.services.publisher.publish(message(channel, 'c', 'hi'));
  t.is(!stranger.ok && stranger.code, REASON.sendNotAllowed);
  await stop();
});

test('a no-persist message reaches sessions and nothing else', async (t) => {
  const { core, deliveries, location, stop } = await startLoneCore();
  const sent = await core.services.publisher.publish({
    ...message(group('g5'), 'a', 'typing'),
    noPersist: true,
  });
  t.true(sent.ok && sent.value.messageSeq === 0 && sent.value.disks === 0);
  t.is(deliveries.length, 1);
  t.is(location.diskRows({ gte: 'm', lt: 'n' }).length, 0);
  await stop();
});

test('a banned user is unsubscribed, does not receive, and needs a fresh subscribe after the allow', async (t) => {
  const { core, stop } = await startLoneCore();
  const { subscriptions, sessions, directory, publisher } = core.services;
  const channel = group('g6');
  const session = new RecordingSession('eve');
  await sessions.attach(session);
  const request = { channel, uids: [uid('eve')], cause: 'admin', waitFor: 'local' } as const;
  await subscriptions.subscribe(request);
  t.true(session.joined.has(channel));
  await directory.deny(channel, uid('eve'), 'ban');
  t.false(session.joined.has(channel));
  await subscriptions.subscribe(request);
  t.false(session.joined.has(channel));
  const sent = await publisher.publish(message(channel, 'eve', 'x'));
  t.is(!sent.ok && sent.code, REASON.banned);
  await directory.allow(channel, uid('eve'), 'ban');
  await subscriptions.subscribe(request);
  t.true(session.joined.has(channel));
  const allowed = await publisher.publish(message(channel, 'eve', 'x'));
  t.true(allowed.ok);
  await stop();
});

test('a closed channel takes subscribers from the backend only, and sends from its subscribers only', async (t) => {
  const { core, stop } = await startLoneCore();
  const { subscriptions, directory, publisher } = core.services;
  const channel = group('g7');
  await directory.setChannel(channel, {}, {});
  const request = { channel, uids: [uid('u')], waitFor: 'local' } as const;
  const refused = await subscriptions.subscribe({ ...request, cause: 'client' });
  t.is(!refused.ok && refused.code, REASON.notWhitelisted);
  const stranger = await publisher.publish(message(channel, 'u', 'x'));
  t.is(!stranger.ok && stranger.code, REASON.subscriberMissing);
  t.true((await subscriptions.subscribe({ ...request, cause: 'http' })).ok);
  t.true((await publisher.publish(message(channel, 'u', 'x'))).ok);
  await directory.setChannel(channel, {}, { sendBan: true });
  const banned = await publisher.publish(message(channel, 'u', 'x'));
  t.is(!banned.ok && banned.code, REASON.sendBanned);
  await directory.setChannel(channel, {}, { sendBan: false });
  t.true((await publisher.publish(message(channel, 'u', 'x'))).ok);
  await stop();
});

test('a token is checked by its hash; a revocation ends it and a new one replaces it', async (t) => {
  const { core, location, stop } = await startLoneCore();
  const { directory } = core.services;
  await directory.setToken(uid('a'), 1, { token: 'secret-token', level: 1 });
  t.deepEqual(directory.checkToken(uid('a'), 1, 'secret-token'), { ok: true, value: { level: 1 } });
  t.false(directory.checkToken(uid('a'), 0, 'secret-token').ok);
  t.false(directory.checkToken(uid('a'), 1, 'wrong').ok);
  await directory.setToken(uid('a'), 1, { token: 'next', level: 0 });
  t.false(directory.checkToken(uid('a'), 1, 'secret-token').ok);
  await directory.revokeTokens(uid('a'), 1);
  t.false(directory.checkToken(uid('a'), 1, 'next').ok);
  await directory.setToken(uid('a'), 1, { token: 'third', level: 0 });
  t.true(directory.checkToken(uid('a'), 1, 'third').ok);
  for (const [, value] of location.diskRows({ gte: 't', lt: 'u' })) {
    t.false(Buffer.from(value).includes('third'));
  }
  await stop();
});

test('S2-7 F24 the late close of an old session cannot take away its successor', async (t) => {
  const { core, stop } = await startLoneCore();
  const { sessions, subscriptions } = core.services;
  const channel = group('g8');
  await subscriptions.subscribe({ channel, uids: [uid('a')], cause: 'admin', waitFor: 'local' });
  const [old, next] = [new RecordingSession('a'), new RecordingSession('a')];
  await sessions.attach(old);
  await sessions.attach(next);
  sessions.detach(old);
  sessions.detach(old);
  t.true(next.joined.has(channel));
  t.deepEqual(sessions.sessionsOf(uid('a')), [next]);
  t.is(sessions.online(uid('a')).length, 1);
  await stop();
});

test('a failing disk refuses new work with the reason, and takes it again by itself', async (t) => {
  const { core, location, store, stop } = await startLoneCore();
  const { subscriptions } = core.services;
  const request = {
    channel: group('g9'),
    uids: [uid('a')],
    cause: 'client',
    waitFor: 'local',
  } as const;
  location.fail();
  const staged = subscriptions.subscribe(request);
  await until('the store fails', () => store.status().state === 'failing');
  const refused = await subscriptions.subscribe(request);
  t.is(!refused.ok && refused.code, REASON.systemError);
  t.regex(refused.ok ? '' : refused.message, /no space left/);
  location.heal();
  t.true((await staged).ok);
  t.true((await subscriptions.subscribe(request)).ok);
  await stop();
});
