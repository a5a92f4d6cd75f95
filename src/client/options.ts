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
}

/** `refused` and `kicked` are final: the client does not come back by itself. */
export type ClientState = 'connecting' | 'connected' | 'waiting' | 'refused' | 'kicked' | 'stopped';

export interface ClientOptions {
  /** ws:// or wss://, tried in turn. */
  readonly addresses: readonly string[];
  readonly uid: string;
  readonly token?: string;
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
