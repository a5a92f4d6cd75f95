import test from 'ava';
import * as fc from 'fast-check';
import { formatDot, parseDot } from '../../src/core/dot.ts';
import {
  channelIdOf,
  channelTypeOf,
  parseActorId,
  parseChannelKey,
  parseChannelType,
  parseMemberId,
  parseUid,
  type ActorId,
} from '../../src/core/ids.ts';

const NOT_STRINGS = [undefined, null, 7, {}, [], true];

test('uids: what is taken and what is refused, with the reason', (t) => {
  for (const uid of ['u', 'Ünïcødé 你好 \u{1f600}', 'a b', 'x'.repeat(256), '1/2', '-']) {
    t.deepEqual(parseUid(uid), { ok: true, value: uid as never });
  }
  const refused: [unknown, RegExp][] = [
    ['', /empty/],
    ['x'.repeat(257), /257.*256/],
    ['a@b', /"@"/],
    ['a#b', /"#"/],
    ['a&b', /"&"/],
    ['a\u0001b', /control/],
    ['a\u007f', /control/],
    ['\ud800', /surrogate/],
    ['a\udc00b', /surrogate/],
    ...NOT_STRINGS.map((value): [unknown, RegExp] => [value, /expected a string/]),
  ];
  for (const [text, reason] of refused) {
    const parsed = parseUid(text);
    t.false(parsed.ok);
    if (!parsed.ok) t.regex(parsed.error, reason);
  }
});

test('channel keys: type and id in one, and apart again', (t) => {
  const parsed = parseChannelKey('larger@smaller', 1);
  t.deepEqual(parsed, { ok: true, value: '1/larger@smaller' as never });
  if (!parsed.ok) return;
  t.is(channelTypeOf(parsed.value), 1);
  t.is(channelIdOf(parsed.value), 'larger@smaller');
  const slashed = parseChannelKey('a/b/c', 10);
  t.true(
    slashed.ok && channelIdOf(slashed.value) === 'a/b/c' && channelTypeOf(slashed.value) === 10,
  );
  for (const type of [0, 11, -1, 1.5, Number.NaN, '2', undefined])
    t.false(parseChannelType(type).ok);
  for (const id of ['', 'a\nb', 'x'.repeat(514), '\ud800', ...NOT_STRINGS]) {
    t.false(parseChannelKey(id, 2).ok);
  }
  t.true(parseChannelKey('x'.repeat(513), 2).ok);
});

test('member ids and actors', (t) => {
  for (const id of ['a', 'node-1.example_2', 'x'.repeat(64)]) t.true(parseMemberId(id).ok);
  for (const id of ['', 'a b', 'x'.repeat(65), 'ä', 'a/b', 'a\n', ...NOT_STRINGS]) {
    t.false(parseMemberId(id).ok);
  }
  t.true(parseActorId('0123456789abcdef').ok);
  for (const id of [
    '',
    '0123456789ABCDEF',
    '0123456789abcde',
    '0123456789abcdef0',
    ...NOT_STRINGS,
  ]) {
    t.false(parseActorId(id).ok);
  }
});

test('no input makes a parser throw', (t) => {
  fc.assert(
    fc.property(fc.anything({ maxDepth: 1 }), fc.anything({ maxDepth: 1 }), (a, b) => {
      for (const parse of [parseUid, parseMemberId, parseActorId, parseChannelType]) parse(a);
      parseChannelKey(a, b);
    }),
  );
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void parseDot(text)));
  t.pass();
});

test('dots come back from their text, other texts do not become dots', (t) => {
  const actor = '0123456789abcdef' as ActorId;
  for (const counter of [1, 42, Number.MAX_SAFE_INTEGER]) {
    const dot = { actor, shard: 15, counter };
    t.deepEqual(parseDot(formatDot(dot)), dot);
  }
  for (const text of [
    '',
    `${actor}:16:1`,
    `${actor}:1:0`,
    `${actor}:1:-1`,
    `${actor}:1:01`,
    `x${actor}:1:1`,
  ]) {
    t.is(parseDot(text), undefined);
  }
});
