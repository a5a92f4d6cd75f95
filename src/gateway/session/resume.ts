import { channelIdFor } from '../../core/placement.ts';
import { channelTypeOf, type ChannelKey, type Uid } from '../../core/ids.ts';
import { REASON, refuse, type Outcome, type Refusal } from '../../core/reason-code.ts';
import type { Delivery } from '../../messaging/port.ts';
import { encodeRecv, encodeResumePage } from '../codec/json-rpc-encode.ts';
import { resumeView, type ResumeView } from '../codec/json-rpc-resume.ts';
import type { ConnectFrame, ResumeFrame } from '../codec/frame.ts';
import type { ClientSession } from './session.ts';

type NameChannel = (uid: Uid, channelId: string, channelType: number) => Outcome<ChannelKey>;

interface Resumed {
  readonly view: ResumeView;
  /** To be sent after the answer to connect, in its tick. */
  readonly deliveries: readonly Delivery[];
}

/** Undefined for a client that asks for none of it: nothing changes for that one. */
export function startResume(session: ClientSession, frame: ConnectFrame): Resumed | undefined {
  const { uid, room } = session;
  const { resumes } = room.services;
  if (!frame.resume || !resumes) return undefined;
  session.resumes = true;
  const plan = frame.resume.token === '' ? undefined : resumes.resume({ uid, ...frame.resume });
  session.resumedFrom = plan?.from;
  if (plan?.filter) session.ahead = { filter: plan.filter, channels: new Set() };
  // Of a client that is ahead the older token says more than this node could; it keeps that one.
  const given = session.ahead ? '' : resumes.token(uid);
  const view = resumeView(plan, given, uid);
  return { view, deliveries: plan?.deliveries ?? [] };
}

/** One page of what was missed in one channel; under the limits of all that reads the disk. */
export function answerPage(
  session: ClientSession,
  frame: ResumeFrame,
  channelFor: NameChannel,
): void {
  const { ref } = frame;
  const page = pageOf(session, frame, channelFor);
  if (!page.ok) return session.dialect!.refuseFrame(session, ref, page);
  session.send(page.value);
}

function pageOf(
  session: ClientSession,
  { ref, token, cursor, seen, ...named }: ResumeFrame,
  channelFor: NameChannel,
): Outcome<string> {
  const { uid, room } = session;
  const refusal = admit(session);
  if (refusal) return refusal;
  const channel = channelFor(uid, named.channelId, named.channelType);
  if (!channel.ok) return channel;
  if (!session.hasJoined(channel.value)) {
    return refuse(REASON.subscriberMissing, 'you are not subscribed to this channel');
  }
  const page = readPage(session, { token, cursor, seen, channel: channel.value });
  if (!page) {
    return refuse(REASON.unknown, 'token or cursor: nothing can be resumed by these, read history');
  }
  const channelId = channelIdFor(channel.value, uid);
  const channelType = channelTypeOf(channel.value);
  const frames = page.deliveries.map(({ message, prevSeq }) =>
    encodeRecv({ message, channelId, channelType, prevSeq }),
  );
  room.counters.deliveries += frames.length;
  return { ok: true, value: encodeResumePage(ref ?? '', frames, page.next) };
}

function readPage(
  { uid, room }: ClientSession,
  request: Pick<ResumeFrame, 'token' | 'cursor' | 'seen'> & { readonly channel: ChannelKey },
) {
  try {
    return room.services.resumes?.page({ uid, ...request });
  } catch (error) {
    room.log.error('a request of a client failed', { what: 'resume', error });
    return undefined;
  }
}

function admit(session: ClientSession): Refusal | undefined {
  if (!session.takeQuery()) {
    session.room.counters.frameError('rate');
    return refuse(REASON.rateLimited, 'too many requests for what was said before');
  }
  if (session.socket.bufferedBytes() > session.room.limits.queueSoftBytesMax / 2) {
    return refuse(REASON.rateLimited, 'read first what was sent already');
  }
  return undefined;
}
