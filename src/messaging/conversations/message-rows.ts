import type { ActorId, ChannelKey } from '../../core/ids.ts';
import { decodeMessage, isExpired, type Message } from '../../core/kinds/message.ts';
import { RECALL } from '../../core/row.ts';
import { channelPrefix, formatSeq, rangeEnd, type RowKey } from '../../core/row-key.ts';
import type { Clock } from '../../runtime/port.ts';
import type { Store } from '../../storage/port.ts';
import type { Replica } from '../../storage/replica-port.ts';
import type { ChannelTails, TailRow } from '../channel-tails.ts';
import { copiesOf } from '../history/copies.ts';
import { mentionIn, type Mention } from './mentions.ts';

export interface MessageRow {
  readonly message: Message;
  readonly recalled: boolean;
  readonly mention: Mention | undefined;
  /** When it was written, as a hybrid clock. */
  readonly hlc: number;
}

export interface MessageRowsOptions {
  readonly store: Pick<Store, 'scan'>;
  readonly replica: Pick<Replica, 'read' | 'decode' | 'mayHaveCopies'>;
  readonly clock: Clock;
  readonly tails?: Pick<ChannelTails, 'load'> | undefined;
}

const SEQ_DIGITS = 13;

/** The messages of a channel that make conversations: no copies of a retry, no commands, none expired. */
export class MessageRows {
  readonly #options: MessageRowsOptions;

  constructor(options: MessageRowsOptions) {
    this.#options = options;
  }

  /**
   * Newest first, above `after`, in blocks that are to be read in the tick in which they come; looks at
   * no more than `rowsMax` rows of the disk, beside those in memory.
   */
  async *newest(
    channel: ChannelKey,
    after: number,
    rowsMax: number,
  ): AsyncGenerator<Iterable<MessageRow>> {
    const prefix = channelPrefix('m', channel);
    const gte = prefix + formatSeq(after + 1);
    const tail = await this.#options.tails?.load(channel, 1);
    // What it is now: the next block may come when it has changed.
    const lowest = tail?.rows[0]?.key;
    const complete = tail?.complete;
    if (tail) yield this.#ofTail(tail.rows, gte);
    if (complete || (lowest !== undefined && lowest < gte)) return;
    let [lt, limit, rows]: [string, number, number] = [
      lowest ?? rangeEnd(prefix),
      tail ? 64 : 1,
      0,
    ];
    // Most ask for one or a few: blocks grow, so that a short answer reads little.
    while (rows < rowsMax) {
      let found = 0;
      const block = { gte, lt, reverse: true, limit: Math.min(limit, rowsMax - rows) };
      for await (const chunk of this.#options.store.scan(block)) {
        found += chunk.length;
        lt = chunk.at(-1)?.[0] ?? lt;
        yield this.#ofDisk(channel, chunk);
      }
      rows += found;
      if (found < block.limit) return;
      limit = Math.min(1_000, limit * 4);
    }
  }

  /** The newest one; undefined where none of `rowsMax` rows is one. */
  async first(channel: ChannelKey, rowsMax: number): Promise<MessageRow | undefined> {
    for await (const block of this.newest(channel, 0, rowsMax)) {
      for (const row of block) return row;
    }
    return undefined;
  }

  *#ofTail(rows: readonly TailRow[], gte: string): Generator<MessageRow> {
    for (let i = rows.length - 1; i >= 0; i--) {
      const row = rows[i]!;
      if (row.key < gte) return;
      if (this.#counts(row.message)) yield row;
    }
  }

  *#ofDisk(
    channel: ChannelKey,
    chunk: readonly (readonly [string, Uint8Array])[],
  ): Generator<MessageRow> {
    for (const [key, value] of chunk) {
      const row = this.#rowOf(channel, key as RowKey, value);
      if (row) yield row;
    }
  }

  #counts(message: Message): boolean {
    return !message.syncOnce && !isExpired(message, this.#options.clock.wallMs());
  }

  #rowOf(channel: ChannelKey, key: RowKey, value: Uint8Array): MessageRow | undefined {
    const { replica } = this.#options;
    const decoded = replica.decode(key, value);
    // Read again, so that the damage is told to who repairs it.
    const [entry] = decoded.ok ? decoded.row : replica.read(key);
    const message = entry && decodeMessage(entry.value);
    if (!message || !this.#counts(message)) return undefined;
    if (replica.mayHaveCopies(channel)) {
      const actor = key.slice(channelPrefix('m', channel).length + SEQ_DIGITS + 1) as ActorId;
      const [first] = copiesOf((other) => replica.read(other), { channel, message, actor });
      if (first && (first.actor !== actor || first.messageSeq !== message.messageSeq)) {
        return undefined;
      }
    }
    const { tag, hlc } = entry;
    return { message, recalled: tag === RECALL, mention: mentionIn(message.payload), hlc };
  }
}
