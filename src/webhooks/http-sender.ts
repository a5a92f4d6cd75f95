import type { Timers } from '../runtime/port.ts';
import type { WebhookRequest, WebhookSender } from './port.ts';

/** Over HTTP(S) with keep-alive. A redirect is an answer as any other, and not followed. */
export class HttpWebhookSender implements WebhookSender {
  readonly #timers: Timers;
  readonly #open = new Set<AbortController>();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  async post({ url, headers, body, timeoutMs }: WebhookRequest): Promise<number> {
    const abort = new AbortController();
    const timer = this.#timers.after(timeoutMs, () =>
      abort.abort(new Error(`no answer within ${timeoutMs} ms`)),
    );
    this.#open.add(abort);
    try {
      const { signal } = abort;
      const response = await fetch(url, {
        ...{ method: 'POST', headers, body, signal, redirect: 'manual' },
      });
      // Nobody reads it; unread it would hold the connection.
      await response.body?.cancel();
      return response.status;
    } catch (error) {
      throw reasonOf(error);
    } finally {
      timer.cancel();
      this.#open.delete(abort);
    }
  }

  close(): void {
    for (const abort of this.#open) abort.abort(new Error('the node stops'));
  }
}

/** fetch says "fetch failed"; what failed is its cause. */
function reasonOf(error: unknown): Error {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof Error) {
    const code = 'code' in cause && typeof cause.code === 'string' ? `${cause.code}: ` : '';
    return new Error(`${code}${cause.message}`, { cause: error });
  }
  return error instanceof Error ? error : new Error(String(error));
}
