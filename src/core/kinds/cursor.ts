import type { Uid } from '../ids.ts';
import { liveEntries, type Row } from '../row.ts';

/**
 * Kind `r`, key (channel, uid): how far a user has read a channel and up to where its conversation is
 * hidden. Each position is an entry of its own tag and only ever moves up, in whatever order the writes of
 * several devices meet; among equal positions the last writer says the rest.
 */
export const READ = 0;
export const HIDDEN = 1;
export const UNREAD = 2;
/** Of nobody: that a message of the channel was recalled, so that whoever was away learns of it. */
export const RECALLED = 3;
/** In the place of a uid, which holds no such character. */
export const NOBODY = '#' as Uid;

/** Everything up to `seq` was read. */
export interface ReadPosition {
  readonly seq: number;
  /**
   * Messages of others above `from` and up to `seq` that were there to be read. One that comes later with
   * a lower number, out of a partition, makes them more, and counts as unread.
   */
  readonly from: number;
  readonly count: number;
}

/** The count that a user or a backend has set; it holds until something above `seq` is read. */
export interface UnreadOverride {
  /** The newest message when it was set: what comes after adds to it. */
  readonly seq: number;
  /** Undefined: taken back. */
  readonly unread: number | undefined;
}

export interface Cursor {
  readonly read: ReadPosition | undefined;
  /** Messages up to this number do not make a conversation; 0 for none. */
  readonly hiddenTo: number;
  readonly override: UnreadOverride | undefined;
  /** When its newest entry was written, as a hybrid clock; 0 for none. */
  readonly hlc: number;
}

const NO_OVERRIDE = 0xffff_ffff;
export const UNREAD_MAX = NO_OVERRIDE - 1;

export function encodeRead({ seq, from, count }: ReadPosition): Uint8Array {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  writeNumber(view, 0, seq);
  writeNumber(view, 8, from);
  view.setUint32(16, count);
  return bytes;
}

export function encodeHidden(seq: number): Uint8Array {
  const bytes = new Uint8Array(8);
  writeNumber(new DataView(bytes.buffer), 0, seq);
  return bytes;
}

export function encodeUnread({ seq, unread }: UnreadOverride): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  writeNumber(view, 0, seq);
  view.setUint32(8, unread ?? NO_OVERRIDE);
  return bytes;
}

/** The mark of one more recall: above what `row`, the one under NOBODY, holds. */
export function encodeRecalled(row: Row, atMs: number): Uint8Array {
  let rank = Math.floor(atMs);
  for (const { tag, value } of liveEntries(row)) {
    if (tag !== RECALLED || value.length !== 8) continue;
    const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
    rank = Math.max(rank, readNumber(view, 0) + 1);
  }
  return encodeHidden(rank);
}

/** An entry that is no cursor's counts as absent: the row's checksum is the store's affair. */
export function cursorOf(row: Row): Cursor {
  let read: ReadPosition | undefined;
  let override: UnreadOverride | undefined;
  let hiddenTo = 0;
  let hlc = 0;
  for (const { tag, value, hlc: written } of liveEntries(row)) {
    const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
    hlc = Math.max(hlc, written);
    if (tag === READ && value.length === 20) {
      const [seq, from] = [readNumber(view, 0), readNumber(view, 8)];
      read = { seq, from, count: view.getUint32(16) };
    } else if (tag === HIDDEN && value.length === 8) {
      hiddenTo = readNumber(view, 0);
    } else if (tag === UNREAD && value.length === 12) {
      const unread = view.getUint32(8);
      override = {
        seq: readNumber(view, 0),
        unread: unread === NO_OVERRIDE ? undefined : unread,
      };
    }
  }
  return { read, hiddenTo, override, hlc };
}

/** An integer below 2^53, sorted as bytes. */
function writeNumber(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / 2 ** 32));
  view.setUint32(at + 4, value >>> 0);
}

function readNumber(view: DataView, at: number): number {
  return view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
}
