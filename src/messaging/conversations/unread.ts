import type { ChannelKey, Uid } from '../../core/ids.ts';
import { UNREAD_MAX, type Cursor, type ReadPosition } from '../../core/kinds/cursor.ts';
import type { Hlc } from '../../core/hybrid-clock.ts';
import { isNamed } from './mentions.ts';
import type { MessageRow, MessageRows } from './message-rows.ts';

/**
 * How far below a read position the messages that were there are counted, so that one that comes late,
 * out of a partition, is told from one that was read. What comes later than so many is not.
 */
const LATE_ROWS_MAX = 256;
/** Rows that a count looks at; a user with more unread has at least so many. */
const COUNTED_ROWS_MAX = 10_000;

export interface Reader {
  readonly uid: Uid;
  readonly channel: ChannelKey;
  readonly cursor: Cursor;
  /** Since when the user has been a subscriber: nothing that was there before is unread. */
  readonly since: Hlc;
}

export interface Unread {
  readonly unread: number;
  /** Of what is above the read position: messages that name the user. */
  readonly mentions: number;
  /** Of the last change among what was looked at above the read position: a recall is one. */
  readonly hlc: Hlc;
}

export async function countUnread(rows: MessageRows, reader: Reader): Promise<Unread> {
  const { cursor } = reader;
  const override = cursor.override;
  // Set at a message that is still above what was read.
  const holds = override?.unread !== undefined && override.seq >= (cursor.read?.seq ?? 0);
  const above = holds ? override.seq : (cursor.read?.seq ?? 0);
  const fresh = await countAbove(rows, reader, above);
  if (holds) return { ...fresh, unread: Math.min(UNREAD_MAX, override.unread + fresh.unread) };
  const late = cursor.read ? await countLate(rows, reader, cursor.read) : 0;
  return { ...fresh, unread: fresh.unread + late };
}

/** What a user has read who reads everything up to `seq` now. */
export async function readPositionAt(
  rows: MessageRows,
  { uid, channel }: Pick<Reader, 'uid' | 'channel'>,
  seq: number,
): Promise<ReadPosition> {
  const window = await lateWindow(rows, channel, { from: 0, to: seq });
  const others = window.rows.filter((row) => isOf(row, uid));
  return { seq, from: window.from, count: others.length };
}

async function countAbove(rows: MessageRows, reader: Reader, above: number): Promise<Unread> {
  let [unread, mentions, hlc] = [0, 0, 0];
  const { uid, channel, cursor, since } = reader;
  const low = Math.max(above, cursor.hiddenTo);
  for await (const block of rows.newest(channel, low, COUNTED_ROWS_MAX)) {
    for (const row of block) {
      hlc = Math.max(hlc, row.hlc);
      // What a user has read says when reading began better than when the subscription did.
      if (!isOf(row, uid) || row.recalled || (!cursor.read && row.hlc < since)) continue;
      unread += 1;
      if (isNamed(row.mention, uid)) mentions += 1;
    }
  }
  return { unread, mentions, hlc };
}

/** A message recalled since is still a message that was read: it is counted on both sides. */
async function countLate(rows: MessageRows, reader: Reader, read: ReadPosition): Promise<number> {
  const window = await lateWindow(rows, reader.channel, { from: read.from, to: read.seq });
  const there = window.rows.filter((row) => isOf(row, reader.uid)).length;
  return Math.max(0, there - read.count);
}

async function lateWindow(
  rows: MessageRows,
  channel: ChannelKey,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<{ readonly from: number; readonly rows: readonly MessageRow[] }> {
  const found: MessageRow[] = [];
  for await (const block of rows.newest(channel, from, COUNTED_ROWS_MAX)) {
    for (const row of block) {
      if (row.message.messageSeq > to) continue;
      found.push(row);
      if (found.length >= LATE_ROWS_MAX) break;
    }
    if (found.length >= LATE_ROWS_MAX) break;
  }
  const oldest = found.at(-1)?.message.messageSeq;
  const full = found.length >= LATE_ROWS_MAX && oldest !== undefined;
  return { from: full ? oldest - 1 : from, rows: found };
}

function isOf({ message }: MessageRow, uid: Uid): boolean {
  return message.fromUid !== uid;
}
