import type { Hlc } from '../core/hybrid-clock.ts';
import type { ChannelKey } from '../core/ids.ts';
import { decodeMessage, type Message } from '../core/kinds/message.ts';
import { RECALL, type Row } from '../core/row.ts';
import { channelOf, channelPrefix, rangeEnd, type RowKey } from '../core/row-key.ts';
import { mentionIn, type Mention } from './conversations/mentions.ts';
import type { ScanRange, Store } from '../storage/port.ts';
import type { Change, Replica, ReplicaListener } from '../storage/replica-port.ts';

export interface ChannelTailsOptions {
  readonly store: Pick<Store, 'scan'>;
  readonly replica: Pick<Replica, 'decode' | 'mayHaveCopies'>;
  /** Memory of all tails together. 32 MB. */
  readonly bytesMax?: number | undefined;
}

/** A stored message, or the tombstone of one. */
export interface TailRow {
  readonly key: RowKey;
  readonly message: Message;
  readonly recalled: boolean;
  readonly mention: Mention | undefined;
  /** When it was written. */
  readonly hlc: Hlc;
}

export interface Tail {
  /** The newest messages of a channel, ascending; all that there are from the first of them on. */
  readonly rows: readonly TailRow[];
  /** There is nothing below. */
  readonly complete: boolean;
}

const BYTES_MAX = 32 * 1024 * 1024;
/** Of one channel. With more the older ones go. */
const ROWS_MAX = 256;
const ROWS_SLACK = 64;
const ROWS_LOADED = 64;
const CHANNEL_BYTES_MAX = 256 * 1024;
/** Of a row beside its payload; an estimate. */
const ROW_BYTES = 400;
const LOADING_MAX = 10_000;

interface Kept {
  rows: TailRow[];
  complete: boolean;
  bytes: number;
}

/**
 * The newest messages of the channels that are asked for, in memory: the store's rows, staged ones
 * included. A look at the disk costs 100 µs and 2 µs a row, and what is asked for is nearly always the end
 * of a channel that others ask for too. Bounded by bytes: the channel that nobody asked for longest goes.
 * A channel with messages that were stored twice has none, nor one with a damaged row.
 */
export class ChannelTails {
  readonly #options: ChannelTailsOptions;
  readonly #tails = new Map<ChannelKey, Kept>();
  /** Channels that are being read; true where a row of it changed meanwhile. */
  readonly #loading = new Map<ChannelKey, { changed: boolean }>();
  #bytes = 0;

  constructor(options: ChannelTailsOptions) {
    this.#options = options;
  }

  /** Rows as they are staged: what is read here is what is staged. */
  listener(): ReplicaListener {
    return {
      onSubmitted() {},
      onDurable() {},
      onStaged: (changes) => {
        for (const change of changes) if (change.key[0] === 'm') this.#onChange(change);
      },
    };
  }

  /** What is known already. It may change with the tick. */
  known(channel: ChannelKey): Tail | undefined {
    const kept = this.#tails.get(channel);
    if (!kept) return undefined;
    if (this.#options.replica.mayHaveCopies(channel)) {
      this.#forget(channel, kept);
      return undefined;
    }
    this.#tails.delete(channel);
    this.#tails.set(channel, kept);
    return kept;
  }

  /**
   * With `rowsMin` rows at least, or all; undefined where there is no tail to be had, and then the disk
   * has to be looked at. Rejects with the store's error.
   */
  async load(channel: ChannelKey, rowsMin: number): Promise<Tail | undefined> {
    const known = this.known(channel);
    if (known && (known.complete || known.rows.length >= rowsMin)) return known;
    if (rowsMin > ROWS_MAX || this.#options.replica.mayHaveCopies(channel)) return undefined;
    // Who comes second meanwhile looks for himself: both are right, and nobody waits for another.
    if (this.#loading.has(channel) || this.#loading.size >= LOADING_MAX) return undefined;
    const state = { changed: false };
    this.#loading.set(channel, state);
    try {
      const kept = await this.#read(channel, Math.max(rowsMin, ROWS_LOADED));
      if (!kept || state.changed) return undefined;
      this.#keep(channel, kept);
      return kept.rows.length >= rowsMin || kept.complete ? kept : undefined;
    } finally {
      this.#loading.delete(channel);
    }
  }

  async #read(channel: ChannelKey, limit: number): Promise<Kept | undefined> {
    const { store, replica } = this.#options;
    const gte = channelPrefix('m', channel);
    const range: ScanRange = { gte, lt: rangeEnd(gte), reverse: true, limit };
    const kept: Kept = { rows: [], complete: true, bytes: 0 };
    let found = 0;
    for await (const chunk of store.scan(range)) {
      found += chunk.length;
      for (const [key, value] of chunk) {
        const decoded = replica.decode(key, value);
        const row = decoded.ok ? rowOf(key as RowKey, decoded.row) : undefined;
        if (!row) return undefined;
        kept.rows.push(row);
        kept.bytes += bytesOf(row);
      }
    }
    kept.rows.reverse();
    kept.complete = found < limit;
    trim(kept);
    return kept;
  }

  #keep(channel: ChannelKey, kept: Kept): void {
    const before = this.#tails.get(channel);
    if (before) this.#forget(channel, before);
    this.#tails.set(channel, kept);
    this.#bytes += kept.bytes;
    this.#makeRoom();
  }

  #onChange({ key, after }: Change): void {
    if (this.#tails.size === 0 && this.#loading.size === 0) return;
    const channel = channelOf(key);
    const loading = this.#loading.get(channel);
    if (loading) loading.changed = true;
    const kept = this.#tails.get(channel);
    if (!kept) return;
    const row = after.length === 0 ? undefined : rowOf(key, after);
    if (after.length > 0 && !row) return this.#forget(channel, kept);
    this.#bytes -= kept.bytes;
    put(kept, key, row);
    trim(kept);
    this.#bytes += kept.bytes;
    this.#makeRoom();
  }

  #makeRoom(): void {
    const { bytesMax = BYTES_MAX } = this.#options;
    for (const [channel, kept] of this.#tails) {
      if (this.#bytes <= bytesMax) return;
      this.#forget(channel, kept);
    }
  }

  #forget(channel: ChannelKey, { bytes }: Kept): void {
    this.#tails.delete(channel);
    this.#bytes -= bytes;
  }
}

/** The payload is copied: what it came in may be much larger. */
function rowOf(key: RowKey, row: Row): TailRow | undefined {
  const [entry] = row;
  const message = entry && decodeMessage(entry.value);
  if (!message) return undefined;
  const payload = Uint8Array.prototype.slice.call(message.payload);
  const { tag, hlc } = entry;
  const mention = mentionIn(payload);
  return { key, message: { ...message, payload }, recalled: tag === RECALL, mention, hlc };
}

/** In its place; what is below the first row of an incomplete tail is no part of it. */
function put(kept: Kept, key: RowKey, row: TailRow | undefined): void {
  const { rows } = kept;
  let at = rows.length;
  // Nearly always the newest. Keys are ASCII, but for channel names, which are the same.
  while (at > 0 && rows[at - 1]!.key >= key) at -= 1;
  const known = rows[at]?.key === key ? rows[at] : undefined;
  if (known) kept.bytes -= bytesOf(known);
  if (!row) {
    if (known) rows.splice(at, 1);
    return;
  }
  if (!known && at === 0 && !kept.complete) return;
  rows.splice(at, known ? 1 : 0, row);
  kept.bytes += bytesOf(row);
}

function trim(kept: Kept): void {
  const tooMany = kept.rows.length > ROWS_MAX + ROWS_SLACK;
  if (!tooMany && kept.bytes <= CHANNEL_BYTES_MAX) return;
  let [from, bytes] = [tooMany ? kept.rows.length - ROWS_MAX : 0, 0];
  const bytesMax = kept.bytes > CHANNEL_BYTES_MAX ? CHANNEL_BYTES_MAX / 2 : CHANNEL_BYTES_MAX;
  for (let i = kept.rows.length - 1; i >= from; i--) {
    bytes += bytesOf(kept.rows[i]!);
    // The newest stays, however large.
    if (bytes > bytesMax && i < kept.rows.length - 1) {
      bytes -= bytesOf(kept.rows[i]!);
      from = i + 1;
      break;
    }
  }
  kept.rows.splice(0, from);
  kept.complete &&= from === 0;
  kept.bytes = bytes;
}

function bytesOf({ message }: TailRow): number {
  return ROW_BYTES + message.payload.length;
}
