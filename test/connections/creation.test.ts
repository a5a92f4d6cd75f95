import test from 'ava';
import fc from 'fast-check';
import type { ConnectionRow } from '../../src/core/kinds/connection.ts';
import { replayConnection, standingOf } from '../../src/core/kinds/connection.ts';
import type { ConnectionError } from '../../src/connections/port.ts';
import { Fabric } from './fabric.ts';

const SPEC = { id: 'c', kind: 'hand', target: '' };

type Outcome = { readonly row: ConnectionRow } | { readonly error: ConnectionError };

/** Everybody creates the same id in the same moment, each with a target of its own. */
function createAt(fabric: Fabric, indexes: readonly number[], id = 'c'): Promise<Outcome[]> {
  const creations = indexes.map((index) => {
    const spec = { ...SPEC, id, target: `of ${index}` };
    return fabric.nodes[index]!.service.create(spec, 'test').then(
      (row): Outcome => ({ row }),
      (error: ConnectionError): Outcome => ({ error }),
    );
  });
  return fabric.runtime.settle(Promise.all(creations));
}

test('S0-2 S0-4 of creations of one id on all nodes at once one is made, the others are told by whom', async (t) => {
  const fabric = await Fabric.start(3);
  for (let run = 0; run < 20; run++) {
    const id = `c-${run}`;
    const outcomes = await createAt(fabric, [0, 1, 2], id);
    const rows = outcomes.flatMap((outcome) => ('row' in outcome ? [outcome.row] : []));
    t.is(rows.length, 1, id);
    for (const outcome of outcomes) {
      if ('row' in outcome) continue;
      t.true(['exists', 'contended'].includes(outcome.error.code), outcome.error.message);
      t.true(outcome.error.message.includes(rows[0]!.owner), outcome.error.message);
    }
    // What was answered is read on every node at once.
    for (const { service } of fabric.nodes) {
      t.like(service.get(id), { owner: rows[0]!.owner, target: rows[0]!.target });
    }
    for (let passed = 0; passed < 1_000; passed += 50) {
      await fabric.runtime.advance(50);
      t.true(fabric.acting(id).length <= 1);
    }
    t.deepEqual(fabric.acting(id), [fabric.names.indexOf(rows[0]!.owner)]);
  }
});

test('S0-4 whatever links break while two nodes create one id, one of them at most acts for it', async (t) => {
  const fault = fc.record({ from: fc.nat(3), to: fc.nat(3), forMs: fc.integer({ max: 3_000 }) });
  await fc.assert(
    fc.asyncProperty(fc.nat(1_000), fc.array(fault, { maxLength: 6 }), async (seed, faults) => {
      const fabric = await Fabric.start(4, seed);
      for (const { from, to, forMs } of faults) {
        if (from === to) fabric.heal();
        else fabric.cut(from, to);
        void createAt(fabric, [from, to]).catch(() => {});
        for (let passed = 0; passed < forMs; passed += 100) {
          await fabric.runtime.advance(100);
          if (fabric.acting('c').length > 1) return false;
        }
      }
      fabric.heal();
      await fabric.runtime.advance(40_000);
      const owners = new Set(fabric.nodes.map(({ service }) => service.get('c')?.owner));
      return owners.size === 1 && fabric.acting('c').length <= 1;
    }),
    { numRuns: 15 },
  );
  t.pass();
});

test('a claim of who could not create it holds the id for nobody', async (t) => {
  const fabric = await Fabric.start(3);
  fabric.cut(0, 1);
  fabric.cut(0, 2);
  const [refused] = await createAt(fabric, [0]);
  t.like(refused, { error: { code: 'unavailable' } });
  t.is(fabric.nodes[0]!.service.get('c'), undefined, 'nothing was written');
  fabric.heal();
  const [made] = await createAt(fabric, [1]);
  t.like(made, { row: { owner: 'n2', target: 'of 1' } });
  await fabric.runtime.advance(2_000);
  t.deepEqual(fabric.acting('c'), [1]);
});

test('a removed one makes place for another on any node', async (t) => {
  const fabric = await Fabric.start(3);
  await createAt(fabric, [0]);
  await fabric.runtime.settle(fabric.nodes[0]!.service.act('c', 'cancel', 'test'));
  await fabric.runtime.settle(fabric.nodes[0]!.service.act('c', 'remove', 'test'));
  await fabric.runtime.advance(200);
  const [made] = await createAt(fabric, [2]);
  t.like(made, { row: { owner: 'n3', epoch: 2, target: 'of 2' } });
});

test('one node, and one of two that is alone, creates without asking anybody', async (t) => {
  for (const count of [1, 2]) {
    const fabric = await Fabric.start(count);
    if (count === 2) fabric.kill(1);
    const [made] = await createAt(fabric, [0]);
    t.like(made, { row: { owner: 'n1' } });
    await fabric.runtime.advance(100);
    t.deepEqual(fabric.acting('c'), [0]);
  }
});

test('of two created on both sides of a cut one is left when it heals, and its journal tells of the other', async (t) => {
  const fabric = await Fabric.start(2);
  fabric.isolate(0);
  const outcomes = await createAt(fabric, [0, 1]);
  t.true(outcomes.every((outcome) => 'row' in outcome));
  await fabric.runtime.advance(1_000);
  t.deepEqual(fabric.acting('c'), [0, 1], 'two nodes alone cannot tell');
  fabric.heal();
  await fabric.runtime.advance(3_000);
  const [one, other] = fabric.nodes.map(({ service }) => service.get('c')!);
  t.deepEqual(one, other);
  const winner = fabric.names.indexOf(one!.owner);
  t.deepEqual(fabric.acting('c'), [winner], 'the bridge of the other is closed');
  const notes = one!.journal.filter(({ event }) => event === 'lost-twin');
  t.is(notes.length, 1);
  t.like(notes[0], { actor: fabric.names[1 - winner], node: one!.owner });
  t.regex(notes[0]!.reason, new RegExp(`one that n${2 - winner} had created .* was lost to this`));
  t.deepEqual(replayConnection(one!.journal), standingOf(one!));
});
