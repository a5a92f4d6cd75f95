import type { ChannelFields } from './request.ts';

/** The messages of channels, users and moderation; the proto says what every field means. */
export type ChannelRequest = ChannelFields;

export interface SetChannelRequest extends ChannelFields {
  readonly large?: boolean | undefined;
  readonly allowStranger?: boolean | undefined;
  readonly join?: string | undefined;
  readonly ban?: boolean | undefined;
  readonly disband?: boolean | undefined;
  readonly sendBan?: boolean | undefined;
  readonly owner?: string | undefined;
  readonly managers?: UidList | null | undefined;
}

export interface UidList {
  readonly uids: readonly string[];
}

export interface ChannelInfo extends ChannelFields {
  readonly exists: boolean;
  readonly large: boolean;
  readonly allowStranger: boolean;
  readonly join: string;
  readonly ban: boolean;
  readonly disband: boolean;
  readonly sendBan: boolean;
  readonly owner: string;
  readonly managers: readonly string[];
}

export interface DeleteChannelReply {
  readonly unsubscribed: number;
}

export interface UserRequest {
  readonly uid: string;
}

export interface UserInfo {
  readonly uid: string;
  readonly system: boolean;
  readonly allowStranger: boolean;
  readonly devices: readonly DeviceInfo[];
}

export interface DeviceInfo {
  readonly deviceFlag: number;
  readonly member: string;
}

export interface SetTokenRequest {
  readonly uid: string;
  readonly deviceFlag: number;
  readonly deviceLevel: number;
  readonly token: string;
}

export interface SignOutRequest {
  readonly uid: string;
  readonly deviceFlag?: number | undefined;
}

export interface SystemUsersRequest {
  readonly limit: number;
}

export interface SetSystemUsersRequest {
  readonly uids: readonly string[];
  readonly system: boolean;
}

export type ChannelListName =
  | 'CHANNEL_LIST_UNSPECIFIED'
  | 'CHANNEL_LIST_BAN'
  | 'CHANNEL_LIST_MUTE'
  | 'CHANNEL_LIST_BLACKLIST'
  | 'CHANNEL_LIST_WHITELIST';

export type ListActionName =
  'LIST_ACTION_UNSPECIFIED' | 'LIST_ACTION_ADD' | 'LIST_ACTION_REMOVE' | 'LIST_ACTION_SET';

export interface ChannelListRequest extends ChannelFields {
  readonly list: ChannelListName;
  readonly after: string;
  readonly limit: number;
}

export interface ChannelListReply {
  readonly uids: readonly string[];
  readonly next: string;
}

export interface ChangeChannelListRequest extends ChannelFields {
  readonly list: ChannelListName;
  readonly action: ListActionName;
  readonly uids: readonly string[];
}
