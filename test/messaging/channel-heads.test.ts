import test from 'ava';
import { ChannelHeads } from '../../src/messaging/channel-heads.ts';
import { MemoryStoreLocation } from '../../src/storage/memory-store.ts';
import { group } from '../support/ids.ts';
import { testRuntime } from '../support/runtime.ts';

test('over the limit the head that was not used for longest goes, not the first that came', async (t) => {
  const store = await new MemoryStoreLocation({ runtime: testRuntime }).open();
  const heads = new ChannelHeads(store, 2);
  const [a, b, c, d] = [group('a'), group('b'), group('c'), group('d')];
  await heads.load(a);
  await heads.load(b);
  t.is(heads.highest(a), 0);
  await heads.load(c);
  t.is(heads.highest(b), undefined);
  t.is(heads.highest(a), 0);
  t.is(heads.highest(c), 0);
  // A delivery is a use as well.
  heads.delivered(a, 7);
  await heads.load(d);
  t.is(heads.highest(c), undefined);
  t.is(heads.delivered(a, 8), 7);
  await store.close();
});

test('a delivery makes an entry where nobody was numbered; what was not read is read before a number', async (t) => {
  const store = await new MemoryStoreLocation({ runtime: testRuntime }).open();
  const heads = new ChannelHeads(store, 2, () => 90);
  const [a, b, c] = [group('a'), group('b'), group('c')];
  t.deepEqual(
    [34, 66, 65, 98].map((seq) => heads.delivered(a, seq)),
    [0, 34, 66, 65],
  );
  t.is(heads.highest(a), undefined, 'the store may have higher ones');
  heads.delivered(b, 5);
  await Promise.all([heads.load(a), heads.load(b)]);
  t.is(heads.highest(a), 98);
  t.is(heads.highest(b), 90);
  t.is(heads.delivered(a, 130), 98);
  // Deliveries are bounded as numbers are: the one unused for longest goes.
  t.is(heads.delivered(c, 7), 0);
  t.is(heads.delivered(b, 6), 0);
  t.is(heads.delivered(c, 8), 7);
  await store.close();
});

test('a head whose store cannot be read is read with the next try, and deliveries go on', async (t) => {
  const store = await new MemoryStoreLocation({ runtime: testRuntime }).open();
  let fails = true;
  const scan: typeof store.scan = (range) => {
    if (fails) throw new Error('the disk');
    return store.scan(range);
  };
  const heads = new ChannelHeads({ ...store, scan }, 2);
  const a = group('a');
  await t.throwsAsync(heads.load(a), { message: 'the disk' });
  t.is(heads.delivered(a, 3), 0);
  t.is(heads.highest(a), undefined);
  fails = false;
  await heads.load(a);
  t.is(heads.highest(a), 3);
  t.is(heads.delivered(a, 4), 3);
  await store.close();
});
