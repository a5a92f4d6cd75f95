import fc from 'fast-check';
import type { PeerMessage } from '../../src/cluster/link/message.ts';
import type { ActorId, ChannelKey, MemberId, Uid } from '../../src/core/ids.ts';
import type { Context, Span } from '../../src/core/context.ts';
import type { Operation, Write } from '../../src/core/operation.ts';
import type { Entry, Row } from '../../src/core/row.ts';
import type { RowKey } from '../../src/core/row-key.ts';
import type { VectorRow } from '../../src/core/version-vector.ts';

/** Arbitrary valid peer messages of every type. */
const hex16 = fc.bigInt(0n, 2n ** 64n - 1n).map((value) => value.toString(16).padStart(16, '0'));
const actor = hex16 as fc.Arbitrary<ActorId>;
const number = fc.nat();
const counter = fc.integer({ min: 1, max: 2 ** 48 });
const hlc = fc.integer({ min: 0, max: 2 ** 52 });
const shard = fc.integer({ min: 0, max: 15 });
const value = fc.uint8Array({ maxLength: 40 });
const member = fc.constantFrom('a', 'node-1', 'x'.repeat(64)) as fc.Arbitrary<MemberId>;
const uid = fc.constantFrom('alice', 'bob 7', '李') as fc.Arbitrary<Uid>;
const channel = fc.constantFrom('2/g1', '1/b@a', '3/ü/ä') as fc.Arbitrary<ChannelKey>;

const spansOf = (actors: readonly ActorId[], gaps: readonly number[]): Context => {
  const spans: Span[] = [];
  for (const each of [...new Set(actors)].sort()) {
    let from = 1;
    for (const gap of gaps.slice(0, 3)) {
      spans.push({ actor: each, from, to: from + gap });
      from += gap + 2;
    }
  }
  return spans;
};
const context: fc.Arbitrary<Context> = fc
  .tuple(fc.array(actor, { maxLength: 3 }), fc.array(fc.nat(99), { maxLength: 3 }))
  .map(([actors, gaps]) => spansOf(actors, gaps));

const keyIn = (place: number): fc.Arbitrary<RowKey> =>
  fc
    .tuple(fc.constantFrom('s', 'd', 'm', 'i'), fc.string({ maxLength: 30, unit: 'grapheme' }))
    .map(([kind, rest]) => `${kind}${place.toString(16)}\u0001${rest}` as RowKey);

const writesIn = (place: number, count: number): fc.Arbitrary<Write[]> =>
  fc
    .uniqueArray(fc.integer({ min: 0, max: count - 1 }), { maxLength: Math.min(count, 5) })
    .chain((offsets) =>
      fc.tuple(
        ...offsets
          .sort((x, y) => x - y)
          .map((offset) =>
            fc.record({
              offset: fc.constant(offset),
              key: keyIn(place),
              tag: fc.integer({ min: 0, max: 255 }),
              context,
              value,
            }),
          ),
      ),
    );

export const anyOperation: fc.Arbitrary<Operation> = fc
  .tuple(shard, fc.integer({ min: 1, max: 256 }))
  .chain(([place, count]) =>
    fc.record({
      actor,
      shard: fc.constant(place),
      first: counter,
      count: fc.constant(count),
      hlc,
      writes: writesIn(place, count),
    }),
  );
const operations = fc.array(anyOperation, { maxLength: 4 });
const ranges = fc.array(
  fc
    .record({ actor, shard, from: counter, more: number })
    .map(({ more, ...range }) => ({ ...range, to: range.from + more })),
  { maxLength: 4 },
);
const vector: fc.Arbitrary<VectorRow[]> = fc.array(
  fc
    .record({ actor, shard, base: number, gaps: fc.array(fc.nat(50), { maxLength: 4 }) })
    .map(({ gaps, ...row }) => {
      let reached = row.base;
      const above = gaps.flatMap((gap) => {
        const from = reached + 2 + gap;
        reached = from + gap;
        return [from, reached];
      });
      return { ...row, above };
    }),
  { maxLength: 4 },
);

const entry: fc.Arbitrary<Entry> = fc.record({
  actor,
  counter,
  hlc,
  tag: fc.integer({ min: 0, max: 255 }),
  context,
  value,
});
const row: fc.Arbitrary<Row> = fc
  .uniqueArray(entry, { maxLength: 3, selector: (each) => `${each.actor}:${each.counter}` })
  .map((entries) =>
    entries.sort((x, y) =>
      x.actor === y.actor ? x.counter - y.counter : x.actor < y.actor ? -1 : 1,
    ),
  );
const items = fc.array(
  fc.string({ maxLength: 20 }).map((rest) => `c2/${rest}`),
  { maxLength: 5 },
);
const constant = <const Text extends string>(text: Text) => fc.constant(text);

export const anyMessageOf: Record<PeerMessage['type'], fc.Arbitrary<PeerMessage>> = {
  hello: fc.record({
    whole: fc.boolean(),
    closed: fc.record({ count: number, low: number, high: number }),
    type: constant('hello'),
    cluster: fc.string(),
    protocolMin: fc.constant(1),
    protocolMax: fc.integer({ min: 1, max: 9 }),
    member,
    slot: number,
    slots: counter,
    rosterEpoch: number,
    storeId: hex16,
    lineage: fc.oneof(hex16, fc.constant('')),
    actor,
    vector,
    catchingUp: fc.boolean(),
  }),
  refused: fc.record({
    type: constant('refused'),
    code: fc.constantFrom('cluster', 'protocol', 'slot', 'slots', 'rolled-back', 'full'),
    message: fc.string(),
  }),
  operations: fc.record({ type: constant('operations'), frame: counter, operations }),
  applied: fc.record({ type: constant('applied'), disk: number, routed: number }),
  heartbeat: fc.record({
    type: constant('heartbeat'),
    wallMs: hlc,
    changed: vector,
    vectorHash: number,
    wantVector: fc.boolean(),
    catchingUp: fc.boolean(),
    interestVersion: number,
    interestDigest: fc.integer(),
    transients: number,
  }),
  pull: fc.record({ type: constant('pull'), request: number, ranges, bytesMax: counter }),
  pulled: fc.record({
    type: constant('pulled'),
    request: number,
    operations,
    covered: ranges,
    collected: ranges,
    changed: vector,
    vectorHash: number,
    more: fc.boolean(),
  }),
  'snapshot-wanted': shard.chain((place) =>
    fc.record(
      {
        type: constant('snapshot-wanted'),
        request: number,
        shard: fc.constant(place),
        after: keyIn(place),
        bytesMax: counter,
      },
      { requiredKeys: ['type', 'request', 'shard', 'bytesMax'] },
    ),
  ),
  'snapshot-rows': shard.chain((place) =>
    fc.record({
      type: constant('snapshot-rows'),
      request: number,
      shard: fc.constant(place),
      rows: fc.array(fc.tuple(keyIn(place), row), { maxLength: 3 }),
      vector,
      collected: ranges,
      last: fc.boolean(),
    }),
  ),
  interest: fc.record({
    type: constant('interest'),
    version: number,
    whole: fc.boolean(),
    add: items,
    remove: items,
  }),
  'interest-wanted': fc.record({ type: constant('interest-wanted') }),
  transient: fc.record({
    type: constant('transient'),
    number: counter,
    channel,
    sender: uid,
    value,
  }),
  call: fc.record({
    type: constant('call'),
    request: counter,
    method: fc.string({ maxLength: 64 }),
    body: value,
  }),
  reply: fc.oneof(
    fc.record({ type: constant('reply'), request: counter, ok: fc.constant(true), body: value }),
    fc.record({
      type: constant('reply'),
      request: counter,
      ok: fc.constant(false),
      code: fc.constantFrom('busy', 'unknown-method', 'too-large', 'failed'),
      message: fc.string(),
    }),
  ),
};

export const anyMessage: fc.Arbitrary<PeerMessage> = fc.oneof(...Object.values(anyMessageOf));

/** Byte values come back as views of another class; tests compare messages in this form. */
export function plain(given: unknown): unknown {
  if (given instanceof Uint8Array) return `bytes ${Buffer.from(given).toString('hex')}`;
  if (Array.isArray(given)) return given.map(plain);
  if (typeof given !== 'object' || given === null) return given;
  return Object.fromEntries(Object.entries(given).map(([name, each]) => [name, plain(each)]));
}
