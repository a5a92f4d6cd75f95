import test from 'ava';
import { PLAIN } from '../../scripts/simulate/clients/client.ts';
import { checkLimits, checkVectors } from '../../scripts/simulate/checks/vectors.ts';
import type { Uid } from '../../src/core/ids.ts';
import { CHANNEL, Scenario } from './scenario.ts';

const USERS = ['ann', 'bob', 'cid', 'dan', 'eve'];

for (const order of ['rolled back', 'wiped'] as const) {
  test(`F1 loss is not a removal: a ${order} replica removes nothing anywhere`, async (t) => {
    const cluster = await Scenario.start(t);
    const backup = cluster.node(3).disk.snapshot();
    for (const user of USERS) await cluster.subscribe(1, user);
    await cluster.converge();
    cluster.node(3).kill();
    if (order === 'wiped') cluster.node(3).disk.wipe();
    else cluster.node(3).disk.restore(backup);
    cluster.node(3).start();
    await cluster.run(3_000);
    for (const user of USERS) t.true(cluster.isSubscribed(1, user), user);
    await cluster.end();
    for (const user of USERS) {
      for (const number of [1, 2, 3]) t.true(cluster.isSubscribed(number, user), user);
    }
  });
}

test('F1 a rolled-back replica does not bring back what was removed', async (t) => {
  const cluster = await Scenario.start(t);
  for (const user of USERS) await cluster.subscribe(3, user);
  await cluster.converge();
  const backup = cluster.node(3).disk.snapshot();
  await cluster.unsubscribe(3, 'ann');
  await cluster.unsubscribe(1, 'bob');
  await cluster.converge();
  cluster.node(3).kill();
  cluster.node(3).disk.restore(backup);
  cluster.node(3).start();
  await cluster.end();
  for (const number of [1, 2, 3]) {
    t.false(cluster.isSubscribed(number, 'ann'));
    t.false(cluster.isSubscribed(number, 'bob'));
    t.true(cluster.isSubscribed(number, 'cid'));
  }
});

test('F2 F3 a wiped node with its old name erases nothing, reuses no dot and comes to rest', async (t) => {
  const cluster = await Scenario.start(t);
  for (const user of USERS) await cluster.subscribe(2, user);
  await cluster.converge();
  cluster.node(2).kill();
  cluster.node(2).disk.wipe();
  cluster.node(2).start();
  await cluster.converge();
  const receipt = await cluster.subscribe(2, 'fay');
  t.is(receipt.counter, 1, 'a new actor counts from the start');
  await cluster.unsubscribe(2, 'ann');
  await cluster.end();
  for (const number of [1, 2, 3]) {
    t.true(cluster.isSubscribed(number, 'fay'));
    t.true(cluster.isSubscribed(number, 'bob'));
    t.false(cluster.isSubscribed(number, 'ann'));
  }
  await cluster.run(5_000);
  const before = cluster.sim.network.sent('pull') + cluster.sim.network.sent('snapshot-wanted');
  await cluster.run(30_000);
  const after = cluster.sim.network.sent('pull') + cluster.sim.network.sent('snapshot-wanted');
  t.is(after, before, 'equal nodes ask each other for nothing');
});

test('F3 a wiped node takes no writes until it has caught up with a peer', async (t) => {
  const cluster = await Scenario.start(t);
  for (const user of USERS) await cluster.subscribe(1, user);
  await cluster.converge();
  cluster.isolate(3);
  cluster.node(3).kill();
  cluster.node(3).disk.wipe();
  cluster.node(3).start();
  await cluster.run(5_000);
  await t.throwsAsync(cluster.subscribe(3, 'fay'), { message: /refused: 15/ });
  cluster.sim.network.heal();
  await cluster.end();
  await cluster.subscribe(3, 'fay');
  t.true(cluster.isSubscribed(1, 'fay'));
});

test('F9 gaps are never merged as if they were contiguous, and are filled', async (t) => {
  // Invariant 11 too: twenty gaps, and room for three.
  const cluster = await Scenario.start(t, { tuning: { intervalsMax: 3, replicator: {} } });
  const path = cluster.sim.network.path('node-1', 'node-2');
  for (let round = 0; round < 20; round++) {
    path.frameLoss = round % 2;
    await cluster.subscribe(1, `user-${round}`, 'local');
    await cluster.run(10);
    checkVectors(cluster.sim);
    checkLimits(cluster.sim);
  }
  t.true(cluster.sim.network.lostFrames > 0);
  path.frameLoss = 0;
  await cluster.run(3_000);
  for (let round = 0; round < 20; round++) t.true(cluster.isSubscribed(2, `user-${round}`));
  await cluster.end();
});

test('F13 lost connectivity purges nothing: subscriptions, sessions and routes stay', async (t) => {
  const cluster = await Scenario.start(t);
  for (const user of USERS) await cluster.subscribe(1, user);
  await cluster.converge();
  const [ann, bob] = [await cluster.connect(1, 'ann'), await cluster.connect(3, 'bob')];
  cluster.isolate(3);
  cluster.sim.etcd.loseLease(cluster.node(3).id);
  await cluster.run(60_000);
  for (const user of USERS) {
    for (const number of [1, 2, 3]) t.true(cluster.isSubscribed(number, user), user);
  }
  await cluster.publish(3, 'from the smaller side');
  await cluster.publish(1, 'from the larger side');
  t.deepEqual(cluster.received(bob), ['from the smaller side']);
  t.deepEqual(cluster.received(ann), ['from the larger side']);
  await cluster.subscribe(3, 'fay', 'local');
  cluster.sim.network.heal();
  await cluster.end();
  t.deepEqual(cluster.received(bob), ['from the smaller side', 'from the larger side']);
  t.deepEqual(cluster.received(ann), ['from the larger side', 'from the smaller side']);
  t.true(cluster.isSubscribed(1, 'fay'));
});

test('F16 etcd down for a minute: subscribing, publishing and delivery go on', async (t) => {
  const cluster = await Scenario.start(t);
  cluster.sim.etcd.up = false;
  await cluster.run(60_000);
  await cluster.subscribe(2, 'ann');
  const ann = await cluster.connect(3, 'ann');
  const { disks } = await cluster.publish(1, 'without etcd');
  t.is(disks, 2);
  cluster.node(2).kill();
  cluster.node(2).start();
  await cluster.converge();
  await cluster.publish(2, 'after a restart');
  await cluster.run(100);
  t.deepEqual(cluster.received(ann), ['without etcd', 'after a restart']);
  cluster.sim.etcd.up = true;
  await cluster.end();
});

test('F24 a late close of the old session does not take away the new one', async (t) => {
  const cluster = await Scenario.start(t);
  await cluster.subscribe(1, 'ann');
  const old = await cluster.connect(1, 'ann');
  const fresh = await cluster.connect(1, 'ann');
  cluster.node(1).run!.fanout.sessions.delete(old);
  cluster.core(1).services.sessions.detach(old);
  t.deepEqual(cluster.core(1).services.sessions.sessionsOf('ann' as Uid), [fresh]);
  await cluster.publish(2, 'hello');
  await cluster.run(100);
  t.deepEqual(cluster.received(fresh), ['hello']);
});

test('F25 a peer that cannot keep up costs bounded memory and gets everything in the end', async (t) => {
  const cluster = await Scenario.start(t);
  const slow = cluster.sim.network.path('node-1', 'node-2');
  Object.assign(slow, { delayMs: 3_000, jitterMs: 0 });
  const payload = new Uint8Array(60_000);
  const { publisher } = cluster.core(1).services;
  let published = 0;
  for (let round = 0; round < 200; round++) {
    const clientMsgNo = `big-${round}`;
    const sender = 'sender' as Uid;
    const sending = { channel: CHANNEL, sender, clientMsgNo, payload };
    cluster.sim.messages.add({ ...sending, calledMs: 0 }).attempts = 1;
    void publisher.publish({ ...PLAIN, ...sending, cause: 'http' }).then((outcome) => {
      if (outcome.ok) published += 1;
    });
    await cluster.run(20);
    checkLimits(cluster.sim);
  }
  t.deepEqual(cluster.sim.findings.list, []);
  // The link says "full" at 64 KB; after that comes at most one answer to a pull (1 MB) and a frame.
  t.true(cluster.sim.network.highestBufferedBytes <= (1024 + 2 * 64 + 64) * 1024);
  cluster.sim.network.heal();
  await cluster.run(10_000);
  t.is(published, 200);
  await cluster.end();
});
