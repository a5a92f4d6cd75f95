import test from 'ava';
import { runChaos } from '../../scripts/chaos/run.ts';

test.serial(
  'S4-8 chaos on real processes: no acknowledged add is lost, no removal comes back',
  async (t) => {
    t.timeout(240_000);
    const { history, logs, ...report } = await runChaos({
      ...{ nodes: 3, seed: 18, seconds: 30, faultsMax: 10 },
    });
    t.log(report);
    if (!report.passed) for (const line of [...history.slice(-60), ...logs]) t.log(line);
    t.true(report.acknowledgedAdds > 20, 'the workload came through');
    t.true(report.live.judged > 20, 'messages were due during the faults');
    t.deepEqual(report.lostAdds, []);
    t.deepEqual(report.returnedRemovals, []);
    t.deepEqual([report.live.missing, report.live.twice], [[], []]);
    t.true(report.equal);
    t.is(report.messagesMissing + report.messagesTwice, 0);
  },
);
