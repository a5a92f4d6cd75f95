import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { parse } from 'yaml';
import { COUNTERS, GAUGES, HISTOGRAMS } from '../../src/observability/metric-names.ts';
import { ROOT } from '../support/tree.ts';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: Readonly<Record<string, string>>;
}

const read = (name: string): string => readFileSync(join(ROOT, 'deploy', name), 'utf8');
const { groups } = parse(read('alerts.yml')) as { groups: { rules: Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);
const hasPromtool = spawnSync('promtool', ['--version']).status === 0;
const run = hasPromtool ? test : test.skip;

test('S4-10 every metric of the rules and of the dashboard exists', (t) => {
  const known = new Set(Object.keys({ ...COUNTERS, ...GAUGES, ...HISTOGRAMS }));
  const { panels } = JSON.parse(read('grafana.json')) as {
    panels: { targets: { expr: string }[] }[];
  };
  const shown = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  const named = [...rules.map(({ expr }) => expr), ...shown].flatMap(
    (expr) => expr.match(/holdfast_\w+/g) ?? [],
  );
  t.true(named.length > rules.length);
  const unknown = named.filter((name) => !known.has(name.replace(/_(?:bucket|sum|count)$/, '')));
  t.deepEqual(unknown, []);
});

test('S4-10 every alert says what it is, what it means and what to do', (t) => {
  for (const { alert, annotations } of rules) {
    t.truthy(annotations['summary'], alert);
    t.truthy(annotations['meaning'], alert);
    t.truthy(annotations['action'], alert);
  }
});

test('S4-10 every alert has a rule test in which it fires', (t) => {
  const fires = read('alerts.test.yml');
  for (const { alert } of rules) t.true(fires.includes(`alertname="${alert}"`), alert);
});

run('S4-10 S3-9 promtool accepts the rules, and they fire when they should and only then', (t) => {
  for (const command of [
    ['check', 'rules', 'alerts.yml'],
    ['test', 'rules', 'alerts.test.yml'],
  ]) {
    const { status, stdout, stderr } = spawnSync('promtool', command, {
      cwd: join(ROOT, 'deploy'),
      encoding: 'utf8',
    });
    t.is(status, 0, stdout + stderr);
  }
});
