export interface ListedChannel {
  readonly channelId: string;
  readonly channelType: number;
  /** Highest messageSeq that came. */
  readonly head: number;
}

const BUCKETS = 64;

/** As the server hashes names: FNV-1a over UTF-16 code units with a final avalanche. */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The client's own list of channels, with the sums by which it is compared with the server's. */
export class ChannelList {
  readonly #channels = new Map<string, ListedChannel>();

  all(): readonly ListedChannel[] {
    return [...this.#channels.values()];
  }

  head(channelId: string, channelType: number): number | undefined {
    return this.#channels.get(nameOf(channelId, channelType))?.head;
  }

  set(channel: ListedChannel): void {
    this.#channels.set(nameOf(channel.channelId, channel.channelType), channel);
  }

  /** Only of a channel that is listed; a head never falls by this. */
  raise(channelId: string, channelType: number, head: number): void {
    const known = this.head(channelId, channelType);
    if (known !== undefined && head > known) this.set({ channelId, channelType, head });
  }

  remove(channelId: string, channelType: number): void {
    this.#channels.delete(nameOf(channelId, channelType));
  }

  digest(): string {
    let sum = 0;
    for (const channel of this.#channels.values()) sum = (sum + hashOf(channel)) >>> 0;
    return `${this.#channels.size}-${sum.toString(16)}`;
  }

  sums(): readonly number[] {
    const sums = Array.from({ length: BUCKETS }, () => 0);
    for (const channel of this.#channels.values()) {
      const bucket = bucketOf(channel);
      sums[bucket] = (sums[bucket]! + hashOf(channel)) >>> 0;
    }
    return sums;
  }

  ofBuckets(buckets: ReadonlySet<number>): readonly ListedChannel[] {
    return this.all().filter((channel) => buckets.has(bucketOf(channel)));
  }
}

export function nameOf(channelId: string, channelType: number): string {
  return `${channelType}/${channelId}`;
}

function hashOf({ channelId, channelType, head }: ListedChannel): number {
  return hash32(`${nameOf(channelId, channelType)}\n${head}`);
}

function bucketOf({ channelId, channelType }: ListedChannel): number {
  return hash32(nameOf(channelId, channelType)) % BUCKETS;
}
