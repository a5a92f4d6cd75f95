import test from 'ava';
import type { Entry } from '../../../src/core/row.ts';
import type { ActorId } from '../../../src/core/ids.ts';
import { remove } from '../../../src/core/operation.ts';
import { splitRowKey } from '../../../src/core/row-key.ts';
import { logKey } from '../../../src/storage/layout.ts';
import { encodeLogRow } from '../../../src/storage/row-codec.ts';
import { SweptCluster } from './sweep-cluster.ts';

const THREE = ['x', 'y', 'z'];

/** A row of g7 that borrows the dot of another row of the same channel. */
const REAL = 7;
const FALSE = 57;

test('S2-3 a fabricated row under the dot of another row is not taken over by anyone: one alarm', async (t) => {
  const swept = await SweptCluster.of(THREE);
  swept.cluster.write('x', 0, 40);
  await swept.settle();
  const real = swept.row('x', REAL);
  await swept.damage('y', [[swept.key(FALSE), real]]);
  t.true(swept.live('y', FALSE));
  for (const [from, to] of [
    ['x', 'y'],
    ['y', 'x'],
    ['y', 'z'],
    ['z', 'y'],
  ]) {
    await swept.sweep(from!, to);
  }
  for (const name of ['x', 'z']) t.false(swept.live(name, FALSE), name);
  for (const name of THREE) t.deepEqual(swept.row(name, REAL), real, name);
  t.deepEqual(swept.repairs('x'), ['alarm dot-of-another-row']);
  t.deepEqual(swept.repairs('z'), ['alarm dot-of-another-row']);
});

/** Of the dot of row 7: which row the log of y says that it wrote. */
function nameInLog(swept: SweptCluster, i: number): void {
  const [{ actor, counter }] = swept.row('x', REAL) as [Entry];
  const value = encodeLogRow(swept.key(i), { offset: 0, count: 1 });
  swept.at('y').store.stage([{ key: logKey(actor, shardOf(swept), counter), value }]);
}

test('S2-3 a fabricated row is put aside when its holder asks, whichever of the two rows the log names', async (t) => {
  for (const [named, asked] of [
    [REAL, FALSE],
    [FALSE, REAL],
  ] as const) {
    const swept = await SweptCluster.of(THREE);
    swept.cluster.write('x', 0, 40);
    await swept.settle();
    const real = swept.row('x', REAL);
    await swept.damage('y', [[swept.key(FALSE), real]]);
    nameInLog(swept, named);
    const { sweeper, node } = swept.at('y');
    await swept.cluster.world.runFor(sweeper.repairKeys([swept.key(asked)]), 60_000);
    t.false(swept.live('y', FALSE));
    t.deepEqual(swept.row('y', REAL), real);
    t.deepEqual(swept.repairs('y'), ['quarantined dot-of-another-row']);
    const [{ actor, counter }] = real as [Entry];
    const home = node.replica.keyOf({ actor, shard: shardOf(swept), counter });
    // Where the log was forged too its row went with it: the audit of the disk writes it again.
    t.is(home, named === REAL ? swept.key(REAL) : undefined);
  }
});

test('S2-3 the sweep of its holder puts a fabricated row aside too, with two members as with three', async (t) => {
  for (const names of [['x', 'y'], THREE]) {
    const swept = await SweptCluster.of(names);
    swept.cluster.write('x', 0, 40);
    await swept.settle();
    await swept.damage('y', [[swept.key(FALSE), swept.row('x', REAL)]]);
    nameInLog(swept, REAL);
    // A dot that its row does not confirm may have moved meanwhile: the second sweep looks closer.
    for (let i = 0; i < 3; i++) await swept.sweep('y', 'x');
    t.false(swept.live('y', FALSE));
    t.true(swept.live('y', REAL));
  }
});

test('a fabricated row stays where too few answer to tell which of the two it is', async (t) => {
  const swept = await SweptCluster.of(THREE);
  swept.cluster.write('x', 0, 40);
  await swept.settle();
  await swept.damage('y', [[swept.key(FALSE), swept.row('x', REAL)]]);
  nameInLog(swept, REAL);
  for (const name of ['x', 'z']) swept.cluster.kill(name);
  await swept.cluster.world.run(5_000);
  const { sweeper } = swept.at('y');
  await swept.cluster.world.runFor(sweeper.repairKeys([swept.key(FALSE)]), 60_000);
  for (const i of [REAL, FALSE]) t.true(swept.live('y', i));
});

/** The evidence of a removal of row 7 that nobody made, with a valid checksum. */
function forged(swept: SweptCluster, { actor, counter }: Pick<Entry, 'actor' | 'counter'>): Entry {
  const { replica } = swept.at('y').node;
  const key = swept.key(REAL);
  const { tag, context, value } = remove(key, replica.read(key), replica.seen(shardOf(swept)));
  return { actor, counter, hlc: 1, tag, context, value };
}

function shardOf(swept: SweptCluster): number {
  return splitRowKey(swept.key(REAL))!.shard;
}

test('a forged removal under the dot of another row is not believed, by two members as by three', async (t) => {
  for (const names of [['x', 'y'], THREE]) {
    const swept = await SweptCluster.of(names);
    swept.cluster.write('x', 0, 40);
    swept.cluster.write('x', FALSE, 1);
    await swept.settle();
    const [other] = swept.row('y', FALSE);
    await swept.damage('y', [[swept.key(REAL), [forged(swept, other!)]]]);
    t.false(swept.live('y', REAL));
    await swept.sweep('x', 'y');
    await swept.sweep('y', 'x');
    t.true(swept.live('x', REAL));
    t.true(swept.repairs('x').includes('alarm dot-of-another-row'));
  }
});

test('a forged removal under a dot that nobody ever wrote is never taken over', async (t) => {
  const swept = await SweptCluster.of(THREE);
  swept.cluster.write('x', 0, 40);
  await swept.settle();
  const nobody = { actor: 'f'.repeat(16) as ActorId, counter: 1 };
  await swept.damage('y', [[swept.key(REAL), [forged(swept, nobody)]]]);
  for (const name of THREE) await swept.sweep(name);
  for (const name of ['x', 'z']) t.true(swept.live(name, REAL), name);
});

test('a forged removal under a dot that was superseded is believed: nothing tells it from one that was missed', async (t) => {
  const swept = await SweptCluster.of(THREE);
  swept.cluster.write('x', 0, 40);
  swept.cluster.write('x', FALSE, 1);
  await swept.settle();
  const [gone] = swept.row('y', FALSE);
  swept.unsubscribe('x', FALSE);
  await swept.settle();
  await swept.damage('y', [[swept.key(REAL), [forged(swept, gone!)]]]);
  await swept.sweep('x', 'y');
  t.false(swept.live('x', REAL), 'known limit');
});
