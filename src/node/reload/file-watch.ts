import { stat } from 'node:fs/promises';
import type { Timer, Timers } from '../../runtime/port.ts';

export interface FileWatchOptions {
  readonly path: string;
  readonly everyMs: number;
  readonly timers: Timers;
  /** Resolves with false where it is to be tried again at the next look. */
  readonly onChange: () => Promise<boolean>;
}

/**
 * Tells when a file is another one, however it was replaced: written in place, by a rename, or by a link
 * somewhere on its path that points elsewhere (as Kubernetes does). It looks and is not told, because
 * what systems tell differs, and is lost on some file systems. A file that is still being written is let
 * come to rest: it is told of when two looks saw the same.
 */
export class FileWatch {
  readonly #options: FileWatchOptions;
  #timer: Timer | undefined;
  #taken: string | undefined;
  #seen: string | undefined;
  #stopped = false;

  constructor(options: FileWatchOptions) {
    this.#options = options;
    // At once: what changes from now on is another one than the start has read.
    void this.#look().finally(() => this.#later());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #later(): void {
    if (this.#stopped) return;
    this.#timer = this.#options.timers.after(this.#options.everyMs, () => {
      void this.#look().finally(() => this.#later());
    });
  }

  async #look(): Promise<void> {
    const now = await markOf(this.#options.path);
    this.#taken ??= now;
    const cameToRest = now === this.#seen;
    this.#seen = now;
    if (!cameToRest || now === this.#taken) return;
    if (await this.#options.onChange()) this.#taken = now;
  }
}

/** Another one for another file, content or time; of the target where the path leads over links. */
async function markOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
  } catch (error) {
    return (error as { code?: string }).code ?? 'unreadable';
  }
}
