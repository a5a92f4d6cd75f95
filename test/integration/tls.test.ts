import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import { WebSocket } from 'ws';
import { certificatePath, certificateText, type CertificateName } from '../support/certificates.ts';
import { startCluster } from '../support/cluster.ts';
import { EasyClient } from '../support/clients/easy-client.ts';
import { allLinked } from '../support/integration.ts';
import { freePort } from '../support/ports.ts';
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

test('a bot comes to a forward port over TLS: strangers do not, and a renewed certificate is for new sockets', async (t) => {
  t.timeout(180_000);
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-tls-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const files = { certificateFile: join(folder, 'own.pem'), keyFile: join(folder, 'own.key') };
  const put = (name: CertificateName): void => {
    copyFileSync(certificatePath(`${name}.pem`), files.certificateFile);
    copyFileSync(certificatePath(`${name}.key`), files.keyFile);
  };
  put('server');
  const cluster = await startCluster(t, {
    ...{ nodes: 1, etcd: false, tls: { ...files, caFile: certificatePath('ca.pem') } },
    config: { cluster: { id: 'test', secret: 'a-secret-of-the-tests' } },
  });
  const port = await freePort();
  const target = JSON.stringify({ uid: 'bot', port, accessToken: 'key', tls: 'required' });
  const admin = cluster.admin(1);
  await admin.createConnection({ id: 'secure', kind: 'onebot-forward', target });
  const stateOf = async () => (await admin.connection({ id: 'secure' })).standing?.state;
  await until('it listens', async () => (await stateOf()) === 'CONNECTED', 20_000);

  const url = `wss://127.0.0.1:${port}/?access_token=key`;
  const bot = await openBot(t, url);
  const heard = (frame: string) => bot.frames.some((text) => text.includes(frame));
  await until('the bot is told that it is connected', () => heard('"lifecycle"'));
  bot.socket.send('{"action":"get_login_info","params":{},"echo":"one"}');
  await until('its action is answered', () => heard('"echo":"one"'));

  const plain = new WebSocket(`ws://127.0.0.1:${port}/?access_token=key`);
  const [refused] = (await once(plain, 'error')) as [Error];
  t.regex(refused.message, /hang up|ECONNRESET|Parse Error/);
  const wary = new WebSocket(url, { ca: certificateText('other-ca') });
  const [distrust] = (await once(wary, 'error')) as [Error];
  t.regex(distrust.message, /unable to verify/);
  await until('both are counted', async () => (await failures(cluster.addresses(1).http)) >= 2);

  put('renewed');
  process.kill(cluster.pid(1)!, 'SIGHUP');
  const at = `127.0.0.1:${port}`;
  await until('a new socket sees the new one', async () => (await shown(at)) === 'renewed', 20_000);
  bot.socket.send('{"action":"get_status","params":{},"echo":"two"}');
  await until('the socket of before lives', () => heard('"echo":"two"'));
  const odd = JSON.stringify({ uid: 'bot', url: 'wss://127.0.0.1:1', tls: 'required' });
  await t.throwsAsync(admin.createConnection({ id: 'odd', kind: 'onebot-reverse', target: odd }), {
    message: /tls: only where the bot is listened for/,
  });
});

async function openBot(t: ExecutionContext, url: string) {
  const socket = new WebSocket(url, { ca: CA });
  const frames: string[] = [];
  socket.on('message', (data) => void frames.push((data as Buffer).toString()));
  t.teardown(() => socket.terminate());
  await once(socket, 'open');
  return { socket, frames };
}

async function failures(http: string): Promise<number> {
  const text = await (await fetch(`${http}/metrics`)).text();
  return Number(/_handshakes_failed_total\{listener="onebot"\} (\d+)/.exec(text)?.[1]);
}
