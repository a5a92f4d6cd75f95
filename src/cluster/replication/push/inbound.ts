import type { Operations } from '../../link/message.ts';
import type { Replica } from '../../../storage/replica-port.ts';
import type { ReplicationCounters, ReplicationLimits } from '../options.ts';

export interface InboundOptions {
  readonly replica: Replica;
  readonly limits: ReplicationLimits;
  readonly counters: ReplicationCounters;
  /** The mark moved. */
  readonly onMark: () => void;
}

/**
 * The peer's own operations as they come in on one link, and how far they are on disk and routed.
 * Invariant: every operation of frames 1 to `mark` is on this disk and in this index. A frame that was
 * lost, or that the store could not take, stops the mark until the peer says that it is settled.
 */
export class Inbound {
  readonly #options: InboundOptions;
  readonly #done = new Set<number>();
  #mark = 0;

  constructor(options: InboundOptions) {
    this.#options = options;
  }

  /** The replica runs `onDurable` after its listeners, so on disk and routed come together. */
  get mark(): number {
    return this.#mark;
  }

  receive({ frame, operations }: Operations): void {
    const { replica, counters } = this.#options;
    if (operations.length === 0) return this.#settled(frame);
    let pending = operations.length;
    const landed = (): void => {
      if (--pending === 0) this.#landed(frame);
    };
    for (const operation of operations) {
      const received = replica.receive(operation, landed);
      if (received === 'staged') counters.operationsReceived += 1;
      else if (received === 'invalid') counters.operationsInvalid += 1;
    }
  }

  #landed(frame: number): void {
    if (frame <= this.#mark) return;
    if (this.#done.size < this.#options.limits.framesAheadMax) this.#done.add(frame);
    this.#advance();
  }

  #settled(frame: number): void {
    if (frame <= this.#mark) return;
    this.#mark = frame;
    for (const done of this.#done) if (done <= frame) this.#done.delete(done);
    this.#advance();
    this.#options.onMark();
  }

  #advance(): void {
    const before = this.#mark;
    while (this.#done.delete(this.#mark + 1)) this.#mark += 1;
    if (this.#mark > before) this.#options.onMark();
  }
}
