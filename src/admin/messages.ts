/**
 * The messages of proto/admin.proto as proto-loader gives and takes them (`loadAdminProto`): the meaning of
 * every field is said there. test/admin compares these names with the proto.
 */
export type WaitForName =
  'WAIT_FOR_UNSPECIFIED' | 'WAIT_FOR_ALL' | 'WAIT_FOR_QUORUM' | 'WAIT_FOR_LOCAL';
export type BulkActionName =
  'BULK_ACTION_UNSPECIFIED' | 'BULK_ACTION_SUBSCRIBE' | 'BULK_ACTION_UNSUBSCRIBE';
export type EventKindName =
  | 'EVENT_KIND_UNSPECIFIED'
  | 'EVENT_KIND_MEMBER'
  | 'EVENT_KIND_PEER'
  | 'EVENT_KIND_SESSION'
  | 'EVENT_KIND_SUBSCRIPTION'
  | 'EVENT_KIND_STATUS'
  | 'EVENT_KIND_REPAIR';

export interface SubscribeRequest {
  readonly channelId: string;
  readonly channelType: number;
  readonly uids: readonly string[];
  readonly waitFor: WaitForName;
}

export interface UnsubscribeRequest extends SubscribeRequest {
  readonly receipts: readonly string[];
}

export interface SubscriptionReply {
  readonly receipts: readonly string[];
  readonly reached: WaitForName;
  readonly missing: readonly string[];
}

export interface BulkRequest {
  readonly batchId: number;
  readonly action: BulkActionName;
  readonly channelIds: readonly string[];
  readonly channelTypes: readonly number[];
  readonly uids: readonly string[];
  readonly waitFor: WaitForName;
  readonly wantReceipts: boolean;
}

export interface BulkError {
  readonly status: number;
  readonly message: string;
  readonly field: string;
  readonly reason: number;
}

export interface BulkReply {
  readonly batchId: number;
  readonly applied: number;
  readonly receipts: readonly string[];
  readonly reached: WaitForName;
  readonly missing: readonly string[];
  readonly error: BulkError | null;
}

export interface ChannelRef {
  readonly channelId: string;
  readonly channelType: number;
}

export interface ListSubscriptionsRequest {
  readonly channel?: ChannelRef | null;
  readonly uid?: string;
  /** Set by the decoder: which of the two there is. */
  readonly of?: 'channel' | 'uid';
  readonly pageSize: number;
  readonly pageToken: string;
  readonly pagesMax: number;
}

export interface SubscriptionPage {
  readonly channelIds: readonly string[];
  readonly channelTypes: readonly number[];
  readonly uids: readonly string[];
  readonly nextPageToken: string;
}

export interface DigestReply {
  readonly member: string;
  readonly subscriptions: number;
  readonly digest: string;
}

export interface PublishRequest {
  readonly sender: string;
  readonly channelId: string;
  readonly channelType: number;
  readonly payload: Uint8Array;
  readonly clientMsgNo: string;
  readonly noPersist: boolean;
  readonly redDot: boolean;
  readonly syncOnce: boolean;
  readonly topic: string;
  readonly expireSeconds: number;
}

export interface PublishReply {
  readonly messageId: string;
  readonly messageSeq: number;
  readonly clientMsgNo: string;
  readonly disks: number;
}

export interface SessionsRequest {
  readonly uid: string;
  readonly limit: number;
}

export interface Session {
  readonly id: number;
  readonly uid: string;
  readonly deviceFlag: number;
  readonly deviceLevel: number;
  readonly deviceId: string;
  readonly connectedAtMs: number;
  readonly remoteAddress: string;
  readonly protocol: string;
  readonly channels: number;
}

export interface KickSessionRequest {
  readonly id?: number;
  readonly uid?: string;
  /** Set by the decoder: which of the two there is. */
  readonly who?: 'id' | 'uid';
  readonly text: string;
}

export interface KickSessionReply {
  readonly kicked: number;
}

export interface Status {
  readonly state: string;
  readonly sinceMs: number;
  readonly reason: string;
}

export interface PeerState {
  readonly member: string;
  readonly live: boolean;
  readonly lagging: boolean;
  readonly behind: number;
  readonly unacknowledgedBytes: number;
  readonly lastHeardMs: number;
  readonly lastError: string;
}

export interface Member {
  readonly id: string;
  readonly slot: number;
  readonly peerAddress: string;
  readonly clientAddress: string;
  readonly httpAddress: string;
  readonly adminAddress: string;
  readonly live: boolean;
  readonly peer: PeerState | null;
}

export interface MembersReply {
  readonly member: string;
  readonly cluster: string;
  readonly version: string;
  readonly actor: string;
  readonly uptimeMs: number;
  readonly rosterEpoch: number;
  readonly members: readonly Member[];
  readonly vectorDigest: string;
  readonly membership: Status | null;
  readonly store: Status | null;
  readonly mayWrite: boolean;
}

export interface WatchRequest {
  readonly kinds: readonly EventKindName[];
}

/** Exactly one of the optional fields, named by `event` once decoded. */
export interface WatchEvent {
  readonly atMs: number;
  readonly event?:
    'watching' | 'lost' | 'member' | 'peer' | 'session' | 'subscription' | 'status' | 'repair';
  readonly watching?: { readonly member: string };
  readonly lost?: number;
  readonly member?: { readonly id: string; readonly change: string };
  readonly peer?: PeerState;
  readonly session?: {
    readonly id: number;
    readonly uid: string;
    readonly change: string;
    readonly remoteAddress: string;
    readonly protocol: string;
  };
  readonly subscription?: {
    readonly channelId: string;
    readonly channelType: number;
    readonly uid: string;
    readonly change: string;
  };
  readonly status?: { readonly subject: string; readonly status: Status };
  readonly repair?: RepairEvent;
}

export interface RepairEvent {
  readonly layer: string;
  readonly action: string;
  readonly cause: string;
  readonly channelId: string;
  readonly channelType: number;
  readonly uid: string;
  readonly peer: string;
  readonly detail: string;
}

export interface DecommissionRequest {
  readonly member: string;
  readonly force: boolean;
}

export interface DecommissionReply {
  readonly member: string;
  readonly remaining: readonly string[];
}

export interface FaultRequest {
  readonly kind: string;
  readonly uid: string;
  readonly channelId: string;
  readonly channelType: number;
  readonly member: string;
  readonly percent: number;
  readonly delayMs: number;
  readonly seconds: number;
}

export interface FaultReply {
  readonly member: string;
  readonly kind: string;
  readonly damage: readonly string[];
}
