import { readFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { WebSocket } from 'ws';
import { HoldfastClient } from '../../src/client/client.ts';
import type { ClientSocket } from '../../src/client/options.ts';
import { COUNTERS, GAUGES, HISTOGRAMS } from '../../src/observability/metric-names.ts';
import { startCluster, type TestCluster } from '../support/cluster.ts';
import { allLinked, clientOf, sameTables } from '../support/integration.ts';
import { until } from '../support/until.ts';
import { ROOT } from '../support/tree.ts';

/** Families without a value after the run below, and why. */
const UNFED: ReadonlyMap<string, string> = new Map([
  ['holdfast_bridge_refusals_total', 'counts with its first event only: there is no bridge here'],
  ['holdfast_certificate_expires_seconds', 'there is no TLS here'],
]);

type Readings = ReadonlyMap<string, number>;

/** By name with labels, as in the text. */
async function readingsOf(cluster: TestCluster, k: number): Promise<Readings> {
  const response = await fetch(`${cluster.addresses(k).http}/metrics`);
  const lines = (await response.text()).split('\n');
  const samples = lines.filter((line) => line.startsWith('holdfast_'));
  return new Map(
    samples.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

/** Declared names without one value; a histogram needs an observation. */
function unfed(readings: Readings): string[] {
  const families = new Set([...readings.keys()].map((name) => name.replace(/\{.*/, '')));
  const plain = [...Object.keys(COUNTERS), ...Object.keys(GAUGES)];
  const observed = Object.keys(HISTOGRAMS).filter((name) => readings.get(`${name}_count`));
  return [...plain, ...Object.keys(HISTOGRAMS)].filter(
    (name) => !families.has(name) && !observed.includes(name),
  );
}

/** Names in what people read and alert on. */
function documented(): string[] {
  const files = ['README.md', 'deploy/alerts.yml', 'deploy/alerts.test.yml', 'deploy/grafana.json'];
  const text = files.map((file) => readFileSync(join(ROOT, file), 'utf8')).join('\n');
  const names = text.match(/\bholdfast_[a-z_]*[a-z]\b/g) ?? [];
  return [...new Set(names.map((name) => name.replace(/_(?:bucket|sum|count)$/, '')))];
}

test('S2-8 every metric that is declared has a value, and what happened was counted once', async (t) => {
  const audit = { profile: 'fast', fault_injection: 'on' };
  // Nobody is there to take them: port 9 is the one of discard.
  const backend = { name: 'backend', url: 'http://127.0.0.1:9/', secret: 'sixteen-letters' };
  const webhooks = { endpoints: [backend] };
  const cluster = await startCluster(t, { nodes: 2, etcd: false, config: { audit, webhooks } });
  await allLinked(cluster);
  const at = cluster.addresses(1);
  const comparing = new HoldfastClient({
    ...{ addresses: [at.client], uid: 'cy', pingMs: 200, onMessage: () => {} },
    openSocket: (address): ClientSocket => new WebSocket(address),
  });
  t.teardown(() => comparing.stop());
  comparing.start();
  const [ann, bob] = [await clientOf(t, at.client, 'ann'), await clientOf(t, at.client, 'bob')];
  await ann.subscribe('room');
  await bob.subscribe('room');
  const first = await ann.send('room', 2, 'x', { clientMsgNo: 'once' });
  const again = await ann.send('room', 2, 'x', { clientMsgNo: 'once' });
  t.deepEqual([first.disks, again.disks], [2, 2], 'a retry tells how many disks have it');
  await until('bob receives', () => bob.received.length === 1);

  const upgrades = 'holdfast_upgrades_refused_total{reason="admission"}';
  const refused = new WebSocket(at.client, { origin: 'http://elsewhere.example' });
  await new Promise((resolve) => refused.once('error', resolve));
  await t.throwsAsync(clientOf(t, at.client, 'no#uid'));
  const parting = await clientOf(t, at.client, 'eve');
  parting.ws!.close(4321, 'of no standard');
  const strangers = 'holdfast_link_refusals_total{who="stranger"}';
  // Peers that start may give up a connection before either has proved who it is.
  const strangersBefore = (await readingsOf(cluster, 1)).get(strangers) ?? 0;
  const stranger = connectTcp(Number(at.peer.split(':')[1]), '127.0.0.1');
  stranger.on('error', () => {}).write('GET / HTTP/1.1\r\n\r\n');
  t.teardown(() => stranger.destroy());
  const fault = { kind: 'drop-topic', channelId: 'room', channelType: 2, uid: 'bob' };
  await cluster.admin(1).injectFault(fault);

  const count = async (k: number, name: string) => (await readingsOf(cluster, k)).get(name) ?? 0;
  await until('the damage is found and put right', async () => {
    const repairs = 'holdfast_repairs_total{layer="sockets",action="joined",cause="topic-lost"}';
    return (await count(1, repairs)) > 0;
  });
  await until('the close is counted', async () => {
    return (await count(1, 'holdfast_closes_total{code="other"}')) === 1;
  });
  await until('sweeps and probes have begun', async () => {
    const missing = unfed(await readingsOf(cluster, 1));
    return missing.every((name) => UNFED.has(name));
  }).catch(() => undefined);
  const readings = await readingsOf(cluster, 1);
  t.deepEqual(unfed(readings), [...UNFED.keys()]);
  const shown = new Set(
    [...readings.keys()].map((name) =>
      name.replace(/(?:_bucket|_sum|_count)?[{ ].*|_(?:bucket|sum|count)$/, ''),
    ),
  );
  const missing = documented().filter((name) => !shown.has(name) && !UNFED.has(name));
  t.deepEqual(missing, [], 'README, rules and dashboard speak of what a node shows');
  const ages = [...readings.keys()].filter((name) => name.includes('unverified_age_seconds'));
  for (const layer of ['peers', 'disk', 'index', 'sockets', 'client']) {
    t.true(
      ages.some((name) => name.includes(`layer="${layer}"`)),
      layer,
    );
  }
  t.true(readings.get('holdfast_sweep_bytes_total')! > 0);
  t.true(readings.get('holdfast_sweep_seconds_total')! > 0);
  t.is(readings.get('holdfast_connects_total{outcome="accepted"}'), 4);
  t.is(readings.get('holdfast_connects_total{outcome="refused"}'), 1);
  t.is(readings.get(upgrades), 1, 'and none of the node itself, before it was ready');
  t.is(readings.get(strangers), strangersBefore + 1);
  t.is(readings.get('holdfast_acknowledged_short_total{missing="disk"}'), 0);
  t.is(readings.get('holdfast_subscription_operations_total{action="subscribe"}'), 2);
});

test('operations of a peer are counted once, by the way they came: pushed or pulled', async (t) => {
  const cluster = await startCluster(t, { nodes: 2, etcd: false });
  await allLinked(cluster);
  const applied = async (source: string) =>
    (await readingsOf(cluster, 2)).get(`holdfast_operations_applied_total{source="${source}"}`);
  const user = await clientOf(t, cluster.addresses(1).client, 'user');
  for (let i = 0; i < 5; i++) await user.subscribe(`pushed-${i}`);
  await until('all were pushed', async () => (await applied('stream')) === 5);
  t.is(await applied('pull'), 0);
  await cluster.kill9(2);
  for (let i = 0; i < 7; i++) await user.subscribe(`pulled-${i}`);
  await cluster.start(2);
  await sameTables(cluster);
  t.is((await applied('pull'))! + (await applied('stream'))!, 7);
  t.true((await applied('pull'))! > 0);
});
