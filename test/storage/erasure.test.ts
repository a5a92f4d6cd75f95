import test, { type ExecutionContext } from 'ava';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
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
  const put = (seq: number, tag: number, text: string): Promise<void> =>
    new Promise((resolve) => {
      const key = messageKey(channel, seq, 'aa'.repeat(8) as typeof replica.actor);
      const value = Buffer.from(text);
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

/** Files of the store that hold the text, as it stands in them; tables are compressed, random text is not. */
function filesWith(path: string, text: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) => {
    const file = join(path, name);
    return statSync(file).isFile() && readFileSync(file).includes(text);
  });
}

function randomText(): string {
  return Buffer.from(testRuntime.random.bytes(48)).toString('base64');
}

test('S1-4 recalled content is in no file of the store after its erasure, wherever it was', async (t) => {
  const path = folder(t);
  const node = await open(path);
  const texts = Array.from({ length: 400 }, randomText);
  for (const [i, text] of texts.entries()) await node.put(2 * i + 1, 0, text);
  // Some in tables of a lower level, some still in memory and the log.
  await node.store.compact!({ gte: 'm', lt: 'n' });
  const late = Array.from({ length: 20 }, randomText);
  for (const [i, text] of late.entries()) await node.put(2 * i + 2, 0, text);
  const recalled = [0, 1, 7, 200, 399];
  for (const at of recalled) t.true(filesWith(path, texts[at]!).length > 0);
  for (const at of recalled) await node.put(2 * at + 1, RECALL, `tombstone ${at}`);
  await node.put(2, RECALL, 'tombstone late');
  await until('the content is erased', () => node.erasure.erasedRows() === 6);
  await until('old files are gone', () => filesWith(path, texts[200]!).length === 0);
  for (const at of recalled) t.deepEqual(filesWith(path, texts[at]!), [], String(at));
  t.deepEqual(filesWith(path, late[0]!), []);
  t.true(filesWith(path, texts[2]!).length > 0);
  t.true(filesWith(path, late[1]!).length > 0);
  await node.close();
});

test('S1-4 content that came to the files together with its recall is erased too', async (t) => {
  const path = folder(t);
  const node = await open(path);
  const text = randomText();
  await node.put(1, 0, text);
  await node.put(1, RECALL, 'tombstone');
  await until('the content is erased', () => node.erasure.erasedRows() === 1);
  await until('old files are gone', () => filesWith(path, text).length === 0);
  t.deepEqual(filesWith(path, text), []);
  await node.close();
});

test('S1-4 what was recalled just before a crash is erased by the next run', async (t) => {
  const path = folder(t);
  const text = randomText();
  const first = await open(path, 1_000_000);
  await first.put(1, 0, text);
  await first.put(1, RECALL, 'tombstone');
  await first.close();
  t.true(filesWith(path, text).length > 0);
  const second = await open(path);
  await until('the content is erased', () => second.erasure.erasedRows() === 1);
  t.deepEqual(filesWith(path, text), []);
  await second.close();
  const third = await open(path);
  t.is(third.erasure.erasedRows(), 0);
  await third.close();
});
