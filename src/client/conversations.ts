import { hash32, nameOf } from './channel-list.ts';
import type { Result } from './connection.ts';
import { ClientError, type ReceivedMessage, type ServerEvent } from './options.ts';

export interface ClientConversation {
  readonly channelId: string;
  readonly channelType: number;
  readonly unread: number;
  readonly readSeq: number;
  readonly last: LastMessage;
}

export type LastMessage = Omit<ReceivedMessage, 'prevSeq'> & { readonly recall?: unknown };

interface Updated extends Partial<ClientConversation> {
  readonly deleted?: boolean;
  readonly lastMessageSeq?: number;
}

export interface ConversationStoreOptions {
  readonly uid: string;
  readonly conversationsMax: number;
  readonly request: (method: string, params: Result) => Promise<Result>;
  readonly onChange: () => void;
}

/** A page has one conversation at least, however large its last message is. */
const PAGES_MAX = 10_000;
const PAGE = 100;
const RATE_LIMITED = 22;
const RETRY_MS = 300;
/** What was counted or not is asked for once for many. */
const DOUBT_MS = 1_000;

/**
 * The list of conversations as the server derives it, kept up to date by messages and events. It is read
 * whole once; after that what changed since its version is, and it is compared with what the server says
 * the whole list is: where that differs it is read whole again, and what is not in it goes.
 */
export class ConversationStore {
  readonly #options: ConversationStoreOptions;
  readonly #conversations = new Map<string, ClientConversation>();
  #version = 0;
  #again = false;
  #loading: Promise<void> | undefined;
  /** The last message that the server counted in what it said of a conversation. */
  readonly #countedTo = new Map<string, number>();
  #doubt: ReturnType<typeof setTimeout> | undefined;
  /** By messages and events, since a request that is not answered yet was made. */
  readonly #touched = new Map<string, 'message' | 'event'>();
  /** Of the same, since a reading of the whole list began. */
  readonly #begun = new Set<string>();

  constructor(options: ConversationStoreOptions) {
    this.#options = options;
  }

  /** The newest first. */
  all(): readonly ClientConversation[] {
    return [...this.#conversations.values()].sort(newestFirst);
  }

  get(channelId: string, channelType: number): ClientConversation | undefined {
    return this.#conversations.get(nameOf(channelId, channelType));
  }

  unread(): number {
    let sum = 0;
    for (const { unread } of this.#conversations.values()) sum += unread;
    return sum;
  }

  /** Asks for what changed. Several calls at once are two at most. Rejects with a `ClientError`. */
  load(): Promise<void> {
    if (this.#loading) {
      this.#again = true;
      return this.#loading;
    }
    this.#loading = this.#load().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #load(): Promise<void> {
    do {
      this.#again = false;
      const since = this.#version;
      const digest = await this.#read(since);
      // What was deleted or left is in no list of changes.
      if (since > 0 && !this.#again && digest !== this.#digest()) await this.#read(0);
    } while (this.#again);
    this.#options.onChange();
  }

  /** What changed since the version, 0 for all; resolves with what the server says the whole list is. */
  async #read(since: number): Promise<unknown> {
    const listed = new Set<string>();
    let [after, version, digest]: [string, number, unknown] = ['', since, undefined];
    this.#begun.clear();
    for (let page = 0; page < PAGES_MAX; page++) {
      const answer = await this.#ask({ version: since, limit: PAGE, after });
      for (const one of answer['conversations'] as readonly ClientConversation[]) {
        listed.add(nameOf(one.channelId, one.channelType));
        this.#take(one);
      }
      if (page === 0) [version, digest] = [Number(answer['version']), answer['digest']];
      after = typeof answer['next'] === 'string' ? answer['next'] : '';
      if (after === '' || listed.size >= this.#options.conversationsMax) break;
    }
    if (since === 0) this.#keepOnly(listed);
    this.#version = version;
    return digest;
  }

  async #ask(params: Result): Promise<Result> {
    while (true) {
      this.#touched.clear();
      try {
        return await this.#options.request('conversations', params);
      } catch (error) {
        if (!(error instanceof ClientError) || error.code !== RATE_LIMITED) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  /** What came while the answer was on its way is younger than what it says, or may be. */
  #take(one: ClientConversation): void {
    const name = nameOf(one.channelId, one.channelType);
    const touched = this.#touched.get(name);
    const lastSeq = this.#conversations.get(name)?.last.messageSeq ?? 0;
    const isOld = touched === 'event' || (touched && lastSeq > one.last.messageSeq);
    if (isOld) {
      this.#again = true;
      return;
    }
    this.#countedTo.set(name, one.last.messageSeq);
    this.#set(one);
  }

  #keepOnly(listed: ReadonlySet<string>): void {
    for (const name of this.#conversations.keys()) {
      if (listed.has(name)) continue;
      // It came, or moved to a page that was read before: the changes have it.
      if (this.#begun.has(name)) this.#again = true;
      else this.#delete(name);
    }
  }

  #touch(name: string, by: 'message' | 'event'): void {
    if (!this.#loading) return;
    if (this.#touched.get(name) !== 'event') this.#touched.set(name, by);
    this.#begun.add(name);
  }

  /** As the server's. */
  #digest(): string {
    let sum = 0;
    for (const [name, { unread, readSeq, last }] of this.#conversations) {
      sum = (sum + hash32(`${name}\n${unread}\n${readSeq}\n${last.messageSeq}`)) >>> 0;
    }
    return `${this.#conversations.size}-${sum.toString(16)}`;
  }

  /** Everything in it has been read, on every device. Rejects with a `ClientError`. */
  async read(channelId: string, channelType: number): Promise<void> {
    const known = this.get(channelId, channelType);
    const readSeq = known?.last.messageSeq ?? 0;
    await this.#options.request('read', { channelId, channelType, messageSeq: readSeq });
    const now = this.get(channelId, channelType);
    if (!now) return;
    this.#touch(nameOf(channelId, channelType), 'event');
    if (now.last.messageSeq === readSeq) this.#set({ ...now, unread: 0, readSeq });
    this.#options.onChange();
  }

  /** Takes it off the list until another message comes. Rejects with a `ClientError`. */
  async remove(channelId: string, channelType: number): Promise<void> {
    await this.#options.request('read', { channelId, channelType, deleted: true });
    this.#touch(nameOf(channelId, channelType), 'event');
    this.#delete(nameOf(channelId, channelType));
    this.#options.onChange();
  }

  received(message: ReceivedMessage): void {
    if (message.messageSeq === 0 || message.header?.syncOnce) return;
    const { channelId, channelType, messageSeq } = message;
    const name = nameOf(channelId, channelType);
    this.#touch(name, 'message');
    const known = this.get(channelId, channelType);
    const own = message.fromUid === this.#options.uid;
    const isNew = !own && messageSeq > (known?.readSeq ?? 0);
    const counts = isNew && messageSeq > (this.#countedTo.get(name) ?? 0);
    if (isNew && !counts) this.#askSoon();
    const last = !known || messageSeq >= known.last.messageSeq ? message : known.last;
    const unread = (known?.unread ?? 0) + (counts ? 1 : 0);
    this.#set({ channelId, channelType, unread, readSeq: known?.readSeq ?? 0, last });
    this.#options.onChange();
  }

  /** What another device did, or somebody took back; the rest is asked for. */
  event({ type, data }: ServerEvent): void {
    if (type === 'message.recalled') return this.#reload();
    if (type !== 'conversation.updated') return;
    const said = data as Updated;
    const { channelId = '', channelType = 0, unread = 0, readSeq = 0, lastMessageSeq = 0 } = said;
    const name = nameOf(channelId, channelType);
    this.#touch(name, 'event');
    const known = this.get(channelId, channelType);
    if (said.deleted) this.#delete(name);
    else if (known) {
      this.#countedTo.set(name, Math.max(this.#countedTo.get(name) ?? 0, lastMessageSeq));
      this.#set({ ...known, unread, readSeq });
    } else return this.#reload();
    this.#options.onChange();
  }

  /** It came late, or it was counted before it came: the server knows. */
  #askSoon(): void {
    if (this.#doubt) return;
    this.#doubt = setTimeout(() => {
      this.#doubt = undefined;
      this.#reload();
    }, DOUBT_MS);
  }

  #reload(): void {
    // Without a connection: the next one loads.
    this.load().catch(() => {});
  }

  #set(one: ClientConversation): void {
    const { channelId, channelType, unread, readSeq, last } = one;
    const name = nameOf(channelId, channelType);
    this.#conversations.set(name, { channelId, channelType, unread, readSeq, last });
    if (this.#conversations.size <= this.#options.conversationsMax) return;
    const silent = this.all().at(-1)!;
    this.#delete(nameOf(silent.channelId, silent.channelType));
  }

  #delete(name: string): void {
    this.#conversations.delete(name);
    this.#countedTo.delete(name);
  }
}

function newestFirst(a: ClientConversation, b: ClientConversation): number {
  return b.last.timestamp - a.last.timestamp || b.last.messageSeq - a.last.messageSeq;
}
