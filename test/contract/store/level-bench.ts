import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LevelStoreLocation, type LevelStoreOptions } from '../../../src/storage/level-store.ts';
import { makeLevelDatabase, type LevelDatabase } from '../../../src/storage/level-database.ts';
import { testRuntime } from '../../support/runtime.ts';
import type { Bench } from './contract.ts';

export interface LevelBench extends Bench {
  readonly path: string;
  readonly location: LevelStoreLocation;
  /** Whether each batch so far was flushed to the device. */
  readonly synced: boolean[];
}

/** LevelDB as it is on a full disk: the batch fails, and every later one until it is opened again. */
export async function makeLevelBench(
  options: Partial<LevelStoreOptions> = {},
): Promise<LevelBench> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-store-'));
  const path = join(folder, 'store');
  const synced: boolean[] = [];
  let failing = false;
  const makeDatabase = (name: string): LevelDatabase => {
    const database = makeLevelDatabase(name);
    const batch = database.batch.bind(database) as () => ReturnType<LevelDatabase['batch']>;
    const open = database.open.bind(database);
    let background: Error | undefined;
    const fake = {
      batch(): unknown {
        const made = batch();
        const write = made.write.bind(made);
        return Object.assign(made, {
          write(how: { sync: boolean }): Promise<void> {
            if (failing) background = new Error('IO error: no space left on device');
            if (background) return Promise.reject(background);
            synced.push(how.sync);
            return write(how);
          },
        });
      },
      open(how: Parameters<typeof open>[0]): Promise<void> {
        background = undefined;
        return open(how);
      },
    };
    return Object.assign(database, fake);
  };
  const location = new LevelStoreLocation({
    path,
    runtime: testRuntime,
    retryMinMs: 5,
    writeBufferBytes: 256 * 1024,
    makeDatabase,
    ...options,
  });
  return {
    path,
    location,
    synced,
    failDisk: () => void (failing = true),
    healDisk: () => void (failing = false),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
