import test from 'ava';
import fc from 'fast-check';
import { Fabric } from './fabric.ts';

const SPEC = { id: 'c', kind: 'hand', target: '' };

async function connected(count: number, seed = 1): Promise<Fabric> {
  const fabric = await Fabric.start(count, seed);
  const [first] = fabric.nodes;
  await fabric.runtime.settle(first!.service.create(SPEC, 'test'));
  await fabric.runtime.advance(2_000);
  const open = first!.driver.opened[0]!;
  await fabric.runtime.settle(open.tell({ to: 'CONNECTED', reason: 'open' }));
  await fabric.runtime.advance(100);
  return fabric;
}

test('a connection of a node that died is opened by one of the others after the grace, by itself', async (t) => {
  const fabric = await connected(3);
  t.deepEqual(fabric.acting('c'), [0]);
  fabric.kill(0);
  await fabric.runtime.advance(9_000);
  t.deepEqual(
    [1, 2].map((k) => fabric.nodes[k]!.driver.opened.length),
    [0, 0],
  );
  await fabric.runtime.advance(5_000);
  const [owner, ...more] = fabric.acting('c');
  t.deepEqual(more, []);
  t.true(owner !== undefined);
  for (const k of [1, 2]) {
    const row = fabric.nodes[k]!.service.get('c')!;
    t.like(row, { owner: fabric.names[owner!], epoch: 2, state: 'OPENING', desired: 'enabled' });
    t.is(row.journal.filter(({ event }) => event === 'takeover').length, 1);
  }
  t.is(
    fabric.nodes[1]!.service.counts().takenOver + fabric.nodes[2]!.service.counts().takenOver,
    1,
  );
});

test('an owner without a majority ends what it has before another may open it, and stays without', async (t) => {
  const fabric = await connected(3);
  fabric.isolate(0);
  await fabric.runtime.advance(6_500);
  t.deepEqual(fabric.acting('c'), [], 'it has ended by itself, nobody has taken it yet');
  t.like(fabric.nodes[0]!.service.get('c'), { state: 'TIMEOUT', owner: 'n1' });
  await fabric.runtime.advance(8_000);
  t.is(fabric.acting('c').length, 1);
  t.not(fabric.acting('c')[0], 0);
  fabric.heal();
  await fabric.runtime.advance(10_000);
  t.is(fabric.acting('c').length, 1);
  t.is(fabric.nodes[0]!.service.get('c')!.epoch, 2, 'it has learned who has it');
});

test('of two members nobody takes anything over by itself, and the one that is left goes on', async (t) => {
  const fabric = await connected(2);
  fabric.isolate(1);
  await fabric.runtime.advance(60_000);
  t.deepEqual(fabric.acting('c'), [0]);
  fabric.kill(0);
  await fabric.runtime.advance(60_000);
  t.is(fabric.nodes[1]!.driver.opened.length, 0);
});

test('of two that want the same connection and do not hear each other one gets it', async (t) => {
  const fabric = await connected(5);
  const ids = Array.from({ length: 20 }, (_, i) => `more-${i}`);
  for (const id of ids) {
    await fabric.runtime.settle(fabric.nodes[0]!.service.create({ ...SPEC, id }, 'test'));
  }
  await fabric.runtime.advance(1_000);
  fabric.kill(0);
  await fabric.runtime.advance(5_000);
  fabric.cut(1, 2);
  fabric.cut(2, 1);
  for (let passed = 0; passed < 15_000; passed += 50) {
    await fabric.runtime.advance(50);
    const twice = ids.filter((id) => fabric.acting(id).length > 1);
    t.deepEqual(twice, []);
  }
  t.deepEqual(
    ids.filter((id) => fabric.acting(id).length !== 1),
    [],
  );
});

test('S0-4 whatever links break, each way apart, two members never act for one connection at once', async (t) => {
  const fault = fc.record({
    from: fc.nat(3),
    to: fc.nat(3),
    heal: fc.boolean(),
    forMs: fc.integer({ min: 500, max: 9_000 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.nat(1_000), fc.array(fault, { maxLength: 12 }), async (seed, faults) => {
      const fabric = await connected(4, seed);
      for (const { from, to, heal, forMs } of faults) {
        if (heal) fabric.heal();
        else if (from === to) fabric.isolate(from);
        else fabric.cut(from, to);
        for (let passed = 0; passed < forMs; passed += 250) {
          await fabric.runtime.advance(250);
          if (fabric.acting('c').length > 1) return false;
        }
      }
      fabric.heal();
      await fabric.runtime.advance(30_000);
      const states = new Set(fabric.nodes.map(({ service }) => service.get('c')!.owner));
      t.is(states.size, 1);
      return fabric.acting('c').length <= 1;
    }),
    { numRuns: 15 },
  );
});

test('a drain hands each connection over, and the new owner opens it once the old one has ended it', async (t) => {
  const fabric = await connected(3);
  const place = new TextEncoder().encode('up to here');
  fabric.nodes[0]!.replica.setFact('bridge/c', place);
  const moved = await fabric.runtime.settle(fabric.nodes[0]!.service.handOver(3_000));
  t.is(moved, 1);
  t.deepEqual(fabric.nodes[0]!.driver.closed, [
    '1: its node is being drained; another node goes on at once',
  ]);
  const [owner] = fabric.acting('c');
  t.true(owner === 1 || owner === 2);
  t.like(fabric.nodes[owner!]!.service.get('c'), { state: 'OPENING', epoch: 2, attempt: 2 });
  t.deepEqual(fabric.nodes[owner!]!.replica.fact('bridge/c'), place, 'it goes on from there');
  await fabric.runtime.advance(20_000);
  t.deepEqual(fabric.acting('c'), [owner]);
});
