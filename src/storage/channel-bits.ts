import type { ChannelKey } from '../core/ids.ts';
import { hash32 } from '../core/placement.ts';

const BITS = 2 ** 19;
/** The lowest bits say the shard already. */
const SHARD_BITS = 4;

/**
 * Channels that may have something, by hash. 64 KB; a bit once set stays set, so one without may be said
 * to have it, never the other way round. Everybody is told to look until `isFilled`.
 */
export class ChannelBits {
  readonly #bits = new Uint8Array(BITS / 8);
  /** All that is stored was noted. */
  isFilled = false;

  mayHold(channel: ChannelKey): boolean {
    return !this.isFilled || this.has(channel);
  }

  has(channel: ChannelKey): boolean {
    const bit = bitOf(channel);
    return (this.#bits[bit >>> 3]! & (1 << (bit & 7))) !== 0;
  }

  set(channel: ChannelKey): void {
    const bit = bitOf(channel);
    this.#bits[bit >>> 3]! |= 1 << (bit & 7);
  }
}

function bitOf(channel: ChannelKey): number {
  return (hash32(channel) >>> SHARD_BITS) & (BITS - 1);
}
