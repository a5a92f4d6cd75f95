import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import type { Member } from '../../../src/core/member.ts';
import { credentialsTo, serverCredentials } from '../../../src/node/grpc-credentials.ts';
import { certificateText, tlsSource, type TestSource } from '../../support/certificates.ts';
import { listen, type TestPeer } from '../../support/links.ts';
import { until } from '../../support/until.ts';

function peer(t: ExecutionContext, id: string, source: TestSource) {
  return listen(t, id, { credentials: credentialsOf(source) });
}

function credentialsOf(source: TestSource) {
  return {
    server: serverCredentials(source),
    channelTo: (peer: Member) => credentialsTo(source, peer),
  };
}

async function refusal(a: TestPeer, b: TestPeer): Promise<Error & { code: string }> {
  try {
    await a.dial(b);
  } catch (error) {
    return error as Error & { code: string };
  }
  throw new Error('it was not refused');
}

/** `once` would reject where an error comes before. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => void socket.once('close', () => resolve()));
}

function counted(b: TestPeer): number {
  return b.transport.counters().strangersRefused;
}

test('members with certificates of one authority and one secret have a link over TLS', async (t) => {
  const [a, b] = [
    await peer(t, 'a', tlsSource('server', 'ca')),
    await peer(t, 'b', tlsSource('renewed', 'ca')),
  ];
  const { link, heard } = await a.dial(b);
  t.is(link.peer, b.member.id);
  t.is(b.accepted[0]!.link.peer, a.member.id);
  link.close('done');
  await until('both ends closed', () => b.accepted[0]!.heard.closed.length === 1);
  t.is(heard.closed.length, 1);
  t.is(counted(b), 0);
});

test('a certificate may name the member instead of its address, but not another member', async (t) => {
  const a = await peer(t, 'a', tlsSource('server', 'ca'));
  const b = await peer(t, 'b', tlsSource('member', 'ca'));
  t.is((await a.dial(b)).link.peer, b.member.id);
  const nameless = await peer(t, 'c', tlsSource('nameless', 'ca'));
  const error = await refusal(a, nameless);
  t.is(error.code, 'UNREACHABLE');
  t.regex(error.message, /does not match certificate's altnames/);
});

test('who has the secret but no certificate of the authority is a stranger', async (t) => {
  const b = await peer(t, 'b', tlsSource('server', 'ca'));
  const foreign = tlsSource('stranger', 'other-ca');
  // It trusts the cluster's authority, so that only the other side can refuse.
  const a = await listen(t, 'a', {
    credentials: {
      server: serverCredentials(foreign),
      channelTo: (member) =>
        credentialsTo(
          { ...foreign, current: () => ({ ...foreign.current(), ca: certificateText('ca') }) },
          member,
        ),
    },
  });
  const error = await refusal(a, b);
  t.regex(error.message, /Failed to connect .*: does it take peers over TLS, with certificates of/);
  await until('it is counted', () => counted(b) === 1);
  const plain = await listen(t, 'p');
  await refusal(plain, b);
  await until('plain text is counted', () => counted(b) >= 2);
  t.deepEqual(b.accepted, []);
  t.regex(b.log[0]!, /stranger refused/);
});

test('who has the certificate but another secret is a stranger', async (t) => {
  const b = await peer(t, 'b', tlsSource('server', 'ca'));
  const credentials = credentialsOf(tlsSource('renewed', 'ca'));
  const a = await listen(t, 'a', { secrets: ['another secret'], credentials });
  t.is((await refusal(a, b)).code, 'UNAUTHENTICATED');
  t.is(counted(b), 1);
});

test('a member does not talk to who shows a certificate of another authority', async (t) => {
  const a = await peer(t, 'a', tlsSource('server', 'ca'));
  const impostor = await peer(t, 'b', tlsSource('stranger', 'ca'));
  const error = await refusal(a, impostor);
  t.is(error.code, 'UNREACHABLE');
  t.regex(error.message, /unable to verify|self.signed|unable to get/i);
});

test('a stranger on the peer port: noise, silence and a scan end without a link, and are counted', async (t) => {
  const b = await peer(t, 'b', tlsSource('server', 'ca'));
  const port = Number(b.member.peerAddress.split(':')[1]);
  const noise = connect(port, '127.0.0.1');
  noise.on('error', () => {}).write('GET / HTTP/1.1\r\n\r\n');
  await closed(noise);
  await until('counted', () => counted(b) === 1);
  const scan = connectTls({ port, host: '127.0.0.1', ca: certificateText('ca') });
  scan.on('error', () => {});
  await closed(scan);
  await until('counted too', () => counted(b) === 2);
  t.deepEqual(b.accepted, []);
});

test('a new certificate is for new connections, the link of before stays', async (t) => {
  const source = tlsSource('server', 'ca');
  const [a, b] = [await peer(t, 'a', tlsSource('member', 'ca')), await peer(t, 'b', source)];
  const { link, heard } = await a.dial(b);
  const port = Number(b.member.peerAddress.split(':')[1]);
  const shown = async (): Promise<string> => {
    const tls = connectTls({ port, host: '127.0.0.1', ca: certificateText('ca') });
    tls.on('error', () => {});
    await once(tls, 'secureConnect');
    const { CN } = tls.getPeerCertificate().subject;
    tls.destroy();
    return CN as string;
  };
  t.is(await shown(), 'server');
  source.replace('renewed', 'ca');
  t.is(await shown(), 'renewed');
  t.deepEqual(heard.closed, []);
  const c = await peer(t, 'c', tlsSource('member', 'ca'));
  t.is((await c.dial(b)).link.peer, b.member.id);
  t.is(link.peer, b.member.id);
});
