import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import type { AdminCallError } from '../../src/admin/client.ts';
import { group, uid } from '../support/ids.ts';
import { message, RecordingSession, startLoneCore, type LoneCore } from '../support/lone-core.ts';
import { collect, startAdmin, type Started } from './support/start.ts';

const PROGRAM = fileURLToPath(new URL('support/program.ts', import.meta.url));

/** The admin service on a real core. */
async function start(t: ExecutionContext): Promise<Started & LoneCore> {
  const lone = await startLoneCore();
  t.teardown(lone.stop);
  const { services, diagnosis } = lone.core;
  return { ...lone, ...(await startAdmin(t, { services, diagnosis })) };
}

function run(args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['--import=tsx', PROGRAM, ...args], (error, out, err) =>
      resolve({ code: error ? Number(error.code) : 0, out, err }),
    );
  });
}

const USER_7 = { uid: 'user-7', channelId: 'g1', channelType: 2 };

test('S2-9 explain over gRPC: not subscribed, subscribed, connected, banned', async (t) => {
  const { client, core } = await start(t);
  const ask = async () => (await client.explain(USER_7)).verdict!;
  t.like(await ask(), { code: 'never-subscribed' });
  await client.subscribe({ channelId: 'g1', channelType: 2, uids: ['user-7'] });
  t.regex(
    (await ask()).text,
    /^user-7 is offline: subscribed to group g1 .* ago by admin on n1 at/,
  );
  await core.services.sessions.attach(new RecordingSession('user-7'));
  await core.services.publisher.publish(message(group('g1'), 'u1', 'hello'));
  const connected = await client.explain(USER_7);
  t.is(connected.receives, 'yes');
  t.regex(connected.verdict!.text, /; 1 session on n1; last message 0(\.\d)? s ago, delivered$/);
  const [facts] = connected.members;
  t.like(facts, { member: 'n1', row: 'live', reverse: true, index: 'joined', store: 'ok' });
  t.is(facts!.entries.length, 1);
  t.is(facts!.last!.sender, 'u1');
  t.is(facts!.sessions[0]!.deviceId, 'device');
  t.like(connected.history[0], {
    action: 'subscribe',
    cause: 'admin',
    dot: facts!.entries[0]!.dot,
  });
  await core.services.directory.deny(group('g1'), uid('user-7'), 'ban');
  t.like(await client.explain(USER_7), { receives: 'no', verdict: { code: 'banned' } });
});

test('S2-9 a row deleted behind the node is told of', async (t) => {
  const { client, core, store } = await start(t);
  await client.subscribe({ channelId: 'g1', channelType: 2, uids: ['user-7'] });
  const session = new RecordingSession('user-7');
  await core.services.sessions.attach(session);
  const [facts] = (await client.explain(USER_7)).members;
  const key = `s${facts!.shard.toString(16)}\u00012/g1\u0001user-7`;
  t.truthy(store.get(key));
  await new Promise<void>((resolve) => store.stage([{ key }], resolve));
  const { verdict } = await client.explain(USER_7);
  // A lone node has no other copy: only its log still knows that nobody removed the row.
  t.is(verdict!.code, 'row-vanished');
});

const BAD = [
  [{ ...USER_7, uid: 'a@b' }, 'uid'],
  [{ ...USER_7, uid: '' }, 'uid'],
  [{ ...USER_7, channelId: '' }, 'channel_id'],
  [{ ...USER_7, channelType: 11 }, 'channel_type'],
  [{ ...USER_7, channelType: 1, channelId: 'x#y' }, 'channel_id'],
] as const;

test('bad input names its field, for each of the calls', async (t) => {
  const { client } = await start(t);
  for (const [request, field] of BAD) {
    for (const call of [client.explain(request), client.repair(request)]) {
      t.like(await t.throwsAsync<AdminCallError>(call), { code: 'INVALID_ARGUMENT', field });
    }
  }
  const logs = [
    [{ uid: 'a#' }, 'uid'],
    [{ channel: { channelId: '', channelType: 2 } }, 'channel.channel_id'],
    [{ limit: 1_001 }, 'limit'],
    [{ sinceMs: -1 }, 'since_ms'],
    [{ cause: 'x'.repeat(65) }, 'cause'],
  ] as const;
  for (const [request, field] of logs) {
    const error = await t.throwsAsync<AdminCallError>(client.operationLog(request));
    t.like(error, { code: 'INVALID_ARGUMENT', field });
  }
});

test('S2-8 the operation log by user, channel and cause, on gRPC and on the command line', async (t) => {
  const { client, address } = await start(t);
  await client.subscribe({ channelId: 'g1', channelType: 2, uids: ['user-7', 'user-8'] });
  await client.unsubscribe({ channelId: 'g1', channelType: 2, uids: ['user-7'] });
  const { lines, silent } = await client.operationLog({ uid: 'user-7' });
  t.deepEqual(silent, []);
  t.deepEqual(
    lines.map(({ action }) => action),
    ['unsubscribe', 'subscribe'],
  );
  t.like(lines[0], { member: 'n1', channelId: 'g1', channelType: 2, cause: 'admin' });
  const at = ['--address', address];
  const [table, json, none] = await Promise.all([
    run(['log', ...at, '--channel', 'g1', '--since', '10m']),
    run(['log', ...at, '--user', 'user-8', '--json']),
    run(['log', ...at, '--since', 'yesterday']),
  ]);
  t.is(table.code, 0, table.err);
  t.regex(table.out, /^time \(UTC\) +node +what +user +type +channel +cause +result +dot/);
  t.is(table.out.trim().split('\n').length, 4);
  t.is((JSON.parse(json.out) as { uid: string }).uid, 'user-8');
  t.is(none.code, 2);
});

test('S2-9 explain and repair on the command line: the verdict first, 100 columns, exit codes', async (t) => {
  const { client, address, core } = await start(t);
  await client.subscribe({ channelId: 'g1', channelType: 2, uids: ['user-7'] });
  await core.services.sessions.attach(new RecordingSession('user-7'));
  const at = ['--address', address];
  const [plain, json, stranger, repair] = await Promise.all([
    run(['explain', 'user-7', 'g1', ...at]),
    run(['explain', 'user-7', 'g1', ...at, '--json']),
    run(['explain', 'user-9', 'g1', ...at]),
    run(['repair', 'user-7', 'g1', ...at]),
  ]);
  t.is(plain.code, 0, plain.err);
  t.log(plain.out);
  t.regex(plain.out, /^RECEIVES {2}\(.* UTC, by n1\)\n {2}user-7 receives group g1: subscribed/);
  for (const line of plain.out.split('\n')) t.true(line.length <= 100, line);
  t.is((JSON.parse(json.out) as { receives: string }).receives, 'yes');
  t.is(stranger.code, 1);
  t.regex(stranger.out, /^DOES NOT RECEIVE .*\n {2}user-9 is not subscribed to group g1/);
  t.regex(repair.out, /^nothing to repair\n/);
});

test('verify streams its state, ends with a verdict, and remembers when it was true', async (t) => {
  const { client, address } = await start(t);
  await client.subscribe({ channelId: 'g1', channelType: 2, uids: ['user-7'] });
  const states = await collect(client.verify(new AbortController().signal));
  t.like(states[0], { ended: false, lastTrueMs: 0 });
  t.like(states.at(-1), { ended: true, proved: true });
  const again = await run(['verify', '--address', address]);
  t.is(again.code, 0, again.err);
  t.regex(again.out, /^last proved .* UTC, .* ago\n/);
  t.regex(again.out, /\nPROVED: all layers of all members agree\n$/);
});
