import type { ChannelKey } from '../../../core/ids.ts';
import type { Clock } from '../../../runtime/port.ts';

/**
 * Channels with a subscription that changed a moment ago: what a peer announced of its interest may be
 * older than the subscription that it acknowledged, so such a channel is sent to everybody. Two
 * generations; a generation with too many channels stands for all of them.
 */
export class RecentChannels {
  readonly #clock: Clock;
  readonly #spanMs: number;
  readonly #channelsMax: number;
  #young = new Set<ChannelKey>();
  #old = new Set<ChannelKey>();
  #turnedMs: number;

  /** A channel counts as recent for one to two times `spanMs`. */
  constructor(clock: Clock, { spanMs, channelsMax }: { spanMs: number; channelsMax: number }) {
    this.#clock = clock;
    this.#spanMs = spanMs;
    this.#channelsMax = channelsMax;
    this.#turnedMs = clock.monotonicMs();
  }

  add(channel: ChannelKey): void {
    this.#turn();
    if (this.#young.size < this.#channelsMax) this.#young.add(channel);
  }

  has(channel: ChannelKey): boolean {
    this.#turn();
    return [this.#young, this.#old].some(
      (channels) => channels.size >= this.#channelsMax || channels.has(channel),
    );
  }

  #turn(): void {
    const now = this.#clock.monotonicMs();
    const spans = Math.floor((now - this.#turnedMs) / this.#spanMs);
    if (spans === 0) return;
    this.#turnedMs += spans * this.#spanMs;
    this.#old = spans === 1 ? this.#young : new Set();
    this.#young = new Set();
  }
}
