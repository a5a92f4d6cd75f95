import { PERSON, channelTypeOf, type ChannelKey, type Uid } from '../../core/ids.ts';
import { REASON, refuse, type Outcome, type Refusal } from '../../core/reason-code.ts';
import { CONVERSATION_PLACE } from '../../messaging/conversations/port.ts';
import { RECALL_REASON_LENGTH_MAX } from '../../messaging/recall/port.ts';
import { encodeTextResult } from '../codec/json-rpc-encode.ts';
import { pastConversation, pastList, pastPage, recallView } from '../codec/json-rpc-past.ts';
import type {
  ConversationsFrame,
  HistoryFrame,
  PastFrame,
  ReadFrame,
  RecallFrame,
} from '../codec/frame.ts';
import type { ClientSession } from './session.ts';

type NameChannel = (uid: Uid, channelId: string, channelType: number) => Outcome<ChannelKey>;
/** Of the value as JSON. */
type Answer = Outcome<string>;

const PAGE_DEFAULT = 50;
const absent = refuse(REASON.systemError, 'this node keeps nothing of what was said');

/**
 * Answers what one client asks of the past, from this node's disk: a result, or an error with the reason
 * code. Bounded four ways: requests in a second, requests in work, messages and bytes of one answer; and
 * who does not read the answers gets none before what was sent has left.
 */
export function handlePast(
  session: ClientSession,
  frame: PastFrame,
  channelFor: NameChannel,
): void {
  const refused = (refusal: Refusal): void =>
    session.dialect!.refuseFrame(session, frame.ref, refusal);
  const refusal = admit(session);
  if (refusal) return refused(refusal);
  session.pending += 1;
  answer(session, frame, channelFor).then(
    (outcome) => {
      session.pending -= 1;
      if (outcome.ok) session.send(encodeTextResult(frame.ref ?? '', outcome.value));
      else refused(outcome);
    },
    (error: unknown) => {
      session.pending -= 1;
      session.room.log.error('a request of a client failed', { what: frame.method, error });
      refused(refuse(REASON.systemError, 'the server could not do this now'));
    },
  );
}

function admit(session: ClientSession): Refusal | undefined {
  const { limits, counters } = session.room;
  if (!session.takeQuery()) {
    counters.frameError('rate');
    return refuse(REASON.rateLimited, 'too many requests for what was said before');
  }
  if (session.pending >= limits.pendingRequestsMax) {
    return refuse(REASON.rateLimited, 'too many requests without an answer yet');
  }
  if (session.socket.bufferedBytes() > limits.queueSoftBytesMax / 2) {
    return refuse(REASON.rateLimited, 'read first what was sent already');
  }
  return undefined;
}

async function answer(
  session: ClientSession,
  frame: PastFrame,
  channelFor: NameChannel,
): Promise<Answer> {
  if (frame.method === 'conversations') return listOf(session, frame);
  const channel = channelFor(session.uid, frame.channelId, frame.channelType);
  if (!channel.ok) return channel;
  switch (frame.method) {
    case 'history':
      return historyOf(session, frame, channel.value);
    case 'recall':
      return recall(session, frame, channel.value);
    case 'read':
      return read(session, frame, channel.value);
    default:
      return frame satisfies never;
  }
}

/** Whoever is one of the two of a person channel is always in it: the client names only the other. */
function isMember({ uid, room }: ClientSession, channel: ChannelKey): boolean {
  if (channelTypeOf(channel) === PERSON) return true;
  return room.services.subscriptions.isSubscribed(channel, uid);
}

const noMember = refuse(REASON.subscriberMissing, 'only members may do this in the channel');

async function historyOf(
  session: ClientSession,
  { startSeq, endSeq, limit, direction }: HistoryFrame,
  channel: ChannelKey,
): Promise<Answer> {
  const { limits, services } = session.room;
  if (!isMember(session, channel)) return noMember;
  if (!services.history) return absent;
  const page = await services.history.page({
    ...{ channel, startSeq, endSeq, direction },
    limit: Math.min(limit === 0 ? PAGE_DEFAULT : limit, limits.pageMax),
    commands: 'left-out',
    bytesMax: limits.pageBytesMax,
  });
  // A member no more since: what was read for one is not sent to a stranger.
  if (!isMember(session, channel)) return noMember;
  return { ok: true, value: pastPage(channel, page, session.uid) };
}

/** By whoever sent it, also where that is a member no more. */
async function recall(
  session: ClientSession,
  { messageId, messageSeq, clientMsgNo, reason }: RecallFrame,
  channel: ChannelKey,
): Promise<Answer> {
  if (!session.room.services.recalls) return absent;
  if (reason.length > RECALL_REASON_LENGTH_MAX) {
    const text = `reason: ${reason.length} characters, at most ${RECALL_REASON_LENGTH_MAX}`;
    return refuse(REASON.payloadDecode, text);
  }
  const { uid } = session;
  const outcome = await session.room.services.recalls.recall({
    ...{ channel, messageId, messageSeq, clientMsgNo, sender: uid },
    ...{ by: uid, as: 'user', reason },
  });
  if (!outcome.ok) return outcome;
  const { value } = outcome;
  const { messageSeq: seq, disks, repeated } = value;
  const recalled = { messageId: String(value.messageId), messageSeq: seq };
  const view = { ...recalled, recall: recallView(value.recall), disks, repeated };
  return { ok: true, value: JSON.stringify({ ...view, reasonCode: REASON.success }) };
}

async function read(
  session: ClientSession,
  { messageSeq, unread, deleted }: ReadFrame,
  channel: ChannelKey,
): Promise<Answer> {
  const { conversations } = session.room.services;
  if (!isMember(session, channel)) return noMember;
  if (!conversations) return absent;
  const { uid } = session;
  const outcome = deleted
    ? await conversations.hide(uid, channel)
    : unread !== undefined
      ? await conversations.setUnread(uid, channel, unread)
      : await conversations.read(uid, channel, messageSeq === 0 ? undefined : messageSeq);
  return outcome.ok ? { ok: true, value: `{"reasonCode":${REASON.success}}` } : outcome;
}

async function listOf(
  session: ClientSession,
  { version, onlyUnread, limit, after }: ConversationsFrame,
): Promise<Answer> {
  const { limits, services } = session.room;
  if (!services.conversations) return absent;
  if (after !== '' && !CONVERSATION_PLACE.test(after)) {
    return refuse(REASON.payloadDecode, 'after: expected `next` of the page before');
  }
  const { uid } = session;
  const list = await services.conversations.list({
    ...{ uid, version, onlyUnread, after, isCompared: after === '' },
    limit: Math.min(limit === 0 ? PAGE_DEFAULT : limit, limits.pageMax),
    bytesMax: limits.pageBytesMax,
  });
  const shown: string[] = [];
  for (const one of list.conversations) {
    const since = version > 0 && one.recallVersion > version;
    const recalls = since ? await services.conversations.recalledSince(one.channel, version) : [];
    shown.push(pastConversation(one, uid, recalls));
  }
  return { ok: true, value: pastList(list, shown) };
}
