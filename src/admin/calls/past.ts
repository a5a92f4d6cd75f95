import { status } from '@grpc/grpc-js';
import { channelTypeOf, parseUid, PERSON, type ChannelKey, type Uid } from '../../core/ids.ts';
import type { Message, Recall } from '../../core/kinds/message.ts';
import { channelIdFor, personChannel } from '../../core/placement.ts';
import { CONVERSATION_PLACE } from '../../messaging/conversations/port.ts';
import type { Services } from '../../messaging/port.ts';
import { RECALL_REASON_LENGTH_MAX } from '../../messaging/recall/port.ts';
import { AdminError, invalid, refusalError, take } from '../errors.ts';
import type * as wire from '../past-messages.ts';
import { readChannel, readText, type ChannelFields } from '../request.ts';

type Past = Pick<Services, 'history' | 'recalls' | 'conversations'>;

const PAGE_DEFAULT = 50;
const PAGE_MAX = 1_000;
/** With what surrounds the payloads well below the 4 MB that a gRPC client takes. */
const PAGE_BYTES_MAX = 2 * 1024 * 1024;
const CLIENT_MSG_NO_LENGTH_MAX = 1024;
const MESSAGE_ID_MAX = 2n ** 63n - 1n;

export async function history(
  { history: kept }: Past,
  request: wire.HistoryRequest,
): Promise<wire.HistoryReply> {
  const { startSeq, endSeq, oldestFirst } = request;
  const channel = readPlace(request);
  const page = await need(kept).page({
    ...{ channel, startSeq, endSeq, limit: readLimit(request.limit) },
    direction: oldestFirst ? 'up' : 'down',
    ...{ commands: 'left-out', bytesMax: PAGE_BYTES_MAX },
  });
  const { nextSeq, cutTo = 0 } = page;
  return { messages: page.messages.map(toStored), nextSeq, cutTo };
}

/** As the backend does: any message, at any time. */
export async function recall(
  { recalls }: Past,
  request: wire.RecallRequest,
): Promise<wire.RecallReply> {
  const clientMsgNo = readText(request.clientMsgNo, 'client_msg_no', CLIENT_MSG_NO_LENGTH_MAX);
  const messageId = readMessageId(request.messageId);
  const sender = request.fromUid === '' ? undefined : take(parseUid(request.fromUid), 'from_uid');
  if (messageId === undefined && (clientMsgNo === '' || !sender)) {
    throw invalid('message_id', 'expected one, or client_msg_no together with from_uid');
  }
  const outcome = await need(recalls).recall({
    ...{ channel: readPlace(request), messageId, clientMsgNo, sender },
    messageSeq: request.messageSeq,
    by: request.by === '' ? '' : take(parseUid(request.by), 'by'),
    as: 'api',
    reason: readText(request.reason, 'reason', RECALL_REASON_LENGTH_MAX),
  });
  if (!outcome.ok) throw refusalError(outcome);
  const { value } = outcome;
  return {
    messageId: String(value.messageId),
    messageSeq: value.messageSeq,
    recall: toRecall(value.recall),
    disks: value.disks,
    alreadyRecalled: value.repeated,
  };
}

export async function conversations(
  { conversations: kept }: Past,
  request: wire.ConversationsRequest,
): Promise<wire.ConversationsReply> {
  const uid = take(parseUid(request.uid), 'uid');
  const { version, onlyUnread, after } = request;
  if (after !== '' && !CONVERSATION_PLACE.test(after)) {
    throw invalid('after', 'expected `next` of the page before');
  }
  const limit = readLimit(request.limit);
  const page = { limit, after, bytesMax: PAGE_BYTES_MAX };
  const list = await need(kept).list({ uid, version, onlyUnread, ...page });
  return {
    conversations: list.conversations.map((one) => ({
      channelId: channelIdFor(one.channel, uid),
      channelType: channelTypeOf(one.channel),
      unread: one.unread,
      mentions: one.mentions,
      readSeq: one.readSeq,
      hiddenTo: one.hiddenTo,
      version: one.version,
      last: toStored(one.last),
    })),
    next: list.next,
    version: list.version,
  };
}

function need<Part>(part: Part | undefined): Part {
  if (part) return part;
  throw new AdminError(status.UNIMPLEMENTED, 'this node keeps nothing of what was said');
}

/** A person channel may be named by the other user alone, where `uid` says for whom it is the other. */
function readPlace(request: ChannelFields & { readonly uid: string }): ChannelKey {
  if (request.uid === '') return readChannel(request);
  const uid: Uid = take(parseUid(request.uid), 'uid');
  if (request.channelType !== PERSON || request.channelId.includes('@')) {
    return readChannel(request);
  }
  return personChannel(uid, take(parseUid(request.channelId), 'channel_id'));
}

function readLimit(limit: number): number {
  if (limit > PAGE_MAX) throw invalid('limit', `${limit}, at most ${PAGE_MAX}`);
  return limit === 0 ? PAGE_DEFAULT : limit;
}

function readMessageId(text: string): bigint | undefined {
  if (text === '') return undefined;
  const id = /^\d{1,19}$/.test(text) ? BigInt(text) : 0n;
  if (id > 0n && id <= MESSAGE_ID_MAX) return id;
  const found = JSON.stringify(text.slice(0, 80));
  throw invalid('message_id', `expected the decimal digits of an int64, found ${found}`);
}

function toStored(message: Message): wire.StoredMessage {
  return {
    messageId: String(message.messageId),
    messageSeq: message.messageSeq,
    clientMsgNo: message.clientMsgNo,
    fromUid: message.fromUid,
    timestamp: message.timestamp,
    payload: message.payload,
    redDot: message.redDot,
    topic: message.topic,
    expireSeconds: message.expire,
    recall: message.recall ? toRecall(message.recall) : null,
  };
}

function toRecall({ by, role, atMs, reason }: Recall): wire.RecallInfo {
  return { by, role, atMs, reason };
}
