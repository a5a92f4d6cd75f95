import test from 'ava';
import { subscriptionKey } from '../../src/core/row-key.ts';
import type { Uid } from '../../src/core/ids.ts';
import { CHANNEL, Scenario } from './scenario.ts';

test('F5 an acknowledged subscribe is in the index, here and on every node that is said to route', async (t) => {
  const cluster = await Scenario.start(t);
  const [here, there] = [await cluster.connect(1, 'ann'), await cluster.connect(3, 'ann')];
  await cluster.subscribe(1, 'ann', 'local');
  t.true(here.topics.has(CHANNEL), 'on its own node');
  await cluster.subscribe(2, 'ann', 'all');
  t.true(there.topics.has(CHANNEL), 'on the others');
  await cluster.publish(2, 'at once');
  await cluster.run(100);
  t.deepEqual(cluster.received(here), ['at once']);
  t.deepEqual(cluster.received(there), ['at once']);
  await cluster.end();
});

test('F10 one delta costs as many reads with 3,000 subscribers as with 30', async (t) => {
  const cluster = await Scenario.start(t);
  const readsOfOne = async (uid: string): Promise<number> => {
    const { replica } = cluster.core(2);
    const read = replica.read.bind(replica);
    let reads = 0;
    replica.read = (key) => {
      // What paced audits read meanwhile is of other rows.
      if (key === subscriptionKey(CHANNEL, uid as Uid)) reads += 1;
      else if (inReceive) others += 1;
      return read(key);
    };
    const receive = replica.receive.bind(replica);
    let others = 0;
    let inReceive = false;
    replica.receive = (operation, onDurable) => {
      inReceive = true;
      try {
        return receive(operation, onDurable);
      } finally {
        inReceive = false;
      }
    };
    await cluster.subscribe(1, uid);
    Object.assign(replica, { read, receive });
    t.true(reads >= 1, 'the delta was merged');
    return others;
  };
  const fill = async (from: number, to: number): Promise<void> => {
    const uids = Array.from({ length: to - from }, (_, index) => `user-${from + index}` as Uid);
    const request = { channel: CHANNEL, uids, cause: 'http', waitFor: 'all' } as const;
    await cluster.sim.world.runFor(
      cluster.core(1).services.subscriptions.subscribe(request),
      10_000,
    );
    await cluster.converge();
  };
  await fill(0, 30);
  const few = await readsOfOne('ann');
  await fill(30, 3_000);
  t.is(await readsOfOne('bob'), few);
});

test('F17 after a rolling restart of the others, who is still connected counts as online', async (t) => {
  const cluster = await Scenario.start(t);
  await cluster.subscribe(1, 'ann');
  const ann = await cluster.connect(1, 'ann');
  for (const number of [2, 3]) {
    cluster.node(number).kill();
    await cluster.run(500);
    cluster.node(number).start();
    await cluster.converge();
  }
  await cluster.run(3_000);
  for (const number of [1, 2, 3]) {
    const online = cluster.core(number).services.sessions.online('ann' as Uid);
    t.deepEqual(
      online.map(({ member }) => member),
      [cluster.node(1).id],
      `as node ${number} sees it`,
    );
  }
  await cluster.publish(3, 'still there');
  await cluster.run(100);
  t.deepEqual(cluster.received(ann), ['still there']);
});

test('F18 a receiver that says nothing for ten minutes on an open session is not deaf', async (t) => {
  const cluster = await Scenario.start(t);
  await cluster.subscribe(2, 'ann');
  const ann = await cluster.connect(3, 'ann');
  await cluster.run(600_000);
  await cluster.publish(1, 'after a long silence');
  await cluster.run(100);
  t.deepEqual(cluster.received(ann), ['after a long silence']);
});

test('F20 the acknowledgement of a subscribe says who does not route by it yet', async (t) => {
  const cluster = await Scenario.start(t);
  cluster.isolate(3);
  await cluster.run(3_000);
  const subscribe = (uid: string) => {
    const request = {
      channel: CHANNEL,
      uids: [uid as Uid],
      cause: 'http',
      waitFor: 'all',
    } as const;
    const { subscriptions } = cluster.core(1).services;
    return cluster.sim.world.runFor(subscriptions.subscribe(request), 10_000);
  };
  const cut = await subscribe('ann');
  t.true(cut.ok);
  if (cut.ok) t.deepEqual(cut.value.missing, [cluster.node(3).id]);
  cluster.sim.network.heal();
  await cluster.converge();
  await cluster.run(2_000);
  const whole = await subscribe('bob');
  t.true(whole.ok);
  if (!whole.ok) return;
  t.is(whole.value.reached, 'all');
  t.deepEqual(whole.value.missing, []);
  for (const number of [1, 2, 3]) t.true(cluster.isSubscribed(number, 'bob'));
});
