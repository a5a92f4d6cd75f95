import type { ListedChannel } from './channel-list.ts';

/** What the client uses of a WebSocket: a browser's, or one of the same form. */
export interface ClientSocket {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: 'open' | 'error', listener: () => void): void;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(
    type: 'close',
    listener: (event: { readonly code: number; readonly reason: string }) => void,
  ): void;
}

export interface ReceivedMessage {
  readonly messageId: string;
  readonly messageSeq: number;
  readonly clientMsgNo: string;
  /** Seconds since 1970. */
  readonly timestamp: number;
  readonly channelId: string;
  readonly channelType: number;
  readonly fromUid: string;
  /** Base64. */
  readonly payload: string;
  readonly prevSeq?: number;
  readonly header?: {
    readonly noPersist?: boolean;
    readonly redDot?: boolean;
    readonly syncOnce?: boolean;
  };
}

/** `refused` and `kicked` are final: the client does not come back by itself. */
export type ClientState = 'connecting' | 'connected' | 'waiting' | 'refused' | 'kicked' | 'stopped';

/** A message to be sent. */
export interface Outgoing {
  readonly channelId: string;
  /** 1 person (the channel's id is the other's uid), 2 group. */
  readonly channelType: number;
  /** Base64. */
  readonly payload: string;
  /** Names the message: the server stores one of each. Absent: a random one. */
  readonly clientMsgNo?: string;
}

export interface Sent {
  readonly messageId: string;
  readonly messageSeq: number;
}

/** What a new connection went on with. */
export interface Resumed {
  /** Channels in which nothing was missed. */
  readonly live: number;
  /** Messages that come with the connection. */
  readonly replayed: number;
  /** Messages that were missed and are gone for good, because retention took them; as far as the node knows. */
  readonly cut: number;
  /** Channels that are being fetched page by page. */
  readonly paged: number;
  /** Fetched from the history, by the numbers: older messages that came late are not among these. */
  readonly snapshots: readonly {
    readonly channelId: string;
    readonly channelType: number;
    readonly reason: string;
  }[];
}

/** `conversation.updated`, `message.recalled`, lifecycle: `data` is as the server documents the type. */
export interface ServerEvent {
  readonly id: string;
  readonly type: string;
  readonly timestampMs: number;
  readonly data: unknown;
}

export interface ClientOptions {
  /** ws:// or wss://, tried in turn. */
  readonly addresses: readonly string[];
  readonly uid: string;
  /** A function is asked before each connection, so that an expired one is refreshed. */
  readonly token?: string | (() => string | Promise<string>);
  readonly deviceId?: string;
  /** 0 app, 1 web, 2 desktop. */
  readonly deviceFlag?: number;
  /** Absent: the platform's own WebSocket. */
  readonly openSocket?: (address: string) => ClientSocket;
  readonly onMessage: (message: ReceivedMessage) => void;
  readonly onState?: (state: ClientState, reason: string) => void;
  /** The list of channels changed without a call of this client. */
  readonly onChannels?: (channels: readonly ListedChannel[]) => void;
  /** An answer to a ping did not fit, or a message was missing: what came of asking. */
  readonly onRepaired?: (what: string) => void;
  /** After each connection but the first, what it went on with. */
  readonly onResumed?: (resumed: Resumed) => void;
  readonly onEvent?: (event: ServerEvent) => void;
  /** The conversation store changed. */
  readonly onConversations?: () => void;
  /** Kept from an earlier run of the application: it goes on where that one was. */
  readonly resumeToken?: string;
  /** To be kept; everything before it was handed to `onMessage`. */
  readonly onResumeToken?: (token: string) => void;
  /** Messages that wait to be sent; more are rejected with `busy`. */
  readonly sendQueueMax?: number;
  /** Conversations that are kept; those silent for longest are left out. */
  readonly conversationsMax?: number;
  readonly pingMs?: number;
  readonly answerWithinMs?: number;
  readonly backoffMinMs?: number;
  readonly backoffMaxMs?: number;
  /** A connection that lasted this long makes the backoff start again. */
  readonly stableMs?: number;
  /** Requests without an answer; more are rejected. */
  readonly pendingMax?: number;
}

/** `code`: the server's reason code, or one of the client's own words. */
export class ClientError extends Error {
  readonly code: number | 'closed' | 'timeout' | 'busy';

  constructor(code: ClientError['code'], message: string) {
    super(message);
    this.name = 'ClientError';
    this.code = code;
  }
}
