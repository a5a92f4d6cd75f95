import { crc32 } from './checksum.ts';
import { channelIdOf, PERSON, type ChannelKey, type Uid } from './ids.ts';

/** The unit of replication; a constant of the format, never a setting. */
export const SHARDS = 16;

/** FNV-1a over UTF-16 code units with a final avalanche, so that the low bits are as good as the high. */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The shard of everything that is kept under this channel or user. */
export function shardOf(key: ChannelKey | Uid): number {
  return hash32(key) & (SHARDS - 1);
}

/** Which members hold a shard. All of them today; callers must not assume it. */
export function replicasOf<Member>(_shard: number, roster: readonly Member[]): readonly Member[] {
  return roster;
}

/** The stored channel of two users: the uid with the larger crc32 first (equal: the larger uid). */
export function personChannel(a: Uid, b: Uid): ChannelKey {
  const [left, right] = [crc32(utf8(a)), crc32(utf8(b))];
  const aFirst = left === right ? a > b : left > right;
  return `${PERSON}/${aFirst ? `${a}@${b}` : `${b}@${a}`}` as ChannelKey;
}

/** Where a user's own lists and settings are: of nobody's messages, for it names no pair. */
export function ownChannel(uid: Uid): ChannelKey {
  return `${PERSON}/${uid}` as ChannelKey;
}

/** The two users of a person channel, or undefined where the id is no pair. */
export function personsOf(channel: ChannelKey): readonly [Uid, Uid] | undefined {
  const id = channelIdOf(channel);
  const at = id.indexOf('@');
  if (at <= 0 || at === id.length - 1 || id.indexOf('@', at + 1) >= 0) return undefined;
  return [id.slice(0, at) as Uid, id.slice(at + 1) as Uid];
}

/** How `viewer` names the channel: the peer's uid in a person channel, the id elsewhere. */
export function channelIdFor(channel: ChannelKey, viewer: Uid): string {
  const id = channelIdOf(channel);
  if (!channel.startsWith('1/')) return id;
  const persons = personsOf(channel);
  if (!persons) return id;
  return persons[0] === viewer ? persons[1] : persons[0];
}

const encoder = new TextEncoder();
function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}
