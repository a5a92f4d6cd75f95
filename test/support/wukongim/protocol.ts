/** What goes over IPC between a test and the process of one SDK user. */
export type ToSdk =
  | {
      readonly kind: 'connect';
      readonly uid: string;
      readonly token: string;
      readonly deviceFlag: number;
      readonly heartbeatMs: number;
      readonly addresses: readonly string[];
    }
  | {
      readonly kind: 'send';
      readonly call: number;
      readonly channelId: string;
      readonly channelType: number;
      readonly text: string;
    }
  | { readonly kind: 'pings' }
  | { readonly kind: 'disconnect' };

export type FromSdk =
  | { readonly kind: 'ready' }
  | { readonly kind: 'status'; readonly status: number; readonly reasonCode: number }
  | SdkMessage
  | SdkSendack
  | { readonly kind: 'sent'; readonly call: number; readonly clientSeq: number }
  | { readonly kind: 'pings'; readonly unanswered: number };

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
