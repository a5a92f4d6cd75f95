import test from 'ava';
import { EMPTY_CONTEXT } from '../../src/core/context.ts';
import { encodeSendKey } from '../../src/core/kinds/send-key.ts';
import { shardOf } from '../../src/core/placement.ts';
import { sendKeyKey } from '../../src/core/row-key.ts';
import { silentLog } from '../../src/observability/log.ts';
import { MemoryStoreLocation } from '../../src/storage/memory-store.ts';
import { ReplicatedStore } from '../../src/storage/replica.ts';
import { group, uid } from '../support/ids.ts';
import { testRuntime } from '../support/runtime.ts';

const channel = group('room');
const other = group('elsewhere');
const key = sendKeyKey(channel, uid('u'), 'n1');

const location = (): MemoryStoreLocation => new MemoryStoreLocation({ runtime: testRuntime });

async function openAt(place: MemoryStoreLocation): Promise<ReplicatedStore> {
  return ReplicatedStore.open({ store: await place.open(), runtime: testRuntime, log: silentLog });
}

function write(replica: ReplicatedStore, messageSeq: number, onDurable?: () => void) {
  const value = encodeSendKey({ payloadHash: 'same', messageSeq, messageId: BigInt(messageSeq) });
  const draft = { key, tag: 0, context: EMPTY_CONTEXT, value };
  return replica.submit(shardOf(channel), [draft], onDurable);
}

test('a channel may have copies from the tick in which a second entry of a send is staged', async (t) => {
  const [one, two] = [await openAt(location()), await openAt(location())];
  const first = write(one, 1);
  t.false(one.mayHaveCopies(channel));
  write(two, 2);
  two.receive(first);
  t.true(two.mayHaveCopies(channel), 'by a peer');
  t.false(two.mayHaveCopies(other));
  const [merged, replaced] = [await openAt(location()), await openAt(location())];
  merged.mergeRows([[key, two.read(key)]]);
  t.true(merged.mayHaveCopies(channel), 'by a snapshot');
  replaced.replaceRows([[key, one.read(key)]]);
  t.false(replaced.mayHaveCopies(channel));
  replaced.replaceRows([[key, two.read(key)]]);
  t.true(replaced.mayHaveCopies(channel), 'by a sweep');
});

test('what was said of copies is on disk with the row that says so', async (t) => {
  const place = location();
  const [one, two] = [await openAt(location()), await openAt(place)];
  await new Promise<void>((resolve) => {
    write(two, 2);
    two.receive(write(one, 1), resolve);
  });
  place.crash();
  const again = await openAt(place);
  t.true(again.mayHaveCopies(channel));
  t.false(again.mayHaveCopies(other));
});
