import type { ActorId, ChannelKey } from '../../core/ids.ts';
import { hash32, SHARDS, shardOf } from '../../core/placement.ts';
import type { VectorRow, VersionVector } from '../../core/version-vector.ts';

/** Where one delivered message is, and the write that put it there. */
export interface RecentMessage {
  readonly messageSeq: number;
  readonly actor: ActorId;
  readonly counter: number;
}

type Highest = ReadonlyMap<ActorId, Float64Array>;

/** Everything noted up to a position is of writes that are not above these. */
interface Checkpoint {
  readonly position: number;
  readonly highest: Highest;
}

const CAPACITY_MIN = 1_024;
const CHECKPOINT_EVERY = 1_024;
const ACTORS_MAX = 60_000;
const NONE = -1;

/**
 * The messages that this node had last, chained by channel: what a vector does not cover of a channel is
 * found without reading the disk. A ring of 34 bytes an entry that grows up to its limit; a note takes
 * about 0.2 µs. It knows which vectors it can answer: those that cover whatever is no more in it.
 */
export class RecentMessages {
  readonly #capacityMax: number;
  #channels = new Int32Array(0);
  #seqs = new Float64Array(0);
  #counters = new Float64Array(0);
  #actors = new Uint16Array(0);
  #previous = new Float64Array(0);
  /** By the hash of the channel, the position of its last entry. */
  readonly #last = new Map<number, number>();
  readonly #names: ActorId[] = [];
  readonly #numbers = new Map<ActorId, number>();
  #highest = new Map<ActorId, Float64Array>();
  #checkpoints: Checkpoint[];
  #count = 0;
  /** While what was written before this run is read: what came since, some of it into its gaps. */
  #noted: Set<string> | undefined;

  /** `known`: what was written before and is not noted here. `capacityMax`: a power of two. */
  constructor(known: Iterable<VectorRow>, capacityMax = 262_144) {
    this.#capacityMax = capacityMax;
    for (const row of known) this.#raise(row.actor, row.shard, row.above.at(-1) ?? row.base);
    this.#checkpoints = [{ position: 0, highest: copyOf(this.#highest) }];
  }

  /** To be called when the message is delivered, in the tick in which its dot becomes durable. */
  note(channel: ChannelKey, { messageSeq, actor, counter }: RecentMessage): void {
    if (this.#count >= this.#seqs.length && this.#seqs.length < this.#capacityMax) this.#grow();
    const hash = hash32(channel) | 0;
    const at = this.#count & (this.#seqs.length - 1);
    if (this.#count >= this.#seqs.length) this.#evict(this.#count - this.#seqs.length);
    this.#channels[at] = hash;
    this.#seqs[at] = messageSeq;
    this.#counters[at] = counter;
    this.#actors[at] = this.#numberOf(actor);
    this.#previous[at] = this.#last.get(hash) ?? NONE;
    this.#last.set(hash, this.#count);
    this.#count += 1;
    this.#noted?.add(nameOf(hash, actor, counter));
    this.#raise(actor, shardOf(channel), counter);
    if (this.#count % CHECKPOINT_EVERY === 0) {
      this.#checkpoints.push({ position: this.#count, highest: copyOf(this.#highest) });
    }
  }

  /** From here to `endLoad` what is written before this run comes by `noteLoaded`. */
  beginLoad(): void {
    this.#noted = new Set();
    for (let i = Math.max(0, this.#count - this.#seqs.length); i < this.#count; i++) {
      const at = i & (this.#seqs.length - 1);
      const actor = this.#names[this.#actors[at]!]!;
      this.#noted.add(nameOf(this.#channels[at]!, actor, this.#counters[at]!));
    }
  }

  endLoad(): void {
    this.#noted = undefined;
  }

  /** The same as `note`, once: what was missing on the disk at the start may have come meanwhile. */
  noteLoaded(channel: ChannelKey, message: RecentMessage): void {
    const name = nameOf(hash32(channel) | 0, message.actor, message.counter);
    if (!this.#noted?.has(name)) this.note(channel, message);
  }

  /** What was written before this run and has been noted since: `known` is what is still left out. */
  lowerFloor(known: Iterable<VectorRow>): void {
    if (this.#checkpoints[0]?.position !== 0) return;
    const highest = new Map<ActorId, Float64Array>();
    for (const { actor, shard, base } of known) set(highest, { actor, shard }, base);
    this.#checkpoints[0] = { position: 0, highest };
  }

  /**
   * From which position on everything of the shard has to be looked at for one who has seen `vector`;
   * undefined where that is no more in here.
   */
  startOf(vector: VersionVector, shard: number): number | undefined {
    for (let i = this.#checkpoints.length - 1; i >= 0; i--) {
      const { position, highest } = this.#checkpoints[i]!;
      if (coversAll(vector, highest, shard)) return position;
    }
    return undefined;
  }

  /** The entries of the channel from `start` on that `vector` does not cover, the latest first. */
  *missing(
    channel: ChannelKey,
    { vector, start }: { readonly vector: VersionVector; readonly start: number },
  ): Generator<RecentMessage> {
    const shard = shardOf(channel);
    const oldest = Math.max(start, this.#count - this.#seqs.length);
    let position = this.#last.get(hash32(channel) | 0) ?? NONE;
    while (position >= oldest) {
      const at = position & (this.#seqs.length - 1);
      const actor = this.#names[this.#actors[at]!]!;
      const counter = this.#counters[at]!;
      if (!vector.covers(actor, shard, counter)) {
        yield { messageSeq: this.#seqs[at]!, actor, counter };
      }
      position = this.#previous[at]!;
    }
  }

  /** The entry at this position is about to be written over: nobody may go that far back any more. */
  #evict(position: number): void {
    const hash = this.#channels[position & (this.#seqs.length - 1)]!;
    if (this.#last.get(hash) === position) this.#last.delete(hash);
    while (this.#checkpoints.length > 1 && this.#checkpoints[0]!.position <= position) {
      this.#checkpoints.shift();
    }
    if (this.#checkpoints[0]!.position <= position) {
      this.#checkpoints = [{ position: this.#count, highest: copyOf(this.#highest) }];
    }
  }

  #numberOf(actor: ActorId): number {
    const known = this.#numbers.get(actor);
    if (known !== undefined) return known;
    if (this.#names.length >= ACTORS_MAX) this.#forget();
    this.#names.push(actor);
    this.#numbers.set(actor, this.#names.length - 1);
    return this.#names.length - 1;
  }

  /** Nobody may go back before now. */
  #forget(): void {
    this.#names.length = 0;
    this.#numbers.clear();
    this.#last.clear();
    this.#checkpoints = [{ position: this.#count, highest: copyOf(this.#highest) }];
  }

  #raise(actor: ActorId, shard: number, counter: number): void {
    set(this.#highest, { actor, shard }, counter);
  }

  #grow(): void {
    const capacity = Math.max(CAPACITY_MIN, this.#seqs.length * 2);
    const grown = <Kind extends { set(from: Kind): void }>(empty: Kind, from: Kind): Kind => {
      empty.set(from);
      return empty;
    };
    this.#channels = grown(new Int32Array(capacity), this.#channels);
    this.#seqs = grown(new Float64Array(capacity), this.#seqs);
    this.#counters = grown(new Float64Array(capacity), this.#counters);
    this.#actors = grown(new Uint16Array(capacity), this.#actors);
    this.#previous = grown(new Float64Array(capacity), this.#previous);
  }
}

function nameOf(channelHash: number, actor: ActorId, counter: number): string {
  return `${channelHash}/${actor}/${counter}`;
}

function set(
  highest: Map<ActorId, Float64Array>,
  { actor, shard }: { readonly actor: ActorId; readonly shard: number },
  counter: number,
): void {
  let counters = highest.get(actor);
  if (!counters) {
    counters = new Float64Array(SHARDS);
    highest.set(actor, counters);
  }
  if (counter > counters[shard]!) counters[shard] = counter;
}

function copyOf(highest: Highest): Map<ActorId, Float64Array> {
  const copy = new Map<ActorId, Float64Array>();
  for (const [actor, counters] of highest) copy.set(actor, counters.slice());
  return copy;
}

function coversAll(vector: VersionVector, highest: Highest, shard: number): boolean {
  for (const [actor, counters] of highest) {
    const to = counters[shard]!;
    if (to > 0 && !vector.coversRange({ actor, shard, from: 1, to })) return false;
  }
  return true;
}
