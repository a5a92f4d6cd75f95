import test from 'ava';
import fc from 'fast-check';
import { decodePeerMessage, encodePeerMessage } from '../../../src/cluster/link/codec.ts';
import { ContextTrail } from '../../../src/cluster/link/context-trail.ts';
import type { PeerMessage } from '../../../src/cluster/link/message.ts';
import type { Context, Span } from '../../../src/core/context.ts';
import type { ActorId, ChannelKey, Uid } from '../../../src/core/ids.ts';
import { EMPTY_VALUE } from '../../../src/core/operation.ts';
import { shardOf } from '../../../src/core/placement.ts';
import { subscriptionKey } from '../../../src/core/row-key.ts';
import { plain } from '../../support/peer-messages.ts';

const channel = '2/room' as ChannelKey;
const shard = shardOf(channel);
const actorOf = (n: number): ActorId => n.toString(16).padStart(16, '0') as ActorId;

/** Actors that have ended, and one that goes on. */
function vectorOf(ended: number, counter: number): Context {
  const spans: Span[] = Array.from({ length: ended }, (_, i) => ({
    ...{ actor: actorOf(i), from: 1, to: 7 + i },
  }));
  return [...spans, { actor: 'f'.repeat(16) as ActorId, from: 1, to: counter }];
}

function removal(context: Context, n: number): PeerMessage {
  const key = subscriptionKey(channel, `u${n}` as Uid);
  const write = { offset: 0, key, tag: 1, context, value: EMPTY_VALUE };
  const of = { actor: 'f'.repeat(16) as ActorId, shard, first: n, count: 1, hlc: n };
  return { type: 'operations', frame: n, operations: [{ ...of, writes: [write] }] };
}

test('after the first removal on a link the next ones cost the same after 600 runs as after one', (t) => {
  const [sent, heard] = [new ContextTrail(), new ContextTrail()];
  const sizes: number[] = [];
  for (let n = 1; n <= 5; n++) {
    const message = removal(vectorOf(600, n), n);
    const { kind, payload } = encodePeerMessage(message, sent);
    sizes.push(payload.length);
    t.deepEqual(
      plain(decodePeerMessage(kind, payload, heard)),
      plain({ ok: true, value: message }),
    );
  }
  t.true(sizes[0]! > 10_000, `${sizes[0]} bytes`);
  t.true(
    sizes.slice(1).every((bytes) => bytes < 150),
    sizes.join(),
  );
});

const span = fc.record({
  actor: fc.integer({ min: 0, max: 30 }).map(actorOf),
  from: fc.integer({ min: 1, max: 20 }),
  length: fc.integer({ min: 0, max: 4 }),
});

/** As the core makes them: in order, apart from each other. */
const anyContext: fc.Arbitrary<Context> = fc.array(span, { maxLength: 40 }).map((spans) => {
  const sorted = spans
    .map(({ actor, from, length }) => ({ actor, from, to: from + length }))
    .toSorted((a, b) => (a.actor === b.actor ? a.from - b.from : a.actor < b.actor ? -1 : 1));
  const context: Span[] = [];
  for (const one of sorted) {
    const last = context.at(-1);
    if (last?.actor !== one.actor || one.from > last.to + 1) context.push(one);
  }
  return context;
});

test('whatever contexts follow each other on a link, the other end reads the same', (t) => {
  fc.assert(
    fc.property(fc.array(anyContext, { maxLength: 12 }), (contexts) => {
      const [sent, heard] = [new ContextTrail(), new ContextTrail()];
      for (const [at, context] of contexts.entries()) {
        const message = removal(context, at + 1);
        const { kind, payload } = encodePeerMessage(message, sent);
        const decoded = decodePeerMessage(kind, payload, heard);
        t.deepEqual(plain(decoded), plain({ ok: true, value: message }));
      }
    }),
    { numRuns: 300 },
  );
});

test('a difference without the context that it differs from is malformed', (t) => {
  const sent = new ContextTrail();
  encodePeerMessage(removal(vectorOf(600, 1), 1), sent);
  const { kind, payload } = encodePeerMessage(removal(vectorOf(600, 2), 2), sent);
  for (const trail of [undefined, new ContextTrail()]) {
    const decoded = decodePeerMessage(kind, payload, trail);
    t.false(decoded.ok);
    t.regex(decoded.ok ? '' : decoded.error, /a context like the one before/);
  }
  const short = new ContextTrail();
  short.note(shard, vectorOf(20, 1));
  t.false(decodePeerMessage(kind, payload, short).ok);
});

test('what is kept of a direction has a bound', (t) => {
  const [sent, heard] = [new ContextTrail(), new ContextTrail()];
  for (const n of [1, 2]) {
    const { kind, payload } = encodePeerMessage(removal(vectorOf(5_000, n), n), sent);
    t.true(payload.length > 50_000);
    t.true(decodePeerMessage(kind, payload, heard).ok);
  }
});
