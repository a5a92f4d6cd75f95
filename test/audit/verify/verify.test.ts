import test from 'ava';
import { judgeTables } from '../../../src/audit/verify/judge-tables.ts';
import { LocalRun } from '../../../src/audit/verify/local-run.ts';
import type { VerifyLayers } from '../../../src/audit/verify/port.ts';
import type { MemberId } from '../../../src/core/ids.ts';

const [A, B] = ['a', 'b'] as MemberId[] as [MemberId, MemberId];
const table = (member: MemberId, digest: string, [before, after]: readonly [number, number]) => ({
  ...{ member, digest, subscriptions: 5 },
  ...{ vectorBefore: before, vectorAfter: after },
});

const TABLES = [
  ['equal', [table(A, 'x', [1, 1]), table(B, 'x', [1, 1])], 'ok'],
  ['the same writes, other tables', [table(A, 'x', [1, 1]), table(B, 'y', [1, 1])], 'different'],
  ['written to while it was read', [table(A, 'x', [1, 2]), table(B, 'y', [2, 2])], 'unproven'],
  ['a write is on its way', [table(A, 'x', [1, 1]), table(B, 'y', [2, 2])], 'unproven'],
  ['alone', [table(A, 'x', [1, 1])], 'ok'],
  ['nobody', [], 'unproven'],
] as const;

for (const [title, tables, state] of TABLES) {
  test(`tables are ${state}: ${title}`, (t) => t.is(judgeTables(tables).state, state));
}

const layers = (differences: readonly (number | Error)[], clean = true): VerifyLayers => {
  let at = 0;
  return {
    digest: () => Promise.resolve({ subscriptions: 0, digest: '' }),
    vectorHash: () => 0,
    sweepNow: () => Promise.resolve({ clean }),
    passes: [
      {
        name: 'index',
        run(onProgress) {
          onProgress({ done: 1, total: 2 });
          const found = differences[Math.min(at++, differences.length - 1)]!;
          if (found instanceof Error) return Promise.reject(found);
          return Promise.resolve({ differences: found });
        },
      },
    ],
  };
};

async function stepsOf(of: VerifyLayers): Promise<readonly string[]> {
  const run = new LocalRun(A);
  await run.run(of, [B]);
  return run.steps.map(({ name, state, detail }) => `${name} ${state} ${detail}`.trim());
}

test('what a pass repairs has to be clean the next time, or it is different', async (t) => {
  t.deepEqual(await stepsOf(layers([0])), ['sweep with b ok', 'index ok']);
  t.deepEqual(await stepsOf(layers([3, 0])), ['sweep with b ok', 'index ok 3 repaired']);
  t.deepEqual(
    (await stepsOf(layers([3])))[1],
    'index different 3 repaired; 3 repaired; 3 repaired',
  );
});

test('what cannot be compared proves nothing', async (t) => {
  const steps = await stepsOf(layers([new Error('disk away')], false));
  t.regex(steps[0]!, /^sweep with b different/);
  t.is(steps[1], 'index unproven disk away');
});
