import { nameOf } from './channel-list.ts';
import type { Result } from './connection.ts';
import type { ReceivedMessage, ServerEvent } from './options.ts';

export interface ClientConversation {
  readonly channelId: string;
  readonly channelType: number;
  readonly unread: number;
  readonly readSeq: number;
  readonly last: LastMessage;
}

export type LastMessage = Omit<ReceivedMessage, 'prevSeq'> & { readonly recall?: unknown };

export interface ConversationStoreOptions {
  readonly uid: string;
  readonly conversationsMax: number;
  readonly request: (method: string, params: Result) => Promise<Result>;
  readonly onChange: () => void;
}

const PAGES_MAX = 100;
const PAGE = 100;

/**
 * The list of conversations as the server derives it: read whole once, by its version after that, and
 * kept up to date between by messages and events.
 */
export class ConversationStore {
  readonly #options: ConversationStoreOptions;
  readonly #conversations = new Map<string, ClientConversation>();
  #version = 0;
  #again = false;
  #loading: Promise<void> | undefined;

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
      await this.#loadOnce();
    } while (this.#again);
    this.#options.onChange();
  }

  async #loadOnce(): Promise<void> {
    let [after, version] = ['', this.#version];
    for (let page = 0; page < PAGES_MAX; page++) {
      const asked = { version: this.#version, limit: PAGE, after };
      const answer = await this.#options.request('conversations', asked);
      for (const one of answer['conversations'] as readonly ClientConversation[]) this.#set(one);
      if (page === 0) version = Number(answer['version']);
      after = typeof answer['next'] === 'string' ? answer['next'] : '';
      if (after === '') break;
    }
    this.#version = version;
  }

  /** Everything in it has been read, on every device. Rejects with a `ClientError`. */
  async read(channelId: string, channelType: number): Promise<void> {
    const known = this.get(channelId, channelType);
    const readSeq = known?.last.messageSeq ?? 0;
    await this.#options.request('read', { channelId, channelType, messageSeq: readSeq });
    const now = this.get(channelId, channelType);
    if (!now) return;
    if (now.last.messageSeq === readSeq) this.#set({ ...now, unread: 0, readSeq });
    this.#options.onChange();
  }

  /** Takes it off the list until another message comes. Rejects with a `ClientError`. */
  async remove(channelId: string, channelType: number): Promise<void> {
    await this.#options.request('read', { channelId, channelType, deleted: true });
    this.#conversations.delete(nameOf(channelId, channelType));
    this.#options.onChange();
  }

  received(message: ReceivedMessage): void {
    if (message.messageSeq === 0 || message.header?.syncOnce) return;
    const { channelId, channelType, messageSeq } = message;
    const known = this.get(channelId, channelType);
    const own = message.fromUid === this.#options.uid;
    const counts = !own && messageSeq > (known?.readSeq ?? 0);
    const last = !known || messageSeq >= known.last.messageSeq ? message : known.last;
    const unread = (known?.unread ?? 0) + (counts ? 1 : 0);
    this.#set({ channelId, channelType, unread, readSeq: known?.readSeq ?? 0, last });
    this.#options.onChange();
  }

  /** What another device did, or somebody took back; the rest is asked for. */
  event({ type, data }: ServerEvent): void {
    if (type === 'message.recalled') return this.#reload();
    if (type !== 'conversation.updated') return;
    const said = data as Partial<ClientConversation> & { readonly deleted?: boolean };
    const { channelId = '', channelType = 0, unread = 0, readSeq = 0 } = said;
    const known = this.get(channelId, channelType);
    if (said.deleted) this.#conversations.delete(nameOf(channelId, channelType));
    else if (known) this.#set({ ...known, unread, readSeq });
    else return this.#reload();
    this.#options.onChange();
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
    this.#conversations.delete(nameOf(silent.channelId, silent.channelType));
  }
}

function newestFirst(a: ClientConversation, b: ClientConversation): number {
  return b.last.timestamp - a.last.timestamp || b.last.messageSeq - a.last.messageSeq;
}
