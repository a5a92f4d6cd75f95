import { nameOf, type ListedChannel } from './channel-list.ts';

/** With more of them a younger token is asked for; as many again may come until it is there. */
const SINCE_SOFT_MAX = 400;
/** As many as the server takes. */
const SINCE_MAX = 1_000;
/** While much is being fetched no token is taken. */
const SINCE_HARD_MAX = 4_096;
const POSITIONS_MAX = 20_000;

/** Where this client is: the last token, and what the application has been handed since. */
export class ResumeState {
  readonly #since = new Set<string>();
  readonly #positions = new Map<string, ListedChannel>();
  #token: string;

  constructor(token: string) {
    this.#token = token;
  }

  /** Empty for none yet. */
  get token(): string {
    return this.#token;
  }

  /** It is time for a younger token. */
  get isLong(): boolean {
    return this.#since.size >= SINCE_SOFT_MAX;
  }

  note(messageId: string): void {
    this.#since.add(messageId);
    if (this.#since.size > SINCE_HARD_MAX) this.#since.delete(this.#since.keys().next().value!);
  }

  /** Of everything that this token covers the ids are no more needed. */
  adopt(token: string): void {
    this.#token = token;
    this.#since.clear();
  }

  /** The latest where there are too many. */
  seen(): readonly string[] {
    return [...this.#since].slice(-SINCE_MAX);
  }

  /** The highest messageSeq of the channel that the application knows of; never falls. */
  raise(channel: ListedChannel): void {
    const name = nameOf(channel.channelId, channel.channelType);
    if ((this.#positions.get(name)?.head ?? -1) >= channel.head) return;
    this.#positions.delete(name);
    this.#positions.set(name, { ...channel });
    if (this.#positions.size > POSITIONS_MAX) {
      this.#positions.delete(this.#positions.keys().next().value!);
    }
  }

  position(channelId: string, channelType: number): number {
    return this.#positions.get(nameOf(channelId, channelType))?.head ?? 0;
  }

  positions(): readonly ListedChannel[] {
    return [...this.#positions.values()].filter(({ head }) => head > 0);
  }
}
