import { nameOf } from './channel-list.ts';
import { ClientError, type Outgoing, type Sent } from './options.ts';

export interface SendQueueOptions {
  readonly lengthMax: number;
  /** Rejects with a `ClientError`. */
  readonly send: (message: Required<Outgoing>) => Promise<Sent>;
  readonly isOnline: () => boolean;
}

interface Waiting {
  readonly message: Required<Outgoing>;
  readonly resolve: (sent: Sent) => void;
  readonly reject: (error: Error) => void;
  attempts: number;
}

/** The server cannot now, or not so fast. */
const PASSING = new Set<ClientError['code']>([15, 22, 'timeout', 'busy']);
const RETRY_MS = 500;
const ATTEMPTS_MAX = 20;

/**
 * What is to be sent, also while there is no connection: one message of a channel after the other, again
 * with the same number until it is stored or refused. The server stores each number once.
 */
export class SendQueue {
  readonly #options: SendQueueOptions;
  readonly #lanes = new Map<string, Waiting[]>();
  readonly #working = new Set<string>();
  readonly #numbers = new Set<string>();

  constructor(options: SendQueueOptions) {
    this.#options = options;
  }

  get length(): number {
    return this.#numbers.size;
  }

  /** True of a number that waits for its answer. */
  has(clientMsgNo: string): boolean {
    return this.#numbers.has(clientMsgNo);
  }

  push(message: Required<Outgoing>): Promise<Sent> {
    const { clientMsgNo, channelId, channelType } = message;
    if (this.#numbers.size >= this.#options.lengthMax) {
      return Promise.reject(new ClientError('busy', 'too many messages wait to be sent'));
    }
    if (this.#numbers.has(clientMsgNo)) {
      return Promise.reject(new ClientError('busy', `${clientMsgNo} waits to be sent already`));
    }
    const name = nameOf(channelId, channelType);
    this.#numbers.add(clientMsgNo);
    return new Promise((resolve, reject) => {
      const waiting = { message, resolve, reject, attempts: 0 };
      const lane = this.#lanes.get(name);
      if (lane) lane.push(waiting);
      else this.#lanes.set(name, [waiting]);
      void this.#work(name);
    });
  }

  /** There is a connection. */
  flush(): void {
    for (const name of this.#lanes.keys()) void this.#work(name);
  }

  /** Nothing is sent any more. */
  clear(reason: string): void {
    for (const lane of this.#lanes.values()) {
      for (const { reject } of lane.splice(0)) reject(new ClientError('closed', reason));
    }
    this.#lanes.clear();
    this.#numbers.clear();
  }

  async #work(name: string): Promise<void> {
    if (this.#working.has(name)) return;
    this.#working.add(name);
    try {
      let lane = this.#lanes.get(name);
      while (lane?.[0] && this.#options.isOnline()) {
        await this.#sendFirst(lane, lane[0]);
        lane = this.#lanes.get(name);
      }
      if (lane?.length === 0) this.#lanes.delete(name);
    } finally {
      this.#working.delete(name);
    }
  }

  async #sendFirst(lane: Waiting[], first: Waiting): Promise<void> {
    const settle = (how: () => void): void => {
      if (lane[0] !== first) return;
      lane.shift();
      this.#numbers.delete(first.message.clientMsgNo);
      how();
    };
    try {
      const sent = await this.#options.send(first.message);
      settle(() => first.resolve(sent));
    } catch (error) {
      const code = error instanceof ClientError ? error.code : 0;
      // The next connection flushes.
      if (code === 'closed') return;
      first.attempts += 1;
      if (PASSING.has(code) && first.attempts < ATTEMPTS_MAX) {
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      } else settle(() => first.reject(error as Error));
    }
  }
}
