import type { Dot } from '../../core/dot.ts';
import { formatDot } from '../../core/dot.ts';
import type { Message } from '../../core/kinds/message.ts';
import type { ClientEvent } from '../../messaging/port.ts';
import { SETTING, type RequestId, type SubscriptionAction } from './frame.ts';

/**
 * Frames to the client, written by hand: the order of fields is fixed, and only what a client chose
 * goes through JSON.stringify. About 1 µs each.
 */
export function quote(text: string | number): string {
  return typeof text === 'string' && isPlain(text) ? `"${text}"` : JSON.stringify(text);
}

/** A longer text is found out about faster by JSON.stringify itself. */
const PLAIN_LENGTH_MAX = 64;

/** Printable ASCII without a quote and a backslash: JSON.stringify would change nothing. */
function isPlain(text: string): boolean {
  if (text.length > PLAIN_LENGTH_MAX) return false;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x20 || unit > 0x7e || unit === 0x22 || unit === 0x5c) return false;
  }
  return true;
}

/** The same id is written twice, to the receivers and to the sender, and costs more than the rest. */
let lastId = 0n;
let lastIdText = '0';

function idText(id: bigint): string {
  if (id !== lastId) {
    lastId = id;
    lastIdText = String(id);
  }
  return lastIdText;
}

export function encodeError(id: RequestId | null, code: number, message: string): string {
  return (
    `{"jsonrpc":"2.0","id":${id === null ? 'null' : quote(id)},"error":{"code":${code}` +
    `,"message":${quote(message)}}}`
  );
}

export interface ConnectResult {
  readonly serverVersion: number;
  readonly timeDiffMs: number;
  readonly nodeId: bigint;
  /** Of a client that resumes; ours. */
  readonly resume?: unknown;
}

export function encodeConnectResult(id: RequestId, result: ConnectResult): string {
  const resume = result.resume === undefined ? '' : `,"resume":${JSON.stringify(result.resume)}`;
  return (
    `{"jsonrpc":"2.0","id":${quote(id)},"result":{"serverVersion":${result.serverVersion}` +
    `,"timeDiff":${result.timeDiffMs},"reasonCode":1,"nodeId":${result.nodeId}${resume}}}`
  );
}

export interface SendResult {
  readonly messageId: bigint;
  readonly messageSeq: number;
  readonly reasonCode: number;
  /** Disks that hold it; ours. */
  readonly disks: number;
  /** Of a refusal; ours. */
  readonly message: string;
}

export function encodeSendResult(id: RequestId, result: SendResult): string {
  const tail =
    result.message === '' ? `,"disks":${result.disks}` : `,"message":${quote(result.message)}`;
  return (
    `{"jsonrpc":"2.0","id":${quote(id)},"result":{"messageId":"${idText(result.messageId)}"` +
    `,"messageSeq":${result.messageSeq},"reasonCode":${result.reasonCode}${tail}}}`
  );
}

export interface SubscriptionReply {
  readonly subNo: string;
  readonly channelId: string;
  readonly channelType: number;
  readonly action: SubscriptionAction;
  readonly reasonCode: number;
  /** The next three are ours, of a success. */
  readonly receipt: Dot | undefined;
  readonly reached: string;
  readonly missing: readonly string[];
  /** Of a refusal; ours. */
  readonly message: string;
}

export function encodeSubscriptionResult(id: RequestId, reply: SubscriptionReply): string {
  const tail = reply.receipt
    ? `,"receipt":"${formatDot(reply.receipt)}","reached":"${reply.reached}"` +
      `,"missing":${JSON.stringify(reply.missing)}`
    : reply.message === ''
      ? ''
      : `,"message":${quote(reply.message)}`;
  return (
    `{"jsonrpc":"2.0","id":${quote(id)},"result":{"subNo":${quote(reply.subNo)}` +
    `,"channelId":${quote(reply.channelId)},"channelType":${reply.channelType}` +
    `,"action":${reply.action},"reasonCode":${reply.reasonCode}${tail}}}`
  );
}

/** `frames`: recv notifications, as they are sent. */
export function encodeMissed(id: RequestId, frames: readonly string[], more: boolean): string {
  return (
    `{"jsonrpc":"2.0","id":${quote(id)}` +
    `,"result":{"messages":[${frames.join(',')}],"more":${more}}}`
  );
}

/** As `encodeMissed`; `next`: the cursor of the next page, empty after the last. */
export function encodeResumePage(id: RequestId, frames: readonly string[], next: string): string {
  return (
    `{"jsonrpc":"2.0","id":${quote(id)}` +
    `,"result":{"messages":[${frames.join(',')}],"cursor":"${next}","more":${next !== ''}}}`
  );
}

/** Any other answer: of nothing that is frequent. */
export function encodeResult(id: RequestId, result: unknown): string {
  return encodeTextResult(id, JSON.stringify(result));
}

/** `result`: JSON already. */
export function encodeTextResult(id: RequestId, result: string): string {
  return `{"jsonrpc":"2.0","id":${quote(id)},"result":${result}}`;
}

/** `resume`: a token. Neither needs quoting. */
export function encodePong(id: RequestId, digest?: string, resume?: string): string {
  const parts: string[] = [];
  if (digest !== undefined) parts.push(`"digest":"${digest}"`);
  if (resume !== undefined) parts.push(`"resume":"${resume}"`);
  return `{"jsonrpc":"2.0","id":${quote(id)},"result":{${parts.join(',')}}}`;
}

export interface RecvView {
  readonly message: Message;
  readonly channelId: string;
  readonly channelType: number;
  readonly prevSeq: number;
}

/** One for all receivers of a view. Flags and optional fields that say nothing are left out. */
export function encodeRecv({ message, channelId, channelType, prevSeq }: RecvView): string {
  return (
    `{"jsonrpc":"2.0","method":"recv","params":{` +
    `${encodeMessageFields(message, channelId, channelType)},"prevSeq":${prevSeq}}}`
  );
}

/** The fields of a message without braces, as every frame has them. */
export function encodeMessageFields(
  message: Message,
  channelId: string,
  channelType: number,
): string {
  const { noPersist, redDot, syncOnce, payload } = message;
  const header =
    noPersist || redDot || syncOnce
      ? `"header":{"noPersist":${noPersist},"redDot":${redDot},"syncOnce":${syncOnce}},`
      : '';
  const setting = message.setting === 0 ? '' : `"setting":${encodeSetting(message.setting)},`;
  const topic = message.topic === '' ? '' : `,"topic":${quote(message.topic)}`;
  const expire = message.expire === 0 ? '' : `,"expire":${message.expire}`;
  const base64 = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString(
    'base64',
  );
  return (
    `${header}${setting}"messageId":"${idText(message.messageId)}"` +
    `,"messageSeq":${message.messageSeq},"clientMsgNo":${quote(message.clientMsgNo)}` +
    `,"timestamp":${message.timestamp},"channelId":${quote(channelId)}` +
    `,"channelType":${channelType},"fromUid":${quote(message.fromUid)}` +
    `,"payload":"${base64}"${topic}${expire}`
  );
}

function encodeSetting(bits: number): string {
  const flags = Object.entries(SETTING).filter(([, bit]) => (bits & bit) !== 0);
  return `{${flags.map(([name]) => `"${name}":true`).join(',')}}`;
}

export function encodeEvent(event: ClientEvent): string {
  const data = quote(JSON.stringify(event.data) ?? 'null');
  return (
    `{"jsonrpc":"2.0","method":"event","params":{"id":${quote(event.id)}` +
    `,"type":${quote(event.type)},"timestamp":${event.timestampMs},"data":${data}}}`
  );
}

export function encodeDisconnect(reasonCode: number, reason: string): string {
  return (
    `{"jsonrpc":"2.0","method":"disconnect","params":{"reasonCode":${reasonCode}` +
    `,"reason":${quote(reason)}}}`
  );
}
