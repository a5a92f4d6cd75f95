import test from 'ava';
import type { SimulatedSession } from '../../scripts/simulate/clients/session.ts';
import type { Repair } from '../../src/audit/port.ts';
import type { Uid } from '../../src/core/ids.ts';
import { isLive } from '../../src/core/row.ts';
import { reverseKey, subscriptionKey } from '../../src/core/row-key.ts';
import { CHANNEL, Scenario } from './scenario.ts';

const ANN = 'ann' as Uid;
const KEY = subscriptionKey(CHANNEL, ANN);
const REVERSE = reverseKey(ANN, CHANNEL);
const PRESENT = new Uint8Array([1]);

/** The sweeps would heal it as well: here the audits alone have to. */
const NO_SWEEPS = { intervalsMax: 64, replicator: {}, sweep: { intervalMs: 3_600_000 } };

const rowIsBack = (cluster: Scenario): boolean => isLive(cluster.core(3).replica.read(KEY));

function repairsOf(cluster: Scenario, number: number): Repair[] {
  const repairs: Repair[] = [];
  cluster.core(number).repairs.add({ onRepair: (repair) => void repairs.push(repair) });
  return repairs;
}

/** Runs so long and looks every 50 ms: true where the session was in the channel all the while. */
async function staysIn(cluster: Scenario, session: SimulatedSession, ms: number): Promise<boolean> {
  for (let at = 0; at < ms; at += 50) {
    await cluster.run(50);
    if (!session.hasJoined(CHANNEL)) return false;
  }
  return true;
}

test('S2-3 a row deleted while its user is connected: nobody leaves, the peers give it back in 2 s, the message arrives', async (t) => {
  const cluster = await Scenario.start(t, { tuning: NO_SWEEPS });
  await cluster.subscribe(1, ANN);
  await cluster.converge();
  const session = await cluster.connect(3, ANN);
  await cluster.run(20_000);
  const repairs = repairsOf(cluster, 3);
  cluster.node(3).run!.store!.stage([{ key: KEY }]);
  t.true(await staysIn(cluster, session, 2_500));
  t.true(rowIsBack(cluster));
  t.true(await staysIn(cluster, session, 30_000), 'whatever the audit of the disk finds');
  t.truthy(cluster.node(3).run!.store!.get(REVERSE));
  await cluster.publish(1, 'after');
  await cluster.run(1_000);
  t.deepEqual(cluster.received(session), ['after']);
  t.deepEqual(
    repairs
      .filter(({ layer }) => layer !== 'disk')
      .map(({ action, cause }) => `${action} ${cause}`),
    ['alarm row-missing', 'restored lost-row'],
  );
});

test('S2-3 a row deleted before its user connects: joined at once, the peers give the row back, the message arrives', async (t) => {
  const cluster = await Scenario.start(t, { tuning: NO_SWEEPS });
  await cluster.subscribe(1, ANN);
  await cluster.converge();
  cluster.node(3).run!.store!.stage([{ key: KEY }]);
  const session = await cluster.connect(3, ANN);
  t.true(session.hasJoined(CHANNEL));
  await cluster.publish(1, 'at once');
  t.true(await staysIn(cluster, session, 1_000));
  t.true(rowIsBack(cluster));
  t.deepEqual(cluster.received(session), ['at once']);
  t.true(await staysIn(cluster, session, 30_000));
  await cluster.end();
});

test('S2-3 while no peer answers, a lost row unsubscribes nobody however often the disk is audited; it comes back with them', async (t) => {
  const cluster = await Scenario.start(t, { tuning: NO_SWEEPS });
  await cluster.subscribe(1, ANN);
  await cluster.converge();
  const session = await cluster.connect(3, ANN);
  cluster.isolate(3);
  await cluster.run(10_000);
  const repairs = repairsOf(cluster, 3);
  cluster.node(3).run!.store!.stage([{ key: KEY }]);
  t.true(await staysIn(cluster, session, 60_000));
  const again = await cluster.connect(3, ANN);
  t.true(again.hasJoined(CHANNEL));
  t.truthy(cluster.node(3).run!.store!.get(REVERSE));
  t.is(repairs.filter(({ cause }) => cause === 'row-lost').length, 1, 'told of once');
  t.is(repairs.filter(({ cause }) => cause === 'row-missing').length, 1, 'told of once');
  cluster.sim.network.heal();
  await cluster.run(30_000);
  t.true(rowIsBack(cluster));
  t.true(session.hasJoined(CHANNEL));
});

test('S2-3 evidence at the peers ends what only a stale reverse row says: the session leaves, with the removal', async (t) => {
  const cluster = await Scenario.start(t, { tuning: NO_SWEEPS });
  await cluster.subscribe(1, ANN);
  await cluster.subscribe(1, 'bob');
  await cluster.converge();
  await cluster.unsubscribe(1, ANN);
  await cluster.converge();
  const { store } = cluster.node(3).run!;
  store!.stage([{ key: KEY }, { key: REVERSE, value: PRESENT }]);
  const session = await cluster.connect(3, ANN);
  await cluster.run(2_500);
  t.false(session.hasJoined(CHANNEL));
  t.is(store!.get(REVERSE), undefined);
  await cluster.publish(1, 'not for her');
  await cluster.run(1_000);
  t.deepEqual(cluster.received(session), []);
});
