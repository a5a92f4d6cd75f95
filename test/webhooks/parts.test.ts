import test from 'ava';
import fc from 'fast-check';
import type { ActorId, ChannelKey, MemberId } from '../../src/core/ids.ts';
import { messageKey } from '../../src/core/row-key.ts';
import { decodeEvent, encodeEvent, readEvent, type OutboxEvent } from '../../src/webhooks/event.ts';
import { ownerOf, type Neighbour } from '../../src/webhooks/ownership.ts';
import { WEBHOOK_EVENTS } from '../../src/webhooks/port.ts';
import { signatureOf } from '../../src/webhooks/signature.ts';

const actor = fc.stringMatching(/^[0-9a-f]{16}$/).map((digits) => digits as ActorId);
const content = fc.oneof(
  fc.record({ kind: fc.constant('text' as const), text: fc.string() }),
  fc.record({ seq: fc.nat(), by: actor }).map(({ seq, by }) => ({
    kind: 'message' as const,
    key: messageKey('2/g' as ChannelKey, seq, by),
  })),
);
const event: fc.Arbitrary<OutboxEvent> = fc
  .record({
    id: fc.stringMatching(/^[a-z0-9.:/-]{1,40}$/),
    type: fc.constantFrom(...WEBHOOK_EVENTS),
    author: actor,
    atMs: fc.nat(),
    content,
  })
  .chain((one) => fc.constantFrom(one, { ...one, replayed: true as const }));

test('an event survives its row and its way to a peer', (t) => {
  fc.assert(
    fc.property(event, (one) => {
      t.deepEqual(decodeEvent(encodeEvent(one)), one);
    }),
  );
});

test('bytes and values that are no event read as none, and never throw', (t) => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => t.notThrows(() => decodeEvent(bytes))));
  fc.assert(fc.property(fc.anything(), (value) => t.notThrows(() => readEvent(value))));
  fc.assert(
    fc.property(event, fc.nat(5), fc.anything(), (one, place, value) => {
      const fields = [...(decodeFields(one) as unknown[])];
      fields[place] = value;
      t.notThrows(() => readEvent(fields));
    }),
  );
  t.is(readEvent(['a b', 0, '0123456789abcdef', 1, 1, 'x']), undefined);
  t.is(readEvent(['a,b', 0, '0123456789abcdef', 1, 1, 'x']), undefined);
  t.is(readEvent(['ab', 9, '0123456789abcdef', 1, 1, 'x']), undefined);
  const noText: unknown = Object.create(null);
  for (const type of ['0', [0], [noText], noText, Symbol('0')]) {
    t.is(readEvent(['ab', type, '0123456789abcdef', 1, 1, 'x']), undefined);
  }
});

function decodeFields({ id, type, author, atMs, content: about }: OutboxEvent): readonly unknown[] {
  const text = about.kind === 'text' ? about.text : about.key;
  return [id, WEBHOOK_EVENTS.indexOf(type), author, atMs, about.kind === 'text' ? 1 : 0, text];
}

test('the signature is the HMAC-SHA256 of timestamp, point and body, once for each secret', (t) => {
  // printf '1700000000.[{"a":1}]' | openssl dgst -sha256 -hmac secret-one
  const one = '0ae76f7f671e8970558771c870e493a21c88fdafb7cdf339dc0f3cea147c6163';
  const signature = signatureOf(['secret-one', 'secret-two'], '1700000000', '[{"a":1}]');
  t.regex(signature, /^v1=[0-9a-f]{64},v1=[0-9a-f]{64}$/);
  t.is(signature.split(',')[0], `v1=${one}`);
});

const neighbour = (name: string, run: string, endpoints = ['main']): Neighbour => ({
  member: name as MemberId,
  actor: run.padStart(16, '0') as ActorId,
  endpoints: new Set(endpoints),
});

test('the run that an event came from delivers it; after its end one of the others does', (t) => {
  const all = [neighbour('a', '1'), neighbour('b', '2'), neighbour('c', '3')];
  const author = '2'.padStart(16, '0') as ActorId;
  t.is(ownerOf({ endpoint: 'main', id: 'x', author }, all), 'b' as MemberId);
  const rest = [all[0]!, all[2]!];
  const shares = new Map<string, number>();
  for (let i = 0; i < 1_000; i++) {
    const owner = ownerOf({ endpoint: 'main', id: `x${i}`, author }, rest)!;
    t.is(ownerOf({ endpoint: 'main', id: `x${i}`, author }, rest.toReversed()), owner);
    shares.set(owner, (shares.get(owner) ?? 0) + 1);
  }
  t.true(shares.get('a')! > 400 && shares.get('c')! > 400);
  // Restarted, it is a new run as any other.
  const again = [all[0]!, neighbour('b', '4'), all[2]!];
  t.true(['a', 'b', 'c'].includes(ownerOf({ endpoint: 'main', id: 'x', author }, again)!));
});

test('a member that does not have the endpoint delivers nothing for it', (t) => {
  const author = '2'.padStart(16, '0') as ActorId;
  const heard = [neighbour('a', '1'), neighbour('b', '2', ['other'])];
  t.is(ownerOf({ endpoint: 'main', id: 'x', author }, heard), 'a' as MemberId);
  t.is(ownerOf({ endpoint: 'none', id: 'x', author }, heard), undefined);
});
