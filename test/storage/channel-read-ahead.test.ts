import test from 'ava';
import fc from 'fast-check';
import type { ChannelKey, Uid } from '../../src/core/ids.ts';
import { reverseKey } from '../../src/core/row-key.ts';
import { ChannelReadAhead } from '../../src/storage/channel-read-ahead.ts';
import { MemoryStoreLocation } from '../../src/storage/memory-store.ts';
import type { ScanRange, Store } from '../../src/storage/port.ts';
import { testRuntime } from '../support/runtime.ts';

const open = () => new MemoryStoreLocation({ runtime: testRuntime, flushMs: 1 }).open();

function put(store: Store, uid: string, channels: readonly string[]): void {
  const value = new Uint8Array(1);
  const mutations = channels.map((channel) => ({
    key: reverseKey(uid as Uid, channel as ChannelKey),
    value,
  }));
  store.stage(mutations);
}

/** A store whose scans are counted and a clock that stands unless it is moved. */
function measured(store: Store) {
  const counts = { scans: 0, nowMs: 0 };
  const scan = (range: ScanRange) => {
    counts.scans += 1;
    return store.scan(range);
  };
  const runtime = { clock: { monotonicMs: () => counts.nowMs, wallMs: () => 0 } };
  return { counts, ahead: new ChannelReadAhead({ store: { scan }, runtime, ageMsMax: 250 }) };
}

const uids = fc.constantFrom('a', 'b', 'ab', 'b-', 'é', '\ue000', '\u{1f600}', 'zz', 'user9');

test('what is read along is what the rows of the user say, in whatever order users are asked for', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(uids, fc.integer({ min: 0, max: 40 })), { maxLength: 60 }),
      fc.array(uids, { maxLength: 40 }),
      async (rows, asked) => {
        const store = await open();
        try {
          const wanted = new Map<string, Set<string>>();
          for (const [uid, n] of rows) {
            const channels = wanted.get(uid) ?? new Set();
            wanted.set(uid, channels.add(`2/g${n}`));
          }
          for (const [uid, channels] of wanted) put(store, uid, [...channels]);
          const { ahead } = measured(store);
          for (const uid of asked) {
            const found = await ahead.channelsOf(uid as Uid);
            t.deepEqual(found, [...(wanted.get(uid) ?? [])].sort() as ChannelKey[]);
          }
        } finally {
          await store.close();
        }
      },
    ),
    { numRuns: 60 },
  );
});

test('users one after the other cost few reads; a user of more rows than a read has is whole', async (t) => {
  const store = await open();
  const name = (i: number): string => `user${String(i).padStart(4, '0')}`;
  for (let i = 0; i < 2_000; i++) put(store, name(i), [`2/g${i}`]);
  const many = Array.from({ length: 2_500 }, (_, i) => `2/g${String(i).padStart(4, '0')}`);
  put(store, 'user0500-many', many);
  const { counts, ahead } = measured(store);
  for (let i = 0; i < 2_000; i++) {
    t.deepEqual(await ahead.channelsOf(name(i) as Uid), [`2/g${i}` as ChannelKey]);
  }
  t.true(counts.scans < 30, `${counts.scans} reads`);
  t.deepEqual(await ahead.channelsOf('user0500-many' as Uid), many as ChannelKey[]);
  await store.close();
});

test('what was read along is believed for a tick and no longer', async (t) => {
  const store = await open();
  for (const uid of ['a', 'b']) put(store, uid, ['2/g']);
  const { counts, ahead } = measured(store);
  t.deepEqual(await ahead.channelsOf('a' as Uid), ['2/g' as ChannelKey]);
  put(store, 'b', ['2/h']);
  counts.nowMs = 250;
  t.deepEqual(await ahead.channelsOf('b' as Uid), ['2/g' as ChannelKey]);
  counts.nowMs = 251;
  t.deepEqual(await ahead.channelsOf('b' as Uid), ['2/g', '2/h'] as ChannelKey[]);
  await store.close();
});
