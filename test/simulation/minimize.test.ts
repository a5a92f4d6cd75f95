import test from 'ava';
import { minimizeFaults } from '../../scripts/simulate/minimize.ts';
import { FAULTS } from '../../scripts/simulate/faults/schedule.ts';
import { runSeed } from '../../scripts/simulate/run.ts';

const TWENTY = Array.from({ length: 20 }, (_, index) => index + 1);

test('the faults that are needed are found, and no others are kept', async (t) => {
  const fails = (kept: readonly number[]): Promise<boolean> =>
    Promise.resolve(kept.includes(3) && kept.includes(17));
  const { kept, minimal, runs } = await minimizeFaults(TWENTY, fails, 100);
  t.deepEqual(kept, [3, 17]);
  t.true(minimal);
  t.true(runs < 60);
});

test('a seed that fails without any fault needs none', async (t) => {
  const { kept } = await minimizeFaults(TWENTY, () => Promise.resolve(true), 100);
  t.deepEqual(kept, []);
});

test('runs are bounded, and what was reached by then is told', async (t) => {
  let runs = 0;
  const fails = (kept: readonly number[]): Promise<boolean> => {
    runs += 1;
    return Promise.resolve([3, 9, 17].every((number) => kept.includes(number)));
  };
  const minimized = await minimizeFaults(TWENTY, fails, 4);
  t.is(runs, 4);
  t.false(minimized.minimal);
  for (const number of [3, 9, 17]) t.true(minimized.kept.includes(number));
});

test('one fault that is left out changes none of the others', async (t) => {
  const faults = FAULTS.filter(({ name }) => ['clock drift', 'backup'].includes(name));
  const options = { seed: 5, nodes: 2, faults, faultsMs: 4_000, clients: 1, rests: false };
  const all = await runSeed({ ...options, faultMeanMs: 500 });
  const second = all.faults[1]!;
  const omit = new Set([second.number]);
  const less = await runSeed({ ...options, faultMeanMs: 500, omit });
  t.true(all.faults.length > 3);
  t.deepEqual(
    less.faults,
    all.faults.filter((fault) => fault !== second),
  );
});

test('a planted bug is minimized to the one fault that shows it', async (t) => {
  const faults = FAULTS.filter(({ name }) => ['clock drift', 'crash', 'backup'].includes(name));
  const options = { seed: 6, nodes: 2, faults, faultsMs: 4_000, clients: 1, rests: false };
  const run = (omit: ReadonlySet<number>) =>
    runSeed({
      ...options,
      ...{ faultMeanMs: 700, omit },
      prepare(sim) {
        // Whatever dies is reported, as if a crash broke something.
        for (const node of sim.nodes) {
          const kill = node.kill.bind(node);
          node.kill = (crash) => {
            kill(crash);
            sim.findings.report(4, 'planted');
          };
        }
      },
    });
  const all = (await run(new Set())).faults;
  const fails = async (kept: readonly number[]): Promise<boolean> => {
    const omit = all.map(({ number }) => number).filter((number) => !kept.includes(number));
    return (await run(new Set(omit))).findings.length > 0;
  };
  const numbers = all.map(({ number }) => number);
  const { kept } = await minimizeFaults(numbers, fails, 30);
  t.is(kept.length, 1);
  t.is(all.find(({ number }) => number === kept[0])?.name, 'crash');
});
