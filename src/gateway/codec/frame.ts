/**
 * What a client may ask, whichever dialect it speaks. Ids are as the client wrote them: the session
 * checks them, because a bad id has its own reason code and is not a malformed frame.
 */
export type ClientFrame =
  | ConnectFrame
  | SendFrame
  | SubscriptionFrame
  | { readonly kind: 'ping'; readonly ref: Ref }
  | SyncFrame
  | ResumeFrame
  | PastFrame
  | PairFrame
  | { readonly kind: 'recvack' }
  | { readonly kind: 'disconnect'; readonly reason: string };

/**
 * What the reply repeats: the JSON-RPC id or WKProto's clientSeq. Undefined: no reply is wanted.
 */
export type Ref = RequestId | undefined;

/** Given back as what it came as: a client that asks with a number looks for that number. */
export type RequestId = string | number;

/** A device confirms a pairing with the code that it scanned. */
export interface PairFrame {
  readonly kind: 'pair';
  readonly ref: Ref;
  readonly code: string;
}

export interface ConnectFrame {
  readonly kind: 'connect';
  readonly ref: Ref;
  readonly uid: string;
  readonly token: string;
  readonly deviceId: string;
  readonly deviceFlag: number;
  /** Milliseconds since 1970 by the client's clock, 0 where it says none. */
  readonly clientTimestampMs: number;
  /** The client compares its channels with a digest in the answers to its pings. */
  readonly digest?: boolean;
  /** The client wants tokens, and goes on where it was by the one it has; empty for none. */
  readonly resume?: { readonly token: string; readonly seen: readonly string[] } | undefined;
}

/** What was missed in one channel that was too much for the answer to connect, page by page. */
export interface ResumeFrame {
  readonly kind: 'resume';
  readonly ref: Ref;
  readonly channelId: string;
  readonly channelType: number;
  /** The one that the connect had. */
  readonly token: string;
  /** As the page before, or the answer to connect, said. */
  readonly cursor: string;
  /** Ids of messages that came after the token was given. */
  readonly seen: readonly string[];
}

/** A client that differs: asks for the channels of some buckets, or for what it missed in one channel. */
export interface SyncFrame {
  readonly kind: 'sync';
  readonly ref: Ref;
  /** The client's own sums, one a bucket. */
  readonly sums: readonly number[];
  readonly missed:
    | { readonly channelId: string; readonly channelType: number; readonly after: number }
    | undefined;
}

/** What was said before: asked for, taken back, read. */
export type PastFrame = HistoryFrame | RecallFrame | ConversationsFrame | ReadFrame;

interface PastOf<Method extends string> {
  readonly kind: 'past';
  readonly method: Method;
  readonly ref: Ref;
}

interface InChannel {
  readonly channelId: string;
  readonly channelType: number;
}

export interface HistoryFrame extends PastOf<'history'>, InChannel {
  /** Included. 0: from the newest (down) or from the oldest (up). */
  readonly startSeq: number;
  /** Left out itself. 0: to the end. */
  readonly endSeq: number;
  /** 0: as many as the server gives by default. */
  readonly limit: number;
  readonly direction: 'down' | 'up';
}

export interface RecallFrame extends PastOf<'recall'>, InChannel {
  /** Absent: the client's own message of that `clientMsgNo`. */
  readonly messageId: bigint | undefined;
  readonly messageSeq: number;
  readonly clientMsgNo: string;
  readonly reason: string;
}

export interface ConversationsFrame extends PastOf<'conversations'> {
  /** Of an earlier answer: only what changed since, and whatever is unread. 0 for all. */
  readonly version: number;
  readonly onlyUnread: boolean;
  readonly limit: number;
  /** `next` of the page before; empty for the first. */
  readonly after: string;
}

export interface ReadFrame extends PastOf<'read'>, InChannel {
  /** Everything up to it was read. 0: all. */
  readonly messageSeq: number;
  /** Instead: so many are unread. */
  readonly unread: number | undefined;
  /** Instead: the conversation is deleted, until another message comes. */
  readonly deleted: boolean;
}

export interface SendFrame {
  readonly kind: 'send';
  readonly ref: Ref;
  readonly clientMsgNo: string;
  readonly channelId: string;
  readonly channelType: number;
  /** Undefined where it could not be decoded (reason 9). */
  readonly payload: Uint8Array | undefined;
  readonly noPersist: boolean;
  readonly redDot: boolean;
  readonly syncOnce: boolean;
  readonly setting: number;
  readonly topic: string;
  /** Seconds, 0 for never. */
  readonly expire: number;
}

export interface SubscriptionFrame {
  readonly kind: 'subscription';
  readonly ref: Ref;
  readonly action: SubscriptionAction;
  readonly subNo: string;
  readonly channelId: string;
  readonly channelType: number;
  /** Of an unsubscribe: receipts of subscribes made elsewhere, `actor:shard:counter`. */
  readonly receipts: readonly string[];
}

export type SubscriptionAction = 0 | 1;
export const SUBSCRIBE = 0;
export const UNSUBSCRIBE = 1;

/** Bits of `setting`. */
export const SETTING = {
  receipt: 0x80,
  signal: 0x20,
  noEncryption: 0x10,
  topic: 0x08,
  stream: 0x02,
};

/** Characters of any text field that is no id and no payload. */
export const TEXT_LENGTH_MAX = 1024;
