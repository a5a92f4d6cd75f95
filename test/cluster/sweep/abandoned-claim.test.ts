import test, { type ExecutionContext } from 'ava';
import { Unclaimed } from '../../../src/cluster/replication/pull/unclaimed.ts';
import { placeOf } from '../../../src/cluster/replication/pull/pull-plan.ts';
import { shardOf } from '../../../src/core/placement.ts';
import { group } from '../../support/ids.ts';
import { SweptCluster } from './sweep-cluster.ts';

/**
 * x and y have a subscribe; x alone has its removal. z was answered by x without the subscribe, applied
 * what else was in that answer, lost the link, and so claims the subscribe without having either.
 */
async function abandoned(t: ExecutionContext): Promise<SweptCluster> {
  const swept = await SweptCluster.of(['x', 'y', 'z']);
  const { cluster } = swept;
  cluster.write('y', 1, 1);
  await swept.settle();
  let isApart = true;
  cluster.network.judge = ({ from, to, message }) => {
    const isData = message.type === 'operations' || message.type === 'pulled';
    return isApart && isData && (to === 'z' || from === 'x') ? 'drop' : 'pass';
  };
  cluster.write('x', 7, 1);
  const { replica: x } = swept.at('x').node;
  const dot = { actor: x.actor, shard: shardOf(group('g7')) };
  const counter = x.highest(dot.actor, dot.shard);
  // y has it by another way than x, whose frames are lost.
  swept.at('y').node.replica.mergeRows([[swept.key(7), swept.row('x', 7)]]);
  const range = { ...dot, from: counter, to: counter };
  swept.at('y').node.replica.cover([range]);
  swept.unsubscribe('x', 7);
  await cluster.world.run(20);
  t.false(swept.live('x', 7));
  t.true(swept.live('y', 7));

  const { replica: z } = swept.at('z').node;
  const unclaimed = new Unclaimed({ replica: z, rangesMax: 10, waitMs: 10_000 });
  unclaimed.add([range], 0);
  unclaimed.noteApplied(placeOf(range));
  const claimed = unclaimed.abandon();
  t.deepEqual(claimed, [range]);
  z.cover(claimed);
  cluster.kill('x');
  isApart = false;
  await cluster.world.run(20);
  t.true(z.covers(range), 'claimed');
  t.is(swept.row('z', 7).length, 0, 'and not here');
  return swept;
}

test('F1 an abandoned claim, and the only disk of the successor lost: the next sweep brings the older write', async (t) => {
  const swept = await abandoned(t);
  await swept.sweep('z', 'y');
  t.true(swept.live('z', 7));
  t.deepEqual(swept.row('z', 7), swept.row('y', 7));
  t.true(swept.live('y', 7), 'and it takes nothing from who has it');
});

test('F1 an abandoned claim, and the disk of the successor comes back: the removal holds everywhere', async (t) => {
  const swept = await abandoned(t);
  await swept.sweep('y', 'z');
  t.true(swept.live('z', 7));
  await swept.cluster.start('x');
  await swept.settle();
  for (const name of ['x', 'y', 'z']) t.false(swept.live(name, 7), name);
  for (const name of ['x', 'y', 'z']) t.true(await swept.sweep(name), `${name} is clean`);
  for (const name of ['x', 'y', 'z']) t.false(swept.live(name, 7), name);
});
