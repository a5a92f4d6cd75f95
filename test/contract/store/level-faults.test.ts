import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { LevelStoreLocation } from '../../../src/storage/level-store.ts';
import { until } from '../../support/until.ts';
import { testRuntime } from '../../support/runtime.ts';
import { bytes, collect, durable, texts } from './contract.ts';
import { makeLevelBench } from './level-bench.ts';

const WRITER = fileURLToPath(new URL('./level-writer.ts', import.meta.url));

/** Another process that writes row after row and tells which are durable. */
function startWriter(path: string): { child: ChildProcess; last: () => number } {
  const child = spawn(process.execPath, ['--import=tsx', WRITER, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let last = -1;
  createInterface({ input: child.stdout }).on('line', (line) => (last = Number(line)));
  return { child, last: () => last };
}

test('a second process is refused; after kill -9 all that was durable is there, whole', async (t) => {
  const bench = await makeLevelBench();
  const { child, last } = startWriter(bench.path);
  try {
    await until('rows are durable', () => last() > 100, 20_000);
    const error = await t.throwsAsync(() => bench.location.open(), { code: 'STORE_LOCKED' });
    t.true(error.message.includes(bench.path));
    child.kill('SIGKILL');
    await once(child, 'exit');
    const store = await bench.location.open();
    const rows = await collect(store);
    t.true(rows.length >= 2 * (last() + 1));
    for (let i = 0; i <= last(); i++) t.truthy(store.get(`a${i}`));
    // Each operation wrote two rows: both or none.
    t.is(rows.filter(([key]) => key.startsWith('a')).length, rows.length / 2);
    await store.close();
  } finally {
    child.kill('SIGKILL');
    await bench.remove();
  }
});

test('a store of a newer format is refused, and nothing of it is touched', async (t) => {
  const bench = await makeLevelBench();
  await (await bench.location.open()).close();
  await writeFile(join(bench.path, 'FORMAT'), 'holdfast store 2\n');
  const before = await readdir(join(bench.path, 'rows'));
  const error = await t.throwsAsync(() => bench.location.open(), { code: 'STORE_FORMAT_NEWER' });
  t.regex(error.message, /format 2.*up to 1/);
  t.deepEqual(await readdir(join(bench.path, 'rows')), before);
  await bench.remove();
});

const damages: Record<string, (path: string) => Promise<void>> = {
  'CURRENT is gone': (path) => rm(join(path, 'rows', 'CURRENT')),
  'CURRENT is garbage': (path) => writeFile(join(path, 'rows', 'CURRENT'), 'garbage\n'),
  'the manifest is empty': async (path) => {
    const names = await readdir(join(path, 'rows'));
    const manifest = names.find((name) => name.startsWith('MANIFEST'));
    await truncate(join(path, 'rows', manifest!), 0);
  },
  'tables are gone': async (path) => {
    for (const name of await readdir(join(path, 'rows'))) {
      if (name.endsWith('.ldb')) await rm(join(path, 'rows', name));
    }
  },
  'FORMAT is gone': (path) => rm(join(path, 'FORMAT')),
  'FORMAT is garbage': (path) => writeFile(join(path, 'FORMAT'), 'garbage'),
};

for (const [what, damage] of Object.entries(damages)) {
  test(`a damaged store is refused, set aside and replaced: ${what}`, async (t) => {
    const bench = await makeLevelBench();
    for (let i = 0; i < 2; i++) {
      const store = await bench.location.open();
      store.stage([{ key: `k${i}`, value: bytes('v') }]);
      await store.close();
    }
    await damage(bench.path);
    const error = await t.throwsAsync(() => bench.location.open(), { code: 'STORE_DAMAGED' });
    t.true(error.message.includes(bench.path));
    const name = await bench.location.setAside('damaged: CURRENT/manifest');
    t.regex(name, /^store\.aside-\d{8}T\d{9}Z-damaged-current-manifest$/);
    const fresh = await bench.location.open();
    t.deepEqual(await texts(fresh), []);
    await fresh.close();
    await bench.remove();
  });
}

test('a folder that cannot be used is refused with the reason', async (t) => {
  const bench = await makeLevelBench();
  await writeFile(bench.path, 'a file');
  const error = await t.throwsAsync(() => bench.location.open(), { code: 'STORE_OPEN_FAILED' });
  t.true(error.message.includes(bench.path));
  await bench.remove();
});

test('sync modes: which groups are flushed to the device', async (t) => {
  const groups = async (sync: 'commit' | 'interval' | 'os'): Promise<boolean[]> => {
    const bench = await makeLevelBench({ sync, syncIntervalMs: 150 });
    const store = await bench.location.open();
    for (let i = 0; i < 4; i++) {
      store.stage([{ key: 'a', value: bytes(String(i)) }]);
      await durable(store);
    }
    if (sync === 'interval') await until('a flush follows', () => bench.synced.length >= 5);
    store.stage([{ key: 'b', value: bytes('v') }]);
    await store.close();
    await bench.remove();
    return bench.synced;
  };
  t.deepEqual(await groups('commit'), [true, true, true, true, true]);
  t.deepEqual(await groups('os'), [false, false, false, false, false]);
  const interval = await groups('interval');
  t.deepEqual(interval.slice(0, 5), [true, false, false, false, true]);
  t.true(interval.at(-1));
});

test('while the database cannot be opened again, staged rows are read and others say why not', async (t) => {
  const bench = await makeLevelBench();
  const store = await bench.location.open();
  store.stage([{ key: 'old', value: bytes('1') }]);
  await durable(store);
  bench.failDisk();
  store.stage([{ key: 'new', value: bytes('1') }]);
  await until('the disk fails', () => store.status().state === 'failing');
  const rows = join(bench.path, 'rows');
  const file = join(bench.path, 'no-folder');
  await writeFile(file, 'no folder');
  // The store tries to open itself meanwhile and makes the folder again: whoever is quicker.
  await until('a file stands where the folder was', async () => {
    await rm(rows, { recursive: true, force: true });
    await rename(file, rows);
    return true;
  });
  await until('it was closed', () => {
    try {
      store.get('old');
      return false;
    } catch (error) {
      return (error as { code?: string }).code === 'STORE_UNAVAILABLE';
    }
  });
  t.truthy(store.get('new'));
  await t.throwsAsync(() => collect(store), { code: 'STORE_UNAVAILABLE' });
  await store.close();
  await bench.remove();
});

test('a disk that is really full: writes wait, reads go on, writes resume when there is room', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-full-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', folder]).status === 0;
  if (!mounted) {
    await rm(folder, { recursive: true });
    t.log('skipped: mounting needs root');
    t.pass();
    return;
  }
  try {
    const path = join(folder, 'store');
    const options = { path, runtime: testRuntime, retryMinMs: 5, retryMaxMs: 20 };
    const location = new LevelStoreLocation({ ...options, writeBufferBytes: 128 * 1024 });
    const store = await location.open();
    store.stage([{ key: 'kept', value: bytes('1') }]);
    await durable(store);
    await writeFile(join(folder, 'ballast'), new Uint8Array(1_600 * 1024));
    let written = 0;
    const value = Uint8Array.from({ length: 4_096 }, (_byte, i) => (i * i * 7919) >> 3);
    for (let i = 0; i < 150; i++) store.stage([{ key: `k${i}`, value }], () => written++);
    await until('the disk is full', () => store.status().state === 'failing');
    t.true(written < 150);
    t.deepEqual(await texts(store, { gte: 'kept', lt: 'kepu' }), ['kept=1']);
    await rm(join(folder, 'ballast'));
    await until('all is written', () => written === 150);
    t.is(store.status().state, 'ok');
    await store.close();
    const again = await location.open();
    t.is((await collect(again, { gte: 'k0', lt: 'kept' })).length, 150);
    await again.close();
  } finally {
    spawnSync('umount', [folder]);
    await rm(folder, { recursive: true, force: true });
  }
});
