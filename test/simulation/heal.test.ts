import test from 'ava';
import { measureFalseRepairs } from '../../scripts/bench/false-repairs.ts';
import { HEAL_KINDS } from '../../scripts/bench/heal-kinds.ts';
import { measureHeal } from '../../scripts/bench/heal.ts';

for (const kind of HEAL_KINDS) {
  const seconds = kind.boundMs / 1000;
  test(`S2-3 ${kind.name}: each of 20 injections at random moments is healed within ${seconds} s`, async (t) => {
    const { timesMs } = await measureHeal(kind, { injections: 20, profile: 'default' });
    t.is(timesMs.length, 20);
    t.true(timesMs.at(-1)! <= kind.boundMs, `the slowest took ${timesMs.at(-1)} ms`);
    t.true(timesMs[0]! > 0, 'it was damaged at all');
  });
}

test('S2-4 invariant 10: 2 s of 5,000 writes/s with sweeps every 200 ms make no false repair', async (t) => {
  const { writes, sweeps, repairs } = await measureFalseRepairs(2, 5_000);
  t.true(writes >= 9_990 && sweeps > 50);
  t.deepEqual(repairs, []);
});
