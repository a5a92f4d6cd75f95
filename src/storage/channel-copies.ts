import type { ChannelKey } from '../core/ids.ts';
import { channelOf, rangeEnd } from '../core/row-key.ts';
import { ChannelBits } from './channel-bits.ts';
import { factKey } from './layout.ts';
import type { Mutation, Store } from './port.ts';
import type { Change } from './replica-port.ts';

const MARK = factKey('copies\u0001');
const PRESENT = new Uint8Array([1]);

/**
 * Which channels may have a message that was stored twice: a retry met a node that did not know the first
 * yet, and then the row of the send has more than one entry. Hardly any channel has; to know that spares
 * each message that is read a look at the row of its send, which costs more than all the rest. The mark of
 * a channel is on disk with the row that makes it true.
 */
export class ChannelCopies {
  readonly #bits = new ChannelBits();

  /** False where every message under the channel is the only one of its send. */
  mayHold(channel: ChannelKey): boolean {
    return this.#bits.mayHold(channel);
  }

  /** The marks that belong into the batch of these changes; nearly always none. */
  note(changes: readonly Change[]): readonly Mutation[] {
    let marks: Mutation[] | undefined;
    for (const { key, after } of changes) {
      if (key[0] !== 'i' || after.length < 2) continue;
      const channel = channelOf(key);
      // Every time: a bit may be another channel's, and the batch that had the mark may have failed.
      (marks ??= []).push({ key: MARK + channel, value: PRESENT });
      this.#bits.set(channel);
    }
    return marks ?? NONE;
  }

  /** Reads the marks that are stored already. Rejects with the store's error. */
  async fill(store: Pick<Store, 'scan'>): Promise<void> {
    for await (const rows of store.scan({ gte: MARK, lt: rangeEnd(MARK) })) {
      for (const [key] of rows) this.#bits.set(key.slice(MARK.length) as ChannelKey);
    }
    this.#bits.isFilled = true;
  }
}

const NONE: readonly Mutation[] = [];
