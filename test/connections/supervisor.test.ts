import test from 'ava';
import type { ConnectionRow } from '../../src/core/kinds/connection.ts';
import { overdueSeconds } from '../../src/connections/connections.ts';
import { startService, type ServiceNode } from './support.ts';

async function createdByHand(node: ServiceNode): Promise<ConnectionRow> {
  const row = await node.runtime.settle(
    node.service.create({ id: 'c', kind: 'hand', target: '' }, 'test'),
  );
  await node.runtime.advance(10);
  return row;
}

const stateOf = ({ service }: ServiceNode) => service.get('c')!.state;

test('S0-5 OPENING ends after 30 s, PAIRING after 60 s, each with its reason', async (t) => {
  const node = await startService();
  await node.reach('c', 'OPENING');
  await node.runtime.advance(29_500);
  t.is(stateOf(node), 'OPENING');
  await node.runtime.advance(1_000);
  t.is(stateOf(node), 'TIMEOUT');
  t.is(node.service.get('c')!.reason, 'OPENING took too long');
  const { reach, runtime, service } = await startService();
  await reach('c', 'PAIRING');
  await runtime.advance(59_500);
  t.is(service.get('c')!.state, 'PAIRING');
  await runtime.advance(1_000);
  t.is(service.get('c')!.reason, 'PAIRING took too long');
});

test('S0-5 a code lasts 60 s, then five more of 20 s each, then the attempt times out', async (t) => {
  const node = await startService();
  await createdByHand(node);
  await node.runtime.settle(
    node.driver.opened[0]!.tell({ to: 'QRCODE', reason: 'scan', code: 'code 1' }),
  );
  await node.runtime.advance(59_000);
  t.is(node.service.get('c')!.code, 'code 1');
  await node.runtime.advance(2_000);
  t.is(node.service.get('c')!.code, 'code 2');
  await node.runtime.advance(4 * 20_500);
  t.is(node.service.get('c')!.code, 'code 6');
  t.is(stateOf(node), 'QRCODE');
  await node.runtime.advance(19_500);
  t.is(stateOf(node), 'TIMEOUT');
  t.is(node.service.get('c')!.reason, 'nobody used the code');
  t.deepEqual(node.driver.closed, ['1: nobody used the code; comes back in 3 s']);
});

test('S0-5 five retries with growing waits, then it is given up, and tried again for ever', async (t) => {
  const node = await startService();
  await createdByHand(node);
  // Each attempt lasts 30 s, the waits are at most 3, 6, 12, 24 and 48 s.
  await node.runtime.advance(6 * 31_000 + 93_000);
  t.is(node.driver.opened.length, 6);
  t.is(stateOf(node), 'DISCONNECTED');
  t.is(node.service.counts().gaveUp, 1);
  t.regex(node.service.get('c')!.reason, /^gave up after 5 retries: OPENING took too long$/);
  await node.runtime.advance(2 * 60 * 60_000);
  const rounds = node.service.counts().gaveUp;
  t.true(rounds > 5 && rounds < 13, `${rounds} rounds in two hours`);
  t.is(node.service.get('c')!.desired, 'enabled');
});

test('S0-5 only a cancel is final', async (t) => {
  const node = await startService();
  await createdByHand(node);
  await node.runtime.settle(node.service.act('c', 'cancel', 'ann'));
  await node.runtime.advance(60 * 60_000);
  t.is(stateOf(node), 'DISCONNECTED');
  t.is(node.driver.opened.length, 1);
  t.deepEqual(node.driver.closed, ['1: cancelled; does not come back until an operator starts it']);
  await node.runtime.settle(node.service.act('c', 'start', 'ann'));
  await node.runtime.advance(10);
  t.is(node.driver.opened.length, 2);
});

test('S0-5 a deadline survives a restart', async (t) => {
  const first = await startService();
  await first.reach('c', 'PAIRING');
  await first.runtime.advance(50_000);
  first.service.stop();
  first.location.crash();
  const { runtime, location } = first;
  const again = await startService({ runtime, location });
  t.is(stateOf(again), 'PAIRING');
  await runtime.advance(9_000);
  t.is(stateOf(again), 'PAIRING');
  await runtime.advance(2_000);
  t.is(stateOf(again), 'TIMEOUT');
});

test('S0-2 what is written is what is read, and after a crash', async (t) => {
  const first = await startService();
  const row = await first.reach('c', 'QRCODE');
  t.deepEqual(first.service.get('c'), row);
  first.service.stop();
  first.location.crash();
  const again = await startService({ runtime: first.runtime, location: first.location });
  t.deepEqual(again.service.get('c'), row);
});

test('what a process held open times out when the next one starts, and is opened again', async (t) => {
  const first = await startService();
  await createdByHand(first);
  await first.runtime.settle(first.driver.opened[0]!.tell({ to: 'CONNECTED', reason: 'up' }));
  await first.runtime.advance(1_000);
  first.service.stop();
  first.location.crash();
  const again = await startService({ runtime: first.runtime, location: first.location });
  await first.runtime.advance(100);
  t.is(stateOf(again), 'TIMEOUT');
  t.is(again.service.get('c')!.reason, 'its node started again');
  await first.runtime.advance(4_000);
  t.is(again.driver.opened.length, 1);
  t.is(again.driver.opened[0]!.row.attempt, 2);
});

test('S0-4 what an ended attempt of a driver tells is dropped', async (t) => {
  const node = await startService();
  await createdByHand(node);
  const [first] = node.driver.opened;
  await node.runtime.settle(node.service.act('c', 'retry', 'ann'));
  await node.runtime.advance(10);
  t.is(node.driver.opened.length, 2);
  t.deepEqual(node.driver.closed, ['1: ended for a retry; comes back at once']);
  await t.throwsAsync(first!.tell({ to: 'CONNECTED', reason: 'late' }), { message: /attempt 1/ });
  t.is(stateOf(node), 'OPENING');
});

test('S0-8 nothing is overdue while its owner lives, and all of it is told of when it does not', async (t) => {
  const node = await startService();
  await node.reach('c', 'OPENING');
  for (let second = 0; second < 300; second++) {
    await node.runtime.advance(1_000);
    t.true(overdueSeconds(node.service.list(), node.runtime.clock.wallMs()) < 0.5);
  }
  node.service.stop();
  await node.runtime.advance(1_000_000);
  t.true(overdueSeconds(node.service.list(), node.runtime.clock.wallMs()) > 300);
});

test('a connection that stays up has its shortest waits again, one that flaps is given up', async (t) => {
  const steady = await startService();
  await createdByHand(steady);
  for (let i = 0; i < 12; i++) {
    const { tell } = steady.driver.opened.at(-1)!;
    await steady.runtime.settle(tell({ to: 'CONNECTED', reason: 'up' }));
    await steady.runtime.advance(61_000);
    await steady.runtime.settle(tell({ to: 'TIMEOUT', reason: 'down' }));
    await steady.runtime.advance(3_500);
  }
  t.is(steady.driver.opened.length, 13);
  const flapping = await startService();
  await createdByHand(flapping);
  for (let i = 0; i < 6; i++) {
    const { tell } = flapping.driver.opened.at(-1)!;
    await flapping.runtime.settle(tell({ to: 'CONNECTED', reason: 'up' }));
    await flapping.runtime.settle(tell({ to: 'TIMEOUT', reason: 'down' }));
    for (let n = 0; n < 120 && flapping.driver.opened.length === i + 1; n++) {
      await flapping.runtime.advance(500);
    }
  }
  t.is(flapping.service.counts().gaveUp, 1);
});

test('S3-2 the next attempt begins once the peer has seen the end of the last one, or after 5 s', async (t) => {
  for (const ends of [true, false]) {
    let end = (): void => {};
    const node = await startService({
      wrap: (inner) => ({
        check: (target) => inner.check(target),
        open(row, tell) {
          const open = inner.open(row, tell);
          return {
            close(reason) {
              void open.close(reason);
              return new Promise<void>((resolve) => (end = resolve));
            },
          };
        },
      }),
    });
    await createdByHand(node);
    await node.runtime.settle(node.service.act('c', 'retry', 'ann'));
    await node.runtime.advance(3_000);
    t.is(node.driver.closed.length, 1);
    t.is(node.driver.opened.length, 1, 'the last one is still closing');
    if (ends) end();
    await node.runtime.advance(ends ? 10 : 2_500);
    t.is(node.driver.opened.length, 2);
    t.is(node.service.get('c')!.attempt, 2);
  }
});
