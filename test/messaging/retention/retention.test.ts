import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import * as fc from 'fast-check';
import type { ChannelKey } from '../../../src/core/ids.ts';
import { encodeFloor, floorOf } from '../../../src/core/kinds/floor.ts';
import { EMPTY_CONTEXT } from '../../../src/core/context.ts';
import { channelPrefix, rangeEnd } from '../../../src/core/row-key.ts';
import type { RetentionRule } from '../../../src/messaging/retention/port.ts';
import { Floors } from '../../../src/messaging/retention/floors.ts';
import { Pruner } from '../../../src/messaging/retention/pruner.ts';
import { LevelStoreLocation } from '../../../src/storage/level-store.ts';
import { ReplicatedStore } from '../../../src/storage/replica.ts';
import type { Store } from '../../../src/storage/port.ts';
import { silentLog } from '../../../src/observability/log.ts';
import { startCoreTrio, type TrioCore } from '../../support/core-trio.ts';
import { group } from '../../support/ids.ts';
import { message, startLoneCore } from '../../support/lone-core.ts';
import { testRuntime } from '../../support/runtime.ts';
import { until } from '../../support/until.ts';
import { filledReplica } from './filled-replica.ts';

const channel = group('g');
const KEEPS_ALL: RetentionRule = { ageMs: 0, bytesMax: 0 };

async function sendAt({ core }: Pick<TrioCore, 'core'>, to: ChannelKey, texts: readonly string[]) {
  const sends = texts.map((text, index) =>
    core.services.publisher.publish({
      ...message(to, 'u', text),
      clientMsgNo: `${text.slice(0, 20)}-${index}`,
    }),
  );
  return (await Promise.all(sends)).map((outcome) => {
    if (!outcome.ok) throw new Error(outcome.message);
    return outcome.value.messageSeq;
  });
}

async function page({ core }: Pick<TrioCore, 'core'>, of: ChannelKey) {
  const request = { channel: of, startSeq: 0, endSeq: 0, limit: 1_000, direction: 'down' } as const;
  const { messages, cutTo } = await core.services.history!.page(request);
  return { seqs: messages.map(({ messageSeq }) => messageSeq), cutTo };
}

/** What the disk still has of the channel, by kind. */
async function rowsOf(store: Store, of: ChannelKey, kind: 'm' | 'i'): Promise<string[]> {
  const prefix = channelPrefix(kind, of);
  const keys: string[] = [];
  for await (const chunk of store.scan({ gte: prefix, lt: rangeEnd(prefix) })) {
    for (const [key] of chunk) keys.push(key);
  }
  return keys;
}

async function lone(t: ExecutionContext, ruleOf: (type: number) => RetentionRule) {
  const node = await startLoneCore(undefined, { retention: { ruleOf, checkEveryMs: 3_600_000 } });
  t.teardown(node.stop);
  return node;
}

test('a floor survives its bytes, the higher one wins, and bytes that are none read as none', (t) => {
  const seq = fc.integer({ min: 0, max: 2 ** 52 - 1 });
  fc.assert(
    fc.property(seq, fc.constantFrom('age', 'size'), fc.nat(), (at, reason, atMs) => {
      const entry = { actor: 'a', counter: 1, hlc: 1, tag: 0, context: EMPTY_CONTEXT } as never;
      const value = encodeFloor({ seq: at, reason, atMs });
      t.deepEqual(floorOf([{ ...(entry as object), value }] as never), { seq: at, reason, atMs });
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array(), (value) => {
      t.notThrows(() => floorOf([{ tag: 0, value }] as never));
    }),
  );
});

test('by age: what is older goes from history, disk and send keys; numbers go on where they were', async (t) => {
  const rule = { ageMs: 3_600_000, bytesMax: 0 };
  const node = await lone(t, (type) => (type === 2 ? rule : KEEPS_ALL));
  const { core, store } = node;
  const clock = testRuntime.clock;
  const before = await sendAt(node, channel, ['old 1', 'old 2', 'old 3']);
  await sendAt(node, '3/forum' as ChannelKey, ['of another type']);
  await core.retention.judge!.pass();
  t.is(core.retention.floorOf(channel), undefined);
  // An hour passes for the rule: it is made shorter, for the clock is real.
  await until('a second has passed', () => clock.wallMs() % 1000 < 100);
  rule.ageMs = 1;
  await core.retention.judge!.pass();
  await until('it is off the disk', async () => (await rowsOf(store, channel, 'm')).length === 0);
  t.deepEqual(await rowsOf(store, channel, 'i'), []);
  t.like(core.retention.floorOf(channel), { seq: before.at(-1), reason: 'age' });
  t.deepEqual(await page(node, channel), { seqs: [], cutTo: before.at(-1) });
  t.is((await page(node, '3/forum' as ChannelKey)).seqs.length, 1);
  rule.ageMs = 3_600_000;
  const after = await sendAt(node, channel, ['new']);
  t.deepEqual(after, [before.at(-1)! + 1]);
  t.deepEqual(await page(node, channel), { seqs: after, cutTo: before.at(-1) });
  t.is(core.retention.state().messagesRemoved, 3);
});

test('a channel that is empty after a cut goes on above its floor after a restart too', async (t) => {
  const rule = { ageMs: 1, bytesMax: 0 };
  const first = await startLoneCore(undefined, { retention: { ruleOf: () => rule } });
  const [seq] = await sendAt(first, channel, ['old']);
  await until('it is old', () => Date.now() % 1000 < 100);
  await first.core.retention.judge!.pass();
  await until('it is gone', async () => (await rowsOf(first.store, channel, 'm')).length === 0);
  await first.stop();
  const second = await startLoneCore(first.location);
  t.teardown(second.stop);
  t.deepEqual(await sendAt(second, channel, ['new']), [seq! + 1]);
});

test('by size: the oldest go until a channel is below its limit, the newest stays however large', async (t) => {
  const rule = { ageMs: 0, bytesMax: 20_000 };
  const node = await lone(t, () => rule);
  const seqs = await sendAt(
    node,
    channel,
    Array.from({ length: 100 }, (_, i) => `${i} ${'x'.repeat(400)}`),
  );
  await node.core.retention.judge!.pass();
  const { cutTo, seqs: left } = await page(node, channel);
  t.deepEqual(
    left,
    seqs.filter((seq) => seq > cutTo!),
  );
  t.true(left.length > 20 && left.length < 45, `${left.length} left`);
  await until('the rest is gone', async () => {
    return (await rowsOf(node.store, channel, 'm')).length === left.length;
  });
  await node.core.retention.judge!.pass();
  t.is(node.core.retention.state().floorsRaised, 1);
  rule.bytesMax = 10;
  await node.core.retention.judge!.pass();
  t.deepEqual((await page(node, channel)).seqs, [seqs.at(-1)!]);
});

test('one node judges, all cut the same; what a peer offers from below the floor does not come back', async (t) => {
  const rule = { ageMs: 0, bytesMax: 0 };
  const { nodes, network } = await startCoreTrio(t, {
    retention: { ruleOf: () => rule, checkEveryMs: 3_600_000 },
    sweep: { intervalMs: 300 },
  });
  const [a, b, c] = nodes;
  const ids = nodes.map(({ core }) => core.self.id);
  const seqs = await sendAt(
    a!,
    channel,
    Array.from({ length: 60 }, (_, i) => `${i} ${'x'.repeat(300)}`),
  );
  const last = seqs.at(-1);
  const same = (what: string) =>
    until(what, () => new Set(nodes.map(({ core }) => core.replica.durableHash())).size === 1);
  await same('all have all');
  // One is away while the others cut, and offers its rows when it is back.
  network.partition(ids[0]!, ids[2]!);
  network.partition(ids[1]!, ids[2]!);
  await until('it is away', () => a!.core.replicator.livePeers() === 1);
  rule.bytesMax = 5_000;
  for (const { core } of [a!, b!]) await core.retention.judge!.pass();
  t.is(a!.core.retention.state().floorsRaised + b!.core.retention.state().floorsRaised, 1);
  await until('both have cut', async () => {
    const counts = await Promise.all([a!, b!].map(({ store }) => rowsOf(store, channel, 'm')));
    return counts.every(({ length }) => length < 20);
  });
  t.is((await rowsOf(c!.store, channel, 'm')).length, 60);
  network.heal();
  await until(
    'the third has cut too',
    async () => (await rowsOf(c!.store, channel, 'm')).length < 20,
  );
  await same('vectors are equal');
  const cut = await page(a!, channel);
  t.true(cut.cutTo! > 0 && cut.seqs.at(-1) === last);
  for (const node of nodes) {
    t.deepEqual(await page(node, channel), cut);
    t.is((await rowsOf(node.store, channel, 'm')).length, cut.seqs.length);
    t.is((await rowsOf(node.store, channel, 'i')).length, cut.seqs.length);
  }
  const clean = nodes.map(({ core }) => core.sweeps.sweep.counters.clean);
  await until('every node has swept in peace', () =>
    nodes.every(({ core }, i) => core.sweeps.sweep.counters.clean >= clean[i]! + 4),
  );
  for (const node of nodes) {
    t.deepEqual(await page(node, channel), cut);
    t.is((await rowsOf(node.store, channel, 'm')).length, cut.seqs.length);
  }
});

test('the files of the store shrink', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-retention-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const location = new LevelStoreLocation({
    ...{ path: folder, runtime: testRuntime, sync: 'os', syncIntervalMs: 100, groupWaitMs: 1 },
    ...{ groupBytes: 65_536, cacheBytes: 1 << 20, writeBufferBytes: 1 << 20 },
  });
  const store = await location.open();
  t.teardown(() => store.close());
  const replica = await ReplicatedStore.open({ store, runtime: testRuntime, log: silentLog });
  const node = await filledReplica(replica, 4_000);
  const floors = new Floors(replica);
  const pruner = new Pruner({
    ...{ store, replica, floors, runtime: testRuntime, log: silentLog, delayMs: 1 },
  });
  const size = (): number => sizeOf(folder);
  const full = size();
  t.true(full > 6_000_000, `${full} bytes`);
  replica.addListener(floors);
  replica.addListener(pruner);
  pruner.start();
  t.teardown(() => pruner.stop());
  node.raise(3_990);
  await until('the rows are gone', async () => (await rowsOf(store, channel, 'm')).length === 10);
  await until('the files are smaller', () => size() < full / 3, 20_000);
});

function sizeOf(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}
