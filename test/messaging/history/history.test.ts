import test, { type ExecutionContext } from 'ava';
import * as fc from 'fast-check';
import { EMPTY_CONTEXT } from '../../../src/core/context.ts';
import type { ActorId } from '../../../src/core/ids.ts';
import { encodeMessage, type Message } from '../../../src/core/kinds/message.ts';
import { encodeSendKey, payloadHash } from '../../../src/core/kinds/send-key.ts';
import type { Entry, Row } from '../../../src/core/row.ts';
import { messageKey, sendKeyKey, type RowKey } from '../../../src/core/row-key.ts';
import { ChannelHistory } from '../../../src/messaging/history/history.ts';
import type { HistoryPage, HistoryRequest } from '../../../src/messaging/history/port.ts';
import { group, uid } from '../../support/ids.ts';
import { message, startLoneCore } from '../../support/lone-core.ts';

const channel = group('g');

async function filled(t: ExecutionContext, count: number) {
  const node = await startLoneCore();
  t.teardown(node.stop);
  const { publisher } = node.core.services;
  const sends = Array.from({ length: count }, (_, i) =>
    publisher.publish(message(channel, 'u', `m${i + 1}`)),
  );
  // Neighbours in the order of keys, which no page may take in.
  sends.push(publisher.publish(message(group('f'), 'u', 'other')));
  sends.push(publisher.publish(message(group('g2'), 'u', 'other')));
  for (const outcome of await Promise.all(sends)) t.true(outcome.ok);
  const ask = (request: Partial<HistoryRequest>): Promise<HistoryPage> =>
    node.core.services.history!.page({
      ...{ channel, startSeq: 0, endSeq: 0, limit: 50, direction: 'down' },
      ...request,
    });
  return { node, ask };
}

function seqsOf({ messages }: HistoryPage): number[] {
  return messages.map(({ messageSeq }) => messageSeq);
}

test('a page holds the range in order: start included, end left out, the newest for nothing', async (t) => {
  const { ask } = await filled(t, 30);
  const range = (from: number, to: number): number[] =>
    Array.from({ length: to - from + 1 }, (_, i) => from + i);
  const latest = await ask({ limit: 5 });
  t.deepEqual(seqsOf(latest), range(26, 30));
  t.deepEqual([latest.more, latest.nextSeq], [true, 25]);
  t.deepEqual(seqsOf(await ask({ startSeq: 10, limit: 4 })), range(7, 10));
  t.deepEqual(seqsOf(await ask({ startSeq: 10, endSeq: 7 })), range(8, 10));
  t.deepEqual(seqsOf(await ask({ startSeq: 10, limit: 4, direction: 'up' })), range(10, 13));
  t.deepEqual(seqsOf(await ask({ startSeq: 10, endSeq: 13, direction: 'up' })), range(10, 12));
  t.false((await ask({ startSeq: 10, endSeq: 13, direction: 'up' })).more);
  t.deepEqual(seqsOf(await ask({ startSeq: 31, direction: 'up' })), []);
  t.deepEqual(await ask({ channel: group('nobody') }), { messages: [], more: false, nextSeq: 0 });
});

test('pages of any size follow each other without a hole or a repetition, both ways', async (t) => {
  const { ask } = await filled(t, 137);
  const sizes = fc.record({
    limit: fc.integer({ min: 1, max: 150 }),
    direction: fc.constantFrom('up', 'down'),
  });
  await fc.assert(
    fc.asyncProperty(sizes, async ({ limit, direction }) => {
      const seen: number[] = [];
      let startSeq = 0;
      for (let pages = 0; pages <= 137; pages++) {
        const page = await ask({ startSeq, limit, direction });
        t.true(page.messages.length <= limit);
        if (direction === 'up') seen.push(...seqsOf(page));
        else seen.unshift(...seqsOf(page));
        if (!page.more) break;
        startSeq = page.nextSeq;
      }
      t.deepEqual(
        seen,
        [...Array(137).keys()].map((i) => i + 1),
      );
    }),
    { numRuns: 12 },
  );
});

test('a page ends at its bytes, with one message at least', async (t) => {
  const { node } = await filled(t, 20);
  const { store, core } = node;
  const clock = { wallMs: () => Date.now(), monotonicMs: () => 0 };
  const history = new ChannelHistory({ store, replica: core.replica, clock, pageBytesMax: 5 });
  const request = { channel, startSeq: 0, endSeq: 0, limit: 50, direction: 'up' } as const;
  const page = await history.page(request);
  t.deepEqual(seqsOf(page), [1, 2, 3]);
  t.deepEqual([page.more, page.nextSeq], [true, 4]);
});

test('an expired message is left out', async (t) => {
  const { node, ask } = await filled(t, 0);
  await node.core.services.publisher.publish({ ...message(channel, 'u', 'a'), expire: 1000 });
  await node.core.services.publisher.publish(message(channel, 'u', 'b'));
  t.deepEqual(seqsOf(await ask({})), [1, 2]);
  const clock = { wallMs: () => Date.now() + 1_001_000, monotonicMs: () => 0 };
  const later = new ChannelHistory({ store: node.store, replica: node.core.replica, clock });
  const request = { channel, startSeq: 0, endSeq: 0, limit: 50, direction: 'up' } as const;
  t.deepEqual(seqsOf(await later.page(request)), [2]);
});

test('of two copies of one send the lower is seen, and a copy alone until it comes', async (t) => {
  const { node, ask } = await filled(t, 3);
  const [low, high] = [copy(34, 'aa', 1), copy(65, 'bb', 1)];
  const keyRow = (copies: readonly Copy[]): Row => copies.map(({ key }) => key).sort(byActor);
  const name = sendKeyKey(channel, uid('u'), 'retried');
  const put = (rows: readonly (readonly [RowKey, Row])[]): Promise<void> =>
    new Promise((resolve) => {
      node.core.replica.mergeRows(rows, resolve);
    });
  await put([
    [high.place, [high.entry]],
    [name, keyRow([high])],
  ]);
  t.deepEqual(seqsOf(await ask({})), [1, 2, 3, 65]);
  // The key names the lower one, which is still on its way.
  await put([[name, keyRow([low, high])]]);
  t.deepEqual(seqsOf(await ask({})), [1, 2, 3, 65]);
  await put([[low.place, [low.entry]]]);
  t.deepEqual(seqsOf(await ask({})), [1, 2, 3, 34]);
});

interface Copy {
  readonly place: RowKey;
  readonly entry: Entry;
  readonly key: Entry;
}

/** A message that another node stored under the send key `retried`. */
function copy(messageSeq: number, who: string, counter: number): Copy {
  const actor = who.padStart(16, '0') as ActorId;
  const payload = new Uint8Array([1, 2, 3]);
  const stored: Message = {
    ...{ messageId: BigInt(messageSeq), messageSeq, clientMsgNo: 'retried', fromUid: uid('u') },
    ...{ timestamp: Math.floor(Date.now() / 1000), payload, noPersist: false, redDot: true },
    ...{ syncOnce: false, setting: 0, topic: '', expire: 0 },
  };
  const named = { payloadHash: payloadHash(payload), messageSeq, messageId: BigInt(messageSeq) };
  const base = { actor, hlc: counter, tag: 0, context: EMPTY_CONTEXT };
  return {
    place: messageKey(channel, messageSeq, actor),
    entry: { ...base, counter, value: encodeMessage(stored) },
    key: { ...base, counter: counter + 1, value: encodeSendKey(named) },
  };
}

function byActor(a: Entry, b: Entry): number {
  return a.actor < b.actor ? -1 : 1;
}
