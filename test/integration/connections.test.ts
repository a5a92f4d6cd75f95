import test from 'ava';
import type { ConnectionInfo } from '../../src/admin/connection-messages.ts';
import { startCluster } from '../support/cluster.ts';
import { allLinked } from '../support/integration.ts';
import { until } from '../support/until.ts';

const EXTERNAL = { id: 'bot-7', kind: 'external', target: '' };

test.serial(
  'S0-2 S0-4 S0-9 a kept connection is the same on every node and after kill -9; its owner decides for all',
  async (t) => {
    const cluster = await startCluster(t, { nodes: 3, etcd: false });
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
