import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { credentials } from '@grpc/grpc-js';
import test from 'ava';
import { AdminClient, type AdminCallError } from '../../src/admin/client.ts';
import { serverCredentials } from '../../src/node/grpc-credentials.ts';
import { certificatePath, certificateText, tlsSource } from '../support/certificates.ts';
import { startAdmin } from './support/start.ts';

const PROGRAM = fileURLToPath(new URL('support/program.ts', import.meta.url));
const CA = Buffer.from(certificateText('ca'));

function run(args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['--import=tsx', PROGRAM, ...args], (error, out, err) =>
      resolve({ code: error ? Number(error.code) : 0, out, err }),
    );
  });
}

test('over TLS the token is asked for as before, and the command line takes the authority', async (t) => {
  const { address } = await startAdmin(t, {
    credentials: serverCredentials(tlsSource('server')),
    tokens: ['a-good-token'],
  });
  const ca = ['--address', address, '--tls-ca', certificatePath('ca.pem')];
  const answered = await run(['members', ...ca, '--token', 'a-good-token', '--json']);
  t.is(answered.code, 0, answered.err);
  const stranger = await run(['members', ...ca]);
  t.is(stranger.code, 1);
  t.notRegex(stranger.err, /Deprecation/);
  t.regex(stranger.err, /no token.*UNAUTHENTICATED/);
  const other = ['--address', address, '--tls-ca', certificatePath('other-ca.pem')];
  const wary = await run(['members', ...other, '--token', 'a-good-token']);
  t.is(wary.code, 3);
  t.regex(wary.err, /unable to verify/);
  const half = await run(['members', ...ca, '--tls-key', certificatePath('server.key')]);
  t.is(half.code, 2);
  t.regex(half.err, /--tls-certificate and --tls-key: expected both/);
});

test('with an authority an operator needs a certificate of it, and no stranger reaches a call', async (t) => {
  const { address } = await startAdmin(t, {
    credentials: serverCredentials(tlsSource('server', 'ca')),
    proven: true,
  });
  const own = tlsSource('member').current();
  const foreign = tlsSource('stranger').current();
  const ask = async (shown: { certificate: string; key: string } | undefined): Promise<string> => {
    const channel = shown
      ? credentials.createSsl(CA, Buffer.from(shown.key), Buffer.from(shown.certificate))
      : credentials.createSsl(CA);
    const client = new AdminClient({ address, credentials: channel, timeoutMs: 2_000 });
    try {
      await client.members();
      return 'an answer';
    } catch (error) {
      return (error as AdminCallError).unreachable ? 'no answer' : String(error);
    } finally {
      client.close();
    }
  };
  t.is(await ask(own), 'an answer');
  t.is(await ask(undefined), 'no answer');
  t.is(await ask(foreign), 'no answer');
});

test('a new certificate is for new connections, open calls go on', async (t) => {
  const source = tlsSource('server');
  const { address, port } = await startAdmin(t, { credentials: serverCredentials(source) });
  const client = new AdminClient({ address, credentials: credentials.createSsl(CA) });
  const end = new AbortController();
  t.teardown(() => (end.abort(), client.close()));
  const events = client.watch({}, end.signal);
  const first = await events.next();
  const next = events.next();
  source.replace('renewed');
  const tls = connect({ port, host: '127.0.0.1', ca: CA });
  await once(tls, 'secureConnect');
  t.is(tls.getPeerCertificate().subject.CN, 'renewed');
  tls.destroy();
  t.false(first.done);
  const open = await Promise.race([next.then(() => 'ended'), client.members().then(() => 'open')]);
  t.is(open, 'open');
});
