import test from 'ava';
import type { MemberId } from '../../src/core/ids.ts';
import type { NodeCore } from '../../src/node/core.ts';
import { startCoreTrio } from '../support/core-trio.ts';
import { group } from '../support/ids.ts';
import { message } from '../support/lone-core.ts';
import { until } from '../support/until.ts';

const channel = group('g');

async function send(core: NodeCore, text: string): Promise<number> {
  const sent = await core.services.publisher.publish(message(channel, 'ann', text));
  if (!sent.ok) throw new Error(sent.message);
  return sent.value.messageSeq;
}

test('a message names the one before it also on nodes that nobody sends through, and after a restart', async (t) => {
  const told: [number, number][][] = [[], [], []];
  const { nodes, restart } = await startCoreTrio(t, {
    fanoutOf: (at) => ({
      deliver: ({ message: { messageSeq }, prevSeq }) => void told[at]!.push([messageSeq, prevSeq]),
      notify: () => {},
    }),
  });
  const sendSix = async (): Promise<readonly number[]> => {
    const seqs: number[] = [];
    for (let i = 0; i < 6; i++) seqs.push(await send(nodes[0]!.core, `m${i}`));
    return seqs;
  };
  const chain = (seqs: readonly number[]) => seqs.map((seq, i) => [seq, seqs[i - 1] ?? 0]);
  const first = await sendSix();
  await until('all are everywhere', () => told.every((one) => one.length === 6));
  for (const one of told) t.deepEqual(one, chain(first));
  await restart(2);
  const second = await sendSix();
  await until('all are everywhere again', () => told.every((one) => one.length === 12));
  // What it delivered before it was stopped it does not know; a client that comes back resumes.
  t.deepEqual(told[2]!.slice(6), chain(second));
  t.deepEqual(told[1], chain([...first, ...second]));
  t.true((await send(nodes[2]!.core, 'mine')) > second.at(-1)!);
});

test('what comes late out of a partition is named by the next one, in the order of this node', async (t) => {
  const told: [number, number][] = [];
  let farCount = 0;
  const { nodes, network } = await startCoreTrio(t, {
    fanoutOf: (at) => ({
      deliver: ({ message: { messageSeq }, prevSeq }) => {
        if (at === 1) farCount += 1;
        if (at === 2) told.push([messageSeq, prevSeq]);
      },
      notify: () => {},
    }),
  });
  const [near, far] = [nodes[0]!.core, nodes[1]!.core];
  const one = await send(near, 'one');
  await until('it is everywhere', () => told.length === 1 && farCount === 1);
  for (const peer of ['node-1', 'node-3']) {
    network.partition(peer as MemberId, 'node-2' as MemberId);
  }
  const late = await send(far, 'late');
  const two = await send(near, 'two');
  const three = await send(near, 'three');
  await until('the near side has its own', () => told.length === 3);
  network.heal();
  await until('the late one came', () => told.length === 4);
  const four = await send(near, 'four');
  await until('the last one came', () => told.length === 5);
  t.true(late < three);
  t.deepEqual(told, [
    [one, 0],
    [two, one],
    [three, two],
    [late, three],
    [four, late],
  ]);
});
