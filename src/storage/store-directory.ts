import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { StoreError } from './errors.ts';

/** Of keys, rows and files together. A newer one is refused; an older one would be migrated here. */
export const STORE_FORMAT = 1;

const FORMAT_FILE = 'FORMAT';
const ASIDE_FILE = 'ASIDE';
const PROBE_FILE = 'PROBE';
const PROBE_STEP_BYTES = 1024 * 1024;

/** The LevelDB inside a store's folder: beside it there is room for what LevelDB must not meet. */
export function levelFolder(path: string): string {
  return join(path, 'rows');
}

/**
 * Makes the folder where it is absent and verifies its format before LevelDB touches it. Throws a
 * StoreError: STORE_FORMAT_NEWER, STORE_DAMAGED, STORE_OPEN_FAILED.
 */
export async function prepareFolder(path: string): Promise<void> {
  try {
    await mkdir(levelFolder(path), { recursive: true });
    const format = await readFormat(path);
    if (format === undefined) {
      if (await holdsRows(path)) throw damaged(path, `it has rows but no file ${FORMAT_FILE}`);
      await writeFormat(path);
    } else if (format > STORE_FORMAT) {
      const message =
        `the store in ${path} has format ${format}, this version knows up to ${STORE_FORMAT}: ` +
        'start the version that wrote it, or a later one';
      throw new StoreError('STORE_FORMAT_NEWER', message);
    } else if (!(await exists(join(levelFolder(path), 'CURRENT'))) && (await holdsRows(path))) {
      // LevelDB would take this for a new store and delete what is there.
      throw damaged(path, 'it has rows but LevelDB’s file CURRENT is absent');
    }
  } catch (cause) {
    if (cause instanceof StoreError) throw cause;
    const message = `the store's folder ${path} cannot be used: ${String(cause)}`;
    throw new StoreError('STORE_OPEN_FAILED', message, { cause });
  }
}

export function damaged(path: string, what: string, cause?: unknown): StoreError {
  const message =
    `the store in ${path} is damaged (${what}): it has to be set aside and rebuilt from the other ` +
    'members, or repaired';
  return new StoreError('STORE_DAMAGED', message, { cause });
}

/** Throws where the disk has no room for `bytes` more, or cannot be written at all. */
export async function probeSpace(path: string, bytes: number): Promise<void> {
  const name = join(path, PROBE_FILE);
  const file = await open(name, 'w');
  try {
    const step = new Uint8Array(Math.min(bytes, PROBE_STEP_BYTES));
    for (let written = 0; written < bytes; written += step.length) await file.write(step);
    await file.sync();
  } finally {
    await file.close();
    await rm(name, { force: true });
  }
}

/** Writes the mark that a store's folder keeps from the decision to set it aside until it was read. */
export async function writeMark(path: string, reason: string): Promise<void> {
  const file = await open(join(path, ASIDE_FILE), 'w');
  try {
    await file.write(reason);
    await file.sync();
  } finally {
    await file.close();
  }
  await syncFolder(path);
}

export async function readMark(path: string): Promise<string | undefined> {
  try {
    return await readFile(join(path, ASIDE_FILE), 'utf8');
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

export async function removeMark(path: string): Promise<void> {
  await rm(join(path, ASIDE_FILE), { force: true });
  await syncFolder(path);
}

/** Names of the stores beside `path` that were set aside and still have their mark, oldest first. */
export async function markedAsides(path: string): Promise<readonly string[]> {
  const parent = dirname(path);
  const marked: string[] = [];
  for (const name of (await readdir(parent).catch((): string[] => [])).toSorted((a, b) =>
    a < b ? -1 : 1,
  )) {
    if (!name.startsWith(`${basename(path)}.aside-`)) continue;
    if ((await readMark(join(parent, name))) !== undefined) marked.push(name);
  }
  return marked;
}

/** Renames the folder to `<path>.aside-<time>-<reason>`; returns the new name, without its parent. */
export async function moveAside(
  path: string,
  { reason, wallMs }: { readonly reason: string; readonly wallMs: number },
): Promise<string> {
  const time = new Date(wallMs).toISOString().replaceAll(/[-:]/g, '').replace('.', '');
  const words = reason.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
  const first = `${basename(path)}.aside-${time}-${words.slice(0, 40)}`;
  let name = first;
  for (let n = 2; await exists(join(dirname(path), name)); n++) name = `${first}-${n}`;
  await rename(path, join(dirname(path), name));
  await syncFolder(dirname(path));
  return name;
}

/** The path of a store that `moveAside` named. Throws STORE_OPEN_FAILED where there is none. */
export async function asidePath(path: string, name: string): Promise<string> {
  const aside = join(dirname(path), name);
  const isOurs = name === basename(name) && name.startsWith(`${basename(path)}.aside-`);
  if (isOurs && (await exists(aside))) return aside;
  const message = `no store beside ${path} was set aside as ${JSON.stringify(name)}`;
  throw new StoreError('STORE_OPEN_FAILED', message);
}

async function readFormat(path: string): Promise<number | undefined> {
  let text: string;
  try {
    text = await readFile(join(path, FORMAT_FILE), 'utf8');
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
  const match = /^holdfast store (\d{1,6})\n$/.exec(text);
  if (!match) throw damaged(path, `its file ${FORMAT_FILE} is unreadable`);
  return Number(match[1]);
}

async function writeFormat(path: string): Promise<void> {
  const name = join(path, FORMAT_FILE);
  const file = await open(`${name}.new`, 'w');
  try {
    await file.write(`holdfast store ${STORE_FORMAT}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${name}.new`, name);
  await syncFolder(path);
}

/** A new LevelDB whose making was cut short has no table and an empty log. */
async function holdsRows(path: string): Promise<boolean> {
  for (const name of await readdir(levelFolder(path))) {
    if (/\.(ldb|sst)$/.test(name)) return true;
    if (/^\d+\.log$/.test(name) && (await stat(join(levelFolder(path), name))).size > 0)
      return true;
  }
  return false;
}

function isAbsent(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** A rename is on disk only once its folder is. Windows cannot open folders, and needs not. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
