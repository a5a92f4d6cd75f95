import { channelTypeOf, type ChannelKey, type Uid } from '../../core/ids.ts';
import type { Message } from '../../core/kinds/message.ts';
import { channelIdFor } from '../../core/placement.ts';
import type { Conversation, ConversationList } from '../../messaging/conversations/port.ts';
import type { HistoryPage } from '../../messaging/history/port.ts';
import type { RecallResult } from '../../messaging/recall/port.ts';
import type { PastFrame, RequestId } from './frame.ts';
import { encodeMessageFields, quote } from './json-rpc-encode.ts';
import { FieldError, integer, needId, text, type Fields } from './json-rpc-fields.ts';

const MESSAGE_ID_MAX = 2n ** 63n - 1n;

/** The requests of a client for what was said before. Undefined where the method is none of them. */
export function parsePast(
  method: string,
  id: RequestId | undefined,
  params: Fields,
): PastFrame | undefined {
  switch (method) {
    case 'history':
      return {
        ...{ kind: 'past', method, ref: needId(id), ...inChannel(params) },
        startSeq: integer(params, 'startSeq', { fallback: 0 }),
        endSeq: integer(params, 'endSeq', { fallback: 0 }),
        limit: integer(params, 'limit', { fallback: 0 }),
        direction: direction(params),
      };
    case 'recall':
      return parseRecall(needId(id), params);
    case 'conversations':
      return {
        ...{ kind: 'past', method, ref: needId(id) },
        version: integer(params, 'version', { fallback: 0 }),
        onlyUnread: isTrue(params, 'onlyUnread'),
        limit: integer(params, 'limit', { fallback: 0 }),
        after: text(params, 'after', ''),
      };
    case 'read':
      return {
        ...{ kind: 'past', method, ref: needId(id), ...inChannel(params) },
        messageSeq: integer(params, 'messageSeq', { fallback: 0 }),
        unread: params['unread'] === undefined ? undefined : integer(params, 'unread', {}),
        deleted: isTrue(params, 'deleted'),
      };
    default:
      return undefined;
  }
}

function parseRecall(ref: RequestId, params: Fields): PastFrame {
  const digits = text(params, 'messageId', '');
  const clientMsgNo = text(params, 'clientMsgNo', '');
  if (digits === '' && clientMsgNo === '') {
    throw new FieldError('messageId: expected one, or the clientMsgNo of a message of your own');
  }
  if (digits !== '' && (!/^\d{1,19}$/.test(digits) || BigInt(digits) > MESSAGE_ID_MAX)) {
    throw new FieldError('messageId: expected the decimal digits of a positive int64');
  }
  return {
    ...{ kind: 'past', method: 'recall', ref, ...inChannel(params) },
    messageId: digits === '' ? undefined : BigInt(digits),
    messageSeq: integer(params, 'messageSeq', { fallback: 0 }),
    clientMsgNo,
    reason: text(params, 'reason', ''),
  };
}

function inChannel(params: Fields): { readonly channelId: string; readonly channelType: number } {
  return { channelId: text(params, 'channelId'), channelType: integer(params, 'channelType', {}) };
}

function direction(params: Fields): 'down' | 'up' {
  const value = params['direction'] ?? 'down';
  if (value === 'down' || value === 'up') return value;
  throw new FieldError('direction: expected down or up');
}

function isTrue(params: Fields, name: string): boolean {
  const value = params[name] ?? false;
  if (typeof value !== 'boolean') throw new FieldError(`${name}: expected true or false`);
  return value;
}

/** A stored message with the fields of `recv`; a recalled one says `recall` and nothing of what it was. */
function pastMessage(channel: ChannelKey, message: Message, viewer: Uid): string {
  const { recall } = message;
  const type = channelTypeOf(channel);
  const fields = encodeMessageFields(message, channelIdFor(channel, viewer), type);
  return recall ? `{${fields},"recall":${JSON.stringify(recallView(recall))}}` : `{${fields}}`;
}

export function recallView({ by, role, atMs, reason }: RecallResult['recall']): object {
  return { by, role, at: atMs, reason };
}

/** The answer to `history`, as JSON. By hand, as all that is long: a quarter of what JSON.stringify costs. */
export function pastPage(
  channel: ChannelKey,
  { messages, more, nextSeq, cutTo }: HistoryPage,
  viewer: Uid,
): string {
  const shown = messages.map((message) => pastMessage(channel, message, viewer));
  const cut = cutTo === undefined ? '' : `,"cutTo":${cutTo}`;
  return `{"messages":[${shown.join(',')}],"more":${more},"nextSeq":${nextSeq}${cut}}`;
}

/**
 * One of the answer to `conversations`, as JSON. `recalls`: tombstones of what was recalled since the
 * version that the client has.
 */
export function pastConversation(
  one: Conversation,
  viewer: Uid,
  recalls: readonly Message[],
): string {
  const { channel, unread, mentions, readSeq, hiddenTo, version, last } = one;
  const tombstones = recalls.map((message) => pastMessage(channel, message, viewer));
  const tail = tombstones.length === 0 ? '' : `,"recalls":[${tombstones.join(',')}]`;
  return (
    `{"channelId":${quote(channelIdFor(channel, viewer))},"channelType":${channelTypeOf(channel)}` +
    `,"unread":${unread},"mentions":${mentions},"readSeq":${readSeq},"hiddenTo":${hiddenTo}` +
    `,"version":${version},"last":${pastMessage(channel, last, viewer)}${tail}}`
  );
}

/** The answer to `conversations`, as JSON, of what `pastConversation` made. */
export function pastList(list: Omit<ConversationList, 'conversations'>, shown: string[]): string {
  const { partial, next, version, digest } = list;
  return (
    `{"conversations":[${shown.join(',')}],"next":${quote(next)},"version":${version}` +
    `,"partial":${partial},"more":${next !== ''}` +
    (digest === '' ? '}' : `,"digest":${quote(digest)}}`)
  );
}
