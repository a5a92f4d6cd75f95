import type { ChannelKey, Uid } from '../../../core/ids.ts';
import { Fifo } from '../push/fifo.ts';
import type { LinkEnd } from '../link-end.ts';
import type { ReplicationCounters, ReplicationLimits } from '../options.ts';

interface Waiting {
  readonly channel: ChannelKey;
  readonly sender: Uid;
  readonly value: Uint8Array;
}

/** Messages outside the vectors on their way to one peer; past the limit the newest is dropped. */
export class TransientQueue {
  readonly #limits: ReplicationLimits;
  readonly #counters: ReplicationCounters;
  readonly #waiting = new Fifo<Waiting>();
  #bytes = 0;

  constructor(limits: ReplicationLimits, counters: ReplicationCounters) {
    this.#limits = limits;
    this.#counters = counters;
  }

  push(message: Waiting): void {
    const bytes = bytesOf(message);
    if (this.#bytes + bytes > this.#limits.transientQueueBytesMax) {
      this.#counters.transientsDropped += 1;
      return;
    }
    this.#waiting.push(message);
    this.#bytes += bytes;
  }

  flush(end: LinkEnd): void {
    while (this.#waiting.length > 0 && !end.blocked && !end.closed) {
      const message = this.#waiting.shift()!;
      this.#bytes -= bytesOf(message);
      end.transients += 1;
      this.#counters.transientsSent += 1;
      end.send({ type: 'transient', number: end.transients, ...message });
    }
  }

  clear(): void {
    this.#counters.transientsDropped += this.#waiting.length;
    this.#waiting.clear();
    this.#bytes = 0;
  }
}

function bytesOf({ channel, sender, value }: Waiting): number {
  return 64 + channel.length + sender.length + value.length;
}
