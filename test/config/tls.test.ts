import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { formatConfigErrors, loadConfig } from '../../src/config/load.ts';
import { certificatePath, certificateText } from '../support/certificates.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-tls-'));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;

function load(text: string) {
  const path = join(folder, `${files++}.yml`);
  writeFileSync(path, text);
  return loadConfig({ path, env: {} });
}

function errorsOf(text: string): string {
  const loaded = load(text);
  return loaded.ok ? '' : formatConfigErrors(loaded.errors);
}

function tls(surface: string, keys: Readonly<Record<string, string>>): string {
  const lines = Object.entries(keys).map(([key, value]) => `      ${key}: ${value}\n`);
  return `  ${surface}:\n    tls:\n${lines.join('')}`;
}

const SERVER = {
  certificate_file: certificatePath('server.pem'),
  key_file: certificatePath('server.key'),
};
const CA = { ca_file: certificatePath('ca.pem') };

test('TLS is off by default; with files addresses are wss and https, paths are relative to the file', (t) => {
  const plain = loadConfig({ env: {} });
  t.true(plain.ok && Object.values(plain.config.listen).every((one) => one.tls === undefined));
  writeFileSync(join(folder, 'own.pem'), certificateText('server'));
  const keys = { ...SERVER, certificate_file: 'own.pem' };
  const loaded = load(`listen:\n${tls('client', keys)}${tls('peer', { ...SERVER, ...CA })}`);
  if (!loaded.ok) return t.fail(formatConfigErrors(loaded.errors));
  const { client, peer, http } = loaded.config.listen;
  t.is(client.tls?.certificateFile, join(folder, 'own.pem'));
  t.is(client.tls?.caFile, undefined);
  t.is(peer.tls?.caFile, CA.ca_file);
  t.is(http.tls, undefined);
});

test('all that is wrong with certificates is said at once, with its place', (t) => {
  const errors = errorsOf(
    'listen:\n' +
      tls('client', { ...SERVER, certificate_file: certificatePath('renewed.pem') }) +
      tls('http', { certificate_file: 'nowhere.pem', key_file: certificatePath('ca.pem') }) +
      tls('admin', {
        certificate_file: certificatePath('expired.pem'),
        key_file: certificatePath('expired.key'),
        ca_file: certificatePath('server.key'),
      }) +
      tls('peer', {
        certificate_file: certificatePath('stranger.pem'),
        key_file: certificatePath('stranger.key'),
        ...CA,
      }),
  );
  t.regex(errors, /^configuration: 6 errors/);
  t.regex(errors, /5:\d+: listen\.client\.tls\.key_file: found the key of another certificate/);
  t.regex(errors, /listen\.http\.tls\.certificate_file: found \S+nowhere\.pem, which .*ENOENT/);
  t.regex(errors, /listen\.http\.tls\.key_file: found no private key\n +allowed: a PEM file/);
  t.regex(errors, /listen\.admin\.tls\.certificate_file: found a certificate that expired on Jan/);
  t.regex(errors, /listen\.admin\.tls\.ca_file: found 0 certificates/);
  t.regex(errors, /listen\.peer\.tls\.certificate_file: found a certificate of another authority/);
});

test('a listener has all of its files or none, members their authority too', (t) => {
  const { certificate_file, key_file } = SERVER;
  const client = errorsOf(`listen:\n${tls('client', { certificate_file })}`);
  t.regex(client, /listen\.client\.tls\.key_file: found nothing\n.*certificate_file, key_file tog/);
  const peer = errorsOf(`listen:\n${tls('peer', { certificate_file, key_file })}`);
  t.regex(peer, /listen\.peer\.tls\.ca_file: found nothing/);
  const other = errorsOf(`listen:\n${tls('client', { ...SERVER, ...CA })}`);
  t.regex(other, /listen\.client\.tls\.ca_file: found an unknown key/);
});

test('a file that is missing hides nothing of those that are given', (t) => {
  const unreadable = { certificate_file: 'nowhere.pem' };
  const errors = errorsOf(`listen:\n${tls('client', unreadable)}`);
  t.regex(errors, /client\.tls\.key_file: found nothing/);
  t.regex(errors, /client\.tls\.certificate_file: found .*nowhere\.pem, which cannot be read/);
  const key = errorsOf(`listen:\n${tls('http', { key_file: certificatePath('ca.pem') })}`);
  t.regex(key, /http\.tls\.certificate_file: found nothing/);
  t.regex(key, /http\.tls\.key_file: found no private key/);
  t.regex(errorsOf(`listen:\n${tls('peer', { ca_file: 'gone.pem' })}`), /gone\.pem, which cannot/);
});

test('a key is never shown, and one with a passphrase is refused as such', (t) => {
  const path = join(folder, 'locked.key');
  const secret = 'MIGHAgEAMBMGByqGSM49';
  const kind = ['ENCRYPTED', 'PRIVATE', 'KEY'].join(' ');
  writeFileSync(path, `-----BEGIN ${kind}-----\n${secret}\n-----END ${kind}-----\n`);
  const errors = errorsOf(`listen:\n${tls('client', { ...SERVER, key_file: path })}`);
  t.regex(errors, /key_file: found a key with a passphrase/);
  t.false(errors.includes(secret));
});

test('operators may come with a certificate instead of a token, members need the secret still', (t) => {
  const admin = tls('admin', { ...SERVER, ...CA }).replace(
    'admin:\n',
    'admin:\n    host: 10.0.0.1\n',
  );
  t.is(errorsOf(`listen:\n${admin}`), '');
  const peer = tls('peer', { ...SERVER, ...CA }).replace('peer:\n', 'peer:\n    host: 10.0.0.1\n');
  t.regex(errorsOf(`listen:\n${peer}`), /without cluster\.secret/);
});

test('a node with TLS does not tell others an address without', (t) => {
  const address = (port: number) => `127.0.0.1:${port}`;
  const errors = errorsOf(
    `listen:\n${tls('client', SERVER)}${tls('http', SERVER)}` +
      '    advertise: http://chat.example.com:5001\nmembers:\n  - id: node-1\n    slot: 0\n' +
      `    peer_address: ${address(7100)}\n    client_address: ws://${address(5200)}\n` +
      `    http_address: https://${address(5001)}\n    admin_address: ${address(5300)}\n`,
  );
  t.regex(errors, /^configuration: 2 errors/);
  t.regex(
    errors,
    /listen\.http\.advertise: found "http:.*\n.*https:\/\/…, because listen\.http\.tls/,
  );
  t.regex(errors, /members\.0\.client_address: found "ws:.*\n.*wss:\/\/…, because/);
});
