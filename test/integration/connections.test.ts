import test from 'ava';
import type { ConnectionInfo } from '../../src/admin/connection-messages.ts';
import { startCluster } from '../support/cluster.ts';
import { WebSocket } from 'ws';
import { allLinked, clientOf } from '../support/integration.ts';
import { freePort } from '../support/ports.ts';
import { until } from '../support/until.ts';

const EXTERNAL = { id: 'bot-7', kind: 'external', target: '' };

test.serial(
  'S0-2 S0-4 S0-9 a kept connection is the same on every node and after kill -9; its owner decides for all',
  async (t) => {
    // Here the owner comes back; on a slow machine that takes long.
    const config = { connections: { takeover_seconds: 3_600 } };
    const cluster = await startCluster(t, { nodes: 3, etcd: false, config });
    await allLinked(cluster);
    const created = await cluster.admin(2).createConnection(EXTERNAL);
    t.like(created.standing, { state: 'OPENING', attempt: 1, owner: 'node-2', enabled: true });
    const shown = { id: 'bot-7', attempt: 1, to: 'QRCODE', reason: 'scan it', code: 'otp-123' };
    await until('node 1 knows of it', async () => {
      const { connections } = await cluster.admin(1).connections();
      return connections.length === 1;
    });
    const asked = await cluster.admin(1).reportConnection(shown);
    t.like(asked.standing, { state: 'QRCODE', code: 'otp-123', owner: 'node-2' });
    const same = async (k: number, expected: ConnectionInfo): Promise<boolean> => {
      const found = await cluster.admin(k).connection({ id: 'bot-7' });
      return JSON.stringify(found) === JSON.stringify(expected);
    };
    for (const k of [1, 2, 3]) await until(`node ${k} has it`, () => same(k, asked));
    const illegal = { ...shown, to: 'CONNECTED' };
    await t.throwsAsync(cluster.admin(3).reportConnection(illegal), {
      code: 'FAILED_PRECONDITION',
    } as never);
    const late = { ...shown, to: 'PAIRING', version: 1 };
    await t.throwsAsync(cluster.admin(3).reportConnection(late), { code: 'ABORTED' } as never);
    const writers = Array.from({ length: 30 }, (_, i) =>
      cluster.admin(1 + (i % 3)).reportConnection({ ...shown, to: 'PAIRING', version: 2 }),
    );
    const results = await Promise.allSettled(writers);
    t.is(results.filter(({ status }) => status === 'fulfilled').length, 1);
    const before = await cluster.admin(2).connection({ id: 'bot-7' });
    await until('node 1 has the winner', () => same(1, before));
    await cluster.kill9(2);
    const dead = cluster.admin(1).actOnConnection({ id: 'bot-7', action: 'retry' });
    await t.throwsAsync(dead, { code: 'UNAVAILABLE' } as never);
    t.true(await same(1, before));
    await cluster.start(2);
    t.true(await same(2, before), 'what was written is what is read after kill -9');
    const cancelled = await cluster.admin(3).actOnConnection({ id: 'bot-7', action: 'cancel' });
    t.like(cancelled.standing, { state: 'DISCONNECTED', enabled: false, deadlineMs: 0 });
    t.is(cancelled.journal.at(-1)!.event, 'cancel');
  },
);

test.serial(
  'S0-2 S0-4 of creations of one id on three nodes at once one is answered with OK, and all show it',
  async (t) => {
    const cluster = await startCluster(t, { nodes: 3, etcd: false });
    await allLinked(cluster);
    for (let run = 0; run < 5; run++) {
      const id = `at-once-${run}`;
      const made = await Promise.allSettled(
        [1, 2, 3].map((k) =>
          cluster.admin(k).createConnection({ ...EXTERNAL, id, target: `{"of":${k}}` }),
        ),
      );
      const [one, ...more] = made.flatMap((each) =>
        each.status === 'fulfilled' ? [each.value] : [],
      );
      t.deepEqual(more, []);
      for (const { reason } of made.filter((each) => each.status === 'rejected')) {
        const { code } = reason as { readonly code: string };
        t.true(['ALREADY_EXISTS', 'ABORTED'].includes(code), String(reason));
      }
      for (const k of [1, 2, 3]) t.deepEqual(await cluster.admin(k).connection({ id }), one);
    }
  },
);

test.serial(
  'S0-4 a bridge of a node killed with -9 is opened by another by itself, and goes on where it was',
  async (t) => {
    t.timeout(180_000);
    const config = { connections: { takeover_seconds: 4 } };
    const cluster = await startCluster(t, { nodes: 3, etcd: false, config });
    await allLinked(cluster);
    const port = await freePort();
    const target = JSON.stringify({ uid: 'bot', port, accessToken: 'key' });
    await cluster.admin(1).createConnection({ id: 'bridge', kind: 'onebot-forward', target });
    const standing = async (k: number) =>
      (await cluster.admin(k).connection({ id: 'bridge' })).standing!;
    await until('it listens', async () => (await standing(2)).state === 'CONNECTED');
    await cluster.admin(2).subscribe({ channelId: 'room', channelType: 2, uids: ['ann', 'bot'] });
    const ann = await clientOf(t, cluster.addresses(2).client, 'ann');
    const heard: string[] = [];
    const listen = async (): Promise<void> => {
      const bot = new WebSocket(`ws://127.0.0.1:${port}/event?access_token=key`);
      t.teardown(() => bot.terminate());
      // Before it is open: the first frames may come in one piece with the answer to the handshake.
      bot.on('message', (data) => {
        const frame = JSON.parse((data as Buffer).toString()) as { raw_message?: string };
        if (frame.raw_message !== undefined) heard.push(frame.raw_message);
      });
      await new Promise((resolve, reject) => {
        bot.once('open', resolve);
        bot.once('error', reject);
      });
    };
    await listen();
    const says = (content: string) => ann.send('room', 2, JSON.stringify({ type: 1, content }));
    await until('the bot hears', async () => {
      if (heard.length === 0) await says('before');
      await new Promise((resolve) => setTimeout(resolve, 200));
      return heard.includes('before');
    });
    // Each second the owner tells the others how far the bot is; nobody else can see that.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    await cluster.kill9(1);
    await says('while nobody listened');
    const owner = await until(
      'another has it',
      async () => {
        const now = await standing(2);
        return now.owner !== 'node-1' && now.state === 'CONNECTED' ? now.owner : undefined;
      },
      60_000,
    );
    await until('it listens again', async () => {
      await listen();
      return true;
    });
    await until('what it missed came', () => heard.includes('while nobody listened'), 30_000);
    await cluster.start(1);
    await allLinked(cluster);
    await until('node 1 has learned it', async () => (await standing(1)).owner === owner);
    const { journal } = await cluster.admin(1).connection({ id: 'bridge' });
    t.is(journal.filter(({ event }) => event === 'takeover').length, 1);
  },
);
