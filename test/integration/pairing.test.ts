import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { startCluster } from '../support/cluster.ts';
import { allLinked, clientOf } from '../support/integration.ts';
import { freePort } from '../support/ports.ts';
import { until } from '../support/until.ts';

const PROGRAM = fileURLToPath(new URL('../admin/support/program.ts', import.meta.url));

function run(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ['--import=tsx', PROGRAM, ...args], (error, out, err) =>
      error ? reject(new Error(err, { cause: error })) : resolve(out),
    );
  });
}

test.serial(
  'S0-5 S0-9 a bridge is paired by a code: shown as text and PNG, confirmed by a device on another node',
  async (t) => {
    t.timeout(120_000);
    const cluster = await startCluster(t, { nodes: 2, etcd: false });
    await allLinked(cluster);
    const port = await freePort();
    const target = JSON.stringify({ uid: 'bot', port, accessToken: 'key', pairing: 'required' });
    await cluster.admin(1).createConnection({ id: 'paired', kind: 'onebot-forward', target });
    const stateAt = (k: number) => async () =>
      (await cluster.admin(k).connection({ id: 'paired' })).standing!;
    const { code } = await until('node 2 shows the code', async () => {
      const standing = await stateAt(2)();
      return standing.state === 'QRCODE' ? standing : undefined;
    });
    const address = ['--address', cluster.addresses(2).admin];
    const shown = await run(['connections', 'code', 'paired', ...address]);
    t.true(shown.includes(code) && shown.includes('█'));
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-pairing-'));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const png = join(folder, 'code.png');
    await run(['connections', 'code', 'paired', '--png', png, ...address]);
    t.is(readFileSync(png).subarray(1, 4).toString(), 'PNG');

    const stranger = await clientOf(t, cluster.addresses(2).client, 'stranger');
    const device = await clientOf(t, cluster.addresses(2).client, 'bot');
    t.is((await stranger.request('pair', { code })).error?.code, 2);
    t.is((await device.request('pair', { code: 'holdfast-pair:paired:00' })).error?.code, 2);
    t.is((await stateAt(1)()).state, 'QRCODE');
    const confirmed = await device.request('pair', { code });
    t.like(confirmed.result, { connection: 'paired', reasonCode: 1 });
    const standing = await until('it is open', async () => {
      const now = await stateAt(1)();
      return now.state === 'CONNECTED' ? now : undefined;
    });
    t.is(standing.pairedBy, 'bot');
    const { journal } = await cluster.admin(1).connection({ id: 'paired' });
    t.deepEqual(
      journal.map(({ after }) => after!.state),
      ['OPENING', 'QRCODE', 'PAIRING', 'CONNECTED'],
    );
  },
);
