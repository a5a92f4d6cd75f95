import { SETTING, TEXT_LENGTH_MAX, type SubscriptionAction } from './frame.ts';
import { WkProtoError, WkReader, WkVersionError, WkWriter } from './wkproto-bytes.ts';

export const WK = {
  connect: 1,
  connack: 2,
  send: 3,
  sendack: 4,
  recv: 5,
  recvack: 6,
  ping: 7,
  pong: 8,
  disconnect: 9,
  sub: 10,
  suback: 11,
} as const;

export const WK_VERSION_MAX = 6;
export const NO_PERSIST = 1;
export const RED_DOT = 2;
export const SYNC_ONCE = 4;

/** What a client sends, before decryption. */
export type WkClientPacket =
  | WkConnect
  | WkSend
  | WkSub
  | { readonly type: 'recvack'; readonly messageId: bigint; readonly messageSeq: bigint }
  | { readonly type: 'ping' }
  | { readonly type: 'disconnect'; readonly reasonCode: number; readonly reason: string };

export interface WkConnect {
  readonly type: 'connect';
  readonly version: number;
  readonly deviceFlag: number;
  readonly deviceId: string;
  readonly uid: string;
  readonly token: string;
  readonly clientTimestampMs: bigint;
  /** Base64 of an X25519 public key. */
  readonly clientKey: string;
}

export interface WkSend {
  readonly type: 'send';
  /** The low four bits of the first byte: dup, syncOnce, redDot, noPersist. */
  readonly flags: number;
  readonly setting: number;
  readonly clientSeq: number;
  readonly clientMsgNo: string;
  readonly streamNo: string;
  readonly channelId: string;
  readonly channelType: number;
  readonly expire: number;
  readonly msgKey: string;
  readonly topic: string;
  readonly payload: Buffer;
}

export interface WkSub {
  readonly type: 'sub';
  readonly setting: number;
  readonly subNo: string;
  readonly channelId: string;
  readonly channelType: number;
  readonly action: SubscriptionAction;
  readonly param: string;
}

/**
 * One packet: its first byte and what follows its length. `version` is the connection's, and unused
 * by
 * CONNECT. Throws `WkProtoError` for anything that is no packet of a client.
 */
export function decodeWkPacket(first: number, body: Uint8Array, version: number): WkClientPacket {
  const reader = new WkReader(body);
  switch (first >> 4) {
    case WK.connect:
      return finish(reader, decodeConnect(reader));
    case WK.send:
      return decodeSend(reader, first & 15, version);
    case WK.recvack:
      return finish(reader, {
        type: 'recvack',
        messageId: reader.u64(),
        messageSeq: version >= 6 ? reader.u64() : BigInt(reader.u32()),
      });
    case WK.ping:
      return { type: 'ping' };
    case WK.disconnect:
      return finish(reader, {
        type: 'disconnect',
        reasonCode: reader.u8(),
        reason: reader.string(TEXT_LENGTH_MAX),
      });
    case WK.sub:
      return finish(reader, decodeSub(reader));
    default:
      throw new WkProtoError(`packet type ${first >> 4} is not one of a client`);
  }
}

function finish<Packet>(reader: WkReader, packet: Packet): Packet {
  reader.end();
  return packet;
}

function decodeConnect(reader: WkReader): WkConnect {
  const version = reader.u8();
  if (version < 1 || version > WK_VERSION_MAX) {
    throw new WkVersionError(`version ${version} is outside 1..${WK_VERSION_MAX}`);
  }
  return {
    type: 'connect',
    version,
    deviceFlag: reader.u8(),
    deviceId: reader.string(TEXT_LENGTH_MAX),
    uid: reader.string(TEXT_LENGTH_MAX),
    token: reader.string(TEXT_LENGTH_MAX),
    clientTimestampMs: reader.i64(),
    clientKey: reader.string(TEXT_LENGTH_MAX),
  };
}

function decodeSend(reader: WkReader, flags: number, version: number): WkSend {
  const setting = reader.u8();
  const withStream = version >= 2 && version <= 4 && (setting & SETTING.stream) !== 0;
  return {
    type: 'send',
    flags,
    setting,
    clientSeq: reader.u32(),
    clientMsgNo: reader.string(TEXT_LENGTH_MAX),
    streamNo: withStream ? reader.string(TEXT_LENGTH_MAX) : '',
    channelId: reader.string(2 * TEXT_LENGTH_MAX),
    channelType: reader.u8(),
    expire: version >= 3 ? reader.u32() : 0,
    msgKey: reader.string(TEXT_LENGTH_MAX),
    topic: (setting & SETTING.topic) === 0 ? '' : reader.string(TEXT_LENGTH_MAX),
    payload: reader.rest(),
  };
}

function decodeSub(reader: WkReader): WkSub {
  const packet = {
    type: 'sub' as const,
    setting: reader.u8(),
    subNo: reader.string(TEXT_LENGTH_MAX),
    channelId: reader.string(2 * TEXT_LENGTH_MAX),
    channelType: reader.u8(),
    action: reader.u8(),
    param: reader.string(TEXT_LENGTH_MAX),
  };
  if (packet.action > 1) throw new WkProtoError(`action ${packet.action} is neither 0 nor 1`);
  return { ...packet, action: packet.action as SubscriptionAction };
}

export interface WkConnack {
  readonly version: number;
  readonly timeDiffMs: bigint;
  readonly reasonCode: number;
  readonly serverKey: string;
  readonly salt: string;
  readonly nodeId: bigint;
}

export function encodeConnack(packet: WkConnack): Buffer {
  const writer = new WkWriter();
  // Versions above 3 learn the server's version, and bit 0 of the first byte says that it is there.
  const announces = packet.version > 3;
  if (announces) writer.u8(Math.min(packet.version, WK_VERSION_MAX));
  writer.u64(packet.timeDiffMs).u8(packet.reasonCode);
  writer.string(packet.serverKey).string(packet.salt);
  if (packet.version >= 4) writer.u64(packet.nodeId);
  return writer.packet((WK.connack << 4) | (announces ? 1 : 0));
}

export interface WkSendack {
  readonly messageId: bigint;
  readonly clientSeq: number;
  readonly messageSeq: number;
  readonly reasonCode: number;
}

export function encodeSendack(packet: WkSendack, version: number): Buffer {
  const writer = new WkWriter().u64(packet.messageId).u32(packet.clientSeq);
  writeSeq(writer, packet.messageSeq, version);
  return writer.u8(packet.reasonCode).packet(WK.sendack << 4);
}

export interface WkRecv {
  readonly flags: number;
  readonly setting: number;
  readonly msgKey: string;
  readonly fromUid: string;
  readonly channelId: string;
  readonly channelType: number;
  readonly expire: number;
  readonly clientMsgNo: string;
  readonly messageId: bigint;
  readonly messageSeq: number;
  readonly timestamp: number;
  readonly topic: string;
  /** As sent: already encrypted. */
  readonly payload: Uint8Array;
}

export function encodeWkRecv(packet: WkRecv, version: number): Buffer {
  const writer = new WkWriter().u8(packet.setting).string(packet.msgKey).string(packet.fromUid);
  writer.string(packet.channelId).u8(packet.channelType);
  if (version >= 3) writer.u32(packet.expire);
  writer.string(packet.clientMsgNo).u64(packet.messageId);
  writeSeq(writer, packet.messageSeq, version);
  writer.u32(packet.timestamp);
  if ((packet.setting & SETTING.topic) !== 0) writer.string(packet.topic);
  return writer.bytes(packet.payload).packet((WK.recv << 4) | packet.flags);
}

export interface WkSuback {
  readonly subNo: string;
  readonly channelId: string;
  readonly channelType: number;
  readonly action: SubscriptionAction;
  readonly reasonCode: number;
}

export function encodeSuback(packet: WkSuback): Buffer {
  const writer = new WkWriter().string(packet.subNo).string(packet.channelId);
  writer.u8(packet.channelType).u8(packet.action).u8(packet.reasonCode);
  return writer.packet(WK.suback << 4);
}

export function encodeWkDisconnect(reasonCode: number, reason: string): Buffer {
  return new WkWriter()
    .u8(reasonCode)
    .string(reason)
    .packet(WK.disconnect << 4);
}

export const PONG = Buffer.of(WK.pong << 4);

function writeSeq(writer: WkWriter, seq: number, version: number): void {
  if (version >= 6) writer.u64(BigInt(seq));
  else writer.u32(seq);
}
