import test from 'ava';
import { altered, strange, SweptCluster } from './sweep-cluster.ts';

const THREE = ['x', 'y', 'z'];

test('invariant 10: a sweep between equal replicas changes nothing', async (t) => {
  const swept = await SweptCluster.of(THREE);
  swept.cluster.write('x', 0, 200);
  await swept.settle();
  const before = THREE.map((name) => swept.at(name).node.disk.diskRows({ gte: 'a', lt: 'z' }));
  for (const name of THREE) t.true(await swept.sweep(name));
  for (const name of THREE) t.deepEqual(swept.repairs(name), []);
  t.deepEqual(
    THREE.map((name) => swept.at(name).node.disk.diskRows({ gte: 'a', lt: 'z' })),
    before,
  );
  t.is(swept.at('x').proofs.length, 2);
});

for (const [title, from] of [
  ['found by one that has them', 'x'],
  ['found by the one that lost them', 'y'],
] as const) {
  test(`S2-3 F1 subscription rows deleted in one store are restored, with their dots: ${title}`, async (t) => {
    const swept = await SweptCluster.of(THREE);
    swept.cluster.write('x', 0, 100);
    await swept.settle();
    const rows = [1, 2, 3].map((i) => swept.row('x', i));
    await swept.damage(
      'y',
      [1, 2, 3].map((i) => [swept.key(i), undefined]),
    );
    t.false(swept.live('y', 1));
    t.false(await swept.sweep(from, from === 'x' ? 'y' : 'x'));
    t.deepEqual(
      [1, 2, 3].map((i) => swept.row('y', i)),
      rows,
    );
    t.deepEqual(swept.repairs('y'), Array(3).fill('restored lost-row'));
    t.deepEqual(swept.repairs('x'), []);
    t.true(await swept.sweep('x'));
    t.true(await swept.sweep('y'));
  });
}

test('F1 invariant 4: a loss never spreads, whichever of two stores it is in and whoever asks', async (t) => {
  const swept = await SweptCluster.of(THREE);
  swept.cluster.write('x', 0, 60);
  await swept.settle();
  await swept.damage('x', [[swept.key(1), undefined]]);
  await swept.damage('y', [
    [swept.key(1), undefined],
    [swept.key(2), undefined],
  ]);
  t.true(
    await swept
      .sweep('x', 'z')
      .then(() => swept.sweep('y', 'z'))
      .then(() => swept.sweep('x')),
  );
  for (const name of THREE)
    for (let i = 0; i < 60; i++) t.true(swept.live(name, i), `${name} ${i}`);
});

test('a missed removal is applied where it was missed, and nothing comes back', async (t) => {
  const swept = await SweptCluster.of(THREE);
  swept.cluster.write('x', 0, 60);
  await swept.settle();
  const old = swept.row('x', 7);
  swept.unsubscribe('z', 7);
  await swept.settle();
  await swept.damage('y', [[swept.key(7), old]]);
  t.true(swept.live('y', 7));
  await swept.sweep('y', 'x');
  t.false(swept.live('y', 7));
  t.deepEqual(swept.repairs('y'), ['applied missed-removal']);
  t.true(await swept.sweep('x'));
  t.false(swept.live('x', 7) || swept.live('z', 7));
});

test('a row is restored only after the other members were asked: the third one knows of a removal', async (t) => {
  const swept = await SweptCluster.of(THREE);
  swept.cluster.write('x', 0, 60);
  await swept.settle();
  const old = swept.row('x', 7);
  swept.unsubscribe('z', 7);
  await swept.settle();
  // x is back to the old row, y has lost the evidence; z alone knows.
  await swept.damage('x', [[swept.key(7), old]]);
  await swept.damage('y', [[swept.key(7), undefined]]);
  await swept.sweep('x', 'y');
  t.false(swept.live('x', 7));
  t.false(swept.live('y', 7));
});

test('what was collected since the capture makes a restore be refused', async (t) => {
  const swept = await SweptCluster.of(THREE);
  swept.cluster.write('x', 0, 60);
  await swept.settle();
  await swept.damage('y', [[swept.key(3), undefined]]);
  swept.cluster.network.judge = ({ message }) => {
    if (message.type === 'call' && message.method === 'sweep/offer') swept.at('y').collections += 1;
    return 'pass';
  };
  await swept.sweep('x', 'y');
  t.false(swept.live('y', 3));
  swept.cluster.network.judge = () => 'pass';
  await swept.sweep('x', 'y');
  t.true(swept.live('y', 3));
});

test('F7 what is in flight is left to its stream: no repair, and the sweep counts as clean', async (t) => {
  const swept = await SweptCluster.of(['x', 'y']);
  swept.cluster.write('x', 0, 60);
  await swept.settle();
  swept.cluster.network.judge = ({ message }) =>
    ['operations', 'pulled'].includes(message.type) ? 'drop' : 'pass';
  swept.cluster.write('x', 100, 5);
  t.true(await swept.sweep('x'));
  t.true(await swept.sweep('y'));
  t.false(swept.live('y', 100));
  t.deepEqual([...swept.repairs('x'), ...swept.repairs('y')], []);
});

test('F15 the same in three sweeps and 5 s: an alarm, and the rows come by the sweep', async (t) => {
  const swept = await SweptCluster.of(['x', 'y']);
  swept.cluster.network.judge = ({ message }) =>
    ['operations', 'pulled'].includes(message.type) ? 'drop' : 'pass';
  swept.cluster.write('x', 100, 5);
  for (let i = 0; i < 4; i++) {
    await swept.cluster.world.run(2_000);
    await swept.sweep('y');
  }
  for (let i = 100; i < 105; i++) t.true(swept.live('y', i));
  t.deepEqual(swept.repairs('y'), Array(5).fill('applied stuck-stream'));
});

test('F8 S2-3 the same dot with other content: the majority of the live members holds', async (t) => {
  const swept = await SweptCluster.of(THREE);
  swept.cluster.write('x', 0, 60);
  await swept.settle();
  const good = swept.row('x', 5);
  for (const [damaged, from, to] of [
    ['y', 'x', 'y'],
    ['x', 'x', 'z'],
  ] as const) {
    await swept.damage(damaged, [[swept.key(5), altered(good)]]);
    await swept.sweep(from, to);
    for (const name of THREE) t.deepEqual(swept.row(name, 5), good, name);
    t.deepEqual(swept.repairs(damaged), ['restored altered-row']);
    t.true(await swept.sweep('x'));
  }
});

test('F8 two members and no majority: nothing is changed, one alarm', async (t) => {
  const swept = await SweptCluster.of(['x', 'y']);
  swept.cluster.write('x', 0, 60);
  await swept.settle();
  const other = altered(swept.row('x', 5));
  await swept.damage('y', [[swept.key(5), other]]);
  for (let i = 0; i < 3; i++) t.false(await swept.sweep('x'));
  t.deepEqual(swept.repairs('x'), ['alarm no-majority']);
  t.deepEqual(swept.row('y', 5), other);
});

test('S2-3 a row that nobody wrote is put aside once every member has said so', async (t) => {
  const swept = await SweptCluster.of(THREE);
  swept.cluster.write('x', 0, 60);
  await swept.settle();
  await swept.damage('y', [[swept.key(9_999), [strange('f', 1)]]]);
  for (let i = 0; i < 4; i++) {
    await swept.sweep('y', 'x');
    await swept.cluster.world.run(2_000);
  }
  t.false(swept.live('y', 9_999));
  t.deepEqual(swept.repairs('y'), ['quarantined unknown-write']);
  t.truthy(swept.at('y').node.replica.fact(`quarantine/${'f'.repeat(16)}:1`));
  t.true(await swept.sweep('y'));
});

test('a row that nobody wrote stays while a member does not answer', async (t) => {
  const swept = await SweptCluster.of(THREE);
  await swept.settle();
  await swept.damage('y', [[swept.key(9_999), [strange('f', 1)]]]);
  swept.cluster.network.partition(swept.at('y').node.id, swept.at('z').node.id);
  for (let i = 0; i < 5; i++) {
    await swept.sweep('y', 'x');
    await swept.cluster.world.run(2_000);
  }
  t.true(swept.live('y', 9_999));
  t.deepEqual(swept.repairs('y'), []);
});

test('F6 symbols that are wrong while rows are equal are built again on both sides, and then it is quiet', async (t) => {
  const swept = await SweptCluster.of(['x', 'y']);
  swept.cluster.write('x', 0, 60);
  await swept.settle();
  const key = swept.key(5);
  const { summary, node } = swept.at('x');
  const shard = Number.parseInt(key[1]!, 16);
  const row = node.replica.read(key);
  summary.sumsOf(shard)!.change(key, [], altered(row));
  await swept.sweep('x');
  t.is(swept.at('x').sweeper.counters.rebuilds, 0, 'it may just have moved');
  t.false(await swept.sweep('x'));
  await swept.cluster.world.run(5_000);
  t.true(await swept.sweep('x'));
  t.is(swept.at('x').sweeper.counters.rebuilds, 1);
  t.deepEqual(swept.repairs('x'), ['rebuilt symbols']);
  t.deepEqual(swept.row('x', 5), row);
});
