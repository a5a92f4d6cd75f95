import type { ChannelKey, Uid } from '../../core/ids.ts';
import type { ReasonCode } from '../../core/reason-code.ts';
import type { Delivery, RoutedSession } from '../../messaging/port.ts';
import type { ClientFrame, ConnectFrame } from '../codec/frame.ts';
import type { FrameErrorKind } from '../counters.ts';
import type { Socket } from '../socket-server/port.ts';
import type { Ahead, Dialect, WkState } from './dialect.ts';
import { fullBucket, refill } from './rate.ts';
import { handleConnect, handleFrame } from './requests.ts';
import type { SessionRoom } from './room.ts';

/**
 * OPENING until the reply to connect, then CONNECTED; both end in DISCONNECTED, for good. PROBE: the
 * node's own connection to itself, which is nobody's session.
 */
export type SessionState = 'OPENING' | 'CONNECTED' | 'DISCONNECTED' | 'PROBE';

export const CLOSE = {
  normal: 1000,
  goingAway: 1001,
  policy: 1008,
  tooLarge: 1009,
  serviceRestart: 1012,
  tryLater: 1013,
} as const;

/** A Close frame carries at most 123 bytes of reason. */
const REASON_BYTES_MAX = 123;

/**
 * One client connection. There are tens of thousands of them, mostly silent: so it is one flat
 * object,
 * without closures, timers, maps or buffers of its own until a client makes them necessary.
 */
export class ClientSession implements RoutedSession {
  readonly socket: Socket<ClientSession>;
  readonly room: SessionRoom;
  readonly openedAtMs: number;
  state: SessionState = 'OPENING';
  role: 'client' | 'probe' = 'client';
  dialect: Dialect | undefined = undefined;
  uid = '' as Uid;
  deviceFlag = 0;
  deviceLevel = 0;
  deviceId = '';
  connectedAtMs = 0;
  /** Monotonic, as exact as the gateway's sweep; of the last frame from the client. */
  heardAtMs = 0;
  deliveriesBefore = 0;
  /** It compares its channels with a digest in the answers to its pings. */
  digest = false;
  /** Requests without an answer yet. */
  pending = 0;
  wk: WkState | undefined = undefined;
  /** It gets a resume token with the answers to its pings. */
  resumes = false;
  resumedFrom: RoutedSession['resumedFrom'] = undefined;
  /** It has seen more than this node: it is served by itself until the node has caught up. */
  ahead: Ahead | undefined = undefined;
  #attached = false;
  #badFrames = 0;
  #frameTokens: number;
  #sendTokens: number;
  #queryTokens: number;
  #refilledAtMs: number;
  #endedWith: { readonly code: number; readonly reason: string } | undefined = undefined;
  /**
   * Between the connect frame and its reply: channels to join with the reply, frames to handle
   * after it.
   */
  #early: { readonly joins: Set<ChannelKey>; readonly frames: ClientFrame[] } | undefined =
    undefined;

  constructor(room: SessionRoom, socket: Socket<ClientSession>) {
    this.room = room;
    this.socket = socket;
    this.openedAtMs = Math.floor(room.runtime.clock.monotonicMs());
    this.#frameTokens = fullBucket(room.limits.framesPerSecondMax);
    this.#sendTokens = fullBucket(room.limits.sendsPerSecondMax);
    this.#queryTokens = fullBucket(room.limits.queriesPerSecondMax);
    this.#refilledAtMs = room.coarseNowMs;
  }

  get id(): number {
    return this.socket.id;
  }

  get remoteAddress(): string {
    return this.socket.remoteAddress;
  }

  get protocol(): 'json-rpc' | 'wkproto' {
    return this.dialect?.protocol ?? 'json-rpc';
  }

  /** One WebSocket message. The first one decides the dialect. */
  receive(bytes: Uint8Array, binary: boolean): void {
    if (this.state === 'DISCONNECTED') return;
    this.room.counters.framesIn += 1;
    this.heardAtMs = this.room.coarseNowMs;
    this.dialect ??= binary ? this.room.wkproto : this.room.jsonRpc;
    this.dialect.receive(this, bytes, binary);
  }

  /** A well-formed frame, in the order of their coming. */
  handle(frame: ClientFrame): void {
    this.#badFrames = 0;
    if (this.state === 'CONNECTED') {
      handleFrame(this, frame);
    } else if (this.#early) {
      if (this.#early.frames.push(frame) <= this.room.limits.pendingRequestsMax) return;
      this.end(CLOSE.policy, 'too many frames before the reply to connect');
    } else if (frame.kind === 'connect') {
      this.#early = { joins: new Set(), frames: [] };
      this.room.members.opens(this);
      handleConnect(this, frame);
    } else {
      this.room.counters.frameError('not-connected');
      this.end(CLOSE.policy, 'the first frame must be connect');
    }
  }

  /** The usual acknowledgement of a delivery: only counted. */
  acknowledge(): void {
    this.#badFrames = 0;
    this.room.counters.acknowledged += 1;
  }

  /** A frame that does not parse. Its dialect has said so already. */
  malformed(kind: FrameErrorKind): void {
    this.room.counters.frameError(kind);
    this.#badFrames += 1;
    if (this.state === 'OPENING' && !this.#early) {
      this.end(CLOSE.policy, 'the first frame must be connect');
    } else if (this.#badFrames >= this.room.limits.badFramesMax) {
      this.end(CLOSE.policy, `${this.#badFrames} malformed frames in a row`);
    }
  }

  /** False where the client sends more frames than it may. */
  takeFrame(): boolean {
    if (this.room.limits.framesPerSecondMax === 0) return true;
    this.#refill();
    if (this.#frameTokens < 1) return false;
    this.#frameTokens -= 1;
    return true;
  }

  takeSend(): boolean {
    if (this.room.limits.sendsPerSecondMax === 0) return true;
    this.#refill();
    if (this.#sendTokens < 1) return false;
    this.#sendTokens -= 1;
    return true;
  }

  /** Of what reads the disk for one session alone. */
  takeQuery(): boolean {
    if (this.room.limits.queriesPerSecondMax === 0) return true;
    this.#refill();
    if (this.#queryTokens < 1) return false;
    this.#queryTokens -= 1;
    return true;
  }

  identify(uid: Uid, frame: ConnectFrame, deviceLevel: number): void {
    this.uid = uid;
    this.deviceFlag = frame.deviceFlag;
    this.deviceId = frame.deviceId;
    this.deviceLevel = deviceLevel;
    this.digest = frame.digest === true;
    this.connectedAtMs = this.room.runtime.clock.wallMs();
  }

  /** Resolves once every channel of the user is known; they are joined by `connected`. */
  attach(): Promise<void> {
    this.#attached = true;
    return this.room.services.sessions.attach(this);
  }

  /**
   * To be called in the tick of the reply to connect, so that no message comes before that reply.
   */
  connected(): void {
    const early = this.#early;
    this.#early = undefined;
    this.room.members.opened(this);
    this.state = 'CONNECTED';
    this.room.counters.sessions += 1;
    this.room.counters.connectsAccepted += 1;
    for (const channel of early?.joins ?? []) this.room.members.join(this, channel);
    for (const frame of early?.frames ?? []) this.handle(frame);
  }

  join(channel: ChannelKey): void {
    if (this.state === 'CONNECTED') this.room.members.join(this, channel);
    else this.#early?.joins.add(channel);
  }

  leave(channel: ChannelKey): void {
    if (this.state === 'CONNECTED') this.room.members.leave(this, channel);
    else this.#early?.joins.delete(channel);
  }

  hasJoined(channel: ChannelKey): boolean {
    if (this.state === 'CONNECTED') return this.room.members.has(this, channel);
    return this.#early?.joins.has(channel) ?? false;
  }

  joinedChannels(): readonly ChannelKey[] {
    if (this.state === 'CONNECTED') return this.room.members.channelsOf(this);
    return [...(this.#early?.joins ?? [])];
  }

  deliver(delivery: Delivery): void {
    if (this.state !== 'CONNECTED' || this.ahead?.filter.passes(delivery) === false) return;
    this.room.members.deliverTo(this, delivery);
  }

  /** It takes part in the fan-out of all others as soon as there is nothing to keep from it. */
  endFilter(): void {
    if (this.ahead?.filter.isDone()) this.room.members.endFilter(this);
  }

  send(frame: Uint8Array | string): void {
    if (this.state === 'DISCONNECTED') return;
    this.room.counters.framesOut += 1;
    this.socket.send(frame);
  }

  /** An answer that has no order with deliveries, which is what keeps many of them in one write. */
  answer(frame: Uint8Array | string): void {
    if (this.state === 'DISCONNECTED') return;
    this.room.counters.framesOut += 1;
    this.socket.answer(frame);
  }

  kick(reason: ReasonCode, text: string): void {
    if (this.state === 'DISCONNECTED') return;
    this.room.counters.kicked += 1;
    this.dialect?.sayDisconnect(this, reason, text);
    this.end(CLOSE.policy, text);
  }

  /** Sends a Close frame. The session takes part in nothing from here on. */
  end(code: number, reason: string): void {
    if (this.state === 'DISCONNECTED') return;
    const short = shorten(reason);
    this.#endedWith = { code, reason: short };
    this.#release();
    this.socket.end(code, short);
  }

  /** The socket has gone, for whatever reason; called once. */
  closed(code: number, reason: string): void {
    if (this.state !== 'DISCONNECTED') this.#release();
    if (!this.#endedWith && code === CLOSE.tooLarge) this.room.counters.frameError('too-large');
    const ended = this.#endedWith ?? { code, reason };
    this.room.counters.closed(ended.code);
    const now = Math.floor(this.room.runtime.clock.monotonicMs());
    this.room.log.info('client connection ended', {
      session: this.id,
      peer: this.remoteAddress,
      uid: this.uid,
      role: this.role,
      code: ended.code,
      reason: ended.reason,
      durationMs: now - this.openedAtMs,
      lastMessageMsAgo: this.heardAtMs === 0 ? undefined : Math.max(0, now - this.heardAtMs),
    });
  }

  #release(): void {
    if (this.state === 'CONNECTED') this.room.counters.sessions -= 1;
    this.state = 'DISCONNECTED';
    if (this.#early) this.room.members.opened(this);
    this.#early = undefined;
    this.room.members.forget(this);
    if (this.#attached) this.room.services.sessions.detach(this);
  }

  #refill(): void {
    const now = this.room.coarseNowMs;
    if (now === this.#refilledAtMs) return;
    const { framesPerSecondMax, sendsPerSecondMax, queriesPerSecondMax } = this.room.limits;
    const elapsedMs = now - this.#refilledAtMs;
    this.#frameTokens = refill(this.#frameTokens, framesPerSecondMax, elapsedMs);
    this.#sendTokens = refill(this.#sendTokens, sendsPerSecondMax, elapsedMs);
    this.#queryTokens = refill(this.#queryTokens, queriesPerSecondMax, elapsedMs);
    this.#refilledAtMs = now;
  }
}

function shorten(reason: string): string {
  let short = reason;
  while (Buffer.byteLength(short) > REASON_BYTES_MAX) short = short.slice(0, -8);
  return short;
}
