import test from 'ava';
import { COUNTERS, GAUGES, HISTOGRAMS } from '../../src/observability/metric-names.ts';
import { createMetrics } from '../../src/observability/metrics.ts';

const quiet = { ofProcess: 'left out', onReadError: () => {} } as const;

test('names follow one rule: holdfast_ first, counters end in _total, durations in _seconds', (t) => {
  for (const name of [
    ...Object.keys(COUNTERS),
    ...Object.keys(GAUGES),
    ...Object.keys(HISTOGRAMS),
  ]) {
    t.regex(name, /^holdfast_[a-z_]+$/);
  }
  t.true(Object.keys(COUNTERS).every((name) => name.endsWith('_total')));
  t.false(Object.keys(GAUGES).some((name) => name.endsWith('_total')));
  t.true(Object.keys(HISTOGRAMS).every((name) => name.endsWith('_seconds')));
});

test('counters count, with labels, and those that nobody feeds have no value', async (t) => {
  const metrics = createMetrics(quiet);
  t.notRegex(await metrics.render(), /holdfast_damaged_rows_total/);
  metrics.count('holdfast_damaged_rows_total', {});
  metrics.count('holdfast_publishes_total', { outcome: 'ok' }, 5);
  const text = await metrics.render();
  t.regex(text, /^holdfast_damaged_rows_total 1$/m);
  t.regex(text, /^holdfast_publishes_total\{outcome="ok"\} 5$/m);
  t.regex(text, /^# HELP holdfast_publishes_total Messages taken/m);
});

test('gauges are read at each scrape, and what is gone is no longer shown', async (t) => {
  const metrics = createMetrics(quiet);
  const behind = new Map([
    ['a', 3],
    ['b', 0],
  ]);
  metrics.readGauge('holdfast_replication_behind', () =>
    [...behind].map(([peer, value]) => ({ labels: { peer }, value })),
  );
  let staged = 7;
  metrics.readGauge('holdfast_staged_bytes', () => staged);
  t.regex(await metrics.render(), /^holdfast_replication_behind\{peer="b"\} 0$/m);
  behind.delete('b');
  staged = 9;
  const text = await metrics.render();
  t.notRegex(text, /peer="b"/);
  t.regex(text, /^holdfast_replication_behind\{peer="a"\} 3$/m);
  t.regex(text, /^holdfast_staged_bytes 9$/m);
});

test('a counter that its owner keeps shows the total at each scrape', async (t) => {
  const metrics = createMetrics(quiet);
  let delivered = 0;
  metrics.readCounter('holdfast_deliveries_total', {}, () => delivered);
  t.regex(await metrics.render(), /^holdfast_deliveries_total 0$/m);
  delivered = 10;
  t.regex(await metrics.render(), /^holdfast_deliveries_total 10$/m);
  delivered = 25;
  await metrics.render();
  t.regex(await metrics.render(), /^holdfast_deliveries_total 25$/m);
});

test('a gauge that cannot be read is reported and takes nothing with it', async (t) => {
  const failed: string[] = [];
  const metrics = createMetrics({
    ofProcess: 'included',
    onReadError: (name) => failed.push(name),
  });
  metrics.readGauge('holdfast_ready', () => {
    throw new Error('gone');
  });
  metrics.readGauge('holdfast_users_online', () => 4);
  const text = await metrics.render();
  t.deepEqual(failed, ['holdfast_ready']);
  t.regex(text, /^holdfast_users_online 4$/m);
  t.regex(text, /^process_cpu_seconds_total /m);
});
