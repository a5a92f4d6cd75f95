import type { Log } from '../observability/log.ts';

/**
 * How far the other side of a bridge has read. A place is kept only when nothing before it was missed; who goes on
 * from an earlier one is not handed the same again.
 */
export class BotPlace {
  readonly #handed: Recent;
  readonly #log: Log;
  #whole = Promise.resolve(true);

  constructor(handed: Recent, log: Log) {
    this.#handed = handed;
    this.#log = log;
  }

  /** `read` says whether the message was read; `onRead` is called when it was. */
  handOn(messageId: string, read: Promise<boolean>, onRead: () => void): void {
    const before = this.#whole;
    const noted = read.then((isRead) => {
      if (!isRead) return false;
      this.#handed.add(messageId);
      onRead();
      return true;
    });
    this.#whole = Promise.all([before, noted]).then(
      (all) => all.every(Boolean),
      (error: unknown) => {
        this.#log.warn('a message for a bot could not be handed on', { messageId, error });
        return false;
      },
    );
  }

  /** Calls back when all that was handed on until now was read, and never when something was missed. */
  whenWhole(keep: () => void): void {
    void this.#whole.then((isWhole) => (isWhole ? keep() : undefined));
  }
}

/** The newest names; the oldest goes where there are too many. */
export class Recent {
  readonly #max: number;
  readonly #names = new Set<string>();

  constructor(max: number) {
    this.#max = max;
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  add(name: string): void {
    this.#names.add(name);
    if (this.#names.size <= this.#max) return;
    for (const oldest of this.#names) {
      this.#names.delete(oldest);
      break;
    }
  }
}
