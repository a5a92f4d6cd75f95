import type { ChannelKey, Uid } from '../../core/ids.ts';
import type { Message } from '../../core/kinds/message.ts';
import type { Outcome } from '../../core/reason-code.ts';

/** One channel as one of its subscribers has it. */
export interface Conversation {
  readonly channel: ChannelKey;
  /** Messages of others that were not read; those recalled, expired or sent to be synced once count not. */
  readonly unread: number;
  /** Of the unread ones those that name the user, in a JSON payload with `mention`. */
  readonly mentions: number;
  /** The newest message; a recalled one is its tombstone. */
  readonly last: Message;
  /** Everything up to it was read; 0 for nothing. */
  readonly readSeq: number;
  /** What is up to it was deleted by the user; 0 for nothing. */
  readonly hiddenTo: number;
  /** Rises with every change of what is here, on whichever node it is asked. */
  readonly version: number;
  /** The version that the last recall in the channel made; 0 for none. */
  readonly recallVersion: number;
}

/** Recalled messages of one answer: older ones are tombstones wherever they are read. */
export const RECALLS_MAX = 200;

export interface ConversationsRequest {
  readonly uid: Uid;
  /** Of an earlier answer: only what changed since, and whatever is unread. 0 for all. */
  readonly version: number;
  readonly onlyUnread: boolean;
  /** Conversations of one answer. Absent: all. */
  readonly limit?: number | undefined;
  /** Payload bytes after which an answer ends, with one conversation at least. */
  readonly bytesMax?: number | undefined;
  /** `next` of the answer before; it matches CONVERSATION_PLACE. */
  readonly after?: string | undefined;
  /** The answer says by `digest` what the whole list is. */
  readonly isCompared?: boolean | undefined;
}

/** A place in the list: time, version and channel. */
export const CONVERSATION_PLACE = /^(\d{1,16})\.(\d{1,16})\.(.+)$/s;

export interface ConversationList {
  /** The newest first. */
  readonly conversations: readonly Conversation[];
  /** Has more channels than one answer holds; those that were newest by name are missing. */
  readonly partial: boolean;
  /** Where the next page starts; empty where there is no more. */
  readonly next: string;
  /** To ask with the next time, when all pages were read: that of the first of them. */
  readonly version: number;
  /**
   * Of the whole list, also where only changes were asked for: what was deleted or left since a version is
   * in no answer. Empty where nobody asked.
   */
  readonly digest: string;
}

/**
 * Derived from subscriptions, messages and cursors; nothing is written for a recipient. Calls that write
 * may refuse with systemError (15) as every other.
 */
export interface Conversations {
  list(request: ConversationsRequest): Promise<ConversationList>;
  /** Undefined where there is none: no message, hidden, or the user is no subscriber. */
  one(uid: Uid, channel: ChannelKey): Promise<Conversation | undefined>;
  /**
   * Tombstones of what was recalled in the channel since `version`, the newest messages first, for who has
   * a copy; at most RECALLS_MAX, and none of a message that is 10,000 messages old.
   */
  recalledSince(channel: ChannelKey, version: number): Promise<readonly Message[]>;
  /** Everything up to `seq` was read, or all there is here. A cleared count stays cleared. */
  read(uid: Uid, channel: ChannelKey, seq?: number): Promise<Outcome<undefined>>;
  /** Says how many are unread, until more is read. */
  setUnread(uid: Uid, channel: ChannelKey, unread: number): Promise<Outcome<undefined>>;
  /** Takes the conversation out of the list until another message comes; what was there counts as read. */
  hide(uid: Uid, channel: ChannelKey): Promise<Outcome<undefined>>;
  /** A channel of the user was put back behind the back of the replica: the next list reads all names anew. */
  reread(uid: Uid): void;
}
