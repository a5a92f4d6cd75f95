import { ClientError, type ClientSocket } from './options.ts';

interface Waiting {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: ClientError) => void;
  readonly timer: ReturnType<typeof setTimeout>;
  /** Of its frame. Characters. */
  readonly length: number;
}

/** The close code for a frame that is larger than the server takes, and the code of its request's error. */
const TOO_LARGE = 1009;

export type Result = Readonly<Record<string, unknown>>;

export interface ConnectionHandlers {
  readonly onNotification: (method: string, params: Result) => void;
  /** Once. */
  readonly onClosed: (reason: string) => void;
}

/** One WebSocket: requests with their answers and deadlines, notifications both ways. */
export class Connection {
  readonly #socket: ClientSocket;
  readonly #handlers: ConnectionHandlers;
  readonly #limits: { readonly answerWithinMs: number; readonly pendingMax: number };
  readonly #waiting = new Map<string, Waiting>();
  #number = 0;
  #closed = false;

  constructor(
    socket: ClientSocket,
    limits: { readonly answerWithinMs: number; readonly pendingMax: number },
    handlers: ConnectionHandlers & { readonly onOpen: () => void },
  ) {
    this.#socket = socket;
    this.#limits = limits;
    this.#handlers = handlers;
    socket.addEventListener('open', () => handlers.onOpen());
    socket.addEventListener('message', ({ data }) => this.#received(data));
    socket.addEventListener('close', ({ code, reason }) => {
      this.#ended(`${code} ${reason}`.trim(), code === TOO_LARGE ? this.#largest() : undefined);
    });
    // A close follows, and says more.
    socket.addEventListener('error', () => {});
  }

  /**
   * Rejects with a `ClientError`, never later than the deadline. `onResult` runs before anything that came
   * after the answer is read, which a promise cannot promise.
   */
  request(method: string, params: Result, onResult?: (result: Result) => void): Promise<Result> {
    if (this.#closed) return Promise.reject(new ClientError('closed', 'the connection is closed'));
    if (this.#waiting.size >= this.#limits.pendingMax) {
      return Promise.reject(new ClientError('busy', 'too many requests without an answer'));
    }
    const id = String(++this.#number);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new ClientError('timeout', `${method}: no answer`));
      }, this.#limits.answerWithinMs);
      const answered = (result: Result): void => {
        onResult?.(result);
        resolve(result);
      };
      const frame = JSON.stringify({ jsonrpc: '2.0', method, id, params });
      this.#waiting.set(id, { resolve: answered, reject, timer, length: frame.length });
      this.#socket.send(frame);
    });
  }

  notify(method: string, params: Result): void {
    if (!this.#closed) this.#socket.send(JSON.stringify({ jsonrpc: '2.0', method, params }));
  }

  close(reason: string): void {
    if (this.#closed) return;
    this.#socket.close(1000);
    // The other side may be gone: its close need not come.
    this.#ended(reason);
  }

  #received(data: unknown): void {
    let frame: { id?: string; method?: string; params?: Result; result?: Result; error?: unknown };
    try {
      frame = JSON.parse(String(data)) as typeof frame;
    } catch {
      return;
    }
    if (frame.method !== undefined) {
      this.#handlers.onNotification(frame.method, frame.params ?? {});
      return;
    }
    const waiting = this.#waiting.get(String(frame.id));
    if (!waiting) return;
    this.#waiting.delete(String(frame.id));
    clearTimeout(waiting.timer);
    if (!frame.error) return waiting.resolve(frame.result ?? {});
    const { code = 0, message = 'refused' } = frame.error as { code?: number; message?: string };
    waiting.reject(new ClientError(code, message));
  }

  /** The server does not say which frame it was: again with the next connection it would be the same. */
  #largest(): Waiting | undefined {
    const all = [...this.#waiting.values()];
    return all.sort((a, b) => b.length - a.length)[0];
  }

  #ended(reason: string, atFault?: Waiting): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const waiting of this.#waiting.values()) {
      clearTimeout(waiting.timer);
      const code = waiting === atFault ? TOO_LARGE : 'closed';
      waiting.reject(new ClientError(code, `the connection was closed: ${reason}`));
    }
    this.#waiting.clear();
    this.#handlers.onClosed(reason);
  }
}
