import test from 'ava';
import { Unclaimed } from '../../../../src/cluster/replication/pull/unclaimed.ts';
import type { ActorId } from '../../../../src/core/ids.ts';
import { remove } from '../../../../src/core/operation.ts';
import { shardOf } from '../../../../src/core/placement.ts';
import { subscriptionKey } from '../../../../src/core/row-key.ts';
import { VersionVector } from '../../../../src/core/version-vector.ts';
import { group, uid } from '../../../support/ids.ts';
import { startAll } from '../cluster.ts';

const [X, Y, Z] = ['x', 'y', 'z'] as const;
const a = '00000000000000aa' as ActorId;
const channel = group('g1');
const key = subscriptionKey(channel, uid('u1'));

function open() {
  const here = new VersionVector();
  const replica = {
    covers: (range: Parameters<VersionVector['coversRange']>[0]) => here.coversRange(range),
    missing: (rows: Parameters<VersionVector['missing']>[0]) => here.missing(rows),
  };
  return { here, unclaimed: new Unclaimed({ replica, rangesMax: 10, waitMs: 1_000 }) };
}

function upTo(base: number): VersionVector {
  const vector = new VersionVector();
  vector.add({ actor: a, shard: 0, from: 1, to: base });
  return vector;
}

test('what waits is claimed once all that the peer reported after it is here, or waits too', (t) => {
  const { here, unclaimed } = open();
  unclaimed.add([{ actor: a, shard: 0, from: 1, to: 5 }], 0);
  t.is(unclaimed.take(1), undefined, 'nothing was reported since');
  unclaimed.reported(upTo(7), []);
  t.is(unclaimed.take(2), undefined);
  here.add({ actor: a, shard: 0, from: 6, to: 6 });
  t.is(unclaimed.take(3), undefined);
  here.add({ actor: a, shard: 0, from: 7, to: 7 });
  const claim = unclaimed.take(4);
  t.deepEqual(claim, { ranges: [{ actor: a, shard: 0, from: 1, to: 5 }], proved: true });
  t.true(unclaimed.isEmpty);
});

test('a later answer needs a later report, and what waits is bounded in time and number', (t) => {
  const { unclaimed } = open();
  unclaimed.add([{ actor: a, shard: 0, from: 1, to: 5 }], 0);
  unclaimed.reported(upTo(5), []);
  unclaimed.add([{ actor: a, shard: 0, from: 6, to: 9 }], 0);
  t.is(unclaimed.take(1), undefined, 'the successor of a new one may be newer than that report');
  t.is(unclaimed.take(1_000)?.proved, false);
  for (let i = 0; i < 11; i++)
    unclaimed.add([{ actor: a, shard: 0, from: 20 * i + 1, to: 20 * i + 2 }], 0);
  t.is(unclaimed.take(1)?.proved, false);
});

test('nothing is claimed for a peer that went, but what is in the rows already', (t) => {
  const { unclaimed } = open();
  unclaimed.add(
    [
      { actor: a, shard: 0, from: 1, to: 5 },
      { actor: a, shard: 1, from: 1, to: 2 },
    ],
    0,
  );
  unclaimed.noteApplied(`${a}:1`);
  t.deepEqual(unclaimed.abandon(), [{ actor: a, shard: 1, from: 1, to: 2 }]);
  t.is(unclaimed.take(5_000), undefined);
});

test('a superseded write is not claimed before its successor has come', async (t) => {
  const cluster = await startAll([X, Y, Z]);
  const shard = shardOf(channel);
  const { actor, ...at } = { actor: cluster.node(X).replica.actor, shard };
  let isRemoved = false;
  cluster.network.judge = ({ from, to, message }) => {
    // While Z asks for the subscribe, X removes it, and tells nobody.
    if (from === Z && to === X && message.type === 'pull' && !isRemoved) {
      isRemoved = true;
      const { replica } = cluster.node(X);
      replica.submit(shard, [remove(key, replica.read(key), replica.seen(shard))]);
    }
    const isLost = from === X && message.type === 'operations' && (to === Z || isRemoved);
    return isLost ? 'drop' : 'pass';
  };
  cluster.write(X, 1);
  let claimed = 0;
  for (let ms = 0; ms < 5_000; ms += 2) {
    await cluster.world.run(2);
    const { replica } = cluster.node(Z);
    if (!replica.covers({ actor, ...at, from: 1, to: 1 })) continue;
    claimed += 1;
    if (replica.read(key).length === 0) return t.fail('neither it nor its successor is here');
  }
  t.true(isRemoved && claimed > 0, 'it is claimed in the end');
});
