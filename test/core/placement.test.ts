import test from 'ava';
import * as fc from 'fast-check';
import { crc32, crc32Text } from '../../src/core/checksum.ts';
import { hlcToMs, nextHlc } from '../../src/core/hybrid-clock.ts';
import type { ChannelKey, Uid } from '../../src/core/ids.ts';
import {
  channelIdFor,
  hash32,
  personChannel,
  personsOf,
  shardOf,
} from '../../src/core/placement.ts';

const uid = fc
  .string({ minLength: 1, maxLength: 12 })
  .map((text) => `u${text.replaceAll('@', '')}` as Uid);

test('CRC-32: the known values', (t) => {
  const ascii = (text: string) => new TextEncoder().encode(text);
  t.is(crc32(ascii('123456789')), 0xcbf43926);
  t.is(crc32(ascii('')), 0);
  t.is(crc32(ascii('a')), 0xe8b7be43);
  t.is(crc32Text('123456789'), 0xcbf43926);
});

test('CRC-32: in parts as in one, of a text as of its bytes', (t) => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.nat(), (bytes, cut) => {
      const at = bytes.length === 0 ? 0 : cut % bytes.length;
      t.is(crc32(bytes.subarray(at), crc32(bytes, 0, at)), crc32(bytes));
    }),
  );
  fc.assert(
    fc.property(fc.string(), fc.string(), (a, b) => {
      t.is(crc32Text(a + b), crc32(new TextEncoder().encode(b), crc32Text(a)));
    }),
  );
});

test('CRC-32: texts beyond ASCII are told apart', (t) => {
  const texts = ['é', 'Ã©', 'ā', '\u0001\u0001', '\u0101', '你', '\u{1f600}', '\ud83d', ''];
  t.is(new Set(texts.map((text) => crc32Text(text))).size, new Set(texts).size);
});

test('a person channel is the same from both sides, and each sees the other in it', (t) => {
  fc.assert(
    fc.property(uid, uid, (a, b) => {
      const channel = personChannel(a, b);
      t.is(personChannel(b, a), channel);
      t.deepEqual([...personsOf(channel)!].sort(), [a, b].sort());
      t.is(channelIdFor(channel, a), b);
      t.is(channelIdFor(channel, b), a);
    }),
  );
});

test('a person channel names the uid with the larger CRC-32 first', (t) => {
  const [a, b] = ['u1', 'u2'] as [Uid, Uid];
  const aFirst = crc32Text(a) > crc32Text(b);
  t.deepEqual(personsOf(personChannel(a, b)), aFirst ? [a, b] : [b, a]);
});

test('what is no pair has no persons, and a group keeps its id for everyone', (t) => {
  for (const id of ['1/alone', '1/@b', '1/a@', '1/a@b@c']) {
    t.is(personsOf(id as ChannelKey), undefined);
    t.is(channelIdFor(id as ChannelKey, 'a' as Uid), id.slice(2));
  }
  t.is(channelIdFor('2/a@b' as ChannelKey, 'a' as Uid), 'a@b');
});

test('shards are spread evenly and never change', (t) => {
  const counts = Array.from({ length: 16 }, () => 0);
  for (let i = 0; i < 16_000; i++) counts[shardOf(`2/group-${i}` as ChannelKey)]! += 1;
  for (const count of counts) t.true(count > 800 && count < 1_200, String(counts));
  // Constants of the format: a change here makes every stored key wrong.
  t.deepEqual(
    ['', 'a', '2/group-1', '1/你好@\u{1f600}'].map((text) => hash32(text)),
    HASHES,
  );
});

const HASHES = [2_872_998_923, 444_641_715, 2_617_728_147, 577_648_071];

test('the hybrid clock only goes forward, and follows the wall clock where it can', (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat(2 ** 31)), (walls) => {
      let last = 0;
      for (const wall of walls) {
        const next = nextHlc(last, wall);
        t.true(next > last && hlcToMs(next) >= wall);
        t.true(next === last + 1 || hlcToMs(next) === wall);
        last = next;
      }
    }),
  );
  t.is(hlcToMs(nextHlc(0, 1_764_000_000_000.9)), 1_764_000_000_000);
  t.true(Number.isSafeInteger(nextHlc(0, Date.UTC(2200, 0))));
});
