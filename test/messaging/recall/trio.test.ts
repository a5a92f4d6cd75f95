import test, { type ExecutionContext } from 'ava';
import type { ChannelKey, MemberId } from '../../../src/core/ids.ts';
import { RECALL } from '../../../src/core/row.ts';
import { channelPrefix, rangeEnd, type RowKey } from '../../../src/core/row-key.ts';
import type { ClientEvent, Delivery } from '../../../src/messaging/port.ts';
import { startCoreTrio, type TrioCore } from '../../support/core-trio.ts';
import { group, uid } from '../../support/ids.ts';
import { message } from '../../support/lone-core.ts';
import { until } from '../../support/until.ts';

const channel = group('g');
const IDS = ['node-1', 'node-2', 'node-3'] as MemberId[];

interface Told {
  readonly deliveries: Delivery[];
  readonly events: ClientEvent[];
}

async function startTrio(t: ExecutionContext) {
  const told: Told[] = IDS.map(() => ({ deliveries: [], events: [] }));
  const trio = await startCoreTrio(t, {
    fanoutOf: (index) => ({
      deliver: (delivery) => void told[index]!.deliveries.push(delivery),
      notify: () => {},
      announce: (_channel: ChannelKey, eventFor) => void told[index]!.events.push(eventFor('g')),
    }),
  });
  const cut = (): void => {
    trio.network.partition(IDS[0]!, IDS[1]!);
    trio.network.partition(IDS[0]!, IDS[2]!);
  };
  return { ...trio, told, cut };
}

async function sendAt(node: TrioCore, text: string, clientMsgNo = '') {
  const outcome = await node.core.services.publisher.publish({
    ...message(channel, 'u', text),
    clientMsgNo,
  });
  if (!outcome.ok) throw new Error(outcome.message);
  return outcome.value;
}

function recallAt(node: TrioCore, messageId: bigint) {
  const request = { channel, messageId, by: uid('u'), as: 'user', reason: '' } as const;
  return node.core.services.recalls!.recall(request);
}

async function historyAt(node: TrioCore) {
  const request = { channel, startSeq: 0, endSeq: 0, limit: 100, direction: 'down' } as const;
  const { messages } = await node.core.services.history!.page(request);
  return messages.map((one) => [
    one.messageSeq,
    one.recall ? one.recall.role : new TextDecoder().decode(one.payload),
  ]);
}

function same(nodes: readonly TrioCore[]): Promise<unknown> {
  return until('the nodes hold the same', () => {
    const hashes = nodes.map(({ core }) => core.replica.durableHash());
    return hashes.every((hash) => hash === hashes[0]);
  });
}

/** True where any value in the channel's rows of this store holds the text. */
async function holds({ store }: TrioCore, text: string): Promise<boolean> {
  const gte = channelPrefix('m', channel);
  for await (const chunk of store.scan({ gte, lt: rangeEnd(gte) })) {
    for (const [, value] of chunk) if (Buffer.from(value).includes(text)) return true;
  }
  return false;
}

test('S1-4 S1-5 a recall on one node reaches every replica and is told once on each', async (t) => {
  const { nodes, told } = await startTrio(t);
  const [one, two] = nodes as [TrioCore, TrioCore];
  await sendAt(one, 'stays');
  const { messageId } = await sendAt(one, 'SECRET-WORD');
  await same(nodes);
  const outcome = await recallAt(two, messageId);
  t.true(outcome.ok && outcome.value.disks === 2);
  await same(nodes);
  await until('each has told', () => told.every(({ events }) => events.length > 0));
  const seen = await Promise.all(nodes.map(historyAt));
  t.deepEqual(
    seen[0]!.map(([, what]) => what),
    ['stays', 'sender'],
  );
  t.deepEqual(seen[1], seen[0]);
  t.deepEqual(seen[2], seen[0]);
  for (const node of nodes) t.false(await holds(node, 'SECRET-WORD'));
  // Sweeps and a second recall elsewhere tell nothing again.
  t.true((await recallAt(nodes[2]!, messageId)).ok);
  await same(nodes);
  for (const { events, deliveries } of told) {
    t.is(events.length, 1);
    t.is(deliveries.filter(({ message: { syncOnce } }) => syncOnce).length, 1);
  }
  const ids = told.map(({ deliveries }) => deliveries.at(-1)!.message.messageId);
  t.is(new Set(ids).size, 1);
});

test('S1-5 F32 two nodes recall at once while they do not hear each other: one recall, told once', async (t) => {
  const { nodes, told, network, cut } = await startTrio(t);
  const { messageId } = await sendAt(nodes[0]!, 'SECRET-WORD');
  await same(nodes);
  cut();
  const both = await Promise.all([recallAt(nodes[0]!, messageId), recallAt(nodes[1]!, messageId)]);
  t.true(both.every(({ ok }) => ok));
  network.heal();
  await same(nodes);
  for (const node of nodes) {
    t.deepEqual(
      (await historyAt(node)).map(([, what]) => what),
      ['sender'],
    );
  }
  t.deepEqual(
    told.map(({ events }) => events.length),
    [1, 1, 1],
  );
});

test('S1-6 a recall that arrives before its message: its content is never shown nor stored', async (t) => {
  const { nodes, told } = await startTrio(t);
  const [one, two, three] = nodes as [TrioCore, TrioCore, TrioCore];
  const { messageId } = await sendAt(one, 'first');
  await same(nodes);
  // Taken from two nodes that have it, and given to one that is made to have nothing of it.
  const key = await keyOf(one, messageId);
  const said = one.core.replica.read(key);
  await recallAt(two, messageId);
  await same(nodes);
  const recalled = two.core.replica.read(key);
  const before = told[2]!.deliveries.length;
  await put(three, [[key, []]], 'replaceRows');
  await put(three, [[key, recalled]], 'mergeRows');
  await put(three, [[key, said]], 'mergeRows');
  t.is(three.core.replica.read(key)[0]!.tag, RECALL);
  t.deepEqual(
    (await historyAt(three)).map(([, what]) => what),
    ['sender'],
  );
  t.is(told[2]!.deliveries.length, before);
  t.false(await holds(three, 'first'));
});

test('S1-6 copies of one send that met after the recall of one are recalled too', async (t) => {
  const { nodes, told, network, cut } = await startTrio(t);
  const [one, two] = nodes as [TrioCore, TrioCore];
  cut();
  // The retry lands on a node that does not know the first.
  const first = await sendAt(one, 'SECRET-WORD', 'n-1');
  await sendAt(two, 'filler');
  const copy = await sendAt(two, 'SECRET-WORD', 'n-1');
  t.not(first.messageId, copy.messageId);
  // The one that points to the other once they meet.
  t.true(copy.messageSeq > first.messageSeq);
  t.true((await recallAt(two, copy.messageId)).ok);
  network.heal();
  await until('every copy is a tombstone everywhere', async () => {
    const left = await Promise.all(nodes.map((node) => holds(node, 'SECRET-WORD')));
    return !left.includes(true);
  });
  await same(nodes);
  for (const node of nodes) {
    const seen = await historyAt(node);
    const shown = seen.map(([, what]) => String(what));
    t.deepEqual(
      shown.toSorted((a, b) => (a < b ? -1 : 1)),
      ['filler', 'sender'],
    );
  }
  for (const { events } of told)
    t.deepEqual(new Set(events.map(({ id }) => id)).size, events.length);
});

async function keyOf({ store, core }: TrioCore, messageId: bigint): Promise<RowKey> {
  const gte = channelPrefix('m', channel);
  for await (const chunk of store.scan({ gte, lt: rangeEnd(gte) })) {
    for (const [key] of chunk)
      if (core.replica.read(key as RowKey).length > 0) return key as RowKey;
  }
  throw new Error(`no message ${messageId}`);
}

function put(
  { core }: TrioCore,
  rows: Parameters<TrioCore['core']['replica']['mergeRows']>[0],
  how: 'mergeRows' | 'replaceRows',
): Promise<void> {
  return new Promise((resolve) => {
    core.replica[how](rows, resolve);
  });
}
