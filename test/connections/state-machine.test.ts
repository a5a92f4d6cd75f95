import test from 'ava';
import {
  CONNECTION_STATES,
  replayConnection,
  standingOf,
} from '../../src/core/kinds/connection.ts';
import type { ConnectionRow, ConnectionState } from '../../src/core/kinds/connection.ts';
import { CONNECTION_TIMES, isLegal, lastsMs } from '../../src/connections/state-machine.ts';
import { startService } from './support.ts';

const LEGAL: Readonly<Record<ConnectionState, string>> = {
  OPENING: 'QRCODE CONNECTED TIMEOUT DISCONNECTED',
  QRCODE: 'QRCODE PAIRING TIMEOUT DISCONNECTED',
  PAIRING: 'CONNECTED TIMEOUT DISCONNECTED',
  CONNECTED: 'TIMEOUT DISCONNECTED',
  TIMEOUT: 'OPENING CONNECTED DISCONNECTED',
  DISCONNECTED: 'OPENING',
};

for (const from of CONNECTION_STATES) {
  for (const to of CONNECTION_STATES) {
    const legal = LEGAL[from].split(' ').includes(to);
    test(`S0-1 ${from} → ${to} is ${legal ? 'taken' : 'refused, changes nothing and is counted'}`, async (t) => {
      const node = await startService();
      const before = await node.reach('c', from);
      const report = { id: 'c', attempt: before.attempt, to, reason: 'asked for' };
      const done = node.runtime.settle(node.service.report(report, 'test'));
      if (legal) {
        const after = await done;
        t.is(after.state, to);
        t.is(after.version, before.version + 1);
        t.is(after.attempt, to === 'OPENING' ? before.attempt + 1 : before.attempt);
        t.is(node.service.counts().illegal, 0);
        t.is(node.service.counts().transitions.get(`${from}>${to}`), from === to ? 1 : 1);
      } else {
        await t.throwsAsync(done, { message: `c: ${from} cannot become ${to}` });
        t.deepEqual(node.service.get('c'), before);
        t.is(node.service.counts().illegal, 1);
      }
    });
  }
}

test('S0-1 a new connection begins in OPENING and nowhere else', (t) => {
  const begins = CONNECTION_STATES.filter((state) => isLegal('new', state));
  t.deepEqual(begins, ['OPENING']);
});

test('S0-3 a requested first state is honoured or refused, never replaced', async (t) => {
  const { service, runtime } = await startService();
  const spec = { id: 'c', kind: 'external', target: '' };
  for (const state of CONNECTION_STATES.filter((name) => name !== 'OPENING')) {
    const created = runtime.settle(service.create({ ...spec, state }, 'test'));
    const error = await t.throwsAsync(created);
    t.true(error.message.includes(`begins in OPENING, not ${state}`));
    t.is(service.get('c'), undefined);
  }
  const row = await runtime.settle(service.create({ ...spec, state: 'OPENING' }, 'test'));
  t.is(row.state, 'OPENING');
});

test('S0-4 F34 of 100 writers of one version one wins, and what an old attempt tells is dropped', async (t) => {
  const { service, runtime, reach } = await startService();
  const { attempt, version } = await reach('c', 'OPENING');
  const report = { id: 'c', attempt, version, to: 'CONNECTED', reason: 'me' } as const;
  const all = Array.from({ length: 100 }, (_, i) => service.report(report, `writer ${i}`));
  const results = await runtime.settle(Promise.allSettled(all));
  t.is(results.filter(({ status }) => status === 'fulfilled').length, 1);
  t.is(service.get('c')!.version, version + 1);
  t.is(service.counts().late, 99);
  await runtime.settle(service.act('c', 'retry', 'test'));
  const now = service.get('c')!;
  t.is(now.attempt, attempt + 1);
  const late = { id: 'c', attempt, to: 'DISCONNECTED', reason: 'late' } as const;
  await t.throwsAsync(runtime.settle(service.report(late, 'test')), {
    message: /attempt 1 is over/,
  });
  t.deepEqual(service.get('c'), now);
});

test('S0-4 starting what is open gives the same attempt', async (t) => {
  const { service, runtime, reach } = await startService();
  for (const state of ['OPENING', 'QRCODE', 'PAIRING', 'CONNECTED'] as const) {
    const row = await reach(`c-${state}`, state);
    const both = [service.act(row.id, 'start', 'test'), service.act(row.id, 'start', 'test')];
    t.deepEqual(await runtime.settle(Promise.all(both)), [row, row]);
  }
});

test('S0-6 the journal tells every change, and replayed it gives the row', async (t) => {
  const { service, runtime, reach } = await startService();
  await reach('c', 'PAIRING');
  await runtime.settle(service.act('c', 'retry', 'ann'));
  await runtime.settle(service.act('c', 'cancel', 'bob'));
  const row: ConnectionRow = service.get('c')!;
  const told = row.journal.map(({ from, state, event, actor }) => [from, state, event, actor]);
  t.deepEqual(told, [
    ['new', 'OPENING', 'create', 'test'],
    ['OPENING', 'QRCODE', 'report', 'test'],
    ['QRCODE', 'PAIRING', 'report', 'test'],
    ['PAIRING', 'TIMEOUT', 'retry', 'ann'],
    ['TIMEOUT', 'OPENING', 'start', 'ann'],
    ['OPENING', 'DISCONNECTED', 'cancel', 'bob'],
  ]);
  t.true(row.journal.every(({ node, atMs, reason }) => node === 'n1' && atMs > 0 && reason !== ''));
  t.deepEqual(replayConnection(row.journal), standingOf(row));
  t.is(replayConnection(row.journal.toSpliced(2, 1)), undefined);
});

test('S0-6 the journal is bounded', async (t) => {
  const { service, runtime, reach } = await startService();
  await reach('c', 'OPENING');
  for (let i = 0; i < 50; i++) await runtime.settle(service.act('c', 'retry', 'test'));
  const { journal, version } = service.get('c')!;
  t.is(journal.length, 64);
  t.is(journal.at(-1)!.version, version);
});

test('S0-7 a rollback puts back an earlier standing where that is a legal step, and is journalled', async (t) => {
  const { service, runtime, reach } = await startService();
  const connected = await reach('c', 'CONNECTED');
  const down = { id: 'c', attempt: 1, to: 'TIMEOUT', reason: 'a slip of the hand' } as const;
  await runtime.settle(service.report(down, 'test'));
  const back = await runtime.settle(service.rollback('c', connected.version, 'ann'));
  t.is(back.state, 'CONNECTED');
  t.is(back.version, connected.version + 2);
  t.is(back.journal.at(-1)!.event, 'rollback');
  t.is(back.journal.at(-1)!.actor, 'ann');
  await t.throwsAsync(runtime.settle(service.rollback('c', 1, 'ann')), {
    message: 'c: CONNECTED cannot become OPENING',
  });
  await t.throwsAsync(runtime.settle(service.rollback('c', 77, 'ann')), { message: /none is 77/ });
});

test('S0-7 a rollback never says connected of what this process does not hold open', async (t) => {
  const { service, runtime, driver } = await startService();
  await runtime.settle(service.create({ id: 'c', kind: 'hand', target: '' }, 'test'));
  await runtime.advance(10);
  const connected = await runtime.settle(driver.opened[0]!.tell({ to: 'CONNECTED', reason: 'up' }));
  await runtime.settle(driver.opened[0]!.tell({ to: 'TIMEOUT', reason: 'down' }));
  await runtime.advance(10);
  const back = runtime.settle(service.rollback('c', connected.version, 'ann'));
  await t.throwsAsync(back, { message: /not open any more/ });
});

test('S0-9 in every state a person can retry and cancel', async (t) => {
  const { service, runtime, reach } = await startService();
  for (const state of CONNECTION_STATES) {
    const row = await reach(`retry-${state}`, state);
    const retried = await runtime.settle(service.act(row.id, 'retry', 'ann'));
    t.is(retried.state, 'OPENING');
    t.is(retried.attempt, row.attempt + 1);
    const other = await reach(`cancel-${state}`, state);
    const cancelled = await runtime.settle(service.act(other.id, 'cancel', 'ann'));
    t.is(cancelled.state, 'DISCONNECTED');
    t.is(cancelled.desired, 'disabled');
    t.is(cancelled.deadlineMs, 0);
  }
});

test('S0-5 every state but the final ones has an end', (t) => {
  for (const state of CONNECTION_STATES) {
    const standing = { state, desired: 'enabled', retries: 0, rounds: 0, refreshes: 0 } as const;
    const lasts = lastsMs(standing, CONNECTION_TIMES, 0.5);
    if (state === 'CONNECTED') t.is(lasts, 0);
    else t.true(lasts > 0, state);
  }
});
