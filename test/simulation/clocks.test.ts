import test from 'ava';
import type { Uid } from '../../src/core/ids.ts';
import { CHANNEL, Scenario } from './scenario.ts';

const HOUR_MS = 3_600_000;
const ANN = 'ann' as Uid;

test('S2-5 a ban wins over an allow elsewhere that has not seen it, whatever the clocks say', async (t) => {
  const cluster = await Scenario.start(t);
  await cluster.subscribe(1, ANN);
  const { sim } = cluster;
  const directory = (number: number) => cluster.core(number).services.directory;
  await sim.world.runFor(directory(1).deny(CHANNEL, ANN, 'ban'), 5_000);
  await cluster.converge();
  cluster.isolate(3);
  cluster.node(3).wall.offsetMs += HOUR_MS;
  await sim.world.runFor(directory(1).deny(CHANNEL, ANN, 'ban'), 5_000);
  await sim.world.runFor(directory(3).allow(CHANNEL, ANN, 'ban'), 5_000);
  await cluster.subscribe(3, ANN, 'local');
  const ann = await cluster.connect(3, ANN);
  await cluster.publish(3, 'allowed here, for now');
  await cluster.run(100);
  t.deepEqual(cluster.received(ann), ['allowed here, for now']);
  sim.network.heal();
  await cluster.converge();
  for (const number of [1, 2]) await cluster.publish(number, `banned again ${number}`);
  await cluster.run(100);
  t.deepEqual(cluster.received(ann), ['allowed here, for now']);
});

test('S2-5 clocks an hour apart decide nothing about subscriptions', async (t) => {
  const cluster = await Scenario.start(t);
  cluster.node(1).wall.offsetMs += HOUR_MS;
  cluster.node(3).wall.offsetMs -= HOUR_MS;
  for (const uid of ['ann', 'bob']) await cluster.subscribe(1, uid);
  // Two hours before the subscribe, by the clocks; it has seen it.
  await cluster.unsubscribe(3, 'ann');
  await cluster.converge();
  for (const number of [1, 2, 3]) t.false(cluster.isSubscribed(number, 'ann'), `node ${number}`);
  cluster.isolate(3);
  // Concurrent with an unsubscribe that has a later clock: what it has not seen survives.
  await cluster.subscribe(3, 'bob', 'local');
  await cluster.unsubscribe(1, 'bob');
  cluster.sim.network.heal();
  await cluster.end();
  for (const number of [1, 2, 3]) t.true(cluster.isSubscribed(number, 'bob'), `node ${number}`);
});
