import type { ChannelKey } from '../core/ids.ts';
import { decodeMessage, isExpired, type Message } from '../core/kinds/message.ts';
import { RECALL, type Entry } from '../core/row.ts';
import { channelPrefix, formatSeq, rangeEnd, type RowKey } from '../core/row-key.ts';
import type { Clock } from '../runtime/port.ts';
import type { Store } from '../storage/port.ts';
import type { Replica } from '../storage/replica-port.ts';

export interface StoredMessage {
  readonly message: Message;
  /** When its write was made. */
  readonly hlc: number;
  readonly written: Pick<Entry, 'actor' | 'counter'>;
}

/** Messages of one channel as the store has them; a recalled, expired or damaged one is left out. */
export class StoredMessages {
  readonly #store: Pick<Store, 'scan'>;
  readonly #replica: Pick<Replica, 'read'>;
  readonly #clock: Pick<Clock, 'wallMs'>;

  constructor(
    store: Pick<Store, 'scan'>,
    replica: Pick<Replica, 'read'>,
    clock: Pick<Clock, 'wallMs'>,
  ) {
    this.#store = store;
    this.#replica = replica;
    this.#clock = clock;
  }

  /** Those of `seqs`, in the order of their keys. Reads the keys between the lowest and the highest. */
  async read(channel: ChannelKey, seqs: ReadonlySet<number>): Promise<readonly StoredMessage[]> {
    const prefix = channelPrefix('m', channel);
    let [low, high] = [Number.POSITIVE_INFINITY, 0];
    for (const seq of seqs) {
      low = Math.min(low, seq);
      high = Math.max(high, seq);
    }
    const found: StoredMessage[] = [];
    if (seqs.size === 0) return found;
    const range = { gte: prefix + formatSeq(low), lt: prefix + formatSeq(high + 1) };
    for await (const chunk of this.#store.scan(range)) {
      for (const [key] of chunk) {
        const seq = Number.parseInt(key.slice(prefix.length, prefix.length + 13), 16);
        const stored = seqs.has(seq) ? this.#messageOf(key as RowKey) : undefined;
        if (stored) found.push(stored);
      }
    }
    return found;
  }

  /** The newest first, down to `hlcFrom`, at most `limit`. */
  async newest(
    channel: ChannelKey,
    hlcFrom: number,
    limit: number,
  ): Promise<readonly StoredMessage[]> {
    const prefix = channelPrefix('m', channel);
    const found: StoredMessage[] = [];
    const range = { gte: prefix, lt: rangeEnd(prefix), reverse: true, limit };
    for await (const chunk of this.#store.scan(range)) {
      for (const [key] of chunk) {
        const stored = this.#messageOf(key as RowKey);
        if (stored && stored.hlc >= hlcFrom) found.push(stored);
      }
    }
    return found;
  }

  #messageOf(key: RowKey): StoredMessage | undefined {
    const [entry] = this.#replica.read(key);
    if (!entry || entry.tag === RECALL) return undefined;
    const message = decodeMessage(entry.value);
    if (!message || isExpired(message, this.#clock.wallMs())) return undefined;
    return { message, hlc: entry.hlc, written: entry };
  }
}
