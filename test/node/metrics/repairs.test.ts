import test from 'ava';
import { countRepairs } from '../../../src/node/metrics/repairs.ts';
import { createMetrics } from '../../../src/observability/metrics.ts';

test('S4-7 a divergence counter is 0 before the first one, so the first one raises the alert', async (t) => {
  const onReadError = (name: string, error: unknown): void => t.fail(`${name}: ${String(error)}`);
  const metrics = createMetrics({ ofProcess: 'left out', onReadError });
  const repairs = countRepairs(metrics);
  const found = 'holdfast_divergence_found_total{layer="peers",cause="lost-row"}';
  const put = 'holdfast_repairs_total{layer="peers",action="restored",cause="lost-row"}';
  const before = (await metrics.render()).split('\n');
  t.true(before.includes(`${found} 0`));
  t.true(before.includes(`${put} 0`));
  t.true(before.includes('holdfast_divergence_found_total{layer="disk",cause="row-lost"} 0'));
  t.false(
    before.some((line) => line.includes('action="alarm"')),
    'an alarm repairs nothing',
  );
  repairs.onRepair({ layer: 'peers', action: 'restored', cause: 'lost-row', wallMs: 1 });
  const after = (await metrics.render()).split('\n');
  t.true(after.includes(`${found} 1`));
  t.true(after.includes(`${put} 1`));
});
