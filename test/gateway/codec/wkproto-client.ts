import { createPublicKey, diffieHellman, generateKeyPairSync, createHash } from 'node:crypto';
import { WkReader, WkWriter } from '../../../src/gateway/codec/wkproto-bytes.ts';
import { encrypt, sendMsgKey, type WkKeys } from '../../../src/gateway/codec/wkproto-crypto.ts';
import { WK } from '../../../src/gateway/codec/wkproto.ts';

/** A client's side of the binary dialect, for any version; written after the specification alone. */
export class WkClientSide {
  readonly #pair = generateKeyPairSync('x25519');
  readonly version: number;
  keys: WkKeys | undefined;

  constructor(version: number) {
    this.version = version;
  }

  connect(uid: string, token = ''): Buffer {
    const key = this.#pair.publicKey.export({ format: 'der', type: 'spki' }).subarray(12);
    const writer = new WkWriter().u8(this.version).u8(1).string('dev').string(uid).string(token);
    return writer
      .u64(BigInt(Date.now()))
      .string(key.toString('base64'))
      .packet(WK.connect << 4);
  }

  connack(packet: Buffer): { serverVersion: number; reasonCode: number; nodeId: bigint } {
    const reader = new WkReader(bodyOf(packet));
    const serverVersion = (packet[0]! & 1) === 1 ? reader.u8() : 0;
    reader.i64();
    const reasonCode = reader.u8();
    const serverKey = Buffer.from(reader.string(1000), 'base64');
    const salt = reader.string(1000);
    const nodeId = this.version >= 4 ? reader.u64() : 0n;
    reader.end();
    if (reasonCode === 1) {
      const spki = Buffer.concat([Buffer.from('302a300506032b656e032100', 'hex'), serverKey]);
      const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' });
      const shared = diffieHellman({ privateKey: this.#pair.privateKey, publicKey });
      const hash = createHash('md5').update(shared.toString('base64')).digest('hex');
      this.keys = { key: Buffer.from(hash.slice(0, 16)), iv: Buffer.from(salt.slice(0, 16)) };
    }
    return { serverVersion, reasonCode, nodeId };
  }

  send(options: {
    readonly clientSeq: number;
    readonly channelId: string;
    readonly text: string;
    readonly setting?: number;
    readonly topic?: string;
    readonly expire?: number;
    readonly msgKey?: string;
    readonly flags?: number;
    readonly streamNo?: string;
  }): Buffer {
    const { clientSeq, channelId, text, setting = 0, topic = '', expire = 0, flags = 2 } = options;
    const plain = Buffer.from(text);
    const payload = (setting & 16) !== 0 ? plain : Buffer.from(encrypt(this.keys!, plain));
    const signed = { clientSeq, clientMsgNo: `no${clientSeq}`, channelId, channelType: 2, payload };
    const writer = new WkWriter().u8(setting).u32(clientSeq).string(signed.clientMsgNo);
    if (options.streamNo !== undefined) writer.string(options.streamNo);
    writer.string(channelId).u8(2);
    if (this.version >= 3) writer.u32(expire);
    writer.string(options.msgKey ?? sendMsgKey(this.keys!, signed));
    if ((setting & 8) !== 0) writer.string(topic);
    return writer.bytes(payload).packet((WK.send << 4) | flags);
  }

  sub(channelId: string, action: number): Buffer {
    const writer = new WkWriter()
      .u8(0)
      .string('sub1')
      .string(channelId)
      .u8(2)
      .u8(action)
      .string('');
    return writer.packet(WK.sub << 4);
  }

  recvack(messageId: bigint, seq: number): Buffer {
    const writer = new WkWriter().u64(messageId);
    if (this.version >= 6) writer.u64(BigInt(seq));
    else writer.u32(seq);
    return writer.packet(WK.recvack << 4);
  }

  seq(reader: WkReader): number {
    return this.version >= 6 ? Number(reader.u64()) : reader.u32();
  }
}

/** What follows the header of one whole packet. */
export function bodyOf(packet: Buffer): Buffer {
  let at = 1;
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = packet[at++]!;
    length |= (byte & 127) << shift;
    if (byte < 128) break;
  }
  const body = packet.subarray(at);
  if (body.length !== length) throw new Error(`${body.length} bytes after a length of ${length}`);
  return body;
}
