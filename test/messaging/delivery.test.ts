import test from 'ava';
import { EMPTY_CONTEXT } from '../../src/core/context.ts';
import type { ActorId } from '../../src/core/ids.ts';
import { encodeMessage, type Message } from '../../src/core/kinds/message.ts';
import { encodeSendKey, payloadHash } from '../../src/core/kinds/send-key.ts';
import { shardOf } from '../../src/core/placement.ts';
import type { Entry } from '../../src/core/row.ts';
import { messageKey, sendKeyKey } from '../../src/core/row-key.ts';
import type { Operation } from '../../src/core/operation.ts';
import { bytesOf } from '../../src/cluster/replication/push/outbound.ts';
import { ChannelHeads } from '../../src/messaging/channel-heads.ts';
import { Delivery } from '../../src/messaging/delivery.ts';
import { MemoryStoreLocation } from '../../src/storage/memory-store.ts';
import { group, uid } from '../support/ids.ts';
import { startLoneCore } from '../support/lone-core.ts';
import { testRuntime } from '../support/runtime.ts';

const channel = group('g');
const actor = '00000000000000aa' as ActorId;
const payload = new Uint8Array([1, 2, 3]);

function message(messageSeq: number, clientMsgNo: string): Message {
  return {
    ...{ messageId: BigInt(messageSeq), messageSeq, clientMsgNo, fromUid: uid('u'), payload },
    ...{ timestamp: 1, noPersist: false, redDot: false, syncOnce: false, setting: 0 },
    ...{ topic: '', expire: 0 },
  };
}

function entry(counter: number, value: Uint8Array): Entry {
  return { actor, counter, hlc: counter, tag: 0, context: EMPTY_CONTEXT, value };
}

test('a message is a repetition by its own send key only, whatever else came with it', async (t) => {
  const store = await new MemoryStoreLocation({ runtime: testRuntime }).open();
  const delivered: number[] = [];
  const delivery = new Delivery({
    store,
    heads: new ChannelHeads(store, 10),
    fanout: { deliver: (d) => void delivered.push(d.message.messageSeq), notify: () => {} },
  });
  const key = (seq: number): Entry =>
    entry(
      2 * seq,
      encodeSendKey({
        payloadHash: payloadHash(payload),
        messageSeq: seq,
        messageId: BigInt(seq),
      }),
    );
  const keyChange = (no: string, seqs: readonly [number, number]) => ({
    key: sendKeyKey(channel, uid('u'), no),
    before: [key(seqs[0])],
    after: [key(seqs[0]), key(seqs[1])],
  });
  const arrival = (seq: number, no: string) => ({
    key: messageKey(channel, seq, actor),
    before: [],
    after: [entry(2 * seq - 1, encodeMessage(message(seq, no)))],
  });
  const changes = [keyChange('one', [1, 2]), arrival(2, 'one'), arrival(3, 'two')];
  delivery.onDurable({ changes, own: false });
  t.deepEqual(delivered, [3]);
  await store.close();
});

test('invariant 13 what is cut on its way to the disk is told, what comes when it was cut already is not', async (t) => {
  const store = await new MemoryStoreLocation({ runtime: testRuntime }).open();
  const delivered: number[] = [];
  let floor = 0;
  const delivery = new Delivery({
    store,
    heads: new ChannelHeads(store, 10),
    fanout: { deliver: (d) => void delivered.push(d.message.messageSeq), notify: () => {} },
    isCut: (key) => Number.parseInt(key.split('\u0001')[2]!, 16) <= floor,
  });
  const arrival = (seq: number) => ({
    key: messageKey(channel, seq, actor),
    before: [],
    after: [entry(seq, encodeMessage(message(seq, `${seq}`)))],
  });
  const [inTime, late] = [[arrival(1), arrival(2)], [arrival(3)]];
  delivery.onStaged(inTime);
  floor = 3;
  delivery.onStaged(late);
  delivery.onDurable({ changes: inTime, own: false });
  delivery.onDurable({ changes: late, own: false });
  t.deepEqual(delivered, [1, 2]);
  await store.close();
});

test('of two copies of one send key that only a snapshot brings the first is delivered, once', async (t) => {
  const store = await new MemoryStoreLocation({ runtime: testRuntime }).open();
  const arrive = (seqs: readonly number[], inOneChunk: boolean): number[] => {
    const delivered: number[] = [];
    const rows = new Map<string, Entry[]>();
    const delivery = new Delivery({
      store,
      heads: new ChannelHeads(store, 10),
      fanout: { deliver: (d) => void delivered.push(d.message.messageSeq), notify: () => {} },
      read: (key) => rows.get(key) ?? [],
    });
    const hash = payloadHash(payload);
    const keys = seqs.map((seq) =>
      entry(2 * seq, encodeSendKey({ payloadHash: hash, messageSeq: seq, messageId: BigInt(seq) })),
    );
    const name = sendKeyKey(channel, uid('u'), 'no');
    const messages = seqs.map((seq) => ({
      key: messageKey(channel, seq, actor),
      before: [],
      after: [entry(2 * seq - 1, encodeMessage(message(seq, 'no')))],
    }));
    const chunks = inOneChunk
      ? [[{ key: name, before: [], after: keys }, ...messages]]
      : [[{ key: name, before: [], after: keys }], ...messages.map((change) => [change])];
    for (const changes of chunks) {
      for (const { key, after } of changes) rows.set(key, after);
      delivery.onDurable({ changes, own: false });
    }
    return delivered;
  };
  t.deepEqual(arrive([5], true), [5]);
  t.deepEqual(arrive([5], false), [5]);
  t.deepEqual(arrive([5, 9], true), [5]);
  t.deepEqual(arrive([5, 9], false), [5]);
  await store.close();
});

test('a bulk unsubscribe fits the frames of the links however many runs the vector names', async (t) => {
  const { core, stop } = await startLoneCore();
  const uids = Array.from({ length: 256 }, (_, i) => uid(`u${i}`));
  const { replica } = core;
  await core.services.subscriptions.subscribe({ channel, uids, cause: 'admin', waitFor: 'local' });
  const shard = shardOf(channel);
  for (let run = 1; run <= 1_000; run++) {
    const name = run.toString(16).padStart(16, '0') as ActorId;
    replica.cover([{ actor: name, shard, from: 1, to: 5 }]);
  }
  const operations: Operation[] = [];
  replica.addListener({ onSubmitted: (o) => void operations.push(o), onDurable: () => {} });
  const request = { channel, uids, cause: 'admin', waitFor: 'local' } as const;
  const outcome = await core.services.subscriptions.unsubscribe(request);
  t.true(outcome.ok && outcome.value.receipts.length === uids.length);
  for (const operation of operations) t.true(bytesOf(operation) < 1024 * 1024);
  const left = uids.filter((name) => core.services.subscriptions.isSubscribed(channel, name));
  t.deepEqual(left, []);
  t.is(new Set(operations.flatMap((o) => o.writes.map((w) => w.key))).size, 256);
  await stop();
});
