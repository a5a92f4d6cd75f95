import { SETTING, type ClientFrame } from '../codec/frame.ts';
import {
  decodeWkPacket,
  encodeConnack,
  encodeSendack,
  encodeSuback,
  encodeWkDisconnect,
  NO_PERSIST,
  PONG,
  RED_DOT,
  SYNC_ONCE,
  WK,
  type WkConnect,
  type WkSend,
} from '../codec/wkproto.ts';
import { WkProtoError, WkVersionError } from '../codec/wkproto-bytes.ts';
import { agreeKeys, decrypt, printableSalt, sendMsgKey } from '../codec/wkproto-crypto.ts';
import { WkPacketTooLarge, WkStream } from '../codec/wkproto-stream.ts';
import { REASON, type ReasonCode } from '../../core/reason-code.ts';
import type { Dialect, WkState } from './dialect.ts';
import { CLOSE, type ClientSession } from './session.ts';

/**
 * Binary frames. There is no error packet, and after one bad packet nothing that follows can be
 * trusted: so bad bytes close the connection at once (1008, or 1009 where a packet is too large).
 */
export const wkprotoDialect: Dialect = {
  protocol: 'wkproto',

  receive(session, bytes, binary) {
    if (!binary) {
      fail(session, new WkProtoError('this connection speaks WKProto in binary frames'));
      return;
    }
    if (!session.wk && bytes.length > 0 && bytes[0]! >> 4 !== WK.connect) {
      // Without this a stranger's bytes might pass for the start of a packet and wait for the rest.
      fail(session, new WkProtoError('the first packet must be CONNECT'));
      return;
    }
    const wk = (session.wk ??= freshState(session));
    try {
      wk.stream.push(bytes, (first, body) => {
        const frame = toFrame(session, wk, first, body);
        if (frame) session.handle(frame);
        return session.state !== 'DISCONNECTED';
      });
    } catch (error) {
      if (!(error instanceof WkProtoError)) throw error;
      if (error instanceof WkVersionError) connack(session, REASON.authenticationFailed, 0);
      fail(session, error);
    }
  },

  acceptConnect(session, _ref, { timeDiffMs }) {
    connack(session, REASON.success, timeDiffMs);
  },

  refuseConnect(session, _ref, refusal) {
    connack(session, refusal.code, 0);
  },

  replySend(session, ref, outcome) {
    const { messageId, messageSeq } = outcome.ok ? outcome.value : { messageId: 0n, messageSeq: 0 };
    const reasonCode = outcome.ok ? REASON.success : outcome.code;
    const packet = { messageId, messageSeq, reasonCode, clientSeq: Number(ref) };
    session.answer(encodeSendack(packet, session.wk!.version));
  },

  replySubscription(session, frame, outcome) {
    const { subNo, channelId, channelType, action } = frame;
    const reasonCode = outcome.ok ? REASON.success : outcome.code;
    session.send(encodeSuback({ subNo, channelId, channelType, action, reasonCode }));
  },

  pong(session) {
    session.send(PONG);
  },

  refuseFrame() {
    // No packet says this: a ping without an answer, a second CONNECT without effect.
  },

  sayDisconnect(session, reasonCode, text) {
    session.send(encodeWkDisconnect(reasonCode, text));
  },
};

function freshState(session: ClientSession): WkState {
  const { limits, runtime } = session.room;
  return {
    stream: new WkStream(limits.frameBytesMax),
    version: 1,
    keys: undefined,
    serverKey: '',
    salt: printableSalt(runtime.random.bytes(16)),
    channels: new Set(),
  };
}

/** Undefined where the packet was answered here. */
function toFrame(
  session: ClientSession,
  wk: WkState,
  ...[first, body]: readonly [number, Uint8Array]
): ClientFrame | undefined {
  const packet = decodeWkPacket(first, body, wk.version);
  switch (packet.type) {
    case 'connect':
      return connectFrame(session, wk, packet);
    case 'send':
      return sendFrame(session, wk, packet);
    case 'recvack':
      return { kind: 'recvack' };
    case 'ping':
      return { kind: 'ping', ref: undefined };
    case 'disconnect':
      return { kind: 'disconnect', reason: packet.reason };
    case 'sub':
      return {
        kind: 'subscription',
        ref: undefined,
        action: packet.action,
        subNo: packet.subNo,
        channelId: packet.channelId,
        channelType: packet.channelType,
        receipts: [],
      };
    default:
      return packet satisfies never;
  }
}

function connectFrame(
  session: ClientSession,
  wk: WkState,
  packet: WkConnect,
): ClientFrame | undefined {
  if (wk.keys === undefined) {
    wk.version = packet.version;
    const agreed = agreeKeys(packet.clientKey, wk.salt);
    if (!agreed) {
      session.room.counters.connectsRefused += 1;
      connack(session, REASON.authenticationFailed, 0);
      session.end(CLOSE.policy, 'clientKey is no X25519 key');
      return undefined;
    }
    wk.keys = { key: agreed.key, iv: agreed.iv };
    wk.serverKey = agreed.serverKey;
  }
  const clientTimestampMs = Number(packet.clientTimestampMs);
  const { uid, token, deviceId, deviceFlag } = packet;
  return { kind: 'connect', ref: undefined, uid, token, deviceId, deviceFlag, clientTimestampMs };
}

function sendFrame(session: ClientSession, wk: WkState, packet: WkSend): ClientFrame | undefined {
  const { clientSeq, clientMsgNo, channelId, channelType, setting, topic, expire } = packet;
  const plain = (setting & SETTING.noEncryption) !== 0;
  if (!plain && wk.keys && sendMsgKey(wk.keys, packet) !== packet.msgKey) {
    session.room.counters.frameError('malformed');
    const refused = { messageId: 0n, messageSeq: 0, clientSeq, reasonCode: REASON.wrongMsgKey };
    session.send(encodeSendack(refused, wk.version));
    return undefined;
  }
  return {
    kind: 'send',
    ref: clientSeq,
    clientMsgNo,
    channelId,
    channelType,
    payload: plain ? packet.payload : wk.keys && decrypt(wk.keys, packet.payload),
    noPersist: (packet.flags & NO_PERSIST) !== 0,
    redDot: (packet.flags & RED_DOT) !== 0,
    syncOnce: (packet.flags & SYNC_ONCE) !== 0,
    setting,
    topic,
    expire,
  };
}

function connack(session: ClientSession, reasonCode: ReasonCode, timeDiffMs: number): void {
  const { version, serverKey, salt } = session.wk!;
  const accepted = reasonCode === REASON.success;
  session.send(
    encodeConnack({
      version,
      timeDiffMs: BigInt(timeDiffMs),
      reasonCode,
      serverKey: accepted ? serverKey : '',
      salt: accepted ? salt : '',
      nodeId: session.room.nodeId,
    }),
  );
}

function fail(session: ClientSession, error: WkProtoError): void {
  const tooLarge = error instanceof WkPacketTooLarge;
  session.room.counters.frameError(tooLarge ? 'too-large' : 'malformed');
  session.end(tooLarge ? CLOSE.tooLarge : CLOSE.policy, error.message);
}
