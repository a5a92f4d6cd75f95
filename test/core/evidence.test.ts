import test from 'ava';
import { contextCovers, meetContexts, type Context } from '../../src/core/context.ts';
import { withoutEvidence } from '../../src/core/evidence.ts';
import type { ActorId } from '../../src/core/ids.ts';
import { isLive, REMOVAL, type Entry } from '../../src/core/row.ts';
import { messageKey, subscriptionKey } from '../../src/core/row-key.ts';
import { group, uid } from '../support/ids.ts';

const A = 'a'.repeat(16) as ActorId;
const B = 'b'.repeat(16) as ActorId;
const KEY = subscriptionKey(group('g'), uid('u'));
const upTo = (actor: ActorId, to: number): Context[number] => ({ actor, from: 1, to });
const entry = (actor: ActorId, counter: number, more: Partial<Entry> = {}): Entry => ({
  ...{ actor, counter, hlc: 1, tag: 0, context: [], value: new Uint8Array(0) },
  ...more,
});
const removal = (actor: ActorId, counter: number, context: Context): Entry =>
  entry(actor, counter, { tag: REMOVAL, context });

test('evidence goes where it and all that it keeps out are settled, and not before', (t) => {
  const row = [removal(A, 5, [upTo(A, 4), upTo(B, 3)])];
  t.deepEqual(withoutEvidence(KEY, row, [upTo(A, 5), upTo(B, 3)]), []);
  t.is(withoutEvidence(KEY, row, [upTo(A, 5), upTo(B, 2)]), undefined, 'a dot of B may still come');
  t.is(withoutEvidence(KEY, row, [upTo(A, 4), upTo(B, 3)]), undefined, 'itself is not everywhere');
});

test('a hidden write never outlives what hides it', (t) => {
  const hidden = entry(A, 4, { context: [upTo(A, 3), upTo(B, 9)] });
  const row = [hidden, removal(B, 1, [{ actor: A, from: 4, to: 4 }])];
  t.false(isLive(row));
  t.is(withoutEvidence(KEY, row, [upTo(A, 9), upTo(B, 1)]), undefined);
  t.deepEqual(withoutEvidence(KEY, row, [upTo(A, 9), upTo(B, 9)]), []);
});

test('live writes stay, other kinds are left alone', (t) => {
  const live = entry(B, 7);
  const row = [removal(A, 5, [upTo(A, 4)]), live];
  t.deepEqual(withoutEvidence(KEY, row, [upTo(A, 5), upTo(B, 7)]), [live]);
  t.is(withoutEvidence(KEY, [live], [upTo(B, 7)]), undefined);
  const key = messageKey(group('g'), 1, A);
  t.is(withoutEvidence(key, [removal(A, 5, [])], [upTo(A, 9)]), undefined);
});

test('what two contexts share is what both cover', (t) => {
  const a = [upTo(A, 5), { actor: A, from: 8, to: 12 }, upTo(B, 2)];
  const b = [
    { actor: A, from: 4, to: 9 },
    { actor: B, from: 3, to: 4 },
  ];
  const both = meetContexts(a, b);
  for (const actor of [A, B]) {
    for (let counter = 1; counter < 15; counter++) {
      const wanted = contextCovers(a, actor, counter) && contextCovers(b, actor, counter);
      t.is(contextCovers(both, actor, counter), wanted);
    }
  }
});
