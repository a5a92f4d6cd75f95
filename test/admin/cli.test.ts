import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { formatTable, printable } from '../../src/admin/cli/output.ts';
import type { ChannelKey, Uid } from '../../src/core/ids.ts';
import { fakeCluster, FakeSession, member } from './support/fakes.ts';
import { startAdmin } from './support/start.ts';

const PROGRAM = fileURLToPath(new URL('support/program.ts', import.meta.url));

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

function run(args: readonly string[], { input, env }: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ['--import=tsx', PROGRAM, ...args],
      { env: { ...process.env, ...env } },
      (error, out, err) => resolve({ code: error ? Number(error.code) : 0, out, err }),
    );
    child.stdin!.end(input ?? '');
  });
}

async function folder(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'holdfast-cli-'));
  t.teardown(() => rm(path, { recursive: true }));
  return path;
}

test('sub add, ls and rm with plain tables', async (t) => {
  const { address, services } = await startAdmin(t);
  const at = ['--address', address];
  const added = await run(['sub', 'add', ...at, '--channel', 'g', '--uid', 'u1', 'u2']);
  t.is(added.code, 0, added.err);
  t.regex(added.out, /^uid {2}receipt\nu1 {3}00000000000000aa:\d+:1\n/);
  t.regex(added.out, /reached all/);
  const listed = await run(['sub', 'ls', ...at, '--channel', 'g']);
  t.is(listed.out, 'type\tchannel\tuid\n2\tg\tu1\n2\tg\tu2\n');
  const removed = await run([
    ...['sub', 'rm', ...at, '--channel', 'g', '--uid', 'u1'],
    ...['--receipt', '00000000000000aa:1:1', '--wait-for', 'local', '--json'],
  ]);
  t.is((JSON.parse(removed.out) as { reached: string }).reached, 'WAIT_FOR_LOCAL');
  t.deepEqual([...services.subscriptions.table.get('2/g' as ChannelKey)!], ['u2' as Uid]);
});

test('sub add from standard input goes in batches, and says which lines were refused', async (t) => {
  const { address, services } = await startAdmin(t);
  const lines = Array.from({ length: 2_500 }, (_, i) => `g${i % 7}\tu${i}`);
  lines[1_200] = 'g1\tbad@uid';
  const args = ['sub', 'add', '--address', address, '--file', '-', '--json'];
  const ran = await run(args, { input: lines.join('\n') + '\n' });
  t.is(ran.code, 1);
  t.regex(ran.err, /^holdfast: lines 1001 to 2000: uids\[200\]: character "@" is not allowed/);
  t.deepEqual(JSON.parse(ran.out), { batches: 3, applied: 1_500, refused: 1_000 });
  const count = [...services.subscriptions.table.values()].reduce((n, uids) => n + uids.size, 0);
  t.is(count, 1_500);
});

test('sub rm from a file; a line that is no pair is named', async (t) => {
  const { address, client, services } = await startAdmin(t);
  await client.subscribe({ channelId: 'g', channelType: 3, uids: ['u1', 'u2', 'u3'] });
  const path = join(await folder(t), 'pairs');
  await writeFile(path, 'g\tu1\ng\tu3\n');
  const flags = ['--address', address, '--type', '3', '--file', path];
  t.is((await run(['sub', 'rm', ...flags])).out, '2 applied, 0 refused\n');
  t.deepEqual([...services.subscriptions.table.get('3/g' as ChannelKey)!], ['u2' as Uid]);
  await writeFile(path, 'g\tu1\ng u3\n');
  const bad = await run(['sub', 'rm', ...flags]);
  t.is(bad.code, 2);
  t.is(bad.err, 'holdfast: line 2: expected channel<TAB>uid\n');
  const absent = await run(['sub', 'rm', '--address', address, '--file', path + '-absent']);
  t.is(absent.code, 1);
  t.regex(absent.err, /ENOENT/);
});

test('members, sessions, kick, publish, digest: tables for people, --json for programs', async (t) => {
  const { address, services } = await startAdmin(t);
  services.connected.push(new FakeSession(1, 'u1'), new FakeSession(2, 'evil\u001b[2J'));
  const ask = (...args: string[]): Promise<Ran> => run([...args, '--address', address]);
  const [members, membersJson, sessions, kick, publish, digest] = await Promise.all([
    ask('members'),
    ask('members', '--json'),
    ask('sessions'),
    ask('kick', '--uid', 'u1', '--json'),
    ask('publish', '--from', 'u1', '--channel', 'g', '--payload', 'hé', '--no-persist'),
    ask('digest', '--json'),
  ]);
  t.regex(members.out, /^member +slot +state +stream +lagging +behind/);
  t.regex(members.out, /\na \(this\) +0 +live/);
  t.regex(members.out, /\nb +1 +live +open +no +3 /);
  t.regex(members.out, /\nc +2 +suspect +down/);
  t.regex(members.out, /store failing since .* \(disk is full\)/);
  t.is((JSON.parse(membersJson.out) as { rosterEpoch: number }).rosterEpoch, 7);
  t.regex(sessions.out, /1 +u1 +web +master +2023-11-14 22:13:20\.000 +10\.1\.1\.1 +json-rpc +2\n/);
  t.false(sessions.out.includes('\u001b'));
  t.deepEqual(JSON.parse(kick.out), { kicked: 1 });
  t.regex(publish.out, /4611686018427387905 +33 +[0-9a-f]{32} +2\n$/);
  t.is(Buffer.from(services.published[0]!.payload).toString(), 'hé');
  t.true(services.published[0]!.noPersist);
  t.is((JSON.parse(digest.out) as { member: string }).member, 'a');
});

test('digest --all compares every member, and a member that is silent is not equal', async (t) => {
  const one = await startAdmin(t);
  const roster = (addresses: readonly string[]) => ({
    epoch: 1,
    members: addresses.map((adminAddress, i) => ({ ...member(`m${i}`, i), adminAddress })),
  });
  const equal = await startAdmin(t, {
    cluster: fakeCluster({ roster: () => roster([one.address, one.address]) }),
  });
  const good = await run(['digest', '--all', '--address', equal.address]);
  t.is(good.code, 0, good.err);
  t.regex(good.out, /\nequal\n$/);
  const silent = await startAdmin(t, {
    cluster: fakeCluster({ roster: () => roster([one.address, '127.0.0.1:1']) }),
  });
  const bad = await run(['digest', '--all', '--json', '--address', silent.address]);
  t.is(bad.code, 1);
  t.deepEqual(JSON.parse(bad.out.trim().split('\n').at(-1)!), { equal: false });
});

test('watch prints line by line and ends after --count', async (t) => {
  const { address, events } = await startAdmin(t);
  const args = ['watch', '--address', address, '--json', '--kind', 'session', '--count', '2'];
  const child = spawn(process.execPath, ['--import=tsx', PROGRAM, ...args]);
  t.teardown(() => child.kill());
  const lines: { event: string }[] = [];
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(JSON.parse(line) as { event: string });
    if (lines.length > 1) return;
    const session = { id: 5, uid: 'u' as Uid, remoteAddress: 'r', protocol: 'json-rpc' } as const;
    events.emit({ atMs: 1, kind: 'session', change: 'connected', ...session });
    events.emit({ atMs: 2, kind: 'status', subject: 'writes', accepted: true });
    events.emit({ atMs: 3, kind: 'session', change: 'disconnected', ...session });
  });
  t.is(await ended, 0);
  t.deepEqual(
    lines.map(({ event }) => event),
    ['watching', 'session', 'session'],
  );
});

test('tokens come from the flag, a file or the environment', async (t) => {
  const { address } = await startAdmin(t, { tokens: ['T0'] });
  const path = join(await folder(t), 'token');
  await writeFile(path, 'T0\n');
  const args = ['digest', '--address', address];
  const [none, flag, file, variable, list] = await Promise.all([
    run(args),
    run([...args, '--token', 'T0']),
    run([...args, '--token-file', path]),
    run(args, { env: { HOLDFAST_ADMIN_TOKEN: 'T0' } }),
    run(args, { env: { HOLDFAST_ADMIN_TOKEN: 'T0,T1' } }),
  ]);
  t.is(none.code, 1);
  t.regex(none.err, /^holdfast: no token: .*\(UNAUTHENTICATED\)\n$/);
  t.deepEqual([flag.code, file.code, variable.code, list.code], [0, 0, 0, 0]);
});

test('mistakes are one line and exit code 2, silence is 3, a refusal is 1', async (t) => {
  const { address } = await startAdmin(t);
  const at = ['--address', address];
  const [unknown, number, both, missing, place, silent, refused] = await Promise.all([
    run(['members', '--nonsense']),
    run(['sub', 'ls', ...at, '--limit', 'many']),
    run(['sub', 'ls', ...at, '--channel', 'g', '--uid', 'u']),
    run(['sub', 'add', ...at, '--channel', 'g']),
    run(['members', '--address', 'nowhere']),
    run(['members', '--address', '127.0.0.1:1']),
    run(['sub', 'add', ...at, '--channel', 'g', '--uid', 'a@b', '--json']),
  ]);
  const all = [unknown, number, both, missing, place, silent, refused];
  t.deepEqual(
    all.map(({ code }) => code),
    [2, 2, 2, 2, 2, 3, 1],
  );
  for (const { err, out } of all) {
    t.is(err.trim().split('\n').length, 1, err);
    t.is(out, '');
  }
  t.regex(refused.err, /^holdfast: uids\[0\]: character "@" .* \(INVALID_ARGUMENT\)\n$/);
});

test('tables are aligned, numbers to the right, and nothing steers the terminal', (t) => {
  const table = formatTable(
    ['name', 'n'],
    [
      ['a', 5],
      ['longer', 1234],
      ['', 0],
    ],
  );
  t.is(table, 'name    n\na          5\nlonger  1234\n-          0');
  t.is(printable('a\u001b[31m\u009bb\n'), 'a?[31m?b?');
});
