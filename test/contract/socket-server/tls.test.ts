import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { once } from 'node:events';
import test from 'ava';
import type { TlsSource } from '../../../src/config/certificate.ts';
import type { Socket, SocketServerFactory } from '../../../src/gateway/socket-server/port.ts';
import { loadNative } from '../../../src/gateway/socket-server/uws-native.ts';
import { createUwsServer } from '../../../src/gateway/socket-server/uws.ts';
import { createWsServer } from '../../../src/gateway/socket-server/ws.ts';
import { certificateText, tlsSource } from '../../support/certificates.ts';
import { until } from '../../support/until.ts';
import { CA, clients, serve, type Client, type Subject } from './fixture.ts';
import { socketServerSuite } from './suite.ts';

function secure(create: SocketServerFactory, source: TlsSource = tlsSource('server')): Subject {
  return { create: (handlers, limits) => create(handlers, limits, source), scheme: 'wss' };
}

async function shown(port: number): Promise<string> {
  const tls = connectTls({ port, host: '127.0.0.1', ca: CA });
  await once(tls, 'secureConnect');
  const { CN } = tls.getPeerCertificate().subject;
  tls.destroy();
  return CN as string;
}

function certificates(name: string, create: SocketServerFactory): void {
  test(`${name}: a new certificate is for new sockets; open ones stay, in their topics too`, async (t) => {
    const source = tlsSource('server');
    const fixture = await serve(t, secure(create, source));
    const [old] = (await clients(t, fixture, 1)) as [Client];
    t.is(await shown(fixture.port), 'server');
    source.replace('renewed');
    t.is(await shown(fixture.port), 'renewed');
    const [young] = (await clients(t, fixture, 1)) as [Client];
    source.replace('server');
    t.is(await shown(fixture.port), 'server');
    const [last] = (await clients(t, fixture, 1)) as [Client];
    const [so, sy, sl] = fixture.sockets as [Socket<string>, Socket<string>, Socket<string>];
    for (const socket of [so, sy, sl]) socket.join('t');
    t.is(fixture.server.memberCount('t'), 3);
    fixture.server.publish('t', 'for all');
    fixture.server.publishExcept(so, 't', 'not for the old');
    fixture.server.publishExcept(sl, 't', 'not for the last');
    so.send('direct');
    await until('all arrived', () => [old, young, last].every(({ frames }) => frames.length > 1));
    await until('direct too', () => old.frames.length === 3);
    t.deepEqual(old.frames, ['text for all', 'text not for the last', 'text direct']);
    t.deepEqual(young.frames, ['text for all', 'text not for the old', 'text not for the last']);
    t.deepEqual(last.frames, ['text for all', 'text not for the old']);
    old.ws.send('still heard');
    await until('it arrived', () => fixture.received.length === 1);
    old.ws.close();
    await until('it went', () => fixture.ended.length === 1);
    t.is(fixture.server.memberCount('t'), 2);
    fixture.server.publish('t', 'again');
    await until('the others got it', () => young.frames.length === 4 && last.frames.length === 3);
  });

  test(`${name}: a stranger without TLS, and one that trusts another authority, get nothing`, async (t) => {
    const source = tlsSource('server');
    const fixture = await serve(t, secure(create, source));
    const plain = connectTcp(fixture.port, '127.0.0.1');
    let answer = '';
    plain.on('data', (bytes) => (answer += bytes.toString('latin1'))).on('error', () => {});
    plain.write('GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
    await new Promise((resolve) => plain.once('close', resolve));
    t.notRegex(answer, /HTTP/);
    const wary = connectTls({
      port: fixture.port,
      host: '127.0.0.1',
      ca: certificateText('other-ca'),
    });
    const [error] = (await once(wary, 'error')) as [Error];
    t.regex(error.message, /unable to verify/);
    t.is(fixture.sockets.length, 0);
    // uWS tells nobody of a handshake that failed.
    const told = fixture.server.implementation === 'ws' ? 2 : 0;
    await until('both are counted', () => source.failures() === told);
    t.is((await clients(t, fixture, 1)).length, 1);
  });
}

const ADAPTERS: [string, SocketServerFactory][] = [['ws over TLS', createWsServer]];
if (loadNative()) ADAPTERS.push(['uws over TLS', createUwsServer]);
for (const [name, create] of ADAPTERS) {
  socketServerSuite(name, secure(create));
  certificates(name, create);
}
