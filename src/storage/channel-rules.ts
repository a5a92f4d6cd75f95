import type { ChannelKey } from '../core/ids.ts';
import { SHARDS } from '../core/placement.ts';
import { channelOf, rangeEnd, shardPrefix } from '../core/row-key.ts';
import { ChannelBits } from './channel-bits.ts';
import type { Store } from './port.ts';
import type { Change } from './replica-port.ts';

const RULE_KINDS = ['c', 'd'] as const;

/**
 * Which channels may have a row of their own or a denial. Nearly all have neither, and to know that
 * without a look at the disk is a fifth of what a subscribe costs.
 */
export class ChannelRules {
  readonly #bits = new ChannelBits();

  /** False where no row of the kinds channel and deny is stored under the channel. */
  mayHold(channel: ChannelKey): boolean {
    return this.#bits.mayHold(channel);
  }

  /** What is staged from now on. */
  note(changes: readonly Change[]): void {
    for (const { key } of changes) {
      if (key[0] === 'c' || key[0] === 'd') this.#bits.set(channelOf(key));
    }
  }

  /** Reads what is stored already. Rejects with the store's error. */
  async fill(store: Pick<Store, 'scan'>): Promise<void> {
    for (const kind of RULE_KINDS) {
      for (let shard = 0; shard < SHARDS; shard++) {
        const prefix = shardPrefix(kind, shard);
        for await (const rows of store.scan({ gte: prefix, lt: rangeEnd(prefix) })) {
          for (const [key] of rows) this.#bits.set(channelOf(key));
        }
      }
    }
    this.#bits.isFilled = true;
  }
}
