import test from 'ava';
import type { ConnectionRow } from '../../src/core/kinds/connection.ts';
import { connectionOfCode, withPairing } from '../../src/connections/pairing.ts';
import { silentLog } from '../../src/observability/log.ts';
import { HandDriver, startService, type ServiceNode } from './support.ts';

const TARGET = JSON.stringify({ uid: 'bot' });

async function toPair(): Promise<ServiceNode> {
  const node = await startService({
    wrap: (inner, { random, timers }) =>
      withPairing(inner, { pairsWith: () => 'bot', random, timers, log: silentLog }),
  });
  await node.runtime.settle(node.service.create({ id: 'c', kind: 'hand', target: TARGET }, 'test'));
  await node.runtime.advance(50);
  return node;
}

const rowOf = ({ service }: ServiceNode): ConnectionRow => service.get('c')!;

test('S0-5 a bridge that asks for a pairing shows a code, a device confirms it, and then it is opened', async (t) => {
  const node = await toPair();
  t.is(rowOf(node).state, 'QRCODE');
  t.is(node.driver.opened.length, 0, 'nothing is opened before');
  const { code } = rowOf(node);
  t.is(connectionOfCode(code), 'c');
  const confirm = (by: string, given = code) =>
    node.runtime.settle(node.service.confirm({ id: 'c', code: given, by, as: 'user' }));
  await t.throwsAsync(confirm('stranger'), { message: /not the code/ });
  await t.throwsAsync(confirm('bot', `${code.slice(0, -1)}x`), { message: /not the code/ });
  t.is(rowOf(node).state, 'QRCODE', 'nothing changed');
  await confirm('bot');
  await node.runtime.advance(50);
  t.like(rowOf(node), { state: 'PAIRING', pairedBy: 'bot', code: '' });
  t.is(node.driver.opened.length, 1);
  await t.throwsAsync(confirm('bot'), { message: /no code waits/ });
  await node.runtime.settle(node.driver.opened[0]!.tell({ to: 'CONNECTED', reason: 'open' }));
  t.is(rowOf(node).state, 'CONNECTED');
  const ways = rowOf(node).journal.map(({ from, state }) => `${from}>${state}`);
  t.deepEqual(ways, ['new>OPENING', 'OPENING>QRCODE', 'QRCODE>PAIRING', 'PAIRING>CONNECTED']);
});

test('S0-5 a code that ran out is worth nothing, and the one that follows it is', async (t) => {
  const node = await toPair();
  const { code: old } = rowOf(node);
  await node.runtime.advance(61_000);
  t.like(rowOf(node), { state: 'QRCODE', refreshes: 1 });
  t.not(rowOf(node).code, old);
  const confirm = (code: string) =>
    node.runtime.settle(node.service.confirm({ id: 'c', code, by: 'op', as: 'operator' }));
  await t.throwsAsync(confirm(old), { message: /not the code/ });
  await confirm(rowOf(node).code);
  t.is(rowOf(node).state, 'PAIRING');
  await node.runtime.advance(60_500);
  t.like(rowOf(node), { state: 'TIMEOUT', reason: 'PAIRING took too long' });
  await node.runtime.advance(4_000);
  t.is(rowOf(node).state, 'OPENING', 'paired once it needs no code again');
  t.is(node.driver.opened.length, 2);
  await node.runtime.settle(node.service.act('c', 'cancel', 'test'));
  await node.runtime.settle(node.service.act('c', 'start', 'test'));
  await node.runtime.advance(50);
  t.is(rowOf(node).state, 'QRCODE', 'who cancels it ends the pairing');
});

test('S0-5 nobody confirms: five more codes of 20 s, then the attempt times out', async (t) => {
  const node = await toPair();
  const codes = new Set<string>();
  for (let passed = 0; passed < 165_000; passed += 1_000) {
    codes.add(rowOf(node).code);
    await node.runtime.advance(1_000);
    if (rowOf(node).state === 'TIMEOUT') break;
  }
  t.is(codes.size, 6);
  t.like(rowOf(node), { state: 'TIMEOUT', reason: 'nobody used the code' });
  t.true(node.driver instanceof HandDriver && node.driver.opened.length === 0);
});
