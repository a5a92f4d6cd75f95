import test from 'ava';
import { encodePeerMessage } from '../../../src/cluster/link/codec.ts';
import { isSame } from '../../../src/cluster/replication/heartbeat.ts';
import type { Hello } from '../../../src/cluster/link/message.ts';
import { EMPTY_CONTEXT } from '../../../src/core/context.ts';
import { shardOf, SHARDS } from '../../../src/core/placement.ts';
import { subscriptionKey } from '../../../src/core/row-key.ts';
import { peerVectorFact } from '../../../src/storage/replica-port.ts';
import { group, uid } from '../../support/ids.ts';
import { TestCluster } from './cluster.ts';

const NAMES = ['x', 'y', 'z'] as const;
const [X, Y, Z] = NAMES;
const limits = { rememberMs: 200 };
/** With 200 rounds: 9,616 vector rows, 64 of them open, 2.3 KB remembered of a peer. */
const ROUNDS = 30;
/** One channel in each shard. */
const CHANNELS = Array.from({ length: SHARDS }, (_, shard) => {
  for (let i = 0; ; i++) if (shardOf(group(`c${i}`)) === shard) return group(`c${i}`);
});

async function start(): Promise<TestCluster> {
  const cluster = new TestCluster(NAMES, limits);
  for (const name of NAMES) await cluster.start(name);
  await cluster.world.run(500);
  return cluster;
}

let written = 0;
/** One write in every shard: as many rows of a vector as one run can make. */
function writeAll(cluster: TestCluster, name: string): void {
  const { replica } = cluster.node(name);
  written += 1;
  for (const [shard, channel] of CHANNELS.entries()) {
    const key = subscriptionKey(channel, uid(`u${written % 20}`));
    replica.submit(shard, [{ key, tag: 0, context: EMPTY_CONTEXT, value: new Uint8Array(0) }]);
  }
}

async function restart(cluster: TestCluster, name: string): Promise<void> {
  cluster.kill(name);
  await cluster.start(name);
  await cluster.world.run(400);
  writeAll(cluster, name);
  await cluster.world.run(50);
  await cluster.until(() => cluster.equal(...NAMES), 4_000);
}

function hellos(cluster: TestCluster): Hello[] {
  return cluster.network.sent.flatMap(({ message }) => (message.type === 'hello' ? [message] : []));
}

function isClosedEverywhere(cluster: TestCluster): boolean {
  const digests = NAMES.map((name) => cluster.node(name).replica.closedActors().closedDigest());
  return digests.every((digest) => isSame(digest, digests[0]!));
}

test('after many restarts of each of three members a Hello between them is as small as after a few', async (t) => {
  const cluster = await start();
  for (let round = 1; round <= ROUNDS; round++) {
    for (const name of NAMES) await restart(cluster, name);
  }
  await cluster.world.run(1_500);
  await cluster.until(() => isClosedEverywhere(cluster), 20_000);
  cluster.network.sent.length = 0;
  await restart(cluster, X);
  const { replica } = cluster.node(X);
  // While one has closed an actor and the other has not, the whole vector is said once.
  const brief = hellos(cluster).filter((hello) => !hello.whole);
  const sizes = brief.map((hello) => encodePeerMessage(hello).payload.length);
  const fact = replica.fact(peerVectorFact(cluster.node(Y).id))!;
  const rows = replica.durableVector().length;
  const open = replica.closedActors().openRows().length;
  t.log(`${rows} vector rows in all, ${open} open; Hello at most ${Math.max(...sizes)} bytes`);
  t.log(`the fact that remembers a peer: ${fact.length} bytes`);
  t.true(rows > 2.5 * ROUNDS * SHARDS);
  t.true(open <= 10 * SHARDS);
  t.true(sizes.length >= 2 && Math.max(...sizes) < 8_000);
  t.true(fact.length < 16_000);
});

test('a member that was away while others closed is told everything, and closes the same', async (t) => {
  const cluster = await start();
  for (let i = 0; i < 3; i++) await restart(cluster, X);
  cluster.kill(Z);
  for (let i = 0; i < 4; i++) await restartWithout(cluster);
  await cluster.start(Z);
  await cluster.until(() => cluster.equal(...NAMES), 10_000);
  await cluster.until(() => isClosedEverywhere(cluster), 20_000);
  await cluster.world.run(5_000);
  t.true(isClosedEverywhere(cluster));
  t.true(cluster.node(X).replica.closedActors().closedDigest().count >= 5);
  t.is(cluster.node(Y).rebuilds.length + cluster.node(Z).rebuilds.length, 0);
});

async function restartWithout(cluster: TestCluster): Promise<void> {
  cluster.kill(X);
  await cluster.start(X);
  await cluster.world.run(400);
  writeAll(cluster, X);
  await cluster.world.run(50);
  await cluster.until(() => cluster.equal(X, Y), 4_000);
}

test('a wiped store meets those that closed; one that was rolled back is still known as such', async (t) => {
  const cluster = await start();
  for (let i = 0; i < 3; i++) await restart(cluster, X);
  const backup = cluster.node(Y).disk.snapshot();
  for (let i = 0; i < 3; i++) await restart(cluster, X);
  writeAll(cluster, Y);
  await cluster.world.run(5_000);
  t.true(cluster.node(X).replica.closedActors().closedDigest().count >= 5);
  cluster.kill(Z);
  await cluster.startWith(Z, undefined, { catchingUp: true });
  await cluster.until(() => cluster.equal(...NAMES), 20_000);
  cluster.kill(X);
  await cluster.start(X);
  cluster.kill(Y);
  const node = await cluster.startWith(Y, backup);
  await cluster.until(() => node.rebuilds.length > 0, 10_000);
  t.regex(node.rebuilds[0]!, /had reported/);
});
