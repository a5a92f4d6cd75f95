import test from 'ava';
import * as fc from 'fast-check';
import { EMPTY_CONTEXT } from '../../src/core/context.ts';
import { decodeMessage, encodeMessage, type Message } from '../../src/core/kinds/message.ts';
import { encodeSendKey } from '../../src/core/kinds/send-key.ts';
import { shardOf } from '../../src/core/placement.ts';
import { EMPTY_ROW } from '../../src/core/row.ts';
import {
  channelPrefix,
  messageKey,
  rangeEnd,
  sendKeyKey,
  type RowKey,
} from '../../src/core/row-key.ts';
import { ChannelTails } from '../../src/messaging/channel-tails.ts';
import type { Store } from '../../src/storage/port.ts';
import { group, uid } from '../support/ids.ts';
import { openReplica, submit } from '../support/replica.ts';

const CHANNELS = ['a', 'b', 'c'].map(group);

function message(messageSeq: number, payloadBytes = 3): Message {
  return {
    ...{ messageId: BigInt(messageSeq), messageSeq, clientMsgNo: '', fromUid: uid('u') },
    ...{ timestamp: 1, payload: new Uint8Array(payloadBytes).fill(messageSeq) },
    ...{ noPersist: false, redDot: false, syncOnce: false, setting: 0, topic: '', expire: 0 },
  };
}

async function startTails(bytesMax?: number) {
  const { store, replica } = await openReplica();
  let scans = 0;
  const counted: Pick<Store, 'scan'> = {
    scan(range) {
      scans += 1;
      return store.scan(range);
    },
  };
  const tails = new ChannelTails({ store: counted, replica, bytesMax });
  replica.addListener(tails.listener());
  const write = (channel: (typeof CHANNELS)[0], of: Message) => {
    const key = messageKey(channel, of.messageSeq, replica.actor);
    const draft = { key, tag: 0, context: EMPTY_CONTEXT, value: encodeMessage(of) };
    return submit(replica, [draft]);
  };
  /** The newest `count`, as the store has them. */
  const stored = async (channel: (typeof CHANNELS)[0], count: number) => {
    const gte = channelPrefix('m', channel);
    const found: (readonly [RowKey, Message])[] = [];
    const range = { gte, lt: rangeEnd(gte), reverse: true, limit: Math.max(1, count) };
    for await (const chunk of store.scan(range)) {
      for (const [key] of chunk) {
        found.push([key as RowKey, decodeMessage(replica.read(key as RowKey)[0]!.value)!]);
      }
    }
    return found.slice(0, count).toReversed();
  };
  return { store, replica, tails, write, stored, scans: () => scans };
}

type Step =
  | { readonly kind: 'write' | 'remove'; readonly channel: number; readonly seq: number }
  | { readonly kind: 'load'; readonly channel: number; readonly rows: number };

const channelIndex = fc.nat({ max: CHANNELS.length - 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: change('write') },
  { weight: 2, arbitrary: change('remove') },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('load' as const),
      channel: channelIndex,
      rows: fc.integer({ min: 1, max: 300 }),
    }),
  },
);

function change(kind: 'write' | 'remove'): fc.Arbitrary<Step> {
  const seq = fc.integer({ min: 1, max: 120 });
  return fc.record({ kind: fc.constant(kind), channel: channelIndex, seq });
}

test('a tail is what the store has, whatever is written and removed between', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 150 }), async (steps) => {
      const { replica, tails, write, stored } = await startTails(60_000);
      for (const each of steps) {
        const channel = CHANNELS[each.channel]!;
        if (each.kind === 'load') await tails.load(channel, each.rows);
        else if (each.kind === 'write') await write(channel, message(each.seq, 1 + each.seq));
        else replica.replaceRows([[messageKey(channel, each.seq, replica.actor), EMPTY_ROW]]);
        for (const one of CHANNELS) {
          const tail = tails.known(one);
          if (!tail) continue;
          const rows = tail.rows.map((row) => [row.key, row.message] as const);
          const all = await stored(one, tail.complete ? 1_000 : rows.length);
          if (JSON.stringify(show(rows)) !== JSON.stringify(show(all))) return false;
        }
      }
      return true;
    }),
    { numRuns: 60 },
  );
  t.pass();
});

function show(rows: readonly (readonly [RowKey, Message])[]): readonly unknown[] {
  return rows.map(([key, { messageSeq, payload }]) => [key, messageSeq, payload.length]);
}

test('what changes while a tail is read is in no tail without it', async (t) => {
  const { replica, tails, write, stored } = await startTails();
  const channel = CHANNELS[0]!;
  for (let seq = 1; seq <= 10; seq++) await write(channel, message(seq));
  const loading = tails.load(channel, 5);
  void write(channel, message(11));
  await loading;
  const known = tails.known(channel)?.rows.map(({ key }) => key);
  const all = (await stored(channel, 100)).map(([key]) => key);
  t.true(known === undefined || known.join() === all.join());
  t.is((await tails.load(channel, 5))!.rows.length, 11);
  t.is(replica.damagedRows(), 0);
});

test('memory has a bound, of one channel and of all; the channel that nobody asks for goes', async (t) => {
  const { tails, write, scans } = await startTails(400_000);
  const [a, b, c] = CHANNELS as [(typeof CHANNELS)[0], (typeof CHANNELS)[0], (typeof CHANNELS)[0]];
  for (const channel of CHANNELS) {
    for (let seq = 1; seq <= 12; seq++) await write(channel, message(seq, 60_000));
  }
  const tail = (await tails.load(a, 1))!;
  t.true(tail.rows.length >= 1 && tail.rows.length <= 4 && !tail.complete);
  t.is(tail.rows.at(-1)!.message.messageSeq, 12);
  for (let seq = 13; seq <= 600; seq++) await write(b, message(seq, 1));
  t.true((await tails.load(b, 200))!.rows.length <= 256);
  for (let seq = 601; seq <= 1_200; seq++) await write(b, message(seq, 1));
  t.true(tails.known(b)!.rows.length <= 256 + 64);
  await tails.load(c, 1);
  for (let i = 0; i < 20; i++) {
    for (const channel of [a, b]) {
      await write(channel, message(2_000 + i, 60_000));
      await tails.load(channel, 1);
    }
  }
  t.is(tails.known(c), undefined);
  const before = scans();
  await tails.load(b, 1);
  t.is(scans(), before, 'what is asked for stays');
});

test('a channel with messages that were stored twice has no tail from then on', async (t) => {
  const { replica, tails, write } = await startTails();
  const channel = CHANNELS[0]!;
  await write(channel, message(1));
  t.is((await tails.load(channel, 1))!.rows.length, 1);
  const value = encodeSendKey({ payloadHash: 'x', messageSeq: 1, messageId: 1n });
  const key = sendKeyKey(channel, uid('u'), 'n');
  const own = await submit(replica, [{ key, tag: 0, context: EMPTY_CONTEXT, value }]);
  const other = await openReplica();
  const draft = { key, tag: 0, context: EMPTY_CONTEXT, value };
  replica.receive(other.replica.submit(shardOf(channel), [draft]));
  t.is(replica.read(key).length, 2);
  t.is(tails.known(channel), undefined);
  t.is(await tails.load(channel, 1), undefined);
  t.is(own.count, 1);
});
