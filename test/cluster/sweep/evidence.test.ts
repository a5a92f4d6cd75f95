import test from 'ava';
import { readCut } from '../../../src/cluster/sweep/evidence.ts';
import { VersionVector, type VectorRow } from '../../../src/core/version-vector.ts';
import { SweptCluster } from './sweep-cluster.ts';

const THREE = ['x', 'y', 'z'];

async function removed(names: readonly string[] = THREE): Promise<SweptCluster> {
  const swept = await SweptCluster.of(names);
  swept.cluster.write('x', 0, 60);
  await swept.settle();
  for (let i = 0; i < 10; i++) swept.unsubscribe('y', i);
  await swept.settle();
  return swept;
}

function byPlace(cut: readonly VectorRow[]): VectorRow[] {
  return cut.toSorted((a, b) =>
    a.actor < b.actor ? -1 : a.actor > b.actor ? 1 : a.shard - b.shard,
  );
}

async function collect(swept: SweptCluster, name: string): Promise<number> {
  const { evidence } = swept.at(name);
  return swept.cluster.world.runFor(evidence.collectNow(), 60_000);
}

test('invariant 9: evidence goes only after a clean sweep with every member, and then it goes whole', async (t) => {
  const swept = await removed();
  t.is(await collect(swept, 'x'), 0);
  t.true(await swept.sweep('x', 'y'));
  t.is(await collect(swept, 'x'), 0, 'z has not been compared');
  t.true(await swept.sweep('x', 'z'));
  t.is(await collect(swept, 'x'), 10);
  for (let i = 0; i < 10; i++) {
    t.deepEqual(swept.row('x', i), []);
    t.is(swept.row('y', i).length, 1, 'each member collects for itself');
  }
  t.true(readCut(swept.at('x').node.replica).length > 0);
  const log = swept.at('x').node.disk.diskRows({ gte: 'l', lt: 'm' });
  t.is(log.length, 50);
  t.true(await swept.sweep('x'));
  t.true(await swept.sweep('y'));
  t.deepEqual(swept.repairs('x'), []);
});

test('invariant 9: a removal after the clean sweep waits for the next one', async (t) => {
  const swept = await removed();
  t.true(await swept.sweep('x'));
  t.is(await collect(swept, 'x'), 10);
  swept.unsubscribe('z', 20);
  await swept.settle();
  t.is(await collect(swept, 'x'), 0);
  t.true(await swept.sweep('x'));
  t.is(await collect(swept, 'x'), 1);
});

test('F11 invariant 9: a member that is away, and a frozen or another roster, hold collection back', async (t) => {
  const swept = await removed();
  t.true(await swept.sweep('x'));
  const [x, z] = [swept.at('x').node.id, swept.at('z').node.id];
  swept.cluster.network.partition(x, z);
  t.is(await collect(swept, 'x'), 0);
  swept.cluster.network.heal();
  await swept.cluster.until(() => swept.cluster.live(...THREE), 20_000);
  swept.frozen = true;
  t.is(await collect(swept, 'x'), 0);
  swept.frozen = false;
  swept.cluster.roster = { ...swept.cluster.roster, epoch: 2 };
  t.is(await collect(swept, 'x'), 0, 'compared under another roster');
  t.true(await swept.sweep('x'));
  t.is(await collect(swept, 'x'), 10);
});

test('F11 F12 a member that was forgotten comes back below the cut: it has to rebuild, nothing revives', async (t) => {
  const swept = await SweptCluster.of(THREE);
  const { cluster } = swept;
  cluster.write('x', 0, 60);
  await swept.settle();
  cluster.kill('z');
  const away = swept.at('z').node;
  for (let i = 0; i < 10; i++) swept.unsubscribe('y', i);
  await cluster.until(() => cluster.equal('x', 'y'), 20_000);
  await cluster.world.run(3_000);
  const whole = cluster.roster;
  cluster.roster = { epoch: 2, members: whole.members.filter(({ id }) => id !== away.id) };
  for (const name of ['x', 'y']) swept.at(name).node.replicator.updateRoster(cluster.roster);
  t.true(await swept.sweep('x'));
  t.true(await swept.sweep('y'));
  t.is(await collect(swept, 'x'), 10);
  t.is(await collect(swept, 'y'), 10);
  cluster.roster = { ...whole, epoch: 3 };
  for (const name of ['x', 'y']) swept.at(name).node.replicator.updateRoster(cluster.roster);
  const back = await cluster.start('z');
  await cluster.until(() => back.rebuilds.length > 0, 20_000);
  t.regex(back.rebuilds[0]!, /below the cut/);
  for (let i = 0; i < 10; i++) t.false(swept.live('x', i) || swept.live('y', i));
  // Rebuilt, it has what they have and no more.
  cluster.kill('z');
  await cluster.startWith('z', undefined, { catchingUp: true });
  await cluster.until(() => cluster.live(...THREE), 20_000);
  await cluster.until(() => cluster.equal(...THREE), 20_000);
  for (let i = 0; i < 60; i++) t.is(swept.live('z', i), i >= 10);
});

test('a write that is subscribed again keeps living when the evidence beside it goes', async (t) => {
  const swept = await removed(['x', 'y']);
  swept.cluster.write('x', 3);
  await swept.settle();
  t.true(swept.live('y', 3));
  t.true(await swept.sweep('x'));
  await collect(swept, 'x');
  t.true(swept.live('x', 3));
  t.is(swept.row('x', 3).length, 1);
  t.true(await swept.sweep('y'));
});

test('a store that began empty takes over what its peers have collected up to', async (t) => {
  const swept = await removed();
  t.true(await swept.sweep('x'));
  t.is(await collect(swept, 'x'), 10);
  const cut = readCut(swept.at('x').node.replica);
  swept.cluster.kill('y');
  await swept.cluster.startWith('y', undefined, { catchingUp: true });
  await swept.cluster.until(() => swept.cluster.live(...THREE), 20_000);
  await swept.settle();
  swept.at('y').sweeper.start();
  await swept.cluster.world.run(1_000);
  t.deepEqual(byPlace(readCut(swept.at('y').node.replica)), byPlace(cut));
});

test('what a store takes from a member that has collected evidence comes with the cut of it', async (t) => {
  for (const snapshotDotsMin of [1, 1_000_000]) {
    const swept = await removed();
    for (const name of ['x', 'z']) {
      t.true(await swept.sweep(name));
      t.is(await collect(swept, name), 10);
    }
    const cut = readCut(swept.at('x').node.replica);
    swept.cluster.kill('y');
    // No sweeper runs here, so nobody asks for the cut by itself.
    const options = { catchingUp: true, limits: { snapshotDotsMin } };
    const y = await swept.cluster.startWith('y', undefined, options);
    await swept.cluster.until(() => y.replicator.mayWrite(), 20_000);
    const claimed = new VersionVector(Number.POSITIVE_INFINITY);
    claimed.addAll(readCut(y.replica));
    t.deepEqual(claimed.missing(cut), []);
  }
});
