import { parseDot, type Dot } from '../../core/dot.ts';
import { PERSON, parseChannelKey, parseChannelType, parseUid } from '../../core/ids.ts';
import type { ChannelKey, Uid } from '../../core/ids.ts';
import { personChannel } from '../../core/placement.ts';
import { REASON, refuse, type Outcome, type Refusal } from '../../core/reason-code.ts';
import { SETTING, SUBSCRIBE } from '../codec/frame.ts';
import type { PublishResult, Sink, SubscriptionResult } from '../../messaging/port.ts';
import type {
  ClientFrame,
  ConnectFrame,
  Ref,
  SendFrame,
  SubscriptionFrame,
} from '../codec/frame.ts';
import { CLOSE, type ClientSession } from './session.ts';
import { handlePair } from './pair.ts';
import { handlePast } from './past.ts';
import { answerPage, startResume } from './resume.ts';
import { handleSync } from './sync.ts';

/** What a client may leave set in a message: the other bits speak of one connection only. */
const SETTING_KEPT = SETTING.receipt | SETTING.signal | SETTING.topic;

/** The first frame. Answers exactly once, and then the session is connected or ended. */
export function handleConnect(session: ClientSession, frame: ConnectFrame): void {
  const admitted = admitNow(session, frame);
  if (!admitted.ok) {
    refuseConnect(session, frame, admitted);
    return;
  }
  const { uid, level } = admitted.value;
  session.identify(uid, frame, level);
  if (level === 1) kickOlder(session);
  attachFor(session, frame).then(
    () => finishConnect(session, frame),
    (error: unknown) => {
      session.room.log.error('a session could not be attached', {
        session: session.id,
        uid,
        error,
      });
      refuseConnect(session, frame, refuse(REASON.systemError, 'the server could not connect you'));
    },
  );
}

/** One that comes back may be told of what was written before this node started. */
async function attachFor(session: ClientSession, { resume }: ConnectFrame): Promise<void> {
  if (resume) await session.room.services.resumes?.ready();
  await session.attach();
}

/** The row of a token may be unreadable while a disk is failing. */
function admitNow(session: ClientSession, frame: ConnectFrame): ReturnType<typeof admit> {
  try {
    return admit(session, frame);
  } catch (error) {
    return failed(session, 'connect', error);
  }
}

function admit(
  session: ClientSession,
  frame: ConnectFrame,
): Outcome<{ readonly uid: Uid; readonly level: number }> {
  const uid = parseUid(frame.uid);
  if (!uid.ok) return refuse(REASON.authenticationFailed, uid.error);
  const { auth, services } = session.room;
  if (auth === 'none' && frame.token === '')
    return { ok: true, value: { uid: uid.value, level: 0 } };
  const checked = services.directory.checkToken(uid.value, frame.deviceFlag, frame.token);
  if (checked.ok) return { ok: true, value: { uid: uid.value, level: checked.value.level } };
  return auth === 'none' ? { ok: true, value: { uid: uid.value, level: 0 } } : checked;
}

/** The device rule, on this node; the registry applies it on the others. */
function kickOlder(session: ClientSession): void {
  // A kick changes the list that the registry may have handed out itself.
  const older = session.room.services.sessions
    .sessionsOf(session.uid)
    .filter((other) => other.id !== session.id && other.deviceFlag === session.deviceFlag);
  for (const other of older)
    other.kick(REASON.kicked, 'the same kind of device connected elsewhere');
}

function finishConnect(session: ClientSession, frame: ConnectFrame): void {
  if (session.state !== 'OPENING') {
    // It went while it was being attached: what the registry did since then must be undone.
    session.room.services.sessions.detach(session);
    return;
  }
  const timeDiffMs =
    frame.clientTimestampMs === 0
      ? 0
      : Math.round(session.room.runtime.clock.wallMs() - frame.clientTimestampMs);
  const resumed = startResume(session, frame);
  session.dialect!.acceptConnect(session, frame.ref, { timeDiffMs, resume: resumed?.view });
  if (session.protocol === 'json-rpc') {
    for (const greeting of session.room.greetings()) session.send(greeting);
  }
  for (const each of resumed?.deliveries ?? []) session.room.members.deliverTo(session, each);
  session.connected();
}

function refuseConnect(session: ClientSession, frame: ConnectFrame, refusal: Refusal): void {
  session.room.counters.connectsRefused += 1;
  session.dialect!.refuseConnect(session, frame.ref, refusal);
  session.end(CLOSE.policy, refusal.message);
}

/** Any frame of a connected client. */
export function handleFrame(session: ClientSession, frame: ClientFrame): void {
  if (frame.kind === 'recvack') return session.acknowledge();
  if (frame.kind === 'disconnect') return session.end(CLOSE.normal, 'the client said goodbye');
  if (frame.kind === 'send') return handleSend(session, frame);
  if (!session.takeFrame()) {
    session.room.counters.frameError('rate');
    const refusal = refuse(REASON.rateLimited, 'too many frames');
    return session.dialect!.refuseFrame(session, frame.ref, refusal);
  }
  switch (frame.kind) {
    case 'ping':
      return session.dialect!.pong(session, frame.ref);
    case 'sync':
      return handleSync(session, frame, channelFor);
    case 'resume':
      return answerPage(session, frame, channelFor);
    case 'past':
      return handlePast(session, frame, channelFor);
    case 'pair':
      return handlePair(session, frame);
    case 'subscription':
      return handleSubscription(session, frame);
    case 'connect': {
      const refusal = refuse(REASON.unknown, 'this connection is connected already');
      return session.dialect!.refuseFrame(session, frame.ref, refusal);
    }
    default:
      return frame satisfies never;
  }
}

function handleSend(session: ClientSession, frame: SendFrame): void {
  const { room, dialect, uid } = session;
  const channel = admitSend(session, frame);
  if (!channel.ok) {
    dialect!.replySend(session, frame.ref, channel);
    return;
  }
  session.pending += 1;
  room.services.publisher.publishInto(
    {
      sender: uid,
      channel: channel.value,
      clientMsgNo: frame.clientMsgNo,
      payload: frame.payload!,
      noPersist: frame.noPersist,
      redDot: frame.redDot,
      syncOnce: frame.syncOnce,
      setting: frame.setting & SETTING_KEPT,
      topic: frame.topic,
      expire: frame.expire,
      cause: 'client',
      exceptSession: session.id,
    },
    new SendReply(session, frame.ref),
  );
}

/** Answers one send. */
class SendReply implements Sink<PublishResult> {
  readonly #session: ClientSession;
  readonly #ref: Ref;

  constructor(session: ClientSession, ref: Ref) {
    this.#session = session;
    this.#ref = ref;
  }

  settle(outcome: Outcome<PublishResult>): void {
    this.#session.pending -= 1;
    this.#session.dialect!.replySend(this.#session, this.#ref, outcome);
  }

  fail(error: unknown): void {
    this.settle(failed(this.#session, 'publish', error));
  }
}

/** Answers one subscribe or unsubscribe. */
class SubscriptionReply implements Sink<SubscriptionResult> {
  readonly #session: ClientSession;
  readonly #frame: SubscriptionFrame;

  constructor(session: ClientSession, frame: SubscriptionFrame) {
    this.#session = session;
    this.#frame = frame;
  }

  settle(outcome: Outcome<SubscriptionResult>): void {
    this.#session.pending -= 1;
    this.#session.dialect!.replySubscription(this.#session, this.#frame, outcome);
  }

  fail(error: unknown): void {
    this.settle(failed(this.#session, 'subscription', error));
  }
}

function admitSend(session: ClientSession, frame: SendFrame): Outcome<ChannelKey> {
  if (!session.takeSend() || !session.takeFrame()) {
    session.room.counters.frameError('rate');
    return refuse(REASON.rateLimited, 'too many sends');
  }
  if (session.pending >= session.room.limits.pendingRequestsMax) {
    return refuse(REASON.rateLimited, 'too many requests without an answer yet');
  }
  if (!frame.payload) return refuse(REASON.payloadDecode, 'payload: could not be decoded');
  return channelFor(session.uid, frame.channelId, frame.channelType);
}

/** How a client names a channel: in a person channel by the peer's uid. */
function channelFor(uid: Uid, channelId: string, channelType: number): Outcome<ChannelKey> {
  const type = parseChannelType(channelType);
  if (!type.ok) return refuse(REASON.channelTypeUnsupported, type.error);
  if (type.value === PERSON) {
    const peer = parseUid(channelId);
    if (!peer.ok) return refuse(REASON.channelIdInvalid, peer.error);
    return { ok: true, value: personChannel(uid, peer.value) };
  }
  const key = parseChannelKey(channelId, channelType);
  return key.ok ? key : refuse(REASON.channelIdInvalid, key.error);
}

function handleSubscription(session: ClientSession, frame: SubscriptionFrame): void {
  const { room, dialect } = session;
  const admitted = admitSubscription(session, frame);
  if (!admitted.ok) {
    dialect!.replySubscription(session, frame, admitted);
    return;
  }
  const { subscriptions } = room.services;
  const { channel, receipts } = admitted.value;
  const request = { channel, uids: [session.uid], cause: 'client', waitFor: 'all' } as const;
  session.pending += 1;
  const reply = new SubscriptionReply(session, frame);
  if (frame.action === SUBSCRIBE) subscriptions.subscribeInto(request, reply);
  else subscriptions.unsubscribeInto({ ...request, receipts }, reply);
}

function admitSubscription(
  session: ClientSession,
  frame: SubscriptionFrame,
): Outcome<{ readonly channel: ChannelKey; readonly receipts: readonly Dot[] }> {
  const { limits, services } = session.room;
  if (session.pending >= limits.pendingRequestsMax) {
    return refuse(REASON.rateLimited, 'too many requests without an answer yet');
  }
  const channel = channelFor(session.uid, frame.channelId, frame.channelType);
  if (!channel.ok) return channel;
  const receipts: Dot[] = [];
  for (const text of frame.receipts) {
    const dot = parseDot(text);
    if (!dot) return refuse(REASON.unknown, 'receipt: expected actor:shard:counter');
    receipts.push(dot);
  }
  if (
    frame.action === SUBSCRIBE &&
    services.sessions.channelCountOf(session) >= limits.subscriptionsPerSessionMax
  ) {
    const message = `at most ${limits.subscriptionsPerSessionMax} subscriptions`;
    return refuse(REASON.rateLimited, message);
  }
  return { ok: true, value: { channel: channel.value, receipts } };
}

function failed(session: ClientSession, what: string, error: unknown): Refusal {
  session.room.log.error('a request of a client failed', { what, session: session.id, error });
  return refuse(REASON.systemError, 'the server could not do this now');
}
