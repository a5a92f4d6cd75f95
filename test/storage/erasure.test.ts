import test, { type ExecutionContext } from 'ava';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EMPTY_CONTEXT } from '../../src/core/context.ts';
import { shardOf } from '../../src/core/placement.ts';
import { RECALL } from '../../src/core/row.ts';
import { messageKey } from '../../src/core/row-key.ts';
import { silentLog } from '../../src/observability/log.ts';
import { Erasure } from '../../src/storage/erasure.ts';
import { LevelStoreLocation } from '../../src/storage/level-store.ts';
import { ReplicatedStore } from '../../src/storage/replica.ts';
import { group } from '../support/ids.ts';
import { testRuntime } from '../support/runtime.ts';
import { until } from '../support/until.ts';

const channel = group('g');

async function open(path: string, delayMs = 1) {
  const store = await new LevelStoreLocation({ path, runtime: testRuntime, sync: 'os' }).open();
  const base = { store, runtime: testRuntime, log: silentLog };
  const replica = await ReplicatedStore.open(base);
  const erasure = new Erasure({ ...base, delayMs, restFactor: 0 });
  replica.addListener(erasure);
  erasure.start();
  const put = (seq: number, tag: number, content: string | Buffer): Promise<void> =>
    new Promise((resolve) => {
      const key = messageKey(channel, seq, 'aa'.repeat(8) as typeof replica.actor);
      const value = Buffer.from(content);
      replica.submit(shardOf(channel), [{ key, tag, context: EMPTY_CONTEXT, value }], resolve);
    });
  const close = async (): Promise<void> => {
    erasure.stop();
    await store.close();
  };
  return { store, put, erasure, close };
}

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-erasure-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return join(path, 'store');
}

/** Files of the store that hold the text, as it stands in them; tables are compressed, random bytes are not. */
function filesWith(path: string, content: Buffer): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) =>
    bytesOf(join(path, name)).includes(content),
  );
}

/** Nothing for a folder, and for a file that the store removed since it was listed. */
function bytesOf(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'EISDIR') return Buffer.alloc(0);
    throw error;
  }
}

/** All 256 values: of letters only, four in a row recur often enough for the compression to find them. */
function randomContent(): Buffer {
  return Buffer.from(testRuntime.random.bytes(64));
}

test('S1-4 recalled content is in no file of the store after its erasure, wherever it was', async (t) => {
  const path = folder(t);
  const node = await open(path);
  const contents = Array.from({ length: 400 }, randomContent);
  for (const [i, content] of contents.entries()) await node.put(2 * i + 1, 0, content);
  // Some in tables of a lower level, some still in memory and the log.
  await node.store.compact!({ gte: 'm', lt: 'n' });
  const late = Array.from({ length: 20 }, randomContent);
  for (const [i, content] of late.entries()) await node.put(2 * i + 2, 0, content);
  const recalled = [0, 1, 7, 200, 399];
  for (const at of recalled) t.true(filesWith(path, contents[at]!).length > 0);
  for (const at of recalled) await node.put(2 * at + 1, RECALL, `tombstone ${at}`);
  await node.put(2, RECALL, 'tombstone late');
  await until('the content is erased', () => node.erasure.erasedRows() === 6);
  // The store removes an old file once nothing reads it any more.
  const gone = [...recalled.map((at) => contents[at]!), late[0]!];
  const left = (): string[] => gone.flatMap((content) => filesWith(path, content));
  await until('old files are gone', () => left().length === 0);
  for (const at of recalled) t.deepEqual(filesWith(path, contents[at]!), [], String(at));
  t.deepEqual(filesWith(path, late[0]!), []);
  t.true(filesWith(path, contents[2]!).length > 0);
  t.true(filesWith(path, late[1]!).length > 0);
  await node.close();
});

test('S1-4 content that came to the files together with its recall is erased too', async (t) => {
  const path = folder(t);
  const node = await open(path);
  const content = randomContent();
  await node.put(1, 0, content);
  await node.put(1, RECALL, 'tombstone');
  await until('the content is erased', () => node.erasure.erasedRows() === 1);
  await until('old files are gone', () => filesWith(path, content).length === 0);
  t.deepEqual(filesWith(path, content), []);
  await node.close();
});

test('S1-4 what was recalled just before a crash is erased by the next run', async (t) => {
  const path = folder(t);
  const content = randomContent();
  const first = await open(path, 1_000_000);
  await first.put(1, 0, content);
  await first.put(1, RECALL, 'tombstone');
  await first.close();
  t.true(filesWith(path, content).length > 0);
  const second = await open(path);
  await until('the content is erased', () => second.erasure.erasedRows() === 1);
  await until('old files are gone', () => filesWith(path, content).length === 0);
  t.deepEqual(filesWith(path, content), []);
  await second.close();
  const third = await open(path);
  t.is(third.erasure.erasedRows(), 0);
  await third.close();
});
