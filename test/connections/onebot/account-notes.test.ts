import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { WebSocket, WebSocketServer } from 'ws';
import { ForwardDriver } from '../../../src/connections/onebot/forward.ts';
import type { BotHandlers, BotWorld, Numbers } from '../../../src/connections/onebot/port.ts';
import { ReverseDriver } from '../../../src/connections/onebot/reverse.ts';
import type { ConnectionTell } from '../../../src/connections/port.ts';
import type { ConnectionRow } from '../../../src/core/kinds/connection.ts';
import { silentLog } from '../../../src/observability/log.ts';
import { freePort } from '../../support/ports.ts';
import { testRuntime } from '../../support/runtime.ts';
import { until } from '../../support/until.ts';
import { startService } from '../support.ts';

const numbers: Numbers = { numberOf: (_space, name) => Number(name), nameOf: (_s, n) => `${n}` };
const OFFLINE = /^.+, but its bot is offline since \d{4}-\d\d-\d\dT[\d:]+Z: closed with 1012$/;

/** Bots whose accounts are on and off as the test says. */
function openWorld() {
  const accounts: BotHandlers[] = [];
  const world = {
    open: (_account: unknown, handlers: BotHandlers) => {
      accounts.push(handlers);
      return { stop: () => {} };
    },
    watchMembers: () => () => {},
  } as unknown as BotWorld;
  const told: string[] = [];
  const tell: ConnectionTell = ({ to, reason }) => {
    told.push(to === undefined ? reason : `${to} ${reason}`);
    return Promise.resolve({} as ConnectionRow);
  };
  const ground = { numbers, version: '0', runtime: testRuntime, world, log: silentLog };
  return { ground, accounts, told, tell };
}

async function goesOffAndOn(
  t: ExecutionContext,
  { accounts, told }: ReturnType<typeof openWorld>,
): Promise<void> {
  const [account] = accounts;
  account!.onState('connected', '');
  await until('it is open', () => told.length === 1);
  account!.onState('waiting', 'closed with 1012');
  account!.onState('connected', '');
  account!.onState('waiting', 'closed with 1012');
  account!.onState('waiting', 'refused');
  await until('it was told', () => told.length === 2);
  t.regex(told[1]!, OFFLINE);
  account!.onState('connected', '');
  t.is(told.length, 3);
  t.regex(told[2]!, /; its bot is online again$/);
}

test('S0-9 a reverse bridge whose bot is offline says so and since when, and when it is online again', async (t) => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  t.teardown(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const bots = openWorld();
  const target = JSON.stringify({ uid: '1', url: `ws://127.0.0.1:${port}/` });
  const driver = new ReverseDriver(bots.ground);
  const open = driver.open({ id: 'c', target } as ConnectionRow, bots.tell);
  t.teardown(() => open.close('over'));
  await until('it has dialled', () => bots.accounts.length === 1);
  await goesOffAndOn(t, bots);
});

test('S0-9 so does a forward bridge, until nobody is there that its bot would be online for', async (t) => {
  const bots = openWorld();
  const port = await freePort();
  const target = JSON.stringify({ uid: '1', port, accessToken: 'key' });
  const driver = new ForwardDriver(bots.ground);
  const open = driver.open({ id: 'c', target } as ConnectionRow, bots.tell);
  t.teardown(() => driver.forget('c'));
  await until('it listens', () => bots.told.length === 1);
  const socket = new WebSocket(`ws://127.0.0.1:${port}/?access_token=key`);
  t.teardown(() => socket.terminate());
  await until('somebody is there', () => bots.accounts.length === 1);
  await goesOffAndOn(t, bots);
  bots.accounts[0]!.onState('waiting', 'closed with 1012');
  await until('it was told', () => bots.told.length === 4);
  t.regex(bots.told[3]!, OFFLINE);
  socket.terminate();
  await until('that was told', () => bots.told.length === 5);
  t.regex(bots.told[4]!, /^listens on .*; its bot is with nobody now$/);
  void open.close('over');
});

test('S0-9 what is said of an open connection is its reason, in its journal, and changes nothing else', async (t) => {
  const { runtime, service, driver } = await startService();
  await runtime.settle(service.create({ id: 'c', kind: 'hand', target: '' }, 'test'));
  await runtime.advance(10);
  const { tell } = driver.opened[0]!;
  await runtime.settle(tell({ reason: 'too early' }));
  t.like(service.get('c'), { state: 'OPENING', version: 1 });
  const before = await runtime.settle(tell({ to: 'CONNECTED', reason: 'open' }));
  await runtime.advance(5_000);
  await runtime.settle(tell({ reason: 'open, but its bot is offline' }));
  const { reason, version, journal, ...rest } = service.get('c')!;
  const { reason: _reason, version: _version, journal: _journal, ...same } = before;
  t.deepEqual(rest, same, 'it is CONNECTED since then');
  t.is(reason, 'open, but its bot is offline');
  t.like(journal.at(-1), { from: 'CONNECTED', state: 'CONNECTED', reason, version });
  t.deepEqual(driver.closed, []);
});
