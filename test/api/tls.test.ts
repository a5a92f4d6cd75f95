import { once } from 'node:events';
import { Agent, request } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import test, { type ExecutionContext } from 'ava';
import { HttpApi } from '../../src/api/http-server.ts';
import { certificateText, tlsSource, type TestSource } from '../support/certificates.ts';
import { apiOptions, FakeServices } from './fakes.ts';

const CA = certificateText('ca');

async function start(t: ExecutionContext, tls: TestSource): Promise<number> {
  const api = new HttpApi({ ...apiOptions(new FakeServices()), tls, managerTokens: ['a-token'] });
  const port = await api.start('127.0.0.1', 0);
  t.teardown(() => api.stop());
  return port;
}

interface Answer {
  readonly status: number | undefined;
  readonly shown: string;
}

async function get(port: number, path: string, agent?: Agent): Promise<Answer> {
  const asked = request({
    ...{ port, path, host: '127.0.0.1', ca: CA, headers: { token: 'a-token' } },
    ...(agent && { agent }),
  });
  asked.end();
  const [response] = (await once(asked, 'response')) as [import('node:http').IncomingMessage];
  const { CN } = (response.socket as TLSSocket).getPeerCertificate().subject;
  response.resume();
  await once(response, 'end');
  return { status: response.statusCode, shown: CN as string };
}

test('the API over TLS: a new certificate is for new connections, one that is open goes on', async (t) => {
  const source = tlsSource('server');
  const port = await start(t, source);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  t.deepEqual(await get(port, '/readyz', agent), { status: 200, shown: 'server' });
  source.replace('renewed');
  t.deepEqual(await get(port, '/metrics', agent), { status: 200, shown: 'server' });
  t.deepEqual(await get(port, '/metrics'), { status: 200, shown: 'renewed' });
});

test('a stranger: plain HTTP, noise and another authority end without an answer, and the port lives', async (t) => {
  const port = await start(t, tlsSource('server'));
  for (const said of ['GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n', '\x16\x03\x01garbage']) {
    const plain = connectTcp(port, '127.0.0.1');
    let answer = '';
    plain.on('data', (bytes) => (answer += bytes.toString('latin1'))).on('error', () => {});
    plain.end(said);
    await new Promise((resolve) => plain.once('close', resolve));
    t.notRegex(answer, /HTTP|\{/);
  }
  const wary = connectTls({ port, host: '127.0.0.1', ca: certificateText('other-ca') });
  const [error] = (await once(wary, 'error')) as [Error];
  t.regex(error.message, /unable to verify/);
  t.is((await get(port, '/readyz')).status, 200);
});
