import test from 'ava';
import { SeededRandom } from '../../../scripts/simulate/world/random.ts';
import { TestCluster } from './cluster.ts';

const NAMES = ['x', 'y', 'z'] as const;

/** Faults of every kind for a while; then none, and everything has to be equal again. */
async function run(seed: number): Promise<TestCluster> {
  const random = new SeededRandom(seed);
  const cluster = new TestCluster(NAMES, { queueBytesMax: 30_000, snapshotDotsMin: 500 }, seed);
  for (const name of NAMES) await cluster.start(name);
  cluster.network.bufferMessages = 50;
  cluster.network.judge = ({ message }) => {
    if (message.type === 'hello' || !random.chance(0.15)) return 'pass';
    return random.chance(0.5) ? 'drop' : 'twice';
  };
  for (let round = 0; round < 40; round++) {
    const name = random.pick([...NAMES]);
    const node = cluster.node(name);
    const what = random.fraction();
    if (what < 0.1) {
      cluster.kill(name);
      await cluster.world.run(random.between(1, 3_000));
      await cluster.start(name);
    } else if (what < 0.15) {
      cluster.kill(name);
      await cluster.world.run(random.between(1, 3_000));
      await cluster.startWith(name, undefined, { catchingUp: true });
    } else if (what < 0.25) {
      const other = cluster.node(random.pick(NAMES.filter((each) => each !== name)));
      cluster.network.partition(node.id, other.id);
    } else if (what < 0.35) {
      cluster.network.heal();
    } else if (what < 0.4) {
      node.process.pause();
      await cluster.world.run(random.between(1, 4_000));
      node.process.resume();
    } else if (node.replicator.mayWrite()) {
      cluster.write(name, round * 100, Math.floor(random.between(1, 100)));
    }
    await cluster.world.run(random.between(1, 300));
  }
  cluster.network.heal();
  cluster.network.judge = () => 'pass';
  await cluster.until(() => cluster.live(...NAMES), 20_000);
  await cluster.until(() => cluster.equal(...NAMES), 40_000);
  return cluster;
}

for (const seed of [1, 2, 3, 4, 5, 135]) {
  test(`after faults of every kind all stores are equal, row by row (seed ${seed})`, async (t) => {
    const cluster = await run(seed);
    await cluster.world.run(5_000);
    const [first, ...others] = NAMES.map((name) =>
      cluster.node(name).disk.diskRows({ gte: 's', lt: 't' }),
    );
    for (const rows of others) t.deepEqual(rows, first);
    for (const name of NAMES) {
      const { replicator } = cluster.node(name);
      t.true(replicator.mayWrite());
      t.deepEqual(
        replicator
          .peers()
          .map(({ unacknowledgedBytes, lagging }) => [unacknowledgedBytes, lagging]),
        [
          [0, false],
          [0, false],
        ],
      );
    }
    cluster.network.sent.length = 0;
    await cluster.world.run(3_000);
    t.deepEqual(
      [...new Set(cluster.network.sent.map(({ message }) => message.type))],
      ['heartbeat'],
    );
  });
}
