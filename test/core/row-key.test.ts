import test from 'ava';
import * as fc from 'fast-check';
import type { ActorId, ChannelKey, Uid } from '../../src/core/ids.ts';
import { shardOf } from '../../src/core/placement.ts';
import {
  channelFlagKey,
  channelPrefix,
  channelRowKey,
  denyKey,
  messageKey,
  rangeEnd,
  sendKeyKey,
  shardPrefix,
  splitRowKey,
  subscriptionKey,
  tokenKey,
  userKey,
} from '../../src/core/row-key.ts';

const text = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 10 })
  .filter((t) => !/[\u0000-\u001f\u007f]/.test(t));
const uid = text as unknown as fc.Arbitrary<Uid>;
const channel = text.map((id) => `2/${id}` as ChannelKey);
const seq = fc.nat(2 ** 52 - 1);
const A = 'a'.repeat(16) as ActorId;

test('keys come apart into the parts that they were made of', (t) => {
  fc.assert(
    fc.property(channel, uid, text, (channel, uid, clientMsgNo) => {
      const ofChannel = { shard: shardOf(channel) };
      const ofUser = { shard: shardOf(uid) };
      t.deepEqual(splitRowKey(subscriptionKey(channel, uid)), {
        ...ofChannel,
        kind: 's',
        parts: [channel, uid],
      });
      const deny = splitRowKey(denyKey(channel, uid, 'ban'));
      t.deepEqual(deny, { ...ofChannel, kind: 'd', parts: [channel, 'u', 'ban', uid] });
      const flag = splitRowKey(channelFlagKey(channel, 'disband'));
      t.deepEqual(flag, { ...ofChannel, kind: 'd', parts: [channel, 'f', 'disband'] });
      t.deepEqual(splitRowKey(channelRowKey(channel)), {
        ...ofChannel,
        kind: 'c',
        parts: [channel],
      });
      t.deepEqual(splitRowKey(userKey(uid)), { ...ofUser, kind: 'p', parts: [uid] });
      t.deepEqual(splitRowKey(tokenKey(uid, 2)), { ...ofUser, kind: 't', parts: [uid, '2'] });
      const sendKey = splitRowKey(sendKeyKey(channel, uid, clientMsgNo));
      t.deepEqual(sendKey, { ...ofChannel, kind: 'i', parts: [channel, uid, clientMsgNo] });
    }),
  );
});

test('messages of a channel sort by seq', (t) => {
  fc.assert(
    fc.property(channel, seq, seq, (channel, a, b) => {
      const [x, y] = [messageKey(channel, a, A), messageKey(channel, b, A)];
      t.is(Math.sign(x < y ? -1 : x > y ? 1 : 0), Math.sign(a - b));
      const { parts } = splitRowKey(x)!;
      t.is(Number.parseInt(parts[1]!, 16), a);
      t.deepEqual([parts[0], parts[2]], [channel, A]);
    }),
  );
});

test('a prefix and its end hold the channel’s rows and no other’s', (t) => {
  fc.assert(
    fc.property(channel, channel, uid, (channel, other, uid) => {
      const prefix = channelPrefix('s', channel);
      const within = (key: string, prefix: string) => prefix <= key && key < rangeEnd(prefix);
      t.true(within(subscriptionKey(channel, uid), prefix));
      t.is(within(subscriptionKey(other, uid), prefix), other === channel);
      t.true(within(subscriptionKey(channel, uid), shardPrefix('s', shardOf(channel))));
      t.false(within(channelRowKey(channel), prefix));
    }),
  );
});

test('what is no row key is none', (t) => {
  for (const key of [
    '',
    's',
    's0',
    'z0\u0001a',
    's0a',
    'sx\u0001a',
    'sF\u0001a',
    'l0\u0001a',
    '\u0001',
  ]) {
    t.is(splitRowKey(key), undefined, JSON.stringify(key));
  }
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (key) => void splitRowKey(key)));
});
