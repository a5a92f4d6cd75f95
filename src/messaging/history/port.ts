import type { ChannelKey } from '../../core/ids.ts';
import type { Message } from '../../core/kinds/message.ts';

/** Most messages of one page. */
export const HISTORY_LIMIT_MAX = 10_000;

export interface HistoryRequest {
  readonly channel: ChannelKey;
  /** Included. 0: from the newest (down) or from the oldest (up). */
  readonly startSeq: number;
  /** Left out itself. 0: to the end. */
  readonly endSeq: number;
  /** 1 to HISTORY_LIMIT_MAX. */
  readonly limit: number;
  /** `down`: the newest first come in, as who scrolls back asks. `up`: the oldest first. */
  readonly direction: 'down' | 'up';
  /** Messages that are for live sessions and resume alone (sync once), which no reader of a chat sees. */
  readonly commands?: 'left-out' | undefined;
  /** Payload bytes after which the page ends, with at least one message in it; 2 MB at most. */
  readonly bytesMax?: number | undefined;
}

export interface HistoryPage {
  /** Ascending, whatever the direction; a recalled one is a tombstone in its place. */
  readonly messages: readonly Message[];
  /** There is more of the range in the direction that was asked for. */
  readonly more: boolean;
  /** Where the next page of the same direction starts, 0 where there is no more. */
  readonly nextSeq: number;
  /** Messages up to this number are absent by rule; left out where the channel is whole. */
  readonly cutTo?: number | undefined;
}

/** What this node's disk says of a channel's messages. Both 0: the latest. */
export interface History {
  /**
   * About 30 µs and 4 µs a message. A page may be shorter than its limit and have `more`: it also ends
   * at a size. Rejects where the store cannot be read.
   */
  page(request: HistoryRequest): Promise<HistoryPage>;
}
