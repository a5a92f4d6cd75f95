import test from 'ava';
import { runStorm } from '../../scripts/storm/run.ts';

test.serial(
  'S4-5 kill -9 in a storm of first direct messages: what was acknowledged is on every node once, with both conversations; the rest all or nothing',
  async (t) => {
    t.timeout(240_000);
    const { logs, ...report } = await runStorm({ kills: 10, seed: 5 });
    const { lost, twice, torn, unequal } = report;
    if ([lost, twice, torn, unequal].some(({ length }) => length > 0)) t.log(report, ...logs);
    else t.log(report);
    t.deepEqual({ lost, twice, torn, unequal }, { lost: [], twice: [], torn: [], unequal: [] });
    t.is(report.kills, 10);
    t.true(report.acknowledged > 100, 'the storm came through');
    t.true(report.repeated > 0, 'some were asked for again');
  },
);
