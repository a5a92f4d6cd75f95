import { status, type ServerWritableStream } from '@grpc/grpc-js';
import { parseUid, PERSON } from '../../core/ids.ts';
import { personChannel } from '../../core/placement.ts';
import { REASON } from '../../core/reason-code.ts';
import type { RoutedSession, Services } from '../../messaging/port.ts';
import type { Random } from '../../runtime/port.ts';
import { AdminError, invalid, refusalError, take } from '../errors.ts';
import type {
  KickSessionReply,
  KickSessionRequest,
  PublishReply,
  PublishRequest,
  Session,
  SessionsRequest,
} from '../messages.ts';
import type { AdminLimits } from '../port.ts';
import { readChannel, readText } from '../request.ts';
import { writeWhenReady } from '../streams.ts';

export interface SessionCallOptions {
  readonly services: Pick<Services, 'sessions' | 'publisher'>;
  readonly limits: AdminLimits;
  readonly random: Random;
}

/** Sessions that come or go while the stream waits for a slow reader may be in it or not. */
export async function streamSessions(
  { services }: SessionCallOptions,
  call: ServerWritableStream<SessionsRequest, Session>,
  signal: AbortSignal,
): Promise<void> {
  const { uid, limit } = call.request;
  const { sessions } = services;
  const found = uid ? sessions.sessionsOf(take(parseUid(uid), 'uid')) : sessions.sessions();
  let sent = 0;
  for (const session of found) {
    if (signal.aborted) return;
    await writeWhenReady(call, toSession(session, sessions.channelCountOf(session)), signal);
    if (++sent === limit) return;
  }
}

export function kickSessions(
  { services }: SessionCallOptions,
  request: KickSessionRequest,
): KickSessionReply {
  const text = readText(request.text, 'text', 256) || 'kicked by an operator';
  const found = selectSessions(services.sessions, request);
  if (found.length === 0) {
    const who = request.who === 'id' ? `session ${request.id}` : `session of ${request.uid}`;
    throw new AdminError(status.NOT_FOUND, `no ${who} on this node`);
  }
  for (const session of found) session.kick(REASON.kicked, text);
  return { kicked: found.length };
}

function selectSessions(
  sessions: Services['sessions'],
  request: KickSessionRequest,
): readonly RoutedSession[] {
  if (request.who === 'uid') return [...sessions.sessionsOf(take(parseUid(request.uid), 'uid'))];
  if (request.who !== 'id') throw invalid('who', 'expected an id or a uid');
  for (const session of sessions.sessions()) if (session.id === request.id) return [session];
  return [];
}

export async function publish(
  { services, limits, random }: SessionCallOptions,
  request: PublishRequest,
): Promise<PublishReply> {
  const sender = take(parseUid(request.sender), 'sender');
  if (request.payload.length > limits.payloadBytesMax) {
    const { length } = request.payload;
    throw invalid('payload', `${length} bytes, at most ${limits.payloadBytesMax}`);
  }
  const outcome = await services.publisher.publish({
    sender,
    channel: publishChannel(request),
    clientMsgNo: readText(request.clientMsgNo, 'client_msg_no', 128) || drawNumber(random),
    payload: request.payload,
    noPersist: request.noPersist,
    redDot: request.redDot,
    syncOnce: request.syncOnce,
    setting: 0,
    topic: readText(request.topic, 'topic', 256),
    expire: request.expireSeconds,
    cause: 'admin',
  });
  if (!outcome.ok) throw refusalError(outcome);
  const { messageId, messageSeq, clientMsgNo, disks } = outcome.value;
  return { messageId: String(messageId), messageSeq, clientMsgNo, disks };
}

/** A person channel may be named by the receiver alone, as the clients do. */
function publishChannel(request: PublishRequest): ReturnType<typeof readChannel> {
  if (request.channelType !== PERSON || request.channelId.includes('@'))
    return readChannel(request);
  const receiver = take(parseUid(request.channelId), 'channel_id');
  return personChannel(take(parseUid(request.sender), 'sender'), receiver);
}

function drawNumber(random: Random): string {
  return Buffer.from(random.bytes(16)).toString('hex');
}

function toSession(session: RoutedSession, channels: number): Session {
  const { id, uid, deviceFlag, deviceLevel, deviceId, remoteAddress, protocol } = session;
  return {
    id,
    uid,
    deviceFlag,
    deviceLevel,
    deviceId,
    connectedAtMs: Math.round(session.connectedAtMs),
    remoteAddress,
    protocol,
    channels,
  };
}
