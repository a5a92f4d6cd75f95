import { nameOf, type ChannelList, type ListedChannel } from './channel-list.ts';
import type { Result } from './connection.ts';
import type { Inbox } from './inbox.ts';
import type { ReceivedMessage } from './options.ts';

export interface ComparisonOptions {
  readonly list: ChannelList;
  readonly request: (method: string, params: Result) => Promise<Result>;
  readonly inbox: Inbox;
  /** The server named a channel that was not listed; its head is nothing that was missed. */
  readonly onListed: (channel: ListedChannel) => void;
  readonly onChannels: () => void;
  readonly onRepaired: (what: string) => void;
}

const TURNS_MAX = 100;

/**
 * Compares the client's list and heads with the server's digest, and fetches the difference: channels it
 * does not know of, and messages that never came, which go before those that came after them.
 */
export class Comparison {
  readonly #options: ComparisonOptions;
  #working = false;

  constructor(options: ComparisonOptions) {
    this.#options = options;
  }

  /** The answer to a ping; a server that sends no digest is believed. */
  async check(digest: unknown): Promise<void> {
    const { list } = this.#options;
    if (typeof digest !== 'string' || digest === list.digest() || this.#working) return;
    this.#working = true;
    try {
      for (let turn = 0; turn < TURNS_MAX; turn++) if (!(await this.#fetch())) return;
    } finally {
      this.#working = false;
    }
  }

  received(message: ReceivedMessage): void {
    const { channelId, channelType, prevSeq = 0 } = message;
    const { inbox, list } = this.#options;
    if (inbox.keep(message)) return;
    const head = list.head(channelId, channelType);
    if (head !== undefined && head > 0 && prevSeq > head && message.messageSeq > 0) {
      inbox.hold(nameOf(channelId, channelType));
      inbox.keep(message);
      void this.#fetchMissed({ channelId, channelType, head }, head);
      return;
    }
    inbox.deliver(message);
  }

  /** True where the server has more to say. */
  async #fetch(): Promise<boolean> {
    const { list, request, onChannels } = this.#options;
    const answer = await request('sync', { sums: list.sums() });
    const buckets = new Set(answer['buckets'] as readonly number[]);
    const theirs = answer['channels'] as readonly ListedChannel[];
    const names = new Set(theirs.map((one) => nameOf(one.channelId, one.channelType)));
    let changed = false;
    for (const { channelId, channelType } of list.ofBuckets(buckets)) {
      if (names.has(nameOf(channelId, channelType))) continue;
      list.remove(channelId, channelType);
      changed = true;
    }
    for (const channel of theirs) {
      const own = list.head(channel.channelId, channel.channelType);
      if (own !== undefined && own < channel.head) await this.#fetchMissed(channel, own);
      if (own === undefined) {
        this.#options.onListed(channel);
        changed = true;
      }
      const head = list.head(channel.channelId, channel.channelType) ?? 0;
      // A message that came meanwhile is above what the answer knew; a server that restarted is below.
      if (own === undefined || head < channel.head || head === own) list.set(channel);
    }
    if (changed) onChannels();
    return answer['more'] === true;
  }

  /** What went out after `own`; what comes live meanwhile waits behind it. */
  async #fetchMissed({ channelId, channelType }: ListedChannel, own: number): Promise<void> {
    const { request, onRepaired, inbox } = this.#options;
    const name = nameOf(channelId, channelType);
    inbox.hold(name);
    let after = own;
    let count = 0;
    try {
      for (let turn = 0; turn < TURNS_MAX; turn++) {
        const answer = await request('sync', { channelId, channelType, after });
        const frames = answer['messages'] as readonly { readonly params: ReceivedMessage }[];
        for (const { params } of frames) {
          after = params.messageSeq;
          const came = inbox.isKept(name, params.messageId);
          if (inbox.deliver(params) && !came) count += 1;
        }
        if (answer['more'] !== true) break;
      }
    } catch {
      // The connection ended or the server refused: the next comparison finds it again.
    }
    inbox.release(name);
    if (count > 0) onRepaired(`${count} messages of ${name} had not come`);
  }
}
