import test, { type ExecutionContext } from 'ava';
import type { ChannelKey } from '../../src/core/ids.ts';
import { ownChannel, personChannel } from '../../src/core/placement.ts';
import { REASON } from '../../src/core/reason-code.ts';
import type { Services } from '../../src/messaging/port.ts';
import { startCoreTrio } from '../support/core-trio.ts';
import { group, uid } from '../support/ids.ts';
import { message, startLoneCore, type LoneOptions } from '../support/lone-core.ts';
import { until } from '../support/until.ts';

const ROOM = group('room');
const PAIR = personChannel(uid('ann'), uid('bob'));
const BOB = ownChannel(uid('bob'));

async function codeOf(services: Services, channel: ChannelKey, sender = 'ann'): Promise<number> {
  const outcome = await services.publisher.publish(message(channel, sender, 'hello'));
  return outcome.ok ? REASON.success : outcome.code;
}

async function lone(t: ExecutionContext, options: LoneOptions = {}): Promise<Services> {
  const { core, stop } = await startLoneCore(undefined, options);
  t.teardown(stop);
  return core.services;
}

async function join(services: Services, ...names: string[]): Promise<void> {
  const uids = names.map(uid);
  await services.subscriptions.subscribe({ channel: ROOM, uids, cause: 'http', waitFor: 'local' });
}

test('each list and flag of a channel refuses with its own reason, and lets send again', async (t) => {
  const services = await lone(t);
  const { directory, moderation } = services;
  await directory.setChannel(ROOM, {}, {});
  t.is(await codeOf(services, ROOM), REASON.subscriberMissing);
  await join(services, 'ann');
  t.is(await codeOf(services, ROOM), REASON.success);
  const flags = [
    ['ban', REASON.banned],
    ['disband', REASON.disbanded],
    ['sendBan', REASON.sendBanned],
  ] as const;
  for (const [flag, code] of flags) {
    await directory.setChannel(ROOM, {}, { [flag]: true });
    t.is(await codeOf(services, ROOM), code, flag);
    await directory.setChannel(ROOM, {}, { [flag]: false });
    t.is(await codeOf(services, ROOM), REASON.success, flag);
  }
  const lists = [
    ['blacklist', REASON.blacklisted],
    ['mute', REASON.sendBanned],
    ['ban', REASON.banned],
  ] as const;
  for (const [list, code] of lists) {
    const named = { channel: ROOM, list, uids: [uid('ann')] };
    t.true((await moderation!.add(named)).ok);
    t.is(await codeOf(services, ROOM), code, list);
    t.deepEqual(await moderation!.listed(named, { limit: 10 }), [uid('ann')]);
    t.true((await moderation!.remove(named)).ok);
    t.deepEqual(await moderation!.listed(named, { limit: 10 }), []);
  }
  t.is(await codeOf(services, ROOM), REASON.subscriberMissing, 'a ban unsubscribes');
  await directory.setChannel(ROOM, { allowStranger: true }, {});
  t.is(await codeOf(services, ROOM), REASON.success);
});

test('a whitelist is in force from its first user to its last', async (t) => {
  const services = await lone(t);
  const moderation = services.moderation!;
  const named = (...names: string[]) =>
    ({ channel: ROOM, list: 'whitelist', uids: names.map(uid) }) as const;
  await moderation.add(named('ann'));
  t.is(await codeOf(services, ROOM), REASON.success);
  t.is(await codeOf(services, ROOM, 'bob'), REASON.notWhitelisted);
  await moderation.set(named('bob', 'cid'));
  t.is(await codeOf(services, ROOM), REASON.notWhitelisted);
  t.is(await codeOf(services, ROOM, 'bob'), REASON.success);
  await moderation.remove(named('bob', 'cid'));
  t.is(await codeOf(services, ROOM), REASON.success);
  await moderation.add(named('ann'));
  await moderation.set(named());
  t.is(await codeOf(services, ROOM, 'bob'), REASON.success);
});

test('a list of many is set as one, page by page', async (t) => {
  const moderation = (await lone(t)).moderation!;
  const many = Array.from({ length: 1300 }, (_, i) => uid(`u${i}`));
  const place = { channel: ROOM, list: 'mute' } as const;
  await moderation.add({ ...place, uids: many });
  t.is((await moderation.listed(place, { limit: 5000 })).length, 1300);
  t.is((await moderation.listed(place, { after: uid('u998'), limit: 5000 })).length, 1);
  await moderation.set({ ...place, uids: [uid('u7'), uid('new')] });
  t.deepEqual(await moderation.listed(place, { limit: 10 }), [uid('new'), uid('u7')]);
});

test('a user blocks others, and the policy of strangers yields to whitelist and setting', async (t) => {
  const services = await lone(t);
  t.is(await codeOf(services, PAIR), REASON.success);
  const block = { channel: BOB, list: 'blacklist', uids: [uid('ann')] } as const;
  await services.moderation!.add(block);
  t.is(await codeOf(services, PAIR), REASON.blacklisted);
  t.is(await codeOf(services, PAIR, 'bob'), REASON.success, 'the other way is free');
  await services.moderation!.remove(block);
  t.is(await codeOf(services, PAIR), REASON.success);

  await services.directory.setChannel(BOB, { allowStranger: false }, {});
  t.is(await codeOf(services, PAIR), REASON.notWhitelisted, 'what the receiver says comes first');
  const known = { channel: BOB, list: 'whitelist', uids: [uid('ann')] } as const;
  await services.moderation!.add(known);
  t.is(await codeOf(services, PAIR), REASON.success);

  const strict = await lone(t, { strangers: 'refuse' });
  t.is(await codeOf(strict, PAIR), REASON.notWhitelisted);
  const friend = { channel: BOB, list: 'whitelist', uids: [uid('ann')] } as const;
  await strict.moderation!.add(friend);
  t.is(await codeOf(strict, PAIR), REASON.success);
  await strict.moderation!.remove(friend);
  t.is(await codeOf(strict, PAIR), REASON.notWhitelisted);
  await strict.directory.setChannel(BOB, { allowStranger: true }, {});
  t.is(await codeOf(strict, PAIR), REASON.success);
});

test('a system user is refused by a ban of the whole channel alone', async (t) => {
  const services = await lone(t, { strangers: 'refuse' });
  const moderation = services.moderation!;
  await services.directory.setChannel(ROOM, {}, { sendBan: true });
  await moderation.add({ channel: ROOM, list: 'blacklist', uids: [uid('ann')] });
  t.is(await codeOf(services, ROOM), REASON.sendBanned);
  await moderation.setSystem([uid('ann'), uid('zed')], 'yes');
  t.deepEqual([...(await moderation.systemUids(10))].sort(), [uid('ann'), uid('zed')]);
  t.is(await codeOf(services, ROOM), REASON.success);
  t.is(await codeOf(services, PAIR), REASON.success);
  t.is(await codeOf(services, personChannel(uid('bob'), uid('cid'))), REASON.sendNotAllowed);
  await services.directory.setChannel(ROOM, {}, { ban: true });
  t.is(await codeOf(services, ROOM), REASON.banned);
  await moderation.setSystem([uid('ann')], 'no');
  t.is(await codeOf(services, PAIR), REASON.notWhitelisted);
  t.deepEqual(await moderation.systemUids(10), [uid('zed')]);
});

test('what one node is told the others keep to, and a retry elsewhere with another payload is 28', async (t) => {
  const { nodes } = await startCoreTrio(t, { strangers: 'refuse' });
  const [one, two] = nodes.map(({ core }) => core.services) as [Services, Services];
  const all = { cause: 'http', waitFor: 'all' } as const;
  await one.directory.setChannel(ROOM, {}, {});
  await one.subscriptions.subscribe({ channel: ROOM, uids: [uid('ann')], ...all });
  const becomes = (code: number, channel = ROOM) =>
    until(`node 2 says ${code}`, async () => (await codeOf(two, channel)) === code);
  await becomes(REASON.success);
  const lists = [
    ['mute', REASON.sendBanned],
    ['blacklist', REASON.blacklisted],
    ['ban', REASON.banned],
  ] as const;
  for (const [list, code] of lists) {
    const named = { channel: ROOM, list, uids: [uid('ann')] };
    await one.moderation!.add(named);
    await becomes(code);
    await two.moderation!.remove(named);
  }
  await one.moderation!.add({ channel: BOB, list: 'whitelist', uids: [uid('ann')] });
  await becomes(REASON.success, PAIR);
  await one.directory.setChannel(ROOM, {}, { disband: true });
  await becomes(REASON.disbanded);
  await one.moderation!.setSystem([uid('cid')], 'yes');
  await until('node 2 knows the system user', () => two.moderation!.isSystem(uid('cid')));

  const request = { ...message(PAIR, 'ann', 'once'), clientMsgNo: 'n1' };
  const first = await one.publisher.publish(request);
  const again = await two.publisher.publish(request);
  t.true(first.ok && again.ok && first.value.messageId === again.value.messageId);
  const other = await two.publisher.publish({ ...request, payload: Buffer.from('other') });
  t.is(!other.ok && other.code, REASON.idempotencyConflict);
});
