import type { Log } from '../../observability/log.ts';
import type { Runtime, Timer } from '../../runtime/port.ts';
import type { ConnectionTell } from '../port.ts';

export interface AccountNoteOptions {
  /** What the connection is while all is well. */
  readonly what: string;
  readonly tell: ConnectionTell;
  readonly runtime: Pick<Runtime, 'clock' | 'timers'>;
  readonly log: Log;
}

/** Shorter than this nobody is told of: a client comes back by itself. */
const OFFLINE_MS = 1_000;

/**
 * Says with an open connection whether its bot is online: the sockets to its framework may stay open while the
 * account behind them is not, and then the bot receives nothing.
 */
export class AccountNotes {
  readonly #options: AccountNoteOptions;
  #offline: Timer | undefined;
  #isTold = false;
  #isOver = false;

  constructor(options: AccountNoteOptions) {
    this.#options = options;
  }

  onState(state: 'connected' | 'waiting' | 'refused', reason: string): void {
    if (state === 'connected') this.#well('is online again');
    else if (state === 'waiting') this.#lost(reason);
  }

  /** Nobody is there that it would be online for. */
  idle(): void {
    this.#well('is with nobody now');
  }

  stop(): void {
    this.#isOver = true;
    this.#offline?.cancel();
  }

  #lost(why: string): void {
    if (this.#isOver || this.#isTold || this.#offline) return;
    const { what, runtime } = this.#options;
    const since = new Date(runtime.clock.wallMs()).toISOString().replace(/\.\d+Z$/, 'Z');
    this.#offline = runtime.timers.after(OFFLINE_MS, () => {
      this.#offline = undefined;
      this.#isTold = true;
      this.#tell(`${what}, but its bot is offline since ${since}: ${why}`);
    });
  }

  #well(how: string): void {
    this.#offline?.cancel();
    this.#offline = undefined;
    if (!this.#isTold || this.#isOver) return;
    this.#isTold = false;
    this.#tell(`${this.#options.what}; its bot ${how}`);
  }

  #tell(reason: string): void {
    const { tell, log } = this.#options;
    tell({ reason }).catch((error: unknown) => {
      log.info('what is to be said of a bot was not taken', { reason, error });
    });
  }
}
