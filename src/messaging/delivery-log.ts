import type { ChannelKey } from '../core/ids.ts';
import { hash32 } from '../core/placement.ts';

const CAPACITY_MIN = 1_024;
/** Channels whose head is remembered; the longest known goes first. */
const HEADS_MAX = 65_536;

export interface LoggedDelivery {
  /** 1, 2, 3 … in the order of this node's deliveries. */
  readonly number: number;
  readonly messageSeq: number;
  /** The session that had the acknowledgement only, 0 for none. */
  readonly exceptSession: number;
}

export interface MissedDeliveries {
  readonly deliveries: readonly LoggedDelivery[];
  /** False where older ones than the log holds were asked for. */
  readonly complete: boolean;
}

/**
 * The order in which this node delivered what it has stored, of the last deliveries: what a session that
 * was not joined for a while has missed. A ring of 16 bytes a delivery that grows up to its limit; a note
 * takes under 0.1 µs.
 */
export class DeliveryLog {
  readonly #capacityMax: number;
  #channels = new Int32Array(0);
  #excepts = new Int32Array(0);
  #seqs = new Float64Array(0);
  readonly #heads = new Map<number, number>();
  #count = 0;

  /** `capacityMax`: a power of two. */
  constructor(capacityMax = 32_768) {
    this.#capacityMax = capacityMax;
  }

  /** The number of the latest one. */
  get count(): number {
    return this.#count;
  }

  note(channel: ChannelKey, messageSeq: number, exceptSession = 0): void {
    if (this.#count >= this.#seqs.length && this.#seqs.length < this.#capacityMax) this.#grow();
    const at = this.#count & (this.#seqs.length - 1);
    const hash = hash32(channel);
    this.#raise(hash, messageSeq);
    this.#channels[at] = hash;
    this.#seqs[at] = messageSeq;
    this.#excepts[at] = exceptSession;
    this.#count += 1;
  }

  /** The highest messageSeq delivered in the channel since the start, 0 for none that is remembered. */
  headOf(channel: ChannelKey): number {
    return this.#heads.get(hash32(channel)) ?? 0;
  }

  #raise(hash: number, messageSeq: number): void {
    const head = this.#heads.get(hash);
    if (head !== undefined && head >= messageSeq) return;
    if (head === undefined && this.#heads.size >= HEADS_MAX) {
      this.#heads.delete(this.#heads.keys().next().value!);
    }
    this.#heads.set(hash, messageSeq);
  }

  /** Deliveries of the channel with a number above `after`, in order. About 1 ns an entry looked at. */
  since(channel: ChannelKey, after: number): MissedDeliveries {
    const oldest = Math.max(0, this.#count - this.#seqs.length);
    const deliveries: LoggedDelivery[] = [];
    const hash = hash32(channel) | 0;
    for (let index = Math.max(after, oldest); index < this.#count; index++) {
      const at = index & (this.#seqs.length - 1);
      if (this.#channels[at] !== hash) continue;
      const [messageSeq, exceptSession] = [this.#seqs[at]!, this.#excepts[at]!];
      deliveries.push({ number: index + 1, messageSeq, exceptSession });
    }
    return { deliveries, complete: after >= oldest };
  }

  #grow(): void {
    const capacity = Math.max(CAPACITY_MIN, this.#seqs.length * 2);
    const [channels, excepts, seqs] = [this.#channels, this.#excepts, this.#seqs];
    this.#channels = new Int32Array(capacity);
    this.#excepts = new Int32Array(capacity);
    this.#seqs = new Float64Array(capacity);
    this.#channels.set(channels);
    this.#excepts.set(excepts);
    this.#seqs.set(seqs);
  }
}
