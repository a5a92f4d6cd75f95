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
