import test from 'ava';
import type { Repair } from '../../src/audit/port.ts';
import { EMPTY_CONTEXT } from '../../src/core/context.ts';
import { remove, replace } from '../../src/core/operation.ts';
import { shardOf } from '../../src/core/placement.ts';
import { isLive } from '../../src/core/row.ts';
import { reverseKey, subscriptionKey, type RowKey } from '../../src/core/row-key.ts';
import { silentLog } from '../../src/observability/log.ts';
import { DiskAudit } from '../../src/storage/disk-audit.ts';
import { logKey } from '../../src/storage/layout.ts';
import { MemoryStoreLocation } from '../../src/storage/memory-store.ts';
import type { Store } from '../../src/storage/port.ts';
import { ReplicatedStore } from '../../src/storage/replica.ts';
import { encodeRow } from '../../src/storage/row-codec.ts';
import { StoreSummary } from '../../src/storage/summary.ts';
import { group, uid } from '../support/ids.ts';
import { createVirtualRuntime, type VirtualRuntime } from '../support/virtual-runtime.ts';
import { slowScans } from './slow-scans.ts';

const PASS_MS = 10_000;
const channel = group('g');
const shard = shardOf(channel);
const keyOf = (name: string): RowKey => subscriptionKey(channel, uid(name));
const reverseOf = (name: string): string => reverseKey(uid(name), channel);

interface Bench {
  readonly runtime: VirtualRuntime;
  readonly location: MemoryStoreLocation;
  readonly store: Store;
  readonly replica: ReplicatedStore;
  readonly summary: StoreSummary;
  readonly audit: DiskAudit;
  readonly repairs: Repair[];
  readonly doubtful: RowKey[];
  put(name: string): void;
  drop(name: string): void;
  causes(): string[];
}

async function open(speed = 1, names = ['a', 'b', 'c']): Promise<Bench> {
  const runtime = createVirtualRuntime();
  const location = new MemoryStoreLocation({ runtime });
  const store = slowScans(await location.open(), runtime, 50);
  const log = silentLog;
  const replica = await runtime.settle(ReplicatedStore.open({ store, runtime, log }));
  const summary = new StoreSummary({ cluster: 'test', store, replica, runtime, log });
  const repairs: Repair[] = [];
  const audit = new DiskAudit({
    ...{ store, replica, summary, runtime, log, speed },
    repairs: { onRepair: (repair) => void repairs.push(repair) },
  });
  const doubtful: RowKey[] = [];
  audit.onDoubtful = (keys) => void doubtful.push(...keys);
  const bench: Bench = {
    ...{ runtime, location, store, replica, summary, audit, repairs, doubtful },
    put(name) {
      const [key, row] = [keyOf(name), replica.read(keyOf(name))];
      const put = { key, tag: 0, value: new Uint8Array(0) };
      replica.submit(shard, [replace(row, put, () => replica.seen(shard))]);
    },
    drop(name) {
      const key = keyOf(name);
      replica.submit(shard, [remove(key, replica.read(key), replica.seen(shard))]);
    },
    causes: () => [...new Set(repairs.map(({ cause }) => cause))].sort(),
  };
  for (const name of names) bench.put(name);
  await runtime.advance(50);
  summary.start();
  audit.start();
  await passes(bench, 1);
  return bench;
}

/** Until so many whole passes have ended since now; fails where one takes longer than it may. */
async function passes(bench: Bench, count: number): Promise<void> {
  const until = bench.audit.passes() + count;
  for (let ms = 0; bench.audit.passes() < until && ms < (count + 1) * PASS_MS; ms += 100) {
    await bench.runtime.advance(100);
  }
  if (bench.audit.passes() < until) throw new Error('a pass took too long');
}

function counterOf(bench: Bench, name: string): number {
  return bench.replica.read(keyOf(name)).at(-1)!.counter;
}

test('invariant 7 a store that nobody touched passes with nothing to repair, though it is written to', async (t) => {
  const names = Array.from({ length: 300 }, (_, i) => `u${i}`);
  const bench = await open(1, names);
  for (let i = 0; i < 3_000; i++) {
    const name = `u${(i * 7919) % 400}`;
    if (i % 3 === 0) bench.drop(name);
    else bench.put(name);
    if (i % 10 === 0) await bench.runtime.advance(10);
  }
  await passes(bench, 3);
  t.deepEqual(bench.repairs, []);
  t.deepEqual(bench.doubtful, []);
});

test('invariant 7 a reverse row that is missing, and one that should not be there, are put right in one pass', async (t) => {
  const bench = await open();
  bench.drop('b');
  await bench.runtime.advance(50);
  bench.location.deleteBehindBack(reverseOf('a'));
  bench.store.stage([{ key: reverseOf('b'), value: new Uint8Array([1]) }]);
  await passes(bench, 2);
  t.truthy(bench.store.get(reverseOf('a')));
  t.is(bench.store.get(reverseOf('b')), undefined);
  t.deepEqual(bench.causes(), ['reverse-row-missing', 'reverse-row-stale']);
  const named = new Map(bench.repairs.map((repair) => [repair.cause, repair.uid]));
  t.is(named.get('reverse-row-missing'), uid('a'));
  t.is(named.get('reverse-row-stale'), uid('b'));
  t.deepEqual(bench.doubtful, []);
  bench.repairs.length = 0;
  await passes(bench, 1);
  t.deepEqual(bench.repairs, []);
});

test('S2-3 a row deleted behind the back is found within a pass, and asked for; its log row stays', async (t) => {
  const bench = await open();
  const log = logKey(bench.replica.actor, shard, counterOf(bench, 'a'));
  bench.location.deleteBehindBack(keyOf('a'));
  await passes(bench, 2);
  t.true(bench.doubtful.includes(keyOf('a')));
  t.true(bench.causes().includes('row-lost') && bench.causes().includes('sums-differ'));
  t.is(bench.summary.totals(shard).count, 2);
  t.truthy(bench.store.get(log));
});

test('S2-3 a flipped bit is found within a pass, and at once by whoever reads the row', async (t) => {
  const bench = await open();
  bench.location.flipBit(keyOf('a'), 40);
  await passes(bench, 2);
  t.deepEqual([...new Set(bench.doubtful)], [keyOf('a')]);
  t.true(bench.causes().includes('row-damaged'));

  bench.doubtful.length = 0;
  bench.location.flipBit(keyOf('c'), 40);
  t.false(isLive(bench.replica.read(keyOf('c'))));
  await bench.runtime.advance(1);
  t.deepEqual(bench.doubtful, [keyOf('c')]);
  await bench.runtime.advance(3_000);
  t.is(bench.summary.totals(shard).count, 1);
});

test('a log row that is missing comes back; one that is damaged too', async (t) => {
  const bench = await open();
  const [a, c] = ['a', 'c'].map((name) =>
    logKey(bench.replica.actor, shard, counterOf(bench, name)),
  );
  const before = bench.store.get(c!);
  bench.location.deleteBehindBack(a!);
  bench.location.flipBit(c!, 20);
  await passes(bench, 2);
  t.truthy(bench.store.get(a!));
  t.deepEqual(bench.store.get(c!), before);
  t.deepEqual(bench.causes(), ['log-row-missing']);
  t.deepEqual(bench.doubtful, []);
  bench.repairs.length = 0;
  await passes(bench, 1);
  t.deepEqual(bench.repairs, []);
});

test('a row that nobody wrote, of a dot that the vector does not know, is asked about and not vouched for', async (t) => {
  const bench = await open();
  const [key, entry] = [keyOf('x'), bench.replica.read(keyOf('a'))[0]!];
  const row = [{ ...entry, counter: 999, context: EMPTY_CONTEXT }];
  bench.store.stage([{ key, value: encodeRow(key, row) }]);
  await passes(bench, 2);
  t.true(bench.doubtful.includes(key));
  t.true(bench.causes().includes('row-unknown'));
  t.is(bench.store.get(logKey(entry.actor, shard, 999)), undefined);
  t.is(bench.store.get(reverseOf('x')), undefined, 'nobody is routed by it');
});

test('S2-3 a row under the dot of another row is asked about, and the log goes on naming the right one', async (t) => {
  const bench = await open();
  const [entry] = bench.replica.read(keyOf('a'));
  const copied = keyOf('copied');
  bench.store.stage([{ key: copied, value: encodeRow(copied, [entry!]) }]);
  await passes(bench, 3);
  t.is(bench.replica.keyOf({ actor: entry!.actor, shard, counter: entry!.counter }), keyOf('a'));
  t.deepEqual([...new Set(bench.doubtful)], [copied]);
});

test('S2-3 unreadable bytes under a key that no log and no member knows go aside after a whole pass; others stay', async (t) => {
  const bench = await open();
  const bytes = bench.store.get(keyOf('a'))!;
  const stray = keyOf('stray');
  bench.store.stage([{ key: stray, value: bytes }]);
  bench.location.flipBit(keyOf('b'), 8);
  await passes(bench, 3);
  t.truthy(bench.store.get(stray), 'as long as somebody is silent');
  const asked: RowKey[] = [];
  bench.audit.unknownElsewhere = (keys) => {
    asked.push(...keys);
    return Promise.resolve(keys);
  };
  await passes(bench, 2);
  t.is(bench.store.get(stray), undefined);
  t.truthy(bench.store.get(keyOf('b')), 'its log row names it: it was written');
  t.deepEqual([...new Set(asked)], [stray]);
  const kept = JSON.parse(new TextDecoder().decode(bench.replica.fact('quarantine/damaged/0'))) as {
    key: string;
    bytes: number[];
  };
  t.deepEqual(kept, { key: stray, bytes: Array.from(bytes) });
  t.is(bench.audit.standing(), 1);
});

test('a reverse row with no history at all is asked about, and stays with its alarm: it may be all that is left of a row', async (t) => {
  const bench = await open();
  bench.store.stage([{ key: reverseOf('ghost'), value: new Uint8Array([1]) }]);
  await passes(bench, 2);
  t.true(bench.doubtful.includes(keyOf('ghost')));
  t.deepEqual(bench.causes(), ['row-lost']);
  t.truthy(bench.store.get(reverseOf('ghost')));
  t.deepEqual(bench.replica.read(keyOf('ghost')), [], 'and it is no subscription');
  const told = bench.repairs.length;
  await passes(bench, 2);
  t.is(bench.repairs.length, told, 'told once');
});

test('the fast profile passes five times as often, and the end of the audit ends it', async (t) => {
  const bench = await open(5);
  const before = bench.audit.passes();
  await bench.runtime.advance(PASS_MS);
  t.true(bench.audit.passes() - before >= 4, `${bench.audit.passes() - before}`);
  bench.audit.stop();
  bench.summary.stop();
  const ended = bench.audit.passes();
  await bench.runtime.advance(PASS_MS);
  t.is(bench.audit.passes(), ended);
});
