import test from 'ava';
import { Scenario } from './scenario.ts';

/**
 * One user subscribes on node 1 (A), again on node 2 which replaces A by B, and is removed on node 3,
 * which has seen neither, with the receipt of B. Whatever comes first, A must not outlive B.
 */
test('a removal by receipt takes away also what the presented subscribe had replaced', async (t) => {
  const cluster = await Scenario.start(t);
  cluster.isolate(3);
  await cluster.subscribe(1, 'ann', 'local');
  await cluster.run(500);
  const newest = await cluster.subscribe(2, 'ann', 'local');
  await cluster.unsubscribe(3, 'ann', [newest]);
  cluster.unblock(2, 3);
  cluster.unblock(3, 2);
  await cluster.run(8_000);
  cluster.sim.network.heal();
  await cluster.end();
  for (const number of [1, 2, 3]) t.false(cluster.isSubscribed(number, 'ann'), `node ${number}`);
});
