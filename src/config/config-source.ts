import { loadConfig, type LoadedConfig, type LoadOptions } from './load.ts';

/**
 * Where a node's configuration comes from, read at the start and at each reload. What a file said once is
 * not taken back by its absence: without it the defaults would hold, which ask nobody for a token.
 */
export class ConfigSource {
  readonly #options: () => LoadOptions;
  #path: string | undefined;
  #hadContent = false;

  /** `options` says which file there is now, if any. */
  constructor(options: () => LoadOptions) {
    this.#options = options;
    this.#path = options().path;
  }

  /** The file that was read first; undefined where there is none. */
  get path(): string | undefined {
    return this.#path;
  }

  /** A file that was there and is gone is an error then, as is one that had content and has none. */
  readonly read = (): LoadedConfig => {
    const now = this.#options();
    const path = this.#path ?? now.path;
    const loaded = loadConfig({ ...now, path, emptyFile: this.#hadContent ? 'wrong' : 'defaults' });
    if (loaded.ok) {
      this.#path = path;
      this.#hadContent = loaded.hasContent;
    }
    return loaded;
  };
}
