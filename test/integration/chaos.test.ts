import test from 'ava';
import { runChaos } from '../../scripts/chaos/run.ts';

test.serial(
  'S4-8 chaos on real processes: no acknowledged add is lost, no removal comes back',
  async (t) => {
    t.timeout(240_000);
    const { history, ...report } = await runChaos({ nodes: 3, seed: 8, seconds: 25, killsMax: 10 });
    t.log(report);
    if (!report.passed) for (const line of history.slice(-60)) t.log(JSON.stringify(line));
    t.true(report.acknowledgedAdds > 20, 'the workload came through');
    t.deepEqual(report.lostAdds, []);
    t.deepEqual(report.returnedRemovals, []);
    t.true(report.equal);
    t.is(report.messagesMissing + report.messagesTwice, 0);
  },
);
