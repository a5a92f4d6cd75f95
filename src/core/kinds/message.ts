import { Packr } from 'msgpackr';
import type { Uid } from '../ids.ts';

export type RecallRole = 'sender' | 'owner' | 'manager' | 'api';
const ROLES: readonly RecallRole[] = ['sender', 'owner', 'manager', 'api'];

/** Who took a message back. */
export interface Recall {
  /** A uid; empty where the backend named nobody. */
  readonly by: string;
  readonly role: RecallRole;
  /** Milliseconds since 1970, by the node that took the recall. */
  readonly atMs: number;
  /** In the words of who recalled it; empty for none. */
  readonly reason: string;
}

/**
 * Kind `m`, key (channel, seq, actor). Write once; a recall (tag 1) wins over everything and its value
 * is the same message without payload and topic and with the `recall` field.
 */
export interface Message {
  /** Positive int64. */
  readonly messageId: bigint;
  /** 0 for a no-persist message. */
  readonly messageSeq: number;
  readonly clientMsgNo: string;
  readonly fromUid: Uid;
  /** Seconds since 1970, by the sender's node. */
  readonly timestamp: number;
  readonly payload: Uint8Array;
  readonly noPersist: boolean;
  readonly redDot: boolean;
  readonly syncOnce: boolean;
  readonly setting: number;
  readonly topic: string;
  /** Seconds, 0 for never. */
  readonly expire: number;
  /** Of a tombstone. */
  readonly recall?: Recall | undefined;
}

const codec = new Packr({ useRecords: false, int64AsType: 'bigint' });

/** An array in the order of the fields above, header flags as one number: about 1 µs. */
export function encodeMessage(message: Message): Uint8Array {
  const flags = (message.noPersist ? 1 : 0) | (message.redDot ? 2 : 0) | (message.syncOnce ? 4 : 0);
  const fields: unknown[] = [
    message.messageId,
    message.messageSeq,
    message.clientMsgNo,
    message.fromUid,
    message.timestamp,
    message.payload,
    flags,
    message.setting,
    message.topic,
    message.expire,
  ];
  const { recall } = message;
  if (recall) fields.push([recall.by, ROLES.indexOf(recall.role), recall.atMs, recall.reason]);
  return codec.pack(fields);
}

const NOTHING = new Uint8Array(0);

/** What is left of a recalled message: all but what its sender said. */
export function tombstoneOf(message: Message, recall: Recall): Message {
  return { ...message, payload: NOTHING, topic: '', recall };
}

/** From then on nobody is shown it: it is in no history, resume, repair or conversation. */
export function isExpired(
  { expire, timestamp }: Pick<Message, 'expire' | 'timestamp'>,
  wallMs: number,
): boolean {
  return expire > 0 && (timestamp + expire) * 1000 <= wallMs;
}

/** Undefined where the bytes are no message: the caller reports the row as damaged. */
export function decodeMessage(value: Uint8Array): Message | undefined {
  let fields: unknown;
  try {
    fields = codec.unpack(value);
  } catch {
    return undefined;
  }
  if (!Array.isArray(fields) || fields.length < 10) return undefined;
  const [messageId, messageSeq, clientMsgNo, fromUid, timestamp, payload, flags, ...rest] = fields;
  const [setting, topic, expire] = rest as [number, string, number];
  if (typeof fromUid !== 'string' || !(payload instanceof Uint8Array)) return undefined;
  const recall = fields.length > 10 ? decodeRecall(fields[10]) : undefined;
  return {
    messageId: BigInt(messageId as number | bigint),
    messageSeq: messageSeq as number,
    clientMsgNo: clientMsgNo as string,
    fromUid: fromUid as Uid,
    timestamp: timestamp as number,
    payload,
    noPersist: ((flags as number) & 1) !== 0,
    redDot: ((flags as number) & 2) !== 0,
    syncOnce: ((flags as number) & 4) !== 0,
    setting,
    topic,
    expire,
    ...(recall && { recall }),
  };
}

function decodeRecall(fields: unknown): Recall | undefined {
  if (!Array.isArray(fields)) return undefined;
  const [by, role, atMs, reason] = fields as readonly unknown[];
  if (typeof by !== 'string' || typeof atMs !== 'number' || typeof reason !== 'string') {
    return undefined;
  }
  const known = typeof role === 'number' ? ROLES[role] : undefined;
  return { by, role: known ?? 'api', atMs, reason };
}
