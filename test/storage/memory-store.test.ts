import test from 'ava';
import { MemoryStoreLocation } from '../../src/storage/memory-store.ts';
import type { Store } from '../../src/storage/port.ts';
import { bytes, durable } from '../contract/store/contract.ts';
import { testRuntime } from '../support/runtime.ts';

const ALL = { gte: '', lt: '\u{10ffff}' };

function disk(location: MemoryStoreLocation): string[] {
  return location.diskRows(ALL).map(([key, value]) => `${key}=${new TextDecoder().decode(value)}`);
}

async function write(store: Store, key: string, text: string): Promise<void> {
  store.stage([{ key, value: bytes(text) }]);
  await durable(store);
}

test('a crash drops what was not flushed, and its callbacks never run', async (t) => {
  const location = new MemoryStoreLocation({ runtime: testRuntime, flushMs: 5 });
  const store = await location.open();
  await write(store, 'a', '1');
  let told = false;
  store.stage(
    [
      { key: 'a', value: bytes('2') },
      { key: 'b', value: bytes('2') },
    ],
    () => (told = true),
  );
  location.crash();
  t.throws(() => store.stage([]), { code: 'STORE_CLOSED' });
  t.throws(() => store.get('a'), { code: 'STORE_CLOSED' });
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.false(told);
  t.deepEqual(disk(location), ['a=1']);
  const again = await location.open();
  t.deepEqual(again.get('a'), bytes('1'));
  await again.close();
});

test('a crash may leave the group that was being written, whole, though nobody was told', async (t) => {
  const location = new MemoryStoreLocation({ runtime: testRuntime, groupWaitMs: 0, flushMs: 50 });
  const store = await location.open();
  store.stage([
    { key: 'a', value: bytes('1') },
    { key: 'b', value: bytes('1') },
  ]);
  await new Promise((resolve) => setTimeout(resolve, 10));
  store.stage([{ key: 'c', value: bytes('1') }]);
  location.crash({ writeInFlight: true });
  t.deepEqual(disk(location), ['a=1', 'b=1']);
});

test('a lost tail takes back whole groups, the latest first', async (t) => {
  const location = new MemoryStoreLocation({ runtime: testRuntime });
  const store = await location.open();
  await write(store, 'a', '1');
  await write(store, 'a', '2');
  store.stage([{ key: 'a' }, { key: 'b', value: bytes('3') }]);
  await durable(store);
  t.deepEqual(disk(location), ['b=3']);
  location.crash({ groupsLost: 1 });
  t.deepEqual(disk(location), ['a=2']);
  location.crash({ groupsLost: 1 });
  t.deepEqual(disk(location), ['a=1']);
  location.crash({ groupsLost: 9 });
  t.deepEqual(disk(location), []);
});

test('wiped, and rolled back to an older backup any number of times', async (t) => {
  const location = new MemoryStoreLocation({ runtime: testRuntime });
  const store = await location.open();
  await write(store, 'a', '1');
  const backup = location.snapshot();
  await write(store, 'b', '2');
  location.restore(backup);
  t.deepEqual(disk(location), ['a=1']);
  const second = await location.open();
  await write(second, 'c', '3');
  location.wipe();
  t.deepEqual(disk(location), []);
  location.restore(backup);
  t.deepEqual(disk(location), ['a=1']);
});

test('a row deleted behind its back, and a flipped bit, are of the disk alone', async (t) => {
  const location = new MemoryStoreLocation({ runtime: testRuntime });
  const store = await location.open();
  const value = bytes('1');
  store.stage([
    { key: 'a', value },
    { key: 'b', value },
  ]);
  await durable(store);
  const backup = location.snapshot();
  t.true(location.deleteBehindBack('a'));
  t.false(location.deleteBehindBack('a'));
  t.is(store.get('a'), undefined);
  t.true(location.flipBit('b', 1));
  t.false(location.flipBit('b', 8));
  t.false(location.flipBit('a'));
  t.deepEqual(disk(location), ['b=3']);
  t.deepEqual(value, bytes('1'));
  location.restore(backup);
  t.deepEqual(disk(location), ['a=1', 'b=1']);
});
