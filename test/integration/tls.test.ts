import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import { certificatePath, certificateText, type CertificateName } from '../support/certificates.ts';
import { startCluster } from '../support/cluster.ts';
import { EasyClient } from '../support/clients/easy-client.ts';
import { allLinked } from '../support/integration.ts';
import { until } from '../support/until.ts';

const CA = certificateText('ca');

async function client(t: ExecutionContext, url: string, uid: string): Promise<EasyClient> {
  const made = new EasyClient({ url, uid, ca: CA, reconnect: false });
  t.teardown(() => made.stop());
  await made.connect();
  return made;
}

async function shown(address: string): Promise<string> {
  const [host = '', port = ''] = address.replace(/^wss:\/\//, '').split(':');
  const tls = connectTls({ host, port: Number(port), ca: CA });
  tls.on('error', () => {});
  await once(tls, 'secureConnect');
  const { CN } = tls.getPeerCertificate().subject;
  tls.destroy();
  return CN as string;
}

test('three nodes over TLS: a message crosses, and SIGHUP changes certificates under open sockets', async (t) => {
  t.timeout(180_000);
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-tls-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const files = {
    certificateFile: join(folder, 'own.pem'),
    keyFile: join(folder, 'own.key'),
    caFile: certificatePath('ca.pem'),
  };
  const put = (name: CertificateName): void => {
    copyFileSync(certificatePath(`${name}.pem`), files.certificateFile);
    copyFileSync(certificatePath(`${name}.key`), files.keyFile);
  };
  put('server');
  const cluster = await startCluster(t, {
    ...{ nodes: 3, etcd: false, tls: files },
    config: { cluster: { id: 'test', secret: 'a-secret-of-the-tests' } },
  });
  await allLinked(cluster);
  const [here, there] = [cluster.addresses(1), cluster.addresses(2)];
  t.regex(here.client, /^wss:/);
  const ann = await client(t, here.client, 'ann');
  const bob = await client(t, there.client, 'bob');
  await ann.subscribe('room');
  await bob.send('room', 2, 'over TLS');
  await until('it came', () => ann.texts().includes('over TLS'));

  const hangUp = (): void =>
    cluster.numbers.forEach((k) => process.kill(cluster.pid(k)!, 'SIGHUP'));
  const surfaces = [here.client, here.admin, there.client];
  put('renewed');
  hangUp();
  for (const address of surfaces) {
    await until(`${address} shows the new one`, async () => (await shown(address)) === 'renewed');
  }
  writeFileSync(files.keyFile, 'no key');
  hangUp();
  await until('it is refused, with the reason', () =>
    cluster.logs(500).some((line) => /listen\.client\.tls\.key_file.*is not taken/.test(line)),
  );
  t.is(await shown(here.client), 'renewed');
  await bob.send('room', 2, 'after both');
  await until('the sockets of before live', () => ann.texts().includes('after both'));
  const late = await client(t, there.client, 'ann');
  t.true(late.connected);
  const { members } = await cluster.admin(1).members();
  t.true(
    members.every(({ id, peer }) => id === 'node-1' || peer?.live),
    'links stayed',
  );
});
