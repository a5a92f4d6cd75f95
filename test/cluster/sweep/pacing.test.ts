import test from 'ava';
import { altered, SweptCluster } from './sweep-cluster.ts';

test('S2-4 a lost row is back within one interval and a bit, without anybody asking; then ages stay low', async (t) => {
  const swept = await SweptCluster.of(['x', 'y', 'z']);
  swept.cluster.write('x', 0, 60);
  await swept.settle();
  for (const name of ['x', 'y', 'z']) swept.at(name).sweeper.start();
  await swept.damage('y', [[swept.key(3), undefined]]);
  await swept.cluster.until(() => swept.live('y', 3), 12_000);
  await swept.cluster.world.run(60_000);
  for (const name of ['x', 'y', 'z']) {
    const ages = swept.at(name).sweeper.unverifiedAges();
    t.is(ages.length, 2 * 16);
    t.true(ages.every(({ ageMs }) => ageMs <= 12_000));
  }
});

test('S2-6 S2-5 after a partition the sweep comes at once, and a channel that was silent is whole', async (t) => {
  const swept = await SweptCluster.of(['x', 'y'], { intervalMs: 360_000_000 });
  const { cluster } = swept;
  cluster.write('x', 0, 60);
  await swept.settle();
  for (const name of ['x', 'y']) swept.at(name).sweeper.start();
  await cluster.world.run(3_600_000);
  cluster.network.partition(swept.at('x').node.id, swept.at('y').node.id);
  await swept.damage('y', [[swept.key(3), undefined]]);
  await cluster.world.run(60_000);
  t.false(swept.live('y', 3));
  cluster.network.heal();
  await cluster.until(() => cluster.live('x', 'y'), 20_000);
  await cluster.until(() => swept.live('y', 3), 2_000);
  t.pass();
});

test('a peer that does not answer delays no other, and its own age tells', async (t) => {
  const swept = await SweptCluster.of(['x', 'y', 'z']);
  swept.cluster.write('x', 0, 60);
  await swept.settle();
  swept.cluster.network.judge = ({ to, message }) =>
    to === swept.at('z').node.id && message.type === 'call' ? 'drop' : 'pass';
  swept.at('x').sweeper.start();
  await swept.cluster.world.run(60_000);
  const ages = swept.at('x').sweeper.unverifiedAges();
  t.true(ages.filter(({ peer }) => peer === 'y').every(({ ageMs }) => ageMs <= 12_000));
  t.true(ages.filter(({ peer }) => peer === 'z').every(({ ageMs }) => ageMs >= 60_000));
});

test('a whole lost table comes back over bucket sums, no faster than the limit', async (t) => {
  const limits = { repairsPerSecond: 1_000, itemsMax: 1_000 };
  const swept = await SweptCluster.of(['x', 'y'], limits);
  const count = 5_000;
  // All in the few shards of one channel's size: more differences than symbols can tell.
  for (let i = 0; i < count; i++) swept.cluster.write('x', i * 50);
  await swept.settle();
  const all = Array.from({ length: count }, (_, i) => i * 50);
  await swept.damage(
    'y',
    all.map((i) => [swept.key(i), undefined]),
  );
  t.false(all.some((i) => swept.live('y', i)));
  const startMs = swept.cluster.world.nowMs;
  swept.at('x').sweeper.start();
  await swept.cluster.until(() => all.every((i) => swept.live('y', i)), 120_000);
  t.true(swept.cluster.world.nowMs - startMs >= 4_000);
  t.true(swept.at('x').sweeper.counters.overflows > 0);
  t.is(swept.repairs('y').length, count);
});

test('F7 under writes and removals all the time no sweep repairs anything', async (t) => {
  const swept = await SweptCluster.of(['x', 'y', 'z'], { intervalMs: 200 });
  const { cluster } = swept;
  for (const name of ['x', 'y', 'z']) swept.at(name).sweeper.start();
  for (let round = 0; round < 300; round++) {
    const name = ['x', 'y', 'z'][round % 3]!;
    for (let i = 0; i < 5; i++) {
      const one = (round * 7 + i * 13) % 200;
      if (round % 4 === 3) swept.unsubscribe(name, one);
      else cluster.write(name, one);
    }
    await cluster.world.run(15);
  }
  await swept.settle();
  for (const name of ['x', 'y', 'z']) {
    t.deepEqual(swept.repairs(name), []);
    t.true(swept.at(name).sweeper.counters.sweeps > 20);
    t.is(swept.at(name).sweeper.counters.rebuilds, 0);
  }
});

test('rows that an audit doubts are asked of the others, and joined', async (t) => {
  const swept = await SweptCluster.of(['x', 'y', 'z']);
  swept.cluster.write('x', 0, 60);
  await swept.settle();
  const { store, sweeper } = swept.at('y');
  store.stage([{ key: swept.key(5), value: new Uint8Array([1, 2, 3]) }]);
  t.false(swept.live('y', 5));
  const keys = [swept.key(5), swept.key(6)];
  t.deepEqual(await swept.cluster.world.runFor(sweeper.repairKeys(keys), 10_000), [swept.key(5)]);
  t.deepEqual(swept.row('y', 5), swept.row('x', 5));
  t.deepEqual(swept.repairs('y'), ['restored lost-row']);
});

test('S2-3 an audit that doubts an altered row gets what most members say, without a sweep', async (t) => {
  const swept = await SweptCluster.of(['x', 'y', 'z']);
  swept.cluster.write('x', 0, 60);
  await swept.settle();
  const good = swept.row('x', 5);
  await swept.damage('y', [[swept.key(5), altered(good)]]);
  const asked = swept.at('y').sweeper.repairKeys([swept.key(5)]);
  t.deepEqual(await swept.cluster.world.runFor(asked, 10_000), [swept.key(5)]);
  t.deepEqual(swept.row('y', 5), good);
  t.deepEqual(swept.repairs('y'), ['restored altered-row']);
});

test('many altered rows are put right by the majority', async (t) => {
  const swept = await SweptCluster.of(['x', 'y', 'z']);
  swept.cluster.write('x', 0, 300);
  await swept.settle();
  const all = Array.from({ length: 200 }, (_, i) => i);
  await swept.damage(
    'y',
    all.map((i) => [swept.key(i), altered(swept.row('x', i))]),
  );
  await swept.sweep('x', 'y');
  for (const i of all) t.deepEqual(swept.row('y', i), swept.row('x', i));
  t.true(await swept.sweep('x'));
});
