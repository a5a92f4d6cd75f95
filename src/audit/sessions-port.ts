import type { ChannelKey, Uid } from '../core/ids.ts';
import type { Message } from '../core/kinds/message.ts';
import type { Delivery, RoutedSession } from '../messaging/port.ts';

/** The routing index as the audits see it; messaging/routing-index.ts is one. */
export interface AuditedIndex {
  /** Who is connected here; goes on through changes. */
  users(): IterableIterator<Uid>;
  userCount(): number;
  sessions(): Iterable<RoutedSession>;
  sessionsOf(uid: Uid): readonly RoutedSession[];
  channelsOf(uid: Uid): Iterable<ChannelKey>;
  entryOf(channel: ChannelKey, uid: Uid): 'offline' | 'loading' | 'joined' | 'absent';
  isLoading(uid: Uid): boolean;
  isOverLimit(uid: Uid): boolean;
  /** False where the entries are not those that the index itself has put there. */
  sumFits(uid: Uid): boolean;
  /** What the entries are compared with: it changes with each that the index itself puts there or takes away. */
  keptSum(uid: Uid): number | undefined;
  settleSum(uid: Uid): void;
  recount(channel: ChannelKey): boolean;
  verdict(channel: ChannelKey, uid: Uid): 'live' | 'removed' | 'absent';
  restore(channel: ChannelKey, uid: Uid): void;
  /** As `restore`, of an entry that sum and count still have. */
  putBack(channel: ChannelKey, uid: Uid): void;
  drop(channel: ChannelKey, uid: Uid): void;
}

/** One user in one channel. */
export interface Entry {
  readonly channel: ChannelKey;
  readonly uid: Uid;
}

/** What a session that was not joined for a while has missed, and the messages themselves. */
export interface MissedMessages {
  /** The number of this node's latest delivery. */
  readonly count: number;
  since(
    channel: ChannelKey,
    after: number,
  ): {
    readonly deliveries: readonly {
      readonly number: number;
      readonly messageSeq: number;
      readonly exceptSession: number;
    }[];
    readonly complete: boolean;
  };
}

export interface StoredMessage {
  readonly message: Message;
  readonly hlc: number;
  /** The write that stored it; without it nobody who was told of it elsewhere can be spared it. */
  readonly written?: Delivery['written'];
}

export interface MessageReader {
  /** Messages of these seqs that are stored and not recalled, in no particular order. */
  read(channel: ChannelKey, seqs: ReadonlySet<number>): Promise<readonly StoredMessage[]>;
  /** The newest first, down to `hlcFrom`, at most `limit`. */
  newest(channel: ChannelKey, hlcFrom: number, limit: number): Promise<readonly StoredMessage[]>;
}
