import type { ChannelKey } from '../core/ids.ts';
import { channelPrefix, rangeEnd } from '../core/row-key.ts';
import type { Store } from '../storage/port.ts';

interface Head {
  /** Highest messageSeq known; once it was read, numbers of new messages come after it. */
  highest: number;
  /** The store was asked: where others only deliver here, nobody needs to know. */
  isRead: boolean;
  /** messageSeq of the last message this node delivered, 0 for none. */
  delivered: number;
  loading: Promise<void> | undefined;
}

/**
 * The highest messageSeq of the channels in use, and the one delivered last. The message rows are the
 * truth: a channel that was not read yet is read before its next number is given. Bounded; the longest
 * unused goes first: the entries stand in the order of their last use, a message numbered or one delivered.
 */
export class ChannelHeads {
  readonly #store: Store;
  readonly #heads = new Map<ChannelKey, Head>();
  readonly #channelsMax: number;
  readonly #floorOf: ((channel: ChannelKey) => number) | undefined;
  /** The last of `#heads`. */
  #last: Head | undefined;

  /** `floorOf`: numbers up to it were given, whatever the store still has. */
  constructor(store: Store, channelsMax: number, floorOf?: (channel: ChannelKey) => number) {
    this.#store = store;
    this.#floorOf = floorOf;
    this.#channelsMax = channelsMax;
  }

  /** Undefined while the head has to be loaded first. */
  highest(channel: ChannelKey): number | undefined {
    const head = this.#used(channel);
    return head?.isRead ? head.highest : undefined;
  }

  load(channel: ChannelKey): Promise<void> {
    const head = this.#heads.get(channel) ?? this.#insert(channel);
    if (head.isRead) return Promise.resolve();
    if (head.loading) return head.loading;
    // Messages that arrive meanwhile raise the entry; what the scan finds is merged by maximum.
    head.loading = this.#scan(channel).then(
      (stored) => {
        head.highest = Math.max(head.highest, stored, this.#floorOf?.(channel) ?? 0);
        head.isRead = true;
        head.loading = undefined;
      },
      (error: unknown) => {
        head.loading = undefined;
        throw error;
      },
    );
    return head.loading;
  }

  raise(channel: ChannelKey, seq: number): void {
    const head = this.#heads.get(channel);
    if (head && seq > head.highest) head.highest = seq;
  }

  /**
   * Notes a delivery and returns the seq of the one before it in this order, which is not always a lower
   * one; 0 for none known. Reads nothing from the store.
   */
  delivered(channel: ChannelKey, seq: number): number {
    const head = this.#used(channel) ?? this.#insert(channel);
    const before = head.delivered;
    head.delivered = seq;
    if (seq > head.highest) head.highest = seq;
    return before;
  }

  #used(channel: ChannelKey): Head | undefined {
    const head = this.#heads.get(channel);
    // The last one used stays where it is: a channel under load costs no moves.
    if (!head || head === this.#last) return head;
    this.#last = head;
    this.#heads.delete(channel);
    this.#heads.set(channel, head);
    return head;
  }

  async #scan(channel: ChannelKey): Promise<number> {
    const gte = channelPrefix('m', channel);
    for await (const chunk of this.#store.scan({
      gte,
      lt: rangeEnd(gte),
      reverse: true,
      limit: 1,
    })) {
      for (const [key] of chunk) return Number.parseInt(key.slice(gte.length, gte.length + 13), 16);
    }
    return 0;
  }

  #insert(channel: ChannelKey): Head {
    if (this.#heads.size >= this.#channelsMax) {
      for (const [oldest, entry] of this.#heads) {
        if (entry.loading) continue;
        this.#heads.delete(oldest);
        break;
      }
    }
    const head: Head = { highest: 0, isRead: false, delivered: 0, loading: undefined };
    this.#heads.set(channel, head);
    this.#last = head;
    return head;
  }
}
