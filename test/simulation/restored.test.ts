import test from 'ava';
import { messageKey } from '../../src/core/row-key.ts';
import { CHANNEL, Scenario } from './scenario.ts';

test('invariant 13 a message that was lost behind the back and restored is not delivered again', async (t) => {
  const cluster = await Scenario.start(t);
  await cluster.subscribe(1, 'ann');
  await cluster.converge();
  const ann = await cluster.connect(3, 'ann');
  const { messageSeq } = await cluster.publish(1, 'once');
  await cluster.run(100);
  t.deepEqual(cluster.received(ann), ['once']);
  const key = messageKey(CHANNEL, messageSeq, cluster.core(1).replica.actor);
  t.true(cluster.node(3).disk.deleteBehindBack(key));
  const isBack = (): boolean => cluster.core(3).replica.read(key).length > 0;
  t.true(await cluster.sim.world.runUntil(isBack, 30_000), 'the row is restored');
  await cluster.run(1_000);
  t.deepEqual([...ann.received.values()], [1]);
  await cluster.end();
});
