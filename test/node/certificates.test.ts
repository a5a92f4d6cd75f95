import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { loadConfig } from '../../src/config/load.ts';
import { Certificates } from '../../src/node/certificates.ts';
import { certificatePath, type CertificateName } from '../support/certificates.ts';
import { createVirtualRuntime } from '../support/virtual-runtime.ts';

/** The files of the client port, in a folder of their own, looked at every 10 s. */
function watched(t: ExecutionContext) {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-certificates-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const [pem, key] = [join(folder, 'own.pem'), join(folder, 'own.key')];
  const put = (name: CertificateName): void => {
    copyFileSync(certificatePath(`${name}.pem`), pem);
    copyFileSync(certificatePath(`${name}.key`), key);
  };
  put('server');
  const overrides = {
    'listen.client.tls.certificate_file': pem,
    'listen.client.tls.key_file': key,
  };
  const loaded = loadConfig({ env: {}, overrides });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.errors));
  const runtime = createVirtualRuntime();
  // Virtual time begins long before these certificates do.
  runtime.stepWall(Date.UTC(2026, 0, 1) - runtime.clock.wallMs());
  const said: string[] = [];
  const note = (message: string, fields?: unknown): void =>
    void said.push(`${message} ${JSON.stringify(fields)}`);
  const log = { info: note, warn: note };
  const make = () => new Certificates(loaded.config, { log, runtime });
  return { make, put, pem, key, runtime, said };
}

test('files that changed are taken within the interval, and no other listener is asked', async (t) => {
  const { make, put, runtime, said } = watched(t);
  const certificates = make();
  t.is(certificates.source('peer'), undefined);
  const source = certificates.source('client')!;
  const before = source.current().fingerprint;
  const seen: string[] = [];
  const forget = source.onChange(({ fingerprint }) => void seen.push(fingerprint));
  await runtime.advance(60_000);
  t.deepEqual([seen, said], [[], []]);
  put('renewed');
  await runtime.advance(10_000);
  t.is(seen.length, 1);
  t.not(seen[0], before);
  t.deepEqual([source.current().fingerprint], seen);
  t.regex(said[0]!, /new certificate .*"listener":"client"/);
  forget();
  put('server');
  t.deepEqual(certificates.reload(), [{ surface: 'client', outcome: 'taken', reasons: [] }]);
  t.is(seen.length, 1, 'who forgot is told no more');
  certificates.stop();
  put('renewed');
  await runtime.advance(60_000);
  t.is(source.current().fingerprint, before, 'it looks no more after stop');
});

test('a bad certificate changes nothing and says why, once; files may come one after the other', async (t) => {
  const { make, put, pem, key, runtime, said } = watched(t);
  const certificates = make();
  const source = certificates.source('client')!;
  const before = source.current();
  copyFileSync(certificatePath('renewed.pem'), pem);
  await runtime.advance(10_000);
  t.deepEqual(said, [], 'its key may be on its way');
  copyFileSync(certificatePath('renewed.key'), key);
  await runtime.advance(10_000);
  t.is(said.length, 1);
  put('expired');
  await runtime.advance(100_000);
  t.is(said.length, 2);
  t.regex(said[1]!, /not taken.*listen\.client\.tls\.certificate_file: a certificate that expired/);
  t.not(source.current(), before);
  writeFileSync(key, 'nothing');
  t.like(certificates.reload()[0], { outcome: 'refused' });
  t.regex(said.at(-1)!, /key_file: no private key.*certificate_file: a certificate that expired/);
  put('server');
  await runtime.advance(10_000);
  t.is(source.current().fingerprint, before.fingerprint);
});

test('what cannot be taken by the listener leaves it and everything else as it was', (t) => {
  const { make, put } = watched(t);
  const certificates = make();
  const source = certificates.source('client')!;
  const before = source.current();
  source.onChange(() => {
    throw new Error('the port could not be bound again');
  });
  put('renewed');
  const reasons = ['the port could not be bound again'];
  t.deepEqual(certificates.reload(), [{ surface: 'client', outcome: 'refused', reasons }]);
  t.is(source.current(), before);
});

test('a start with files that became wrong is refused with all reasons', (t) => {
  const { make, put, key } = watched(t);
  put('expired');
  writeFileSync(key, 'nothing');
  t.throws(make, {
    code: 'CERTIFICATE',
    message: /no private key; listen\.client\.tls\.certificate_file: a certificate that expired on/,
  });
});
