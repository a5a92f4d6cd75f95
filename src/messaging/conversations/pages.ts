import { channelTypeOf, type Uid } from '../../core/ids.ts';
import { channelIdFor, hash32 } from '../../core/placement.ts';
import {
  CONVERSATION_PLACE,
  type Conversation,
  type ConversationList,
  type ConversationsRequest,
} from './port.ts';

/** The newest first. Total, so that pages of a list neither overlap nor part. */
export function newestFirst(a: Conversation, b: Conversation): number {
  const later = b.last.timestamp - a.last.timestamp || b.version - a.version;
  return later || (a.channel < b.channel ? -1 : 1);
}

/**
 * A part of a list in that order. A page begins after a place and not at a number: a conversation that
 * moves up meanwhile moves no other off its page.
 */
export function pageOf(
  list: readonly Conversation[],
  { version, after = '', limit = list.length, bytesMax = Infinity }: ConversationsRequest,
): Omit<ConversationList, 'partial' | 'digest'> {
  const from = after === '' ? 0 : placeAfter(list, after);
  const conversations: Conversation[] = [];
  let bytes = 0;
  for (const one of list.slice(from, from + limit)) {
    if (bytes >= bytesMax) break;
    bytes += one.last.payload.length;
    conversations.push(one);
  }
  const more = from + conversations.length < list.length;
  const last = conversations.at(-1);
  return {
    conversations,
    next: more && last ? nameOf(last) : '',
    version: list.reduce((most, one) => Math.max(most, one.version), version),
  };
}

/**
 * `count-sum`, as of lists of channels: the sum of the hashes of `type/id`, unread, readSeq and number of
 * the last message, a line each, modulo 2^32, in hex. About 0.5 µs a conversation.
 */
export function digestOf(list: readonly Conversation[], viewer: Uid): string {
  let sum = 0;
  for (const { channel, unread, readSeq, last } of list) {
    const name = `${channelTypeOf(channel)}/${channelIdFor(channel, viewer)}`;
    sum = (sum + hash32(`${name}\n${unread}\n${readSeq}\n${last.messageSeq}`)) >>> 0;
  }
  return `${list.length}-${sum.toString(16)}`;
}

function nameOf({ last, version, channel }: Conversation): string {
  return `${last.timestamp}.${version}.${channel}`;
}

function placeAfter(list: readonly Conversation[], after: string): number {
  const found = CONVERSATION_PLACE.exec(after);
  if (!found) throw new RangeError('after is no place in a list of conversations');
  const [timestamp, version, channel] = [Number(found[1]), Number(found[2]), found[3]!];
  const at = list.findIndex(
    (one) =>
      (one.last.timestamp - timestamp || one.version - version) < 0 ||
      (one.last.timestamp === timestamp && one.version === version && one.channel > channel),
  );
  return at < 0 ? list.length : at;
}
