import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { AdminClient } from '../../src/admin/client.ts';
import { startCluster } from '../support/cluster.ts';
import { until } from '../support/until.ts';

/** A secret of each kind: `name` tells the rounds of a rotation apart. */
const KINDS = ['cluster', 'manager', 'admin'] as const;
const secretOf = (kind: string, name: string): string => `${kind}-secret-${name}`;

test('the secrets of three running nodes rotate by files and SIGHUP, two valid at once; links stay', async (t) => {
  t.timeout(180_000);
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-rotation-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const put = (...names: string[]): void => {
    for (const kind of KINDS) {
      const lines = names.map((name) => secretOf(kind, name));
      writeFileSync(join(folder, kind), lines.join('\n'));
    }
  };
  put('old');
  const cluster = await startCluster(t, {
    ...{ nodes: 3, etcd: false, start: false },
    config: {
      cluster: { id: 'test', secret_file: join(folder, 'cluster') },
      http: { manager_token_file: join(folder, 'manager') },
      admin: { token_file: join(folder, 'admin') },
    },
  });
  for (const k of cluster.numbers) cluster.launch(k);
  await cluster.whenReady();
  const { http, admin } = cluster.addresses(1);
  const manager = async (name: string): Promise<number> => {
    const token = secretOf('manager', name);
    return (await fetch(`${http}/metrics`, { headers: { token } })).status;
  };
  const operator = async (name: string): Promise<string> => {
    const client = new AdminClient({ address: admin, token: secretOf('admin', name) });
    try {
      const { members } = await client.members();
      return `${members.filter(({ peer }) => peer?.live).length} live`;
    } catch (error) {
      return (error as { code: string }).code;
    } finally {
      client.close();
    }
  };
  const hangUp = (): void =>
    cluster.numbers.forEach((k) => process.kill(cluster.pid(k)!, 'SIGHUP'));
  await until('the three are linked', async () => (await operator('old')) === '2 live');
  t.deepEqual([await manager('old'), await manager('new')], [200, 401]);

  put('old', 'new');
  hangUp();
  await until('both are valid', async () => (await manager('new')) === 200);
  t.deepEqual(
    [await manager('old'), await operator('old'), await operator('new')],
    [200, '2 live', '2 live'],
  );

  put('new');
  hangUp();
  await until('the old one is not', async () => (await manager('old')) === 401);
  t.deepEqual(
    [await manager('new'), await operator('old'), await operator('new')],
    [200, 'UNAUTHENTICATED', '2 live'],
  );

  await cluster.kill9(2);
  cluster.launch(2);
  await cluster.whenReady(2);
  await until('a link by the new secret', async () => (await operator('new')) === '2 live', 60_000);

  for (const kind of KINDS) writeFileSync(join(folder, kind), '\n');
  hangUp();
  await until('a file without secrets is refused', () =>
    cluster.logs(500).some((line) => /cluster\.secret_file: found.*is not taken/.test(line)),
  );
  t.deepEqual([await manager('new'), await operator('new')], [200, '2 live']);
});
