import { channelTypeOf, type ChannelKey, type Uid } from '../../core/ids.ts';
import type { Message } from '../../core/kinds/message.ts';
import { channelIdFor } from '../../core/placement.ts';
import type { Conversation } from '../../messaging/conversations/port.ts';
import type { RecallResult } from '../../messaging/recall/port.ts';
import { SETTING, type PastFrame, type RequestId } from './frame.ts';
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
export function pastMessage(channel: ChannelKey, message: Message, viewer: Uid): object {
  const { noPersist, redDot, syncOnce, setting, topic, expire, recall } = message;
  const flags = Object.entries(SETTING).filter(([, bit]) => (setting & bit) !== 0);
  return {
    ...((noPersist || redDot || syncOnce) && { header: { noPersist, redDot, syncOnce } }),
    ...(setting !== 0 && { setting: Object.fromEntries(flags.map(([name]) => [name, true])) }),
    messageId: String(message.messageId),
    messageSeq: message.messageSeq,
    clientMsgNo: message.clientMsgNo,
    timestamp: message.timestamp,
    channelId: channelIdFor(channel, viewer),
    channelType: channelTypeOf(channel),
    fromUid: message.fromUid,
    payload: Buffer.from(message.payload).toString('base64'),
    ...(topic !== '' && { topic }),
    ...(expire !== 0 && { expire }),
    ...(recall && { recall: recallView(recall) }),
  };
}

export function recallView({ by, role, atMs, reason }: RecallResult['recall']): object {
  return { by, role, at: atMs, reason };
}

/** `recalls`: tombstones of what was recalled since the version that the client has. */
export function pastConversation(
  one: Conversation,
  viewer: Uid,
  recalls: readonly Message[],
): object {
  return {
    channelId: channelIdFor(one.channel, viewer),
    channelType: channelTypeOf(one.channel),
    unread: one.unread,
    mentions: one.mentions,
    readSeq: one.readSeq,
    hiddenTo: one.hiddenTo,
    version: one.version,
    last: pastMessage(one.channel, one.last, viewer),
    ...(recalls.length > 0 && {
      recalls: recalls.map((message) => pastMessage(one.channel, message, viewer)),
    }),
  };
}
