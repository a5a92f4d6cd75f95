import type { ActorId, ChannelKey, Uid } from './ids.ts';
import { shardOf } from './placement.ts';
import { kindOf, type Kind } from './kinds.ts';

/**
 * Key of a replicated row, which is also its key in the store:
 * kind letter, shard as a hex digit, then the parts, each after a U+0001 (ids hold no control character).
 */
declare const brand: unique symbol;
export type RowKey = string & { readonly [brand]: 'RowKey' };

export const SEPARATOR = '\u0001';
const HEX = '0123456789abcdef';

function join(kind: Kind, shard: number, parts: readonly string[]): RowKey {
  return (kind + HEX[shard]! + SEPARATOR + parts.join(SEPARATOR)) as RowKey;
}

export function subscriptionKey(channel: ChannelKey, uid: Uid): RowKey {
  return ('s' + HEX[shardOf(channel)]! + SEPARATOR + channel + SEPARATOR + uid) as RowKey;
}

export type DenyReason = 'ban' | 'mute' | 'blacklist';
/** The users that a channel names: those it denies something, and those it lets send. */
export type ChannelList = DenyReason | 'whitelist';
/** `whitelist`: only who is on it may send. */
export type ChannelFlag = 'ban' | 'disband' | 'send_ban' | 'whitelist';

export function denyKey(channel: ChannelKey, uid: Uid, list: ChannelList): RowKey {
  return join('d', shardOf(channel), [channel, 'u', list, uid]);
}

/** Of all rows of one list of a channel; the uid follows. */
export function channelListPrefix(channel: ChannelKey, list: ChannelList): string {
  return `${channelPrefix('d', channel)}u${SEPARATOR}${list}${SEPARATOR}`;
}

export function channelFlagKey(channel: ChannelKey, flag: ChannelFlag): RowKey {
  return join('d', shardOf(channel), [channel, 'f', flag]);
}

export function channelRowKey(channel: ChannelKey): RowKey {
  return join('c', shardOf(channel), [channel]);
}

export function userKey(uid: Uid): RowKey {
  return join('p', shardOf(uid), [uid]);
}

export function tokenKey(uid: Uid, deviceFlag: number): RowKey {
  return join('t', shardOf(uid), [uid, String(deviceFlag)]);
}

/** Sorted by seq: 13 hex digits hold every integer below 2^52. */
export function messageKey(channel: ChannelKey, seq: number, actor: ActorId): RowKey {
  return join('m', shardOf(channel), [channel, formatSeq(seq), actor]);
}

export function formatSeq(seq: number): string {
  return seq.toString(16).padStart(13, '0');
}

export function sendKeyKey(channel: ChannelKey, sender: Uid, clientMsgNo: string): RowKey {
  return join('i', shardOf(channel), [channel, sender, clientMsgNo]);
}

/** Under the channel and not under the user: what is read belongs to the shard of what was written. */
export function cursorKey(channel: ChannelKey, uid: Uid): RowKey {
  return join('r', shardOf(channel), [channel, uid]);
}

export function aliasKey(space: 'user' | 'group', number: number): RowKey {
  const name = String(number);
  return join('g', shardOf(name as Uid), [name, space]);
}

export function connectionKey(id: string): RowKey {
  return join('b', shardOf(id as Uid), [id]);
}

export function floorKey(channel: ChannelKey): RowKey {
  return join('f', shardOf(channel), [channel]);
}

/** First key of all rows of `kind` under `channel`; the range ends before `rangeEnd(prefix)`. */
export function channelPrefix(kind: Kind, channel: ChannelKey): string {
  return kind + HEX[shardOf(channel)]! + SEPARATOR + channel + SEPARATOR;
}

export function shardPrefix(kind: Kind, shard: number): string {
  return kind + HEX[shard]! + SEPARATOR;
}

/** The reverse of a live subscription: present exactly while the row s/… is live. */
export function reverseKey(uid: Uid, channel: ChannelKey): string {
  return reversePrefix(uid) + channel;
}

export function reversePrefix(uid: Uid): string {
  return 'u' + SEPARATOR + uid + SEPARATOR;
}

/** The first key after every key that starts with `prefix`; prefixes end in `SEPARATOR`. */
export function rangeEnd(prefix: string): string {
  return prefix.slice(0, -1) + '\u0002';
}

/** The channel and the user of a key whose first two parts they are: of kinds `s` and `r`. */
export function pairOf(key: RowKey): { readonly channel: ChannelKey; readonly uid: Uid } {
  const end = key.indexOf(SEPARATOR, 3);
  return { channel: key.slice(3, end) as ChannelKey, uid: key.slice(end + 1) as Uid };
}

/** Of a row whose first part is a channel. */
export function channelOf(key: string): ChannelKey {
  const end = key.indexOf(SEPARATOR, 3);
  return (end < 0 ? key.slice(3) : key.slice(3, end)) as ChannelKey;
}

/** -1 where the key is no row key. */
export function shardOfKey(key: string): number {
  return key[2] === SEPARATOR ? HEX.indexOf(key[1]!) : -1;
}

export interface RowKeyParts {
  readonly kind: Kind;
  readonly shard: number;
  readonly parts: readonly string[];
}

/** Takes a key apart; undefined where it is no row key of a known kind. */
export function splitRowKey(key: string): RowKeyParts | undefined {
  const kind = kindOf(key);
  const shard = HEX.indexOf(key[1] ?? ' ');
  if (!kind || shard < 0 || key[2] !== SEPARATOR) return undefined;
  return { kind, shard, parts: key.slice(3).split(SEPARATOR) };
}
