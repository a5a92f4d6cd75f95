import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import test from 'ava';
import { WebSocketServer } from 'ws';
import type { BotHandlers, BotWorld, Numbers } from '../../../src/connections/onebot/port.ts';
import { ReverseDriver } from '../../../src/connections/onebot/reverse.ts';
import { ConnectionSupervisor } from '../../../src/connections/supervisor.ts';
import type { ConnectionRow } from '../../../src/core/kinds/connection.ts';
import { silentLog } from '../../../src/observability/log.ts';
import { testRuntime } from '../../support/runtime.ts';
import { until } from '../../support/until.ts';

const numbers: Numbers = { numberOf: (_space, name) => Number(name), nameOf: (_s, n) => `${n}` };

test('S3-1 S3-2 a retry closes the old socket before it opens the next one, and says that it comes back', async (t) => {
  const seen: string[] = [];
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  t.teardown(() => server.close());
  await once(server, 'listening');
  server.on('connection', (socket) => {
    seen.push('open');
    socket.on('message', (data) => {
      const { sub_type: kind } = JSON.parse((data as Buffer).toString()) as { sub_type?: string };
      if (kind === 'disable') seen.push('disable');
    });
    socket.on('close', (code, reason) => seen.push(`close ${code} ${reason.toString()}`));
  });
  const accounts: BotHandlers[] = [];
  const world = {
    open: (_account: unknown, handlers: BotHandlers) => {
      accounts.push(handlers);
      return { stop: () => {} };
    },
    watchMembers: () => () => {},
  } as unknown as BotWorld;
  const ground = { numbers, version: '0', runtime: testRuntime, world, log: silentLog };
  const driver = new ReverseDriver(ground);
  const { port } = server.address() as AddressInfo;
  const target = JSON.stringify({ uid: '1', url: `ws://127.0.0.1:${port}/` });
  let row = {
    ...{ id: 'c', kind: 'onebot-reverse', target, owner: 'n1', desired: 'enabled', epoch: 1 },
    ...{ state: 'OPENING', version: 1, attempt: 1, removed: false, journal: [], reason: '' },
  } as unknown as ConnectionRow;
  const supervisor = new ConnectionSupervisor({
    ...{ self: 'n1' as never, runtime: testRuntime, log: silentLog, times: {} as never },
    table: { list: () => [], get: () => row } as never,
    ledger: { read: () => row, step: () => Promise.resolve(row) } as never,
    ownership: { mayAct: () => true, tick: () => {} },
    drivers: new Map([['onebot-reverse', driver]]),
  });
  supervisor.start();
  t.teardown(() => supervisor.stop());
  supervisor.onDurable(row);
  await until('it is open', () => accounts.length === 1);
  const journal = [{ event: 'retry' }] as unknown as ConnectionRow['journal'];
  row = { ...row, state: 'TIMEOUT', version: 2, reason: 'ended for a retry', journal };
  supervisor.onDurable(row);
  row = { ...row, state: 'OPENING', version: 3, attempt: 2 };
  supervisor.onDurable(row);
  await until('it is open again', () => accounts.length === 2);
  t.deepEqual(seen, [
    ...['open', 'disable', 'close 1001 ended for a retry; comes back at once'],
    'open',
  ]);
});
