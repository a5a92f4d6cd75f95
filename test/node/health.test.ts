import test from 'ava';
import type { MemberId } from '../../src/core/ids.ts';
import { judgeHealth, type HealthFacts } from '../../src/node/health.ts';

const FINE: HealthFacts = {
  ...{ phase: 'running', store: { state: 'ok' }, mayWrite: true },
  ...{ membership: { state: 'ok' }, peers: [] },
};

test('a peer that was not found equal for too long makes a node degraded, and not unready', (t) => {
  const age = (shard: number, ageMs: number) => ({
    ...{ peer: 'n2' as MemberId, shard, layer: 'peers' as const, ageMs },
  });
  const unverified = { ages: [age(0, 40_000), age(1, 95_000), age(2, 91_000)], limitMs: 90_000 };
  t.deepEqual(judgeHealth({ ...FINE, unverified }), {
    ...{ ready: true, reasons: [], degraded: ['not found equal with n2 for 95 s'] },
  });
  t.deepEqual(
    judgeHealth({ ...FINE, unverified: { ...unverified, limitMs: 95_000 } }).degraded,
    [],
  );
});
