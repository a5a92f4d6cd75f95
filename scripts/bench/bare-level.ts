import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Level } from 'level';

/**
 * The bare batch to compare with: the rows of a durable message (message, send key, two log rows) or of a
 * subscription (row, reverse row, log row) in flushed batches of `group` operations. `form`: the array that
 * most programs pass, or the chained batch, which costs less. Prints CPU seconds an operation.
 */
const [kind = 'message', countText = '60000', groupText = '64', form = 'array'] =
  process.argv.slice(2);
const VECTOR = 'v0123456789abcdef7';
const count = Number(countText);
const group = Number(groupText);
const folder = mkdtempSync(join(tmpdir(), 'bare-level-'));
const db = new Level<string, Buffer>(folder, { valueEncoding: 'buffer' });
await db.open();
const sizes = kind === 'message' ? [260, 90, 60, 60] : [40, 1, 60];
const rows = sizes.map((size) => Buffer.alloc(size, 7));
const before = process.cpuUsage();
for (let at = 0; at < count; at += group) {
  if (form === 'chained') await writeChained(at);
  else await writeArray(at);
}
const used = process.cpuUsage(before);
await db.close();
rmSync(folder, { recursive: true });
console.log(`seconds ${(used.user + used.system) / 1e6 / count}`);

async function writeChained(at: number): Promise<void> {
  const batch = db.batch();
  for (let i = at; i < at + group; i++) rows.forEach((value, r) => batch.put(keyOf(r, i), value));
  batch.put(VECTOR, rows.at(-1)!);
  await batch.write({ sync: true });
}

async function writeArray(at: number): Promise<void> {
  const batch = [];
  for (let i = at; i < at + group; i++) {
    rows.forEach((value, r) => batch.push({ type: 'put' as const, key: keyOf(r, i), value }));
  }
  batch.push({ type: 'put' as const, key: VECTOR, value: rows.at(-1)! });
  await db.batch(batch, { sync: true });
}

function keyOf(row: number, i: number): string {
  return `${'mils'[row]}7\u00012/channel-${i % 100}\u0001${i.toString(16).padStart(13, '0')}`;
}
