import { isUsualRecvack } from '../codec/json-rpc-recvack.ts';
import { scanUsual } from '../codec/json-rpc-scan.ts';
import { JSON_RPC_ERROR, parseJsonRpc } from '../codec/json-rpc-parse.ts';
import {
  encodeConnectResult,
  encodeDisconnect,
  encodeError,
  encodePong,
  encodeSendResult,
  encodeSubscriptionResult,
} from '../codec/json-rpc-encode.ts';
import { WK_VERSION_MAX } from '../codec/wkproto.ts';
import type { Ref, RequestId } from '../codec/frame.ts';
import type { Dialect } from './dialect.ts';
import type { ClientSession } from './session.ts';

const NO_MESSAGE = 0n;
const RESUMED_MS = 60_000;

export const jsonRpcDialect: Dialect = {
  protocol: 'json-rpc',

  receive(session, bytes, binary) {
    if (binary) {
      const message = 'this connection speaks JSON-RPC in text frames';
      session.send(encodeError(null, JSON_RPC_ERROR.badRequest, message));
      session.malformed('malformed');
      return;
    }
    if (session.state === 'CONNECTED' && isUsualRecvack(bytes)) {
      session.acknowledge();
      return;
    }
    const frame = scanUsual(bytes) ?? parseJsonRpc(bytes);
    if (frame.kind !== 'bad') {
      session.handle(frame);
      return;
    }
    session.send(encodeError(frame.id, frame.code, frame.message));
    const unknown = frame.code === JSON_RPC_ERROR.unknownMethod;
    session.malformed(unknown ? 'unknown-method' : 'malformed');
  },

  acceptConnect(session, ref, accepted) {
    const { nodeId } = session.room;
    const result = { serverVersion: WK_VERSION_MAX, nodeId, ...accepted };
    session.send(encodeConnectResult(needed(ref), result));
  },

  refuseConnect(session, ref, refusal) {
    session.send(encodeError(ref ?? null, refusal.code, refusal.message));
  },

  replySend(session, ref, outcome) {
    // Field by field: a spread of the outcome costs more than the whole encoding.
    const result = outcome.ok
      ? {
          messageId: outcome.value.messageId,
          messageSeq: outcome.value.messageSeq,
          disks: outcome.value.disks,
          reasonCode: 1,
          message: '',
        }
      : {
          messageId: NO_MESSAGE,
          messageSeq: 0,
          disks: 0,
          reasonCode: outcome.code,
          message: outcome.message,
        };
    session.answer(encodeSendResult(needed(ref), result));
  },

  replySubscription(session, frame, outcome) {
    const { subNo, channelId, channelType, action, ref } = frame;
    const reply = {
      subNo,
      channelId,
      channelType,
      action,
      receipt: outcome.ok ? outcome.value.receipts[0] : undefined,
      reached: outcome.ok ? outcome.value.reached : '',
      missing: outcome.ok ? outcome.value.missing : [],
      reasonCode: outcome.ok ? 1 : outcome.code,
      message: outcome.ok ? '' : outcome.message,
    };
    session.send(encodeSubscriptionResult(needed(ref), reply));
  },

  pong(session, ref) {
    if (ref === undefined) return;
    const { lists, resumes } = session.room.services;
    session.endFilter();
    if (session.resumedFrom && cameLongAgo(session)) session.resumedFrom = undefined;
    const digest = session.digest ? lists?.digest(session) : undefined;
    const given = session.resumes && !session.ahead && hearsAll(session);
    const token = given ? resumes?.token(session.uid) : undefined;
    session.send(encodePong(ref, digest, token));
  },

  refuseFrame(session, ref, refusal) {
    // A notification expects no answer, so a flood of them gets none.
    if (ref !== undefined) session.send(encodeError(ref, refusal.code, refusal.message));
  },

  sayDisconnect(session, reasonCode, text) {
    session.send(encodeDisconnect(reasonCode, text));
  },
};

/** Whatever is lost on this disk has been found and put right by then. */
function cameLongAgo({ room, connectedAtMs }: ClientSession): boolean {
  return room.runtime.clock.wallMs() - connectedAtMs > RESUMED_MS;
}

/** A token would claim what went to a topic that the socket has lost; soon the audit puts it right. */
function hearsAll(session: ClientSession): boolean {
  const { sessions } = session.room.services;
  return session.joinedChannels().length >= sessions.channelCountOf(session);
}

/** The parser lets no such request through without an id. */
function needed(ref: Ref): RequestId {
  return ref ?? '';
}
