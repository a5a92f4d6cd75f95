import type { ChannelKey } from '../core/ids.ts';
import { hash32, SHARDS } from '../core/placement.ts';
import { rangeEnd, SEPARATOR, shardPrefix } from '../core/row-key.ts';
import type { Store } from './port.ts';
import type { Change } from './replica-port.ts';

const BITS = 2 ** 19;
/** The lowest bits say the shard already. */
const SHARD_BITS = 4;
const RULE_KINDS = ['c', 'd'] as const;

/**
 * Which channels may have a row of their own or a denial. Nearly all have neither, and to know that
 * without a look at the disk is a fifth of what a subscribe costs. 64 KB; a bit once set stays set, so a
 * channel without rules may be said to have some, never the other way round.
 */
export class ChannelRules {
  readonly #bits = new Uint8Array(BITS / 8);
  #filled = false;

  /** False where no row of the kinds channel and deny is stored under the channel. */
  mayHold(channel: ChannelKey): boolean {
    if (!this.#filled) return true;
    const bit = bitOf(channel);
    return (this.#bits[bit >>> 3]! & (1 << (bit & 7))) !== 0;
  }

  /** What is staged from now on. */
  note(changes: readonly Change[]): void {
    for (const { key } of changes) if (key[0] === 'c' || key[0] === 'd') this.#set(key);
  }

  /** Reads what is stored already; everybody is told to look until then. Rejects with the store's error. */
  async fill(store: Pick<Store, 'scan'>): Promise<void> {
    for (const kind of RULE_KINDS) {
      for (let shard = 0; shard < SHARDS; shard++) {
        const prefix = shardPrefix(kind, shard);
        for await (const rows of store.scan({ gte: prefix, lt: rangeEnd(prefix) })) {
          for (const [key] of rows) this.#set(key);
        }
      }
    }
    this.#filled = true;
  }

  #set(key: string): void {
    const end = key.indexOf(SEPARATOR, 3);
    const bit = bitOf((end < 0 ? key.slice(3) : key.slice(3, end)) as ChannelKey);
    this.#bits[bit >>> 3]! |= 1 << (bit & 7);
  }
}

function bitOf(channel: ChannelKey): number {
  return (hash32(channel) >>> SHARD_BITS) & (BITS - 1);
}
