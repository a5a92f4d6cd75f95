// oxlint-disable no-underscore-dangle -- the names are those of abstract-level for its implementations
import { Level } from 'level';

export type LevelDatabase = Level<string, Uint8Array>;

/** What classic-level 3 implements for abstract-level; the store's contract tests run on it. */
interface NativeBatch {
  _put(key: string, value: Uint8Array): void;
  _del(key: string): void;
  _clear(): void;
  _write(options: { readonly sync: boolean }): Promise<void>;
}

/**
 * A LevelDB whose `batch()` is one native batch used again and again. Each one that is made holds what was
 * written until the garbage of JavaScript is collected (classic-level 3.0 leaves the native batch open),
 * and a heap of tens of megabytes in pieces is never given back. While it is in use others are made.
 */
export function makeLevelDatabase(folder: string): LevelDatabase {
  const database = new Level<string, Uint8Array>(folder, { valueEncoding: 'view' });
  const makeBatch = database.batch.bind(database) as () => unknown;
  let spare: NativeBatch | undefined;
  const batch = (): unknown => {
    // Not open: the usual error.
    if (database.status !== 'open') return makeBatch();
    const native = spare ?? (makeBatch() as NativeBatch);
    spare = undefined;
    return {
      put: (key: string, value: Uint8Array) => native._put(key, value),
      del: (key: string) => native._del(key),
      async write(options: { readonly sync: boolean }): Promise<void> {
        // Closed since: the native database takes nothing then and would not say so.
        if (database.status !== 'open') throw new Error(`the database is ${database.status}`);
        await native._write(options);
        native._clear();
        spare = native;
      },
    };
  };
  return Object.assign(database, { batch }) as LevelDatabase;
}
