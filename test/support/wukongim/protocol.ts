/** What goes over IPC between a test and the process of one SDK user. */
export type ToSdk =
  | {
      readonly kind: 'connect';
      readonly uid: string;
      readonly token: string;
      readonly deviceFlag: number;
      readonly heartbeatMs: number;
      readonly addresses: readonly string[];
      /** http://host:port that the provider callbacks ask; empty for none. */
      readonly http: string;
    }
  | {
      readonly kind: 'send';
      readonly call: number;
      readonly channelId: string;
      readonly channelType: number;
      readonly text: string;
    }
  | { readonly kind: 'pings' }
  | { readonly kind: 'conversations' }
  | { readonly kind: 'history'; readonly channelId: string; readonly channelType: number }
  | { readonly kind: 'disconnect' };

export type FromSdk =
  | { readonly kind: 'ready' }
  | { readonly kind: 'status'; readonly status: number; readonly reasonCode: number }
  | SdkMessage
  | SdkSendack
  | { readonly kind: 'sent'; readonly call: number; readonly clientSeq: number }
  | { readonly kind: 'pings'; readonly unanswered: number }
  | SdkCommand
  | { readonly kind: 'conversations'; readonly conversations: readonly SdkConversation[] }
  | { readonly kind: 'history'; readonly messages: readonly SdkStored[] };

/** A message of type 99. */
export interface SdkCommand {
  readonly kind: 'command';
  readonly cmd: string;
  readonly messageId: string;
  readonly channelId: string;
}

/** As the SDK's own objects have it, after its provider callbacks. */
export interface SdkConversation {
  readonly channelId: string;
  readonly channelType: number;
  readonly unread: number;
  readonly last: SdkStored | undefined;
}

export interface SdkStored {
  readonly messageId: string;
  readonly messageSeq: number;
  readonly channelId: string;
  readonly fromUid: string;
  readonly text: string;
  /** Of a recalled one: who took it back. */
  readonly revoker: string | undefined;
}

export interface SdkMessage {
  readonly kind: 'message';
  readonly messageId: string;
  readonly messageSeq: number;
  readonly clientMsgNo: string;
  readonly fromUid: string;
  readonly channelId: string;
  readonly channelType: number;
  readonly text: string;
}

export interface SdkSendack {
  readonly kind: 'sendack';
  readonly clientSeq: number;
  readonly messageId: string;
  readonly messageSeq: number;
  readonly reasonCode: number;
}
