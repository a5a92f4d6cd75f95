import { execFile } from 'node:child_process';
import { join } from 'node:path';
import test from 'ava';
import { startCluster } from '../support/cluster.ts';
import { allLinked, clientOf, PATIENCE, sameTables } from '../support/integration.ts';
import { ROOT } from '../support/tree.ts';
import { until } from '../support/until.ts';

const PAIR = { uid: 'user-7', channelId: 'room', channelType: 2 };

function holdfast(args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    const program = [join(ROOT, 'scripts', 'holdfast.js'), ...args];
    execFile(process.execPath, program, (error, out, err) =>
      resolve({ code: error ? Number(error.code) : 0, out, err }),
    );
  });
}

test.serial(
  'S2-8 one log of three nodes: who did it where, and where it was replicated to',
  async (t) => {
    const cluster = await startCluster(t, { nodes: 3, etcd: false });
    await allLinked(cluster);
    const user = await clientOf(t, cluster.addresses(2).client, 'user-7');
    await user.subscribe('room');
    await cluster.admin(3).unsubscribe({ channelId: 'room', channelType: 2, uids: ['user-7'] });
    await sameTables(cluster);
    const about = { uid: 'user-7', channel: { channelId: 'room', channelType: 2 } };
    const lines = await until('every log has both operations', async () => {
      const reply = await cluster.admin(1).operationLog(about);
      return reply.lines.length === 6 ? reply.lines : undefined;
    });
    const told = (action: string) =>
      lines
        .filter((line) => line.action === action)
        .map(({ member, cause }) => `${member} ${cause}`)
        .sort();
    t.deepEqual(told('subscribe'), ['node-1 replicated', 'node-2 client', 'node-3 replicated']);
    t.deepEqual(told('unsubscribe'), ['node-1 replicated', 'node-2 replicated', 'node-3 admin']);
    t.is(
      new Set(lines.filter(({ action }) => action === 'subscribe').map(({ dot }) => dot)).size,
      1,
    );
    const response = await fetch(`${cluster.addresses(1).http}/channel/info`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ channel_id: 'closed', channel_type: 2, send_ban: 1 }),
    });
    t.is(response.status, 200);
    const closed = { channel: { channelId: 'closed', channelType: 2 } };
    const bans = (await cluster.admin(1).operationLog(closed)).lines;
    t.deepEqual(
      bans.filter(({ member }) => member === 'node-1').map(({ action, cause }) => [action, cause]),
      [['deny', 'http']],
      'the log says by which way a ban came',
    );
    await cluster.kill9(3);
    await cluster.start(3);
    await allLinked(cluster);
    const after = await cluster.admin(3).operationLog({ ...about, cause: 'admin' });
    t.deepEqual(
      after.lines.map(({ action, member }) => `${action} ${member}`),
      ['unsubscribe node-3'],
    );
  },
);

test.serial('S2-9 explain says what each node knows, and who does not answer', async (t) => {
  const cluster = await startCluster(t, { nodes: 3, etcd: false });
  await allLinked(cluster);
  const user = await clientOf(t, cluster.addresses(2).client, 'user-7');
  t.is((await user.subscribe('room')).reached, 'all');
  const sender = await clientOf(t, cluster.addresses(1).client, 'sender');
  await sender.send('room', 2, 'hello');
  await until('the message arrives', () => user.texts().length === 1);
  const explanation = await cluster.admin(3).explain(PAIR);
  t.is(explanation.receives, 'yes');
  t.regex(
    explanation.verdict!.text,
    /by client on node-2 at .*; 1 session on node-2; last message/,
  );
  t.deepEqual(
    explanation.members.map(({ row }) => row),
    ['live', 'live', 'live'],
  );
  const [, place] = explanation.members;
  t.like(place, { index: 'joined', member: 'node-2' });
  t.like(place!.sessions[0], { inTopic: 'yes', queueBytes: 0 });
  t.true(
    explanation.members[0]!.interest.some((one) => one.member === 'node-2' && one.channel),
    'node-1 knows that node-2 wants the channel',
  );
  const screen = await holdfast(['explain', 'user-7', 'room', '-a', cluster.addresses(3).admin]);
  t.is(screen.code, 0, screen.err);
  t.log(screen.out);
  const shown = screen.out.trimEnd().split('\n');
  t.true(shown.length <= 24, 'three nodes fit one screen');
  t.regex(shown[0]!, /^RECEIVES /);
  t.true(screen.out.includes('\n  do: nothing\n'), 'what to do is said');
  t.regex(screen.out, /channel proved equal .* ago · next sweep in /);
  const full = await holdfast([
    'explain',
    'user-7',
    'room',
    '--full',
    '-a',
    cluster.addresses(3).admin,
  ]);
  t.regex(full.out, /peer {5}node-2 heard · wants the channel · proved equal .* ago · sweep in /);
  cluster.pause(2);
  const paused = await until(
    'node-2 is said to be silent',
    async () => {
      const reply = await cluster.admin(1).explain(PAIR);
      return reply.silent.length > 0 ? reply : undefined;
    },
    PATIENCE * 5_000,
  );
  cluster.resume(2);
  t.is(paused.silent[0]!.member, 'node-2');
  t.regex(paused.verdict!.text, /^nobody can tell: .* no session on node-1 and node-3, and node-2/);
  t.is(paused.receives, 'unknown');
  t.regex(paused.next, /^start or resume node-2/);
});
