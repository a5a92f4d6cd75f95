import { once } from 'node:events';
import { connect } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import type { BotWorld, Numbers } from '../../../src/connections/onebot/port.ts';
import { ForwardDriver } from '../../../src/connections/onebot/forward.ts';
import type { ConnectionRow } from '../../../src/core/kinds/connection.ts';
import { createLog } from '../../../src/observability/log.ts';
import { systemRuntime } from '../../../src/runtime/system.ts';
import { freePort } from '../../support/ports.ts';
import { held } from '../../support/held-connections.ts';
import { until } from '../../support/until.ts';

const numbers: Numbers = { numberOf: (_space, name) => Number(name), nameOf: (_s, n) => `${n}` };
const UPGRADE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';

/** Elsewhere nothing says which connections a process holds. */
const onLinux = process.platform === 'linux' ? test : test.skip;

async function listening(t: ExecutionContext) {
  const driver = new ForwardDriver({
    ...{ numbers, version: '0', runtime: systemRuntime, world: {} as BotWorld },
    log: createLog({ level: 'silent', pretty: false }),
  });
  const port = await freePort();
  const target = JSON.stringify({ uid: '1', port, accessToken: 'key' });
  const told: string[] = [];
  const open = driver.open({ id: 'c', target } as ConnectionRow, ({ to }) => {
    told.push(to ?? '');
    return Promise.resolve({} as ConnectionRow);
  });
  t.teardown(() => driver.forget('c'));
  await until('it listens', () => told.includes('CONNECTED'));
  return { driver, open, port };
}

async function tcp(t: ExecutionContext, port: number) {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  t.teardown(() => socket.destroy());
  await once(socket, 'connect');
  return socket.resume();
}

onLinux(
  'S3-1 a cancelled forward port cuts who has asked for nothing, and stays bound',
  async (t) => {
    const { driver, open, port } = await listening(t);
    await tcp(t, port);
    const asked = await tcp(t, port);
    asked.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(asked, 'data');
    await until('both are held', () => held(port) === 2);
    void open.close('cancelled');
    await until('nothing is held', () => held(port) === 0);
    await tcp(t, port);
    await until('it is held', () => held(port) === 1);
    driver.forget('c');
    await until('nothing is held again', () => held(port) === 0);
    await t.throwsAsync(tcp(t, port), { code: 'ECONNREFUSED' });
  },
);

onLinux(
  'S3-1 a refused upgrade leaves no connection, though its client keeps its side open',
  async (t) => {
    const { port } = await listening(t);
    const socket = await tcp(t, port);
    socket.write(`GET / HTTP/1.1\r\nHost: x\r\n${UPGRADE}`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    t.regex(answer.toString(), /^HTTP\/1\.1 401 /);
    await until('nothing is held', () => held(port) === 0);
  },
);
