import type { ActorId, ChannelKey } from '../../core/ids.ts';
import { decodeMessage, type Message } from '../../core/kinds/message.ts';
import { RECALL } from '../../core/row.ts';
import { channelPrefix, formatSeq, rangeEnd, type RowKey } from '../../core/row-key.ts';
import type { Clock } from '../../runtime/port.ts';
import type { Store } from '../../storage/port.ts';
import type { Replica } from '../../storage/replica-port.ts';
import { copiesOf } from '../history/copies.ts';

export interface MessageRow {
  readonly message: Message;
  readonly recalled: boolean;
  /** When it was written, as a hybrid clock. */
  readonly hlc: number;
}

export interface MessageRowsOptions {
  readonly store: Pick<Store, 'scan'>;
  readonly replica: Pick<Replica, 'read' | 'decode' | 'mayHaveCopies'>;
  readonly clock: Clock;
}

const SEQ_DIGITS = 13;

/** The messages of a channel that make conversations: no copies of a retry, no commands, none expired. */
export class MessageRows {
  readonly #options: MessageRowsOptions;

  constructor(options: MessageRowsOptions) {
    this.#options = options;
  }

  /** Newest first, above `after`; looks at no more than `rowsMax` rows. */
  async *newest(channel: ChannelKey, after: number, rowsMax: number): AsyncGenerator<MessageRow> {
    const prefix = channelPrefix('m', channel);
    const range = { gte: prefix + formatSeq(after + 1), lt: rangeEnd(prefix) };
    let [lt, limit, rows] = [range.lt, 1, 0];
    // Most ask for one or a few: blocks grow, so that a short answer reads little.
    while (rows < rowsMax) {
      let found = 0;
      const block = { gte: range.gte, lt, reverse: true, limit: Math.min(limit, rowsMax - rows) };
      for await (const chunk of this.#options.store.scan(block)) {
        for (const [key, value] of chunk) {
          found += 1;
          lt = key;
          const row = this.#rowOf(channel, key as RowKey, value);
          if (row) yield row;
        }
      }
      rows += found;
      if (found < block.limit) return;
      limit = Math.min(1_000, limit * 4);
    }
  }

  #rowOf(channel: ChannelKey, key: RowKey, value: Uint8Array): MessageRow | undefined {
    const { replica, clock } = this.#options;
    const decoded = replica.decode(key, value);
    // Read again, so that the damage is told to who repairs it.
    const [entry] = decoded.ok ? decoded.row : replica.read(key);
    const message = entry && decodeMessage(entry.value);
    if (!message || message.syncOnce) return undefined;
    const { expire, timestamp, messageSeq } = message;
    if (expire > 0 && (timestamp + expire) * 1000 <= clock.wallMs()) return undefined;
    if (replica.mayHaveCopies(channel)) {
      const actor = key.slice(channelPrefix('m', channel).length + SEQ_DIGITS + 1) as ActorId;
      const [first] = copiesOf((other) => replica.read(other), { channel, message, actor });
      if (first && (first.actor !== actor || first.messageSeq !== messageSeq)) return undefined;
    }
    return { message, recalled: entry.tag === RECALL, hlc: entry.hlc };
  }
}
