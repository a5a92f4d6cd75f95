import test from 'ava';
import { OPERATION_WRITES_MAX } from '../../src/core/operation.ts';
import { SHARDS, shardOf } from '../../src/core/placement.ts';
import { REASON } from '../../src/core/reason-code.ts';
import { group, uid } from '../support/ids.ts';
import { startLoneCore } from '../support/lone-core.ts';

const HOW = { cause: 'admin', waitFor: 'local' } as const;

test('many channels at once share operations by shard, and each gets its own receipts', async (t) => {
  const { core, stop } = await startLoneCore();
  const { subscriptions } = core.services;
  const sizes: number[] = [];
  core.replica.addListener({
    onSubmitted: ({ count }) => void sizes.push(count),
    onDurable: () => {},
  });
  const channels = Array.from({ length: 1_000 }, (_, i) => ({
    channel: group(`g${i}`),
    uids: [uid('a'), uid(`u${i}`)],
  }));
  const done = await subscriptions.subscribeMany({ channels, ...HOW });
  t.is(done.length, channels.length);
  for (const [i, outcome] of done.entries()) {
    const { channel, uids } = channels[i]!;
    t.true(outcome.ok && outcome.value.receipts.length === uids.length);
    if (!outcome.ok) continue;
    t.true(outcome.value.receipts.every(({ shard }) => shard === shardOf(channel)));
    t.true(uids.every((one) => subscriptions.isSubscribed(channel, one)));
  }
  const receipts = done.flatMap((outcome) => (outcome.ok ? outcome.value.receipts : []));
  t.is(new Set(receipts.map(({ shard, counter }) => `${shard}:${counter}`)).size, 2_000);
  t.true(sizes.every((count) => count <= OPERATION_WRITES_MAX));
  t.true(sizes.length <= SHARDS * 2, `${sizes.length} operations`);
  await subscriptions.unsubscribeMany({ channels: channels.slice(1), ...HOW });
  t.deepEqual(await subscriptions.channelsOf(uid('a'), undefined, 10), [group('g0')]);
  t.is((await subscriptions.digest()).subscriptions, 2);
  await stop();
});

test('a refused channel leaves the others alone', async (t) => {
  const { core, stop } = await startLoneCore();
  const { subscriptions, directory } = core.services;
  const [open, gone] = [group('open'), group('gone')];
  await directory.setChannel(gone, {}, { disband: true });
  const channels = [open, gone].map((channel) => ({ channel, uids: [uid('a')] }));
  const [first, second] = await subscriptions.subscribeMany({ channels, ...HOW });
  t.true(first!.ok);
  t.like(second, { ok: false, code: REASON.disbanded });
  t.deepEqual(await subscriptions.channelsOf(uid('a'), undefined, 10), [open]);
  await stop();
});
