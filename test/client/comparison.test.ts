import test from 'ava';
import { ChannelList } from '../../src/client/channel-list.ts';
import { Comparison } from '../../src/client/comparison.ts';
import { Inbox } from '../../src/client/inbox.ts';
import type { ReceivedMessage } from '../../src/client/options.ts';
import { until } from '../support/until.ts';

function messageOf(messageSeq: number, prevSeq: number): ReceivedMessage {
  return {
    ...{ messageId: `id${messageSeq}`, messageSeq, prevSeq, clientMsgNo: '', timestamp: 1 },
    ...{ channelId: 'g', channelType: 2, fromUid: 'bob', payload: '' },
  };
}

/** A client that had message 34; `went` is what the server says went out after it. */
function comparison(went: readonly ReceivedMessage[]) {
  const [delivered, repaired, asked]: [number[], string[], unknown[]] = [[], [], []];
  const list = new ChannelList();
  list.set({ channelId: 'g', channelType: 2, head: 34 });
  const inbox = new Inbox({
    list,
    deliver: ({ messageSeq }) => void delivered.push(messageSeq),
    onOverflow: () => {},
  });
  const one = new Comparison({
    ...{ list, inbox, onListed: () => {}, onChannels: () => {} },
    request: (_method, params) => {
      asked.push(params['after']);
      return Promise.resolve({ messages: went.map((params) => ({ params })), more: false });
    },
    onRepaired: (what) => void repaired.push(what),
  });
  return { one, inbox, delivered, repaired, asked };
}

test('a message that names one that never came waits until that one was fetched', async (t) => {
  const went = [messageOf(66, 34), messageOf(98, 66)];
  const { one, inbox, delivered, repaired, asked } = comparison(went);
  one.received(went[1]!);
  t.deepEqual(delivered, []);
  await until('both are there', () => delivered.length === 2 && !inbox.isHolding);
  t.deepEqual([delivered, asked], [[66, 98], [34]]);
  t.deepEqual(repaired, ['1 messages of 2/g had not come']);
});

test('a message that names one that nobody is shown any more is handed on, and is no repair', async (t) => {
  const went = [messageOf(98, 66)];
  const { one, inbox, delivered, repaired, asked } = comparison(went);
  one.received(went[0]!);
  await until('it is there', () => delivered.length === 1 && !inbox.isHolding);
  t.deepEqual([asked, repaired], [[34], []]);
  one.received(messageOf(130, 98));
  t.deepEqual([delivered, asked], [[98, 130], [34]]);
});

test('what comes late with a lower number, and what comes after it, is no hole', (t) => {
  const { one, delivered, asked } = comparison([]);
  // Another node's, out of a partition; then one after an eviction or a restart of the node.
  for (const [seq, prev] of [
    [66, 34],
    [65, 66],
    [98, 65],
    [130, 0],
  ] as const) {
    one.received(messageOf(seq, prev));
  }
  t.deepEqual([delivered, asked], [[66, 65, 98, 130], []]);
});
