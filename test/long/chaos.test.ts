import test, { type ExecutionContext } from 'ava';
import { runChaos, type ChaosReport } from '../../scripts/chaos/run.ts';

function tell(t: ExecutionContext, { history, logs, ...report }: ChaosReport): void {
  t.log(report);
  if (!report.passed) for (const line of [...history.slice(-60), ...logs]) t.log(line);
}

test.serial(
  'S4-8 chaos on real processes: ten kills among other faults, no acknowledged add is lost, no removal comes back',
  async (t) => {
    t.timeout(240_000);
    const report = await runChaos({
      ...{ nodes: 3, seed: 18, seconds: 120, faultsMax: 60, killsMax: 10 },
      shares: { kill: 50, row: 8, stop: 6, cut: 6, mute: 3, deaf: 3, 'etcd-stop': 6, wipe: 4 },
    });
    if (!report.passed) tell(t, report);
    t.log(`${report.wallMs} ms`, report.faults, report.together);
    t.true(report.kills >= 10, 'ten processes were killed');
    t.true(Object.keys(report.together).length > 0, 'several faults at once');
    t.true(report.acknowledgedAdds > 20, 'the workload came through');
    t.true(report.live.judged > 20, 'messages were due during the faults');
    t.deepEqual([report.lostAdds, report.returnedRemovals], [[], []]);
    t.deepEqual([report.unexpected, report.unequal], [[], []]);
    t.deepEqual([report.live.missing, report.live.twice], [[], []]);
    t.is(report.messagesMissing + report.messagesTwice, 0);
    t.true(report.passed);
  },
);

test.serial('S4-8 chaos reports what real processes really lose', async (t) => {
  t.timeout(240_000);
  const report = await runChaos({
    ...{ nodes: 3, seed: 3, seconds: 60, faultsMax: 3, settleMs: 5_000 },
    shares: { stop: 1, delay: 1 },
    plants: ['lost-add', 'returned-removal', 'deaf-reader'],
  });
  const [lost, returned] = report.planted.map(({ channel }) => channel);
  t.false(report.passed);
  t.is(report.settledMs, undefined);
  t.is(report.lostAdds.length, 1);
  t.true(report.lostAdds[0]?.startsWith(`${lost} `), report.lostAdds.join());
  t.is(report.returnedRemovals.length, 1);
  t.true(report.returnedRemovals[0]?.startsWith(`${returned} `));
  t.deepEqual([report.unexpected, report.unequal], [[], []], 'nothing else');
  t.true(report.live.missing.length > 0 && report.live.missing.length < 60);
  t.true(report.live.missing.every((line) => line.startsWith('reader-1 ')));
  t.deepEqual(report.live.twice, []);
});
