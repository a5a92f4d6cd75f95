import { createCipheriv, createDecipheriv, createHash } from 'node:crypto';
import { createPublicKey, diffieHellman, generateKeyPairSync } from 'node:crypto';
import type { WkRecv, WkSend } from './wkproto.ts';

/** DER of a SubjectPublicKeyInfo for X25519 (RFC 8410), up to the 32 bytes of the key. */
const X25519_SPKI = Buffer.from('302a300506032b656e032100', 'hex');
const KEY_BYTES = 32;

export interface WkKeys {
  readonly key: Buffer;
  readonly iv: Buffer;
}

export interface WkAgreement extends WkKeys {
  /** For CONNACK. */
  readonly serverKey: string;
}

/**
 * A fresh server key pair and what follows from it, about 100 µs. Undefined where the client's key
 * is
 * no X25519 key, or one that makes every secret zero.
 */
export function agreeKeys(clientKey: string, salt: string): WkAgreement | undefined {
  const raw = Buffer.from(clientKey, 'base64');
  if (raw.length !== KEY_BYTES) return undefined;
  try {
    const publicKey = createPublicKey({
      key: Buffer.concat([X25519_SPKI, raw]),
      format: 'der',
      type: 'spki',
    });
    const own = generateKeyPairSync('x25519');
    const shared = diffieHellman({ privateKey: own.privateKey, publicKey });
    const exported = own.publicKey.export({ format: 'der', type: 'spki' });
    return {
      serverKey: exported.subarray(X25519_SPKI.length).toString('base64'),
      key: Buffer.from(md5(shared.toString('base64')).slice(0, 16)),
      iv: Buffer.from(salt.slice(0, 16)),
    };
  } catch {
    return undefined;
  }
}

/** 16 printable characters from 16 random bytes. */
export function printableSalt(random: Uint8Array): string {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  let salt = '';
  for (const byte of random.subarray(0, 16)) salt += letters[byte & 63]!;
  return salt;
}

/** The base64 text that goes over the wire. */
export function encrypt(keys: WkKeys, plain: Uint8Array): string {
  const cipher = createCipheriv('aes-128-cbc', keys.key, keys.iv);
  return cipher.update(plain, undefined, 'base64') + cipher.final('base64');
}

/** Undefined where the bytes are no base64 text of whole, well padded blocks. */
export function decrypt(keys: WkKeys, wire: Uint8Array): Buffer | undefined {
  const text = Buffer.from(wire.buffer, wire.byteOffset, wire.byteLength).toString('latin1');
  const blocks = Buffer.from(text, 'base64');
  if (blocks.toString('base64') !== text) return undefined;
  try {
    const cipher = createDecipheriv('aes-128-cbc', keys.key, keys.iv);
    return Buffer.concat([cipher.update(blocks), cipher.final()]);
  } catch {
    return undefined;
  }
}

/** `payload` is as sent, that is encrypted unless the setting says otherwise. */
export function sendMsgKey(
  keys: WkKeys,
  packet: Pick<WkSend, 'clientSeq' | 'clientMsgNo' | 'channelId' | 'channelType' | 'payload'>,
): string {
  const head = `${packet.clientSeq}${packet.clientMsgNo}${packet.channelId}${packet.channelType}`;
  return msgKey(keys, head, packet.payload);
}

export function recvMsgKey(keys: WkKeys, packet: Omit<WkRecv, 'msgKey'>): string {
  const { messageId, messageSeq, clientMsgNo, timestamp, fromUid, channelId, channelType } = packet;
  const numbers = `${messageId}${messageSeq}${clientMsgNo}${timestamp}`;
  const head = `${numbers}${fromUid}${channelId}${channelType}`;
  return msgKey(keys, head, packet.payload);
}

function msgKey(keys: WkKeys, head: string, payload: Uint8Array): string {
  return md5(encrypt(keys, Buffer.concat([Buffer.from(head), payload])));
}

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex');
}
