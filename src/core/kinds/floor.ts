import type { ChannelKey } from '../ids.ts';
import type { Row } from '../row.ts';
import { floorKey, splitRowKey, type RowKey } from '../row-key.ts';
import { sendKeysOf } from './send-key.ts';

/**
 * Kind `f`, key (channel): up to where the messages of a channel are absent by rule. It only ever moves
 * up, whichever node raises it, so that all replicas end with the same messages, and none brings back what
 * another has removed.
 */
export const FLOOR = 0;

export type CutReason = 'age' | 'size';
const REASONS: readonly CutReason[] = ['age', 'size'];

export interface Floor {
  /** Messages up to this number, it included, are absent. */
  readonly seq: number;
  readonly reason: CutReason;
  /** When it was raised, by the clock of the node that did. Milliseconds since 1970. */
  readonly atMs: number;
}

const BYTES = 17;
const TWO_32 = 2 ** 32;

/** The number comes first, for the higher one wins. */
export function encodeFloor({ seq, reason, atMs }: Floor): Uint8Array {
  const bytes = new Uint8Array(BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, Math.floor(seq / TWO_32));
  view.setUint32(4, seq % TWO_32);
  view.setUint8(8, REASONS.indexOf(reason));
  view.setFloat64(9, atMs);
  return bytes;
}

/** Undefined where nothing was cut, or the row says nothing that can be read. */
export function floorOf(row: Row): Floor | undefined {
  const value = row.find(({ tag }) => tag === FLOOR)?.value;
  if (!value || value.length !== BYTES) return undefined;
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  const reason = REASONS[view.getUint8(8)];
  const seq = view.getUint32(0) * TWO_32 + view.getUint32(4);
  if (!reason || !Number.isSafeInteger(seq)) return undefined;
  return { seq, reason, atMs: view.getFloat64(9) };
}

/** True for a message, or the send key of messages, that is absent by rule. `read`: a stored row. */
export function isBelowFloor(key: RowKey, row: Row, read: (key: RowKey) => Row): boolean {
  if (key[0] !== 'm' && key[0] !== 'i') return false;
  const parts = splitRowKey(key)?.parts;
  if (!parts) return false;
  const floor = floorOf(read(floorKey(parts[0] as ChannelKey)));
  if (!floor) return false;
  if (key[0] === 'm') return Number.parseInt(parts[1]!, 16) <= floor.seq;
  const keys = sendKeysOf(row);
  return keys.length > 0 && keys.every(({ messageSeq }) => messageSeq <= floor.seq);
}
