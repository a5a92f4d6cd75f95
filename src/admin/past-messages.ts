/** The messages of History, Recall and Conversations; the proto says what every field means. */
export interface HistoryRequest {
  readonly channelId: string;
  readonly channelType: number;
  readonly uid: string;
  readonly startSeq: number;
  readonly endSeq: number;
  readonly limit: number;
  readonly oldestFirst: boolean;
}

export interface HistoryReply {
  readonly messages: readonly StoredMessage[];
  readonly nextSeq: number;
  readonly cutTo: number;
}

export interface StoredMessage {
  readonly messageId: string;
  readonly messageSeq: number;
  readonly clientMsgNo: string;
  readonly fromUid: string;
  readonly timestamp: number;
  readonly payload: Uint8Array;
  readonly redDot: boolean;
  readonly topic: string;
  readonly expireSeconds: number;
  readonly recall: RecallInfo | null;
}

export interface RecallInfo {
  readonly by: string;
  readonly role: string;
  readonly atMs: number;
  readonly reason: string;
}

export interface RecallRequest {
  readonly channelId: string;
  readonly channelType: number;
  readonly uid: string;
  readonly messageId: string;
  readonly fromUid: string;
  readonly clientMsgNo: string;
  readonly messageSeq: number;
  readonly by: string;
  readonly reason: string;
}

export interface RecallReply {
  readonly messageId: string;
  readonly messageSeq: number;
  readonly recall: RecallInfo | null;
  readonly disks: number;
  readonly alreadyRecalled: boolean;
}

export interface ConversationsRequest {
  readonly uid: string;
  readonly version: number;
  readonly onlyUnread: boolean;
  readonly limit: number;
  readonly after: string;
}

export interface ConversationsReply {
  readonly conversations: readonly Conversation[];
  readonly next: string;
  readonly version: number;
}

export interface Conversation {
  readonly channelId: string;
  readonly channelType: number;
  readonly unread: number;
  readonly mentions: number;
  readonly readSeq: number;
  readonly hiddenTo: number;
  readonly version: number;
  readonly last: StoredMessage | null;
}
