import test from 'ava';
import { Lag } from '../../../src/cluster/replication/lag.ts';
import type { ActorId } from '../../../src/core/ids.ts';
import { VersionVector, type VectorRow } from '../../../src/core/version-vector.ts';

const actor = '1'.repeat(16) as ActorId;
const upTo = (base: number): VectorRow[] => [{ actor, shard: 0, base, above: [] }];

function peerWith(base: number): VersionVector {
  const vector = new VersionVector();
  if (base > 0) vector.addAll(upTo(base));
  return vector;
}

test('S2-8 the lag of a peer is the age of what it lacks: small under a steady load, growing where it is away', (t) => {
  const lag = new Lag();
  t.is(lag.ms(0), 0);
  lag.look(0, () => [], undefined);
  t.is(lag.ms(1_000), 0, 'nothing was written');
  for (let at = 1; at <= 100; at++) {
    // It is always one look behind.
    lag.look(at * 500, () => upTo(at * 10), peerWith((at - 1) * 10));
    t.true(lag.ms(at * 500 + 499) <= 1_000);
  }
  const peer = peerWith(995);
  for (let at = 101; at <= 200; at++) lag.look(at * 500, () => upTo(at * 10), peer);
  t.is(lag.ms(100_000), 50_000, 'since the first look at what it lacks');
  lag.look(100_500, () => upTo(2_000), peerWith(1_500));
  t.is(lag.ms(100_500), 0, 'it has the old, and only just lacks the new');
  lag.look(101_000, () => upTo(2_000), peerWith(2_000));
  t.is(lag.ms(200_000), 0);
});

test('S2-8 a peer that nobody ever heard of lags as soon as there is anything', (t) => {
  const lag = new Lag();
  lag.look(0, () => upTo(1), undefined);
  lag.look(5_000, () => upTo(2), undefined);
  t.is(lag.ms(6_000), 6_000);
});
