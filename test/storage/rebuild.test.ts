import test from 'ava';
import { EMPTY_CONTEXT } from '../../src/core/context.ts';
import { encodeChannel } from '../../src/core/kinds/channel.ts';
import { EMPTY_VALUE, remove, replace, type Draft } from '../../src/core/operation.ts';
import { shardOf } from '../../src/core/placement.ts';
import { isLive } from '../../src/core/row.ts';
import { channelRowKey, subscriptionKey } from '../../src/core/row-key.ts';
import { restoreFromAside } from '../../src/storage/rebuild.ts';
import { ReplicatedStore } from '../../src/storage/replica.ts';
import { group, uid } from '../support/ids.ts';
import { openReplica as open, submit } from '../support/replica.ts';

const channel = group('g');
const shard = shardOf(channel);
const key = subscriptionKey(channel, uid('u'));
const put: Draft = { key, tag: 0, context: EMPTY_CONTEXT, value: EMPTY_VALUE };

test('what was restored and then removed does not come back when the rebuild starts anew', async (t) => {
  const aside = await open();
  const lost = await submit(aside.replica, [put]);
  const { replica } = await open();
  const first = await restoreFromAside({ aside: aside.store, replica });
  t.is(first.operations, 1);
  t.true(isLive(replica.read(key)));
  t.true(replica.covers({ actor: lost.actor, shard, from: 1, to: 1 }));
  await submit(replica, [remove(key, replica.read(key), replica.seen(shard))]);
  const again = await restoreFromAside({ aside: aside.store, replica });
  t.is(again.operations, 0);
  t.false(isLive(replica.read(key)));
});

test('a removal elsewhere that has seen what was restored keeps out the lost write too', async (t) => {
  const aside = await open();
  await submit(aside.replica, [put]);
  const { replica, store } = await open();
  await restoreFromAside({ aside: aside.store, replica });
  const other = (await open()).replica;
  const vector = replica.durableVector();
  const answer = await replica.operations(other.missing(vector), 1_000_000);
  for (const operation of answer.operations) other.receive(operation);
  other.cover(answer.covered);
  const removal = await submit(other, [remove(key, other.read(key), other.seen(shard))]);
  const fresh = (await open()).replica;
  fresh.receive(removal);
  await restoreFromAside({ aside: aside.store, replica: fresh });
  t.false(isLive(fresh.read(key)));
  await store.close();
});

test('a value that was set later elsewhere is not undone by an older one that is restored', async (t) => {
  const settings = { large: false, allowStranger: false, deleted: false };
  const row = channelRowKey(channel);
  const draft = (join: 'open' | 'closed', replica: ReplicatedStore): Draft =>
    replace(
      replica.read(row),
      { key: row, tag: 0, value: encodeChannel({ ...settings, join }) },
      () => replica.seen(shard),
    );
  const aside = await open();
  await submit(aside.replica, [draft('open', aside.replica)]);
  await new Promise((resolve) => setTimeout(resolve, 3));
  const { replica } = await open();
  await submit(replica, [draft('closed', replica)]);
  const later = replica.read(row);
  await restoreFromAside({ aside: aside.store, replica });
  t.deepEqual(replica.read(row), later);
});
