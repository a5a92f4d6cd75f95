import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { FileWatch } from '../../../src/node/reload/file-watch.ts';
import { systemRuntime } from '../../../src/runtime/system.ts';
import { until } from '../../support/until.ts';

test('S3-5 a changed file is told of once, when it has come to rest; again only where that is asked', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-watch-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'cluster.yml');
  writeFileSync(path, 'one');
  let told = 0;
  let taken = true;
  let looks = 0;
  const timers = {
    ...systemRuntime.timers,
    after: (delayMs: number, work: () => void) => {
      looks += 1;
      return systemRuntime.timers.after(delayMs, work);
    },
  };
  const onChange = () => {
    told += 1;
    return Promise.resolve(taken);
  };
  const watch = new FileWatch({ path, everyMs: 10, timers, onChange });
  t.teardown(() => watch.stop());
  const looked = async (more: number) => {
    const end = looks + more;
    await until('it looked', () => looks >= end);
  };
  await looked(5);
  t.is(told, 0);
  writeFileSync(path, 'two of another length');
  await until('it is told of', () => told === 1);
  await looked(5);
  t.is(told, 1);
  taken = false;
  writeFileSync(`${path}.new`, 'three');
  renameSync(`${path}.new`, path);
  await until('it is told of until it is taken', () => told >= 3);
  taken = true;
  const before = told;
  await until('the last time', () => told > before);
  await looked(5);
  t.is(told, before + 1);
  rmSync(path);
  await until('that it is gone is told of too', () => told === before + 2);
});
