import test from 'ava';
import * as fc from 'fast-check';
import { EMPTY_CONTEXT } from '../../src/core/context.ts';
import type { ChannelKey } from '../../src/core/ids.ts';
import { remove, replace, type Draft } from '../../src/core/operation.ts';
import { shardOf, SHARDS } from '../../src/core/placement.ts';
import { DifferenceDecoder } from '../../src/core/reconciliation/difference-decoder.ts';
import { channelRowKey, subscriptionKey, type RowKey } from '../../src/core/row-key.ts';
import { silentLog } from '../../src/observability/log.ts';
import { MemoryStoreLocation } from '../../src/storage/memory-store.ts';
import { ReplicatedStore } from '../../src/storage/replica.ts';
import { StoreSummary } from '../../src/storage/summary.ts';
import { group, uid } from '../support/ids.ts';
import { slowScans } from './slow-scans.ts';
import { createVirtualRuntime, type VirtualRuntime } from '../support/virtual-runtime.ts';

const value = (byte: number): Uint8Array => new Uint8Array([byte]);

class Bench {
  readonly runtime: VirtualRuntime;
  readonly location: MemoryStoreLocation;
  readonly replica: ReplicatedStore;
  readonly summary: StoreSummary;
  readonly #store: Awaited<ReturnType<MemoryStoreLocation['open']>>;

  private constructor(
    parts: Pick<Bench, 'runtime' | 'location' | 'replica'>,
    store: Awaited<ReturnType<MemoryStoreLocation['open']>>,
  ) {
    this.runtime = parts.runtime;
    this.location = parts.location;
    this.replica = parts.replica;
    this.#store = store;
    this.summary = this.fresh();
  }

  static async open(
    runtime = createVirtualRuntime(),
    location = new MemoryStoreLocation({ runtime, flushMs: 2 }),
    scanRows = 3,
  ): Promise<Bench> {
    const store = slowScans(await location.open(), runtime, scanRows);
    const opening = ReplicatedStore.open({ store, runtime, log: silentLog });
    const replica = await runtime.settle(opening);
    return new Bench({ runtime, location, replica }, store);
  }

  /** A summary that has to build everything from the disk. */
  fresh(): StoreSummary {
    return new StoreSummary({
      ...{ cluster: 'test', store: this.#store, replica: this.replica },
      ...{ runtime: this.runtime, log: silentLog },
    });
  }

  async built(summary = this.fresh()): Promise<StoreSummary> {
    summary.start();
    for (let i = 0; i < 10_000 && !allReady(summary); i++) await this.runtime.advance(10);
    return summary;
  }

  async restart(): Promise<Bench> {
    await this.runtime.settle(this.#store.close());
    return Bench.open(this.runtime, this.location);
  }

  put(key: RowKey, shard: number, byte: number): void {
    const row = this.replica.read(key);
    const put = { key, tag: 0, value: value(byte) };
    this.replica.submit(shard, [replace(row, put, () => this.replica.seen(shard))]);
  }

  drop(key: RowKey, shard: number): void {
    const row = this.replica.read(key);
    this.replica.submit(shard, [remove(key, row, this.replica.seen(shard))]);
  }
}

function allReady(summary: StoreSummary): boolean {
  return Array.from({ length: SHARDS }, (_, shard) => summary.ready(shard)).every(Boolean);
}

function assertEqual(
  t: { true(ok: boolean, why: string): void },
  summary: StoreSummary,
  { scratch, shard }: { readonly scratch: StoreSummary; readonly shard: number },
): void {
  t.true(summary.sumsOf(shard)!.equals(scratch.sumsOf(shard)!), `shard ${shard} differs`);
}

type Step =
  | { readonly do: 'put' | 'drop'; readonly channel: number; readonly user: number }
  | { readonly do: 'channel'; readonly channel: number; readonly byte: number }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'batch'; readonly channel: number }
  | { readonly do: 'rebuild'; readonly channel: number };

const SHARDS_USED = new Set([0, 1, 2, 3].map((i) => shardOf(group(`g${i}`))));
const number = (max: number) => fc.nat({ max });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('put'), channel: number(3), user: number(9) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('drop'), channel: number(3), user: number(9) }),
  },
  fc.record({ do: fc.constant('channel'), channel: number(3), byte: number(255) }),
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait'), ms: number(5) }) },
  fc.record({ do: fc.constant('batch'), channel: number(3) }),
  fc.record({ do: fc.constant('rebuild'), channel: number(3) }),
);

function take(bench: Bench, next: Exclude<Step, { do: 'wait' }>): void {
  const channel: ChannelKey = group(`g${next.channel}`);
  const shard = shardOf(channel);
  switch (next.do) {
    case 'put':
      bench.put(subscriptionKey(channel, uid(`u${next.user}`)), shard, 0);
      break;
    case 'drop':
      bench.drop(subscriptionKey(channel, uid(`u${next.user}`)), shard);
      break;
    case 'channel':
      bench.put(channelRowKey(channel), shard, next.byte);
      break;
    case 'batch': {
      const key = subscriptionKey(channel, uid('u1'));
      const draft: Draft = { key, tag: 0, context: EMPTY_CONTEXT, value: value(1) };
      bench.replica.submit(shard, [draft, { ...draft, value: value(2) }]);
      break;
    }
    case 'rebuild':
      void bench.summary.rebuild(shard).catch(() => undefined);
      break;
    default:
      next satisfies never;
  }
}

test('invariant 8 sums kept up while rows are written, and while they are built, are those built from scratch', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 30 }),
      fc.array(step, { maxLength: 60 }),
      async (before, during) => {
        let bench = await Bench.open();
        for (const next of before) if (next.do !== 'wait') take(bench, next);
        await bench.runtime.advance(20);
        bench = await bench.restart();
        const built = [...SHARDS_USED].map((shard) => bench.summary.rebuild(shard));
        for (const next of during) {
          if (next.do === 'wait') await bench.runtime.advance(next.ms);
          else take(bench, next);
        }
        await bench.runtime.settle(Promise.all(built));
        await bench.runtime.advance(500);
        const scratch = bench.fresh();
        for (const shard of SHARDS_USED) {
          await bench.runtime.settle(scratch.rebuild(shard));
          assertEqual(t, bench.summary, { scratch, shard });
        }
      },
    ),
    { numRuns: 60 },
  );
});

test('invariant 8 writes that meet a scan before, in and behind its chunk are counted once', async (t) => {
  const runtime = createVirtualRuntime();
  const location = new MemoryStoreLocation({ runtime, flushMs: 2 });
  const bench = await Bench.open(runtime, location, 100);
  const channel = group('big');
  const shard = shardOf(channel);
  const name = (i: number) => subscriptionKey(channel, uid(`u${String(i).padStart(5, '0')}`));
  for (let i = 0; i < 12_000; i += 4) bench.put(name(i), shard, 0);
  await bench.runtime.advance(100);
  const built = bench.summary.rebuild(shard);
  let written = 0;
  while (!bench.summary.ready(shard)) {
    for (let k = 0; k < 40; k++, written++) {
      const at = (written * 7919) % 12_000;
      if (written % 3 === 0) bench.drop(name(at), shard);
      else bench.put(name(at), shard, 0);
    }
    await bench.runtime.advance(1);
  }
  await built;
  t.true(written > 1_000, `only ${written}`);
  const scratch = bench.fresh();
  await bench.runtime.settle(scratch.rebuild(shard));
  assertEqual(t, bench.summary, { scratch, shard });
});

test('a row that was changed behind the back shows in a rebuild, once', async (t) => {
  const bench = await Bench.open();
  const channel = group('g');
  const shard = shardOf(channel);
  const key = subscriptionKey(channel, uid('u'));
  bench.put(key, shard, 0);
  await bench.built(bench.summary);
  t.is(bench.summary.totals(shard).count, 1);
  t.false(await bench.runtime.settle(bench.summary.rebuild(shard)));
  bench.location.deleteBehindBack(key);
  t.true(await bench.runtime.settle(bench.summary.rebuild(shard)));
  t.is(bench.summary.totals(shard).count, 0);
  t.false(await bench.runtime.settle(bench.summary.rebuild(shard)));
});

test('invariant 8 a row that was lost and is restored before anybody noticed is counted once', async (t) => {
  const bench = await Bench.open();
  const channel = group('g');
  const shard = shardOf(channel);
  const key = subscriptionKey(channel, uid('u'));
  bench.put(key, shard, 0);
  const row = bench.replica.read(key);
  await bench.built(bench.summary);
  await bench.runtime.advance(100);
  bench.location.deleteBehindBack(key);
  bench.replica.mergeRows([[key, row]]);
  t.is(bench.summary.totals(shard).count, 2);
  await bench.runtime.advance(8_000);
  t.is(bench.summary.totals(shard).count, 1);
  const scratch = bench.fresh();
  await bench.runtime.settle(scratch.rebuild(shard));
  assertEqual(t, bench.summary, { scratch, shard });
});

test('a damaged row is in no sum', async (t) => {
  const bench = await Bench.open();
  const channel = group('g');
  const shard = shardOf(channel);
  const key = subscriptionKey(channel, uid('u'));
  bench.put(key, shard, 0);
  bench.put(subscriptionKey(channel, uid('v')), shard, 0);
  await bench.built(bench.summary);
  bench.location.flipBit(key, 17);
  t.true(await bench.runtime.settle(bench.summary.rebuild(shard)));
  t.is(bench.summary.totals(shard).count, 1);
  t.is(bench.summary.damagedRows(), 1);
});

test('copies of two replicas give what they do not share, and bucket sums lead to the same', async (t) => {
  const a = await Bench.open();
  const b = await Bench.open(createVirtualRuntime(2));
  const channel = group('g');
  const shard = shardOf(channel);
  const key = (name: string) => subscriptionKey(channel, uid(name));
  for (let i = 0; i < 200; i++) {
    const row = { key: key(`u${i}`), tag: 0, context: EMPTY_CONTEXT, value: value(0) };
    const operation = a.replica.submit(shard, [row]);
    if (i % 50 !== 7) b.replica.receive(operation);
  }
  b.put(key('own'), shard, 0);
  await a.built(a.summary);
  await b.built(b.summary);
  const [ours, theirs] = [a.summary.copy(shard), b.summary.copy(shard)];
  a.put(key('later'), shard, 0);
  const decoder = new DifferenceDecoder({
    ...{ key: a.summary.key, shard },
    ...{ ourCount: ours.totals.count, theirCount: theirs.totals.count },
  });
  while (decoder.state === 'incomplete') {
    const [from, to] = [decoder.received, decoder.wanted()];
    decoder.add(ours.symbols(from, to), theirs.symbols(from, to));
  }
  t.is(decoder.state, 'complete');
  t.deepEqual([decoder.ours().length, decoder.theirs().length], [4, 1]);
  t.is(decoder.theirs()[0]!.actor, b.replica.actor);

  t.is(ours.symbols(2040, 9999).length, ours.symbols(2040, 2048).length);
  t.is(ours.symbols(5000, 6000).length, 0);
  for (const [from, to] of [
    [-1, 4],
    [8, 4],
    [0.5, 4],
    [0, Number.NaN],
  ] as const) {
    t.throws(() => ours.symbols(from, to), { instanceOf: RangeError });
  }

  const [mine, yours] = [ours.bucketSums(), theirs.bucketSums()];
  const unequal = new Set<number>();
  for (let at = 0; at < mine.length; at++) if (mine[at] !== yours[at]) unequal.add(at >> 3);
  const found = await b.runtime.settle(b.summary.itemsOf(shard, unequal));
  t.true(found.some((item) => item.actor === b.replica.actor));
  t.true(found.length < 40);
  const named = decoder.ours().map((item) => item.counter);
  const listed = await a.runtime.settle(a.summary.itemsOf(shard, unequal));
  t.true(named.every((counter) => listed.some((item) => item.counter === counter)));
});
