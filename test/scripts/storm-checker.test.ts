import test from 'ava';
import { checkPair, type NodeView, type Seen } from '../../scripts/storm/check.ts';
import type { Fate, Pair, Send } from '../../scripts/storm/sends.ts';

function send(from: string, to: string, fate: Fate): Send {
  return { from, to, number: `${from}-${to}`, text: `from ${from}`, fate, attempts: 1 };
}

const one: Pair = { a: 'a', b: 'b', sends: [send('a', 'b', 'acknowledged')] };
const both: Pair = { ...one, sends: [...one.sends, send('b', 'a', 'given up')] };

function seen(unread: number, ...of: readonly Send[]): Seen {
  return { unread, messages: of.map(({ number, text }) => ({ number, text })) };
}

function view(ofA: Seen | undefined, ofB: Seen | undefined, node = 'n1'): NodeView {
  return { node, ofA, ofB };
}

const CLEAN = { lost: [], twice: [], torn: [], unequal: [] };
const [first, second] = both.sends as readonly [Send, Send];

test('storm checker: once for both on every node is clean, and so is a send that came to nothing', (t) => {
  const good = view(seen(0, first), seen(1, first));
  t.deepEqual(checkPair(one, [good, { ...good, node: 'n2' }]), CLEAN);
  t.deepEqual(checkPair(both, [good]), CLEAN);
  t.deepEqual(checkPair(both, [view(seen(1, first, second), seen(1, first, second))]), CLEAN);
  const never: Pair = { ...one, sends: [send('a', 'b', 'given up')] };
  t.deepEqual(checkPair(never, [view(undefined, undefined)]), CLEAN);
});

test('storm checker: lost, twice, torn and unequal are each told', (t) => {
  const good = view(seen(0, first), seen(1, first));
  const gone = checkPair(one, [good, view(undefined, undefined, 'n2')]);
  t.deepEqual(gone.lost, ['a-b for a at n2', 'a-b for b at n2']);
  t.deepEqual(gone.unequal, ['a and b']);
  t.is(checkPair(one, [view(seen(0, first, first), seen(1, first, first))]).twice.length, 2);
  const half = checkPair(one, [view(seen(0, first), undefined)]);
  t.deepEqual([half.lost, half.torn], [['a-b for b at n1'], ['a and b differ at n1']]);
  t.is(checkPair(one, [view(seen(0, first), seen(0, first))]).torn.length, 1, 'not unread');
  const other = { unread: 1, messages: [{ number: 'a-b', text: 'another' }] };
  t.is(checkPair(one, [view(seen(0, first), other)]).lost.length, 1, 'another text');
});
