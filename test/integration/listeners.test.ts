import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { WebSocket } from 'ws';
import { HoldfastClient } from '../../src/client/client.ts';
import { startCluster } from '../support/cluster.ts';
import { allLinked, clientOf } from '../support/integration.ts';
import { until } from '../support/until.ts';

const PROGRAM = fileURLToPath(new URL('../admin/support/program.ts', import.meta.url));

function run(args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['--import=tsx', PROGRAM, ...args], (error, out, err) =>
      resolve({ code: error ? Number(error.code) : 0, out, err }),
    );
  });
}

test('S3-4 F33 disable and enable by the command line: connect, enable, then every message that was missed', async (t) => {
  t.timeout(120_000);
  const cluster = await startCluster(t, { nodes: 2, etcd: false });
  await allLinked(cluster);
  const here = cluster.addresses(1);
  const told: string[] = [];
  const ann = new HoldfastClient({
    ...{ addresses: [here.client], uid: 'ann', deviceId: 'of ann' },
    openSocket: (address) => new WebSocket(address),
    ...{ pingMs: 500, answerWithinMs: 5_000, backoffMinMs: 50, backoffMaxMs: 200 },
    onMessage: ({ payload }) => told.push(Buffer.from(payload, 'base64').toString()),
    onEvent: ({ type }) => told.push(type),
  });
  t.teardown(() => ann.stop());
  ann.start();
  const bob = await clientOf(t, cluster.addresses(2).client, 'bob');
  await until('ann is there', () => ann.state === 'connected');
  const setup = await clientOf(t, here.client, 'ann');
  await setup.subscribe('room');
  setup.stop();
  await until('ann knows it', () => ann.channels().length === 1);
  await bob.send('room', 2, 'before');
  await until('it came', () => told.includes('before'));

  const address = ['--address', here.admin];
  const disabled = await run(['listener', 'disable', 'client', '--json', ...address]);
  t.is(disabled.err, '');
  t.like(JSON.parse(disabled.out), { changed: true, terminated: 0 });
  const listed = await run(['listener', 'ls', '--json', ...address]);
  t.like(JSON.parse(listed.out.split('\n')[0]!), {
    ...{ node: 'node-1', name: 'client', state: 'disabled', connections: 0 },
  });
  t.is((await fetch(`${here.http}/readyz`)).status, 503);
  await bob.send('room', 2, 'missed 1');
  await bob.send('room', 2, 'missed 2');
  t.deepEqual(told.slice(-1), ['lifecycle.disable']);
  told.length = 0;
  const enabled = await cluster.admin(1).enableListener({ name: 'client' });
  t.true(enabled.changed);
  await until('all that was missed came', () => told.includes('missed 2'));
  t.deepEqual(told, ['lifecycle.connect', 'lifecycle.enable', 'missed 1', 'missed 2']);
  await until('ready again', async () => (await fetch(`${here.http}/readyz`)).status === 200);

  const wrong = await run(['listener', 'disable', 'wss', ...address]);
  t.is(wrong.code, 1);
  t.regex(wrong.err, /expected client or http/);

  await cluster.admin(1).disableListener({ name: 'http', retryAfterSeconds: 9 });
  const refused = await fetch(`${here.http}/route`);
  t.is(refused.status, 503);
  t.is(refused.headers.get('retry-after'), '9');
  t.is((await fetch(`${here.http}/readyz`)).status, 200, 'probes are answered still');
  await cluster.admin(1).enableListener({ name: 'http' });
  t.is((await fetch(`${here.http}/route`)).status, 200);

  const drained = await run(['drain', '--json', ...address]);
  t.like(JSON.parse(drained.out), { node: 'node-1' });
  await until('ann was sent elsewhere', () => told.includes('lifecycle.drain'));
  await t.throwsAsync(cluster.admin(1).drain(), { message: /it cannot drain/ });
});
