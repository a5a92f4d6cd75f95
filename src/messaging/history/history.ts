import type { ActorId, ChannelKey } from '../../core/ids.ts';
import { decodeMessage, isExpired, tombstoneOf, type Message } from '../../core/kinds/message.ts';
import { RECALL, type Row } from '../../core/row.ts';
import { channelPrefix, formatSeq, rangeEnd, type RowKey } from '../../core/row-key.ts';
import type { Clock } from '../../runtime/port.ts';
import type { ScanRange, Store } from '../../storage/port.ts';
import type { Replica } from '../../storage/replica-port.ts';
import type { ChannelTails, Tail } from '../channel-tails.ts';
import { copiesOf, keyOfCopy, type Placed } from './copies.ts';
import { HISTORY_LIMIT_MAX, type History, type HistoryPage, type HistoryRequest } from './port.ts';

export interface HistoryOptions {
  readonly store: Pick<Store, 'scan'>;
  readonly replica: Pick<Replica, 'read' | 'decode' | 'mayHaveCopies'>;
  readonly clock: Clock;
  /** Up to where a channel's messages are absent by rule, whatever of them this disk still has. */
  readonly floorOf?: ((channel: ChannelKey) => number) | undefined;
  readonly tails?: Pick<ChannelTails, 'known' | 'load'> | undefined;
  /** Payload bytes after which a page ends, with at least one message in it. */
  readonly pageBytesMax?: number | undefined;
  /** Rows that one page looks at: of a channel full of expired messages it may be empty and have more. */
  readonly rowsMax?: number | undefined;
}

interface Named {
  readonly channel: ChannelKey;
  /** Of its messages' keys. */
  readonly prefix: string;
}

interface HistoryRow {
  readonly seq: number;
  /** Undefined where nobody sees it. */
  readonly message: Message | undefined;
}

const PAGE_BYTES_MAX = 2 * 1024 * 1024;
const ROWS_MAX = 50_000;
const SEQ_DIGITS = 13;

/** Reads message rows in key order, which is the channel's order. */
export class ChannelHistory implements History {
  readonly #options: HistoryOptions;
  readonly #pageBytesMax: number;
  readonly #rowsMax: number;

  constructor(options: HistoryOptions) {
    this.#options = options;
    this.#pageBytesMax = options.pageBytesMax ?? PAGE_BYTES_MAX;
    this.#rowsMax = options.rowsMax ?? ROWS_MAX;
  }

  async page(request: HistoryRequest): Promise<HistoryPage> {
    const limit = Math.min(Math.max(1, request.limit), HISTORY_LIMIT_MAX);
    const bytesMax = Math.min(request.bytesMax ?? Infinity, this.#pageBytesMax);
    const prefix = channelPrefix('m', request.channel);
    const cutTo = this.#options.floorOf?.(request.channel) ?? 0;
    const range = aboveFloor(rangeOf(request, prefix), prefix + formatSeq(cutTo + 1));
    const asked = { ...request, cutTo };
    const taken: Message[] = [];
    let [rows, bytes, lastSeq] = [0, 0, -1];
    const prefixed = { channel: request.channel, prefix };
    // One row more than the page tells whether there is more.
    for await (const block of this.#blocks(prefixed, range, limit + 1)) {
      for (const { seq, message } of block) {
        const full = taken.length >= limit || bytes >= bytesMax || rows >= this.#rowsMax;
        // Two messages of one number are never parted: the next page would miss the second.
        if (full && seq !== lastSeq) return pageOf(asked, taken, seq);
        rows += 1;
        lastSeq = seq;
        if (!message || (message.syncOnce && request.commands === 'left-out')) continue;
        bytes += message.payload.length;
        taken.push(message);
      }
    }
    return pageOf(asked, taken, 0);
  }

  /** From memory what is there, and then from the disk. Each block is to be read in the tick it comes. */
  async *#blocks(
    named: Named,
    range: ScanRange,
    limit: number,
  ): AsyncGenerator<Iterable<HistoryRow>> {
    const tail = range.reverse ? await this.#tailFor(named, range, limit) : undefined;
    let lt = range.lt;
    if (tail) {
      const [lowest, complete] = [tail.rows[0]?.key, tail.complete];
      yield this.#ofTail(tail, range);
      if (complete || (lowest !== undefined && lowest <= range.gte)) return;
      if (lowest !== undefined && lowest < lt) lt = lowest;
    }
    for await (const chunk of this.#chunks({ ...range, lt }, limit))
      yield this.#ofDisk(named, chunk);
  }

  /** Who asks for the newest page is seldom alone; older ones are not kept. */
  #tailFor(
    { channel, prefix }: Named,
    range: ScanRange,
    limit: number,
  ): Promise<Tail | undefined> | Tail | undefined {
    const { tails } = this.#options;
    return range.lt === rangeEnd(prefix) ? tails?.load(channel, limit) : tails?.known(channel);
  }

  *#ofTail({ rows }: Tail, { gte, lt }: ScanRange): Generator<HistoryRow> {
    for (let i = rows.length - 1; i >= 0; i--) {
      const { key, message } = rows[i]!;
      if (key < gte) return;
      if (key >= lt) continue;
      yield { seq: message.messageSeq, message: this.#isExpired(message) ? undefined : message };
    }
  }

  *#ofDisk(
    { channel, prefix }: Named,
    chunk: readonly (readonly [string, Uint8Array])[],
  ): Generator<HistoryRow> {
    for (const [key, value] of chunk) {
      const seq = Number.parseInt(key.slice(prefix.length, prefix.length + SEQ_DIGITS), 16);
      const actor = key.slice(prefix.length + SEQ_DIGITS + 1) as ActorId;
      yield { seq, message: this.#shown(channel, actor, this.#decode(key as RowKey, value)) };
    }
  }

  /** Asks for what the page needs and then for as much again, so that a small page reads a small block. */
  async *#chunks({ gte, lt, reverse }: ScanRange, first: number) {
    let [low, high, limit] = [gte, lt, first];
    while (true) {
      let found = 0;
      for await (const chunk of this.#options.store.scan({ gte: low, lt: high, reverse, limit })) {
        found += chunk.length;
        const last = chunk.at(-1)?.[0];
        if (last === undefined) continue;
        // Keys end in an actor of fixed width, so that nothing is between a key and the one with a zero.
        if (reverse) high = last;
        else low = `${last}\u0000`;
        yield chunk;
      }
      if (found < limit) return;
      limit = Math.min(1_000, limit * 2);
    }
  }

  #decode(key: RowKey, value: Uint8Array): Row {
    const { replica } = this.#options;
    const decoded = replica.decode(key, value);
    // Read again, so that the damage is told to who repairs it.
    return decoded.ok ? decoded.row : replica.read(key);
  }

  /** Undefined where nobody sees it: damaged, expired, or the copy of another message. */
  #shown(channel: ChannelKey, actor: ActorId, row: Row): Message | undefined {
    const [entry] = row;
    const message = entry && decodeMessage(entry.value);
    if (!message) return undefined;
    if (this.#isExpired(message)) return undefined;
    const { replica } = this.#options;
    if (!replica.mayHaveCopies(channel)) return message;
    const read = (key: RowKey): Row => replica.read(key);
    const placed: Placed = { channel, message, actor };
    const copies = copiesOf(read, placed);
    if (copies.length < 2) return message;
    const rows = copies.map((copy) => read(keyOfCopy(channel, copy)));
    const original = rows.findIndex((each) => each.length > 0);
    const first = copies[original];
    if (first && (first.actor !== actor || first.messageSeq !== message.messageSeq)) {
      return undefined;
    }
    if (entry.tag === RECALL) return message;
    const recalled = rows.find((row) => row[0]?.tag === RECALL)?.[0];
    const recall = recalled && decodeMessage(recalled.value)?.recall;
    return recall ? tombstoneOf(message, recall) : message;
  }

  #isExpired(message: Message): boolean {
    return isExpired(message, this.#options.clock.wallMs());
  }
}

function rangeOf({ startSeq, endSeq, direction }: HistoryRequest, prefix: string): ScanRange {
  if (direction === 'up') {
    const lt = endSeq > 0 ? prefix + formatSeq(endSeq) : rangeEnd(prefix);
    return { gte: prefix + formatSeq(startSeq), lt };
  }
  const lt = startSeq > 0 ? prefix + formatSeq(startSeq + 1) : rangeEnd(prefix);
  return { gte: endSeq > 0 ? prefix + formatSeq(endSeq + 1) : prefix, lt, reverse: true };
}

function aboveFloor(range: ScanRange, lowest: string): ScanRange {
  const gte = range.gte < lowest ? lowest : range.gte;
  return { ...range, gte, lt: range.lt < gte ? gte : range.lt };
}

function pageOf(
  { direction, cutTo }: Pick<HistoryRequest, 'direction'> & { readonly cutTo: number },
  taken: readonly Message[],
  nextSeq: number,
): HistoryPage {
  const messages = direction === 'down' ? taken.toReversed() : taken;
  return { messages, more: nextSeq > 0, nextSeq, ...(cutTo > 0 && { cutTo }) };
}
