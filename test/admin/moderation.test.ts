import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import type { AdminCallError } from '../../src/admin/client.ts';
import { REASON } from '../../src/core/reason-code.ts';
import { servicesFor } from '../../src/node/services.ts';
import { group, uid } from '../support/ids.ts';
import { message, RecordingSession, startLoneCore } from '../support/lone-core.ts';
import { until } from '../support/until.ts';
import { startAdmin } from './support/start.ts';

const PROGRAM = fileURLToPath(new URL('support/program.ts', import.meta.url));
const ROOM = { channelId: 'room', channelType: 2 };

/** The service over a node's own core, and its command line. */
async function startNode(t: ExecutionContext) {
  const node = await startLoneCore();
  t.teardown(node.stop);
  const { services } = node.core;
  const admin = servicesFor(services, 'admin');
  const { client, address } = await startAdmin(t, { services: admin });
  const sendsWith = async (sender: string): Promise<number> => {
    const outcome = await services.publisher.publish(message(group('room'), sender, 'hello'));
    return outcome.ok ? REASON.success : outcome.code;
  };
  const run = (
    args: readonly string[],
    input = '',
  ): Promise<{ code: number; out: string; err: string }> =>
    new Promise((resolve) => {
      const all = ['--import=tsx', PROGRAM, ...args, '--address', address];
      const child = execFile(process.execPath, all, (error, out, err) =>
        resolve({ code: error ? Number(error.code) : 0, out, err }),
      );
      child.stdin!.end(input);
    });
  return { client, services, sendsWith, run };
}

async function refusalOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    const { code, field } = error as AdminCallError;
    return `${code} ${field}`;
  }
  return 'none';
}

test('a channel is made, changed and deleted; what is not given stays', async (t) => {
  const { client, services, sendsWith } = await startNode(t);
  t.like(await client.channel(ROOM), { exists: false, join: 'open', managers: [] });
  const made = await client.setChannel({ ...ROOM, sendBan: true, owner: 'ann' });
  t.like(made, { exists: true, join: 'closed', sendBan: true, ban: false, owner: 'ann' });
  t.is(await sendsWith('ann'), REASON.sendBanned);
  const changed = await client.setChannel({ ...ROOM, allowStranger: true, join: 'open' });
  t.like(changed, { join: 'open', sendBan: true, allowStranger: true, owner: 'ann' });
  const managed = await client.setChannel({
    ...{ ...ROOM, sendBan: false, owner: '', managers: { uids: ['bob', 'cid'] } },
  });
  t.like(managed, { sendBan: false, owner: '', managers: ['bob', 'cid'] });
  t.deepEqual((await client.setChannel({ ...ROOM, managers: { uids: [] } })).managers, []);
  t.is(await sendsWith('ann'), REASON.success);
  const uids = [uid('ann'), uid('bob')];
  const wanted = { channel: group('room'), uids, cause: 'http', waitFor: 'local' } as const;
  await services.subscriptions.subscribe(wanted);
  t.deepEqual(await client.deleteChannel(ROOM), { unsubscribed: 2 });
  t.is(await sendsWith('ann'), REASON.disbanded);
  t.like(await client.channel(ROOM), { exists: false });
  const again = await client.setChannel({ ...ROOM, large: true });
  t.like(again, { exists: true, large: true, join: 'closed', allowStranger: false });
});

test('lists of a channel and of a user are changed and listed in pages', async (t) => {
  const { client, services, sendsWith } = await startNode(t);
  const mute = { ...ROOM, list: 'CHANNEL_LIST_MUTE' } as const;
  await client.changeChannelList({ ...mute, action: 'LIST_ACTION_ADD', uids: ['ann', 'bob'] });
  t.is(await sendsWith('ann'), REASON.sendBanned);
  const first = await client.channelList({ ...mute, limit: 1 });
  t.deepEqual(first, { uids: ['ann'], next: 'ann' });
  t.deepEqual((await client.channelList({ ...mute, after: first.next })).uids, ['bob']);
  await client.changeChannelList({ ...mute, action: 'LIST_ACTION_REMOVE', uids: ['ann'] });
  t.is(await sendsWith('ann'), REASON.success);
  await client.changeChannelList({ ...mute, action: 'LIST_ACTION_SET', uids: [] });
  t.deepEqual(await client.channelList(mute), { uids: [], next: '' });

  const wanted = { channel: group('room'), uids: [uid('ann')], cause: 'http' } as const;
  await services.subscriptions.subscribe({ ...wanted, waitFor: 'local' });
  const ban = { ...ROOM, list: 'CHANNEL_LIST_BAN', uids: ['ann'] } as const;
  await client.changeChannelList({ ...ban, action: 'LIST_ACTION_ADD' });
  t.is(await sendsWith('ann'), REASON.banned);
  t.false(services.subscriptions.isSubscribed(group('room'), uid('ann')));

  const own = { channelId: 'bob', channelType: 1, list: 'CHANNEL_LIST_BLACKLIST' } as const;
  await client.changeChannelList({ ...own, action: 'LIST_ACTION_ADD', uids: ['ann'] });
  t.deepEqual((await client.channelList(own)).uids, ['ann']);
});

test('a user gets a token and loses it with the session; system users are listed', async (t) => {
  const { client, services } = await startNode(t);
  await client.setToken({ uid: 'ann', deviceFlag: 1, deviceLevel: 1, token: 's3cret' });
  t.true(services.directory.checkToken(uid('ann'), 1, 's3cret').ok);
  const [web, app] = [new RecordingSession('ann', 1), new RecordingSession('ann', 0)];
  await services.sessions.attach(web);
  await services.sessions.attach(app);
  const { devices } = await client.user({ uid: 'ann' });
  t.deepEqual(
    devices.map(({ deviceFlag }) => deviceFlag).toSorted((a, b) => a - b),
    [0, 1],
  );
  await client.signOut({ uid: 'ann', deviceFlag: 1 });
  await until('the session was ended', () => web.kicked !== undefined);
  t.is(app.kicked, undefined);
  t.false(services.directory.checkToken(uid('ann'), 1, 's3cret').ok);
  await client.signOut({ uid: 'ann' });
  await until('the other too', () => app.kicked !== undefined);
  await client.setSystemUsers({ uids: ['zed', 'ann'], system: true });
  t.deepEqual((await client.systemUsers()).uids, ['ann', 'zed']);
  t.like(await client.user({ uid: 'ann' }), { system: true });
  await client.setSystemUsers({ uids: ['zed'], system: false });
  t.deepEqual((await client.systemUsers()).uids, ['ann']);
});

test('what is wrong is named by its field, and nothing is changed', async (t) => {
  const { client, sendsWith } = await startNode(t);
  const person = { channelId: 'bob', channelType: 1 };
  const mute = { list: 'CHANNEL_LIST_MUTE', action: 'LIST_ACTION_ADD', uids: ['ann'] } as const;
  const calls: readonly (readonly [Promise<unknown>, string])[] = [
    [client.setChannel({ ...person, ban: true }), 'channel_type'],
    [client.channel({ channelId: '', channelType: 2 }), 'channel_id'],
    [client.setChannel({ ...ROOM, ban: true, join: 'ajar' }), 'join'],
    [client.setChannel({ ...ROOM, ban: true, owner: 'a#b' }), 'owner'],
    [client.setChannel({ ...ROOM, ban: true, managers: { uids: ['x', ''] } }), 'managers.uids[1]'],
    [client.changeChannelList({ ...person, ...mute }), 'list'],
    [client.changeChannelList({ ...ROOM, ...mute, list: 'CHANNEL_LIST_UNSPECIFIED' }), 'list'],
    [client.changeChannelList({ ...ROOM, ...mute, action: undefined as never }), 'action'],
    [client.changeChannelList({ ...ROOM, ...mute, uids: [] }), 'uids'],
    [client.changeChannelList({ ...ROOM, ...mute, uids: ['ann', 'b@d'] }), 'uids[1]'],
    [client.channelList({ ...ROOM, list: 'CHANNEL_LIST_BAN', limit: 1001 }), 'limit'],
    [client.setToken({ uid: 'ann', deviceFlag: 3, token: 'x' }), 'device_flag'],
    [client.setToken({ uid: 'ann', token: '' }), 'token'],
    [client.signOut({ uid: '' }), 'uid'],
    [client.signOut({ uid: 'ann', deviceFlag: 9 }), 'device_flag'],
    [client.setSystemUsers({ uids: [] }), 'uids'],
  ];
  for (const [call, field] of calls) t.is(await refusalOf(call), `INVALID_ARGUMENT ${field}`);
  t.is(await sendsWith('ann'), REASON.success);
});

test('by the command line: channel, moderation and user', async (t) => {
  const { client, services, run, sendsWith } = await startNode(t);
  const room = ['--channel', 'room'];
  const [set, add, token] = await Promise.all([
    run(['channel', 'set', ...room, '--allow-stranger', 'on', '--manager', 'bob', 'cid']),
    run(['moderation', 'add', 'mute', ...room, '--uid', 'ann', 'bob']),
    run(['user', 'set-token', 'ann', '--device', 'web', '--file', '-', '--master'], 's3cret\n'),
  ]);
  t.regex(set.out, /join +closed\n[^]*allow stranger +yes\n[^]*managers +bob cid/, set.err);
  t.is(add.out, 'done\n', add.err);
  t.deepEqual(services.directory.checkToken(uid('ann'), 1, 's3cret'), {
    ...{ ok: true, value: { level: 1 } },
  });
  t.is(token.code, 0, token.err);
  t.is(await sendsWith('ann'), REASON.sendBanned);
  await client.setSystemUsers({ uids: ['sys'], system: true });
  const [ls, none, shown, out] = await Promise.all([
    run(['moderation', 'ls', 'mute', ...room, '--json']),
    run(['moderation', 'rm', 'mute', ...room]),
    run(['user', 'show', 'sys']),
    run(['user', 'sign-out', 'ann', '--device', 'web']),
  ]);
  t.is(ls.out, '{"uid":"ann"}\n{"uid":"bob"}\n', ls.err);
  t.is(none.code, 2);
  t.is(none.err, 'holdfast: give --uid\n');
  t.is(out.code, 0, out.err);
  t.false(services.directory.checkToken(uid('ann'), 1, 's3cret').ok);
  t.regex(shown.out, /system user: yes.*\nnot online/);
});
