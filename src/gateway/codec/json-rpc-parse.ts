import {
  FieldError,
  integer,
  isObject,
  isRequestId,
  needId,
  text,
  type Fields,
} from './json-rpc-fields.ts';
import { parsePast } from './json-rpc-past.ts';
import { parseResume, resumeOf } from './json-rpc-resume.ts';
import { SETTING, SUBSCRIBE, TEXT_LENGTH_MAX, UNSUBSCRIBE } from './frame.ts';
import type { ClientFrame, ConnectFrame, SendFrame, SubscriptionAction } from './frame.ts';
import type { RequestId, SubscriptionFrame } from './frame.ts';

/**
 * JSON-RPC 2.0's own codes for frames that are wrong in form; refusals carry a reason code instead.
 */
export const JSON_RPC_ERROR = {
  notJson: -32700,
  badRequest: -32600,
  unknownMethod: -32601,
  badParams: -32602,
} as const;

export interface BadFrame {
  readonly kind: 'bad';
  readonly id: RequestId | null;
  /** Of the frame, where it could be read. */
  readonly method: string | undefined;
  readonly code: number;
  readonly message: string;
}

/** One text frame. Never throws; about 2 µs for a send of 128 bytes. */
export function parseJsonRpc(bytes: Uint8Array): ClientFrame | BadFrame {
  let frame: unknown;
  try {
    frame = JSON.parse(
      Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'),
    );
  } catch (error) {
    return bad(null, JSON_RPC_ERROR.notJson, `not JSON: ${(error as Error).message.slice(0, 200)}`);
  }
  if (!isObject(frame)) return bad(null, JSON_RPC_ERROR.badRequest, 'a frame is one JSON object');
  const id = frame['id'];
  const method = typeof frame['method'] === 'string' ? frame['method'] : undefined;
  if (id !== undefined && !isRequestId(id)) {
    const message = `id: expected a string of at most ${TEXT_LENGTH_MAX} characters or an integer`;
    return { ...bad(null, JSON_RPC_ERROR.badRequest, message), method };
  }
  const version = frame['jsonrpc'];
  if (method === undefined || (version !== undefined && version !== '2.0')) {
    const message = method === undefined ? 'method: expected a string' : 'jsonrpc: expected "2.0"';
    return bad(id ?? null, JSON_RPC_ERROR.badRequest, message);
  }
  const params = frame['params'] ?? {};
  if (!isObject(params)) {
    return { ...bad(id ?? null, JSON_RPC_ERROR.badParams, 'params: expected an object'), method };
  }
  try {
    return parseMethod(method, id, params) ?? unknownMethod(method, id);
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    return { ...bad(id ?? null, JSON_RPC_ERROR.badParams, error.message), method };
  }
}

function parseMethod(
  method: string,
  id: RequestId | undefined,
  params: Fields,
): ClientFrame | undefined {
  switch (method) {
    case 'connect':
      return parseConnect(id, params);
    case 'send':
      return parseSend(id, params);
    case 'recvack':
      return parseRecvack(params);
    case 'ping':
      return { kind: 'ping', ref: id };
    case 'sync':
      return parseSync(id, params);
    case 'resume':
      return parseResume(needId(id), params);
    case 'pair':
      return { kind: 'pair', ref: needId(id), code: text(params, 'code') };
    case 'disconnect':
      return { kind: 'disconnect', reason: text(params, 'reason', '') };
    case 'subscribe':
      return parseSubscription(id, params, SUBSCRIBE);
    case 'unsubscribe':
      return parseSubscription(id, params, UNSUBSCRIBE);
    default:
      return parsePast(method, id, params);
  }
}

function parseConnect(id: RequestId | undefined, params: Fields): ConnectFrame {
  return {
    kind: 'connect',
    ref: needId(id),
    uid: text(params, 'uid'),
    token: text(params, 'token', ''),
    deviceId: text(params, 'deviceId', ''),
    deviceFlag: integer(params, 'deviceFlag', { fallback: 0, max: 255 }),
    clientTimestampMs: integer(params, 'clientTimestamp', { fallback: 0, max: 1e15 }),
    digest: params['digest'] === true,
    ...(params['resume'] !== undefined && { resume: resumeOf(params) }),
  };
}

const SUMS_MAX = 64;

function parseSync(id: RequestId | undefined, params: Fields): ClientFrame {
  const ref = needId(id);
  const sums: readonly unknown[] = Array.isArray(params['sums']) ? params['sums'] : [];
  if (sums.length > SUMS_MAX || !sums.every((sum) => Number.isSafeInteger(sum))) {
    throw new FieldError(`sums: expected at most ${SUMS_MAX} integers`);
  }
  if (params['channelId'] === undefined) {
    return { kind: 'sync', ref, sums: sums as number[], missed: undefined };
  }
  const missed = {
    channelId: text(params, 'channelId'),
    channelType: integer(params, 'channelType', {}),
    after: integer(params, 'after', { fallback: 0 }),
  };
  return { kind: 'sync', ref, sums: [], missed };
}

function parseSend(id: RequestId | undefined, params: Fields): SendFrame {
  const header = params['header'] ?? {};
  if (!isObject(header)) throw new FieldError('header: expected an object');
  return {
    kind: 'send',
    ref: needId(id),
    clientMsgNo: text(params, 'clientMsgNo', ''),
    channelId: text(params, 'channelId'),
    channelType: integer(params, 'channelType', {}),
    payload: decodeBase64(params['payload']),
    noPersist: flag(header, 'noPersist'),
    redDot: flag(header, 'redDot'),
    syncOnce: flag(header, 'syncOnce'),
    setting: setting(params['setting']),
    topic: text(params, 'topic', ''),
    expire: integer(params, 'expire', { fallback: 0, max: 0xffff_ffff }),
  };
}

function parseRecvack(params: Fields): ClientFrame {
  const messageId = text(params, 'messageId');
  if (!/^\d{1,20}$/.test(messageId)) throw new FieldError('messageId: expected decimal digits');
  integer(params, 'messageSeq', {});
  return { kind: 'recvack' };
}

function parseSubscription(
  id: RequestId | undefined,
  params: Fields,
  action: SubscriptionAction,
): SubscriptionFrame {
  const receipt = params['receipt'];
  const receipts = receipt === undefined ? [] : Array.isArray(receipt) ? receipt : [receipt];
  if (receipts.length > 256 || !receipts.every((one) => typeof one === 'string')) {
    throw new FieldError('receipt: expected a string, or at most 256 of them');
  }
  return {
    kind: 'subscription',
    ref: needId(id),
    action,
    subNo: text(params, 'subNo', ''),
    channelId: text(params, 'channelId'),
    channelType: integer(params, 'channelType', {}),
    receipts,
  };
}

function flag(params: Fields, name: string): boolean {
  const value = params[name] ?? false;
  if (typeof value !== 'boolean') throw new FieldError(`header.${name}: expected true or false`);
  return value;
}

/** An object of flags as in the SDKs' types, or the byte itself. */
function setting(value: unknown): number {
  if (value === undefined || value === null) return 0;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 255)
    return value;
  if (!isObject(value)) throw new FieldError('setting: expected an object of flags or 0 to 255');
  let bits = 0;
  for (const [name, bit] of Object.entries(SETTING)) if (value[name] === true) bits |= bit;
  return bits;
}

/** Node decodes leniently; the length tells whether it skipped anything. */
function decodeBase64(encoded: unknown): Uint8Array | undefined {
  if (typeof encoded !== 'string') throw new FieldError('payload: expected a string of base64');
  if (encoded.length % 4 !== 0) return undefined;
  const padding = encoded.endsWith('==') ? 2 : encoded.endsWith('=') ? 1 : 0;
  const bytes = Buffer.from(encoded, 'base64');
  return bytes.length === (encoded.length / 4) * 3 - padding ? bytes : undefined;
}

function unknownMethod(method: string, id: RequestId | undefined): BadFrame {
  const message = `method: ${JSON.stringify(method.slice(0, 64))} is not known`;
  return { ...bad(id ?? null, JSON_RPC_ERROR.unknownMethod, message), method };
}

function bad(id: RequestId | null, code: number, message: string): BadFrame {
  return { kind: 'bad', id, method: undefined, code, message };
}
