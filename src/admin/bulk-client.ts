import { systemRuntime } from '../runtime/system.ts';
import type { AdminClient, BulkStream } from './client.ts';
import type { BulkReply, BulkRequest } from './messages.ts';

/** A batch without its number, which `runBulk` gives. */
export type BulkBatch = Partial<Omit<BulkRequest, 'batchId'>> & Pick<BulkRequest, 'uids'>;

export interface BulkRunOptions {
  /** Batches sent and not answered. The node works on 8 of a stream at most. */
  readonly inFlightMax?: number | undefined;
  /** Without any reply for this long, while one is due, the run fails. Milliseconds. */
  readonly replyTimeoutMs?: number | undefined;
  /** In the order of the replies. `batch` is the one that was sent. */
  readonly onReply?: ((reply: BulkReply, batch: BulkBatch) => void) | undefined;
}

export interface BulkTotals {
  readonly batches: number;
  readonly applied: number;
  /** Pairs of batches, or parts of batches, that the node refused; `onReply` has each error. */
  readonly refused: number;
}

const IN_FLIGHT_MAX = 8;
const REPLY_TIMEOUT_MS = 30_000;

/** Sends every batch over one stream, never more than `inFlightMax` unanswered. */
export async function runBulk(
  client: AdminClient,
  batches: Iterable<BulkBatch> | AsyncIterable<BulkBatch>,
  options: BulkRunOptions = {},
): Promise<BulkTotals> {
  const stream = client.openBulk();
  const run = new BulkRun(stream, options);
  try {
    for await (const batch of batches) await run.send(batch);
    return await run.finish();
  } catch (error) {
    throw client.callError(error);
  } finally {
    stream.cancel();
  }
}

class BulkRun {
  readonly #stream: BulkStream;
  readonly #options: BulkRunOptions;
  readonly #waiting = new Map<number, BulkBatch>();
  #next = 1;
  #applied = 0;
  #refused = 0;
  #error: unknown;
  #ended = false;
  #wake = (): void => {};

  constructor(stream: BulkStream, options: BulkRunOptions) {
    this.#stream = stream;
    this.#options = options;
    stream.on('data', (reply: BulkReply) => this.#onReply(reply));
    stream.on('drain', () => this.#wake());
    stream.on('error', (error: Error) => {
      this.#error ??= error;
      this.#wake();
    });
    stream.on('end', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  async send(batch: BulkBatch): Promise<void> {
    const inFlightMax = this.#options.inFlightMax ?? IN_FLIGHT_MAX;
    await this.#until(() => this.#waiting.size < inFlightMax && !this.#stream.writableNeedDrain);
    const batchId = this.#next++;
    this.#waiting.set(batchId, batch);
    this.#stream.write({ ...batch, batchId });
  }

  async finish(): Promise<BulkTotals> {
    this.#stream.end();
    await this.#until(() => this.#waiting.size === 0);
    return { batches: this.#next - 1, applied: this.#applied, refused: this.#refused };
  }

  #onReply(reply: BulkReply): void {
    const batch = this.#waiting.get(reply.batchId);
    if (!batch) return;
    this.#waiting.delete(reply.batchId);
    this.#applied += reply.applied;
    this.#refused += batch.uids.length - reply.applied;
    this.#options.onReply?.(reply, batch);
    this.#wake();
  }

  async #until(condition: () => boolean): Promise<void> {
    const timeoutMs = this.#options.replyTimeoutMs ?? REPLY_TIMEOUT_MS;
    while (!condition()) {
      if (this.#error !== undefined) throw this.#error;
      if (this.#ended) throw new Error('the node ended the stream before it answered every batch');
      await new Promise<void>((resolve) => {
        const timer = systemRuntime.timers.after(timeoutMs, () => {
          this.#error ??= new Error(`no answer to a batch within ${timeoutMs} ms`);
          resolve();
        });
        this.#wake = () => {
          timer.cancel();
          resolve();
        };
      });
    }
    if (this.#error !== undefined) throw this.#error;
  }
}
