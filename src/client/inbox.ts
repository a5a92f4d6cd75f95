import { hash32, nameOf, type ChannelList } from './channel-list.ts';
import type { ReceivedMessage } from './options.ts';

export interface InboxOptions {
  readonly list: ChannelList;
  readonly deliver: (message: ReceivedMessage) => void;
  /** More waits than may: what was held is forgotten, and has to be fetched with a new connection. */
  readonly onOverflow: () => void;
}

/** Ids of the last messages, by which one that comes again is known. */
const SEEN_MAX = 8_192;
/** Messages of one channel that wait behind what was missed in it. */
const HELD_MAX = 2_000;

/** Hands messages to the application once, and those that came too early behind what was missed. */
export class Inbox {
  readonly #options: InboxOptions;
  readonly #seen = new Set<string>();
  readonly #held = new Map<string, ReceivedMessage[]>();

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  /** True while anything waits: not all that came was handed on. */
  get isHolding(): boolean {
    return this.#held.size > 0;
  }

  isHeld(name: string): boolean {
    return this.#held.has(name);
  }

  /** From now on the channel's messages wait for `release`. */
  hold(name: string): void {
    if (!this.#held.has(name)) this.#held.set(name, []);
  }

  /** True where the message waits now. */
  keep(message: ReceivedMessage): boolean {
    const held = this.#held.get(nameOf(message.channelId, message.channelType));
    if (!held) return false;
    if (held.length >= HELD_MAX) this.#options.onOverflow();
    else held.push(message);
    return true;
  }

  /** It came, and waits. */
  isKept(name: string, messageId: string): boolean {
    return this.#held.get(name)?.some((one) => one.messageId === messageId) ?? false;
  }

  release(name: string): void {
    const held = this.#held.get(name) ?? [];
    this.#held.delete(name);
    for (const message of held) this.deliver(message);
  }

  releaseAll(): void {
    for (const name of this.#held.keys()) this.release(name);
  }

  /** What waited comes again with the next connection. */
  forget(): void {
    this.#held.clear();
  }

  /** False where it was handed on before. */
  deliver(message: ReceivedMessage): boolean {
    const { messageId, channelId, channelType, messageSeq } = message;
    this.#options.list.raise(channelId, channelType, messageSeq);
    if (!this.note(messageId)) return false;
    const key = sendKeyOf(message);
    if (key !== undefined && !this.note(key)) return false;
    this.#options.deliver(message);
    return true;
  }

  /** A message that the application knows, as one of its own. False where it was noted before. */
  note(messageId: string): boolean {
    if (this.#seen.has(messageId)) return false;
    if (this.#seen.size >= SEEN_MAX) this.#seen.delete(this.#seen.keys().next().value!);
    this.#seen.add(messageId);
    return true;
  }
}

/**
 * A retry that met a node which did not know the first yet is stored under two ids, until the nodes meet.
 * Another payload under the same number is another message.
 */
function sendKeyOf(message: ReceivedMessage): string | undefined {
  const { channelId, channelType, fromUid, clientMsgNo, payload } = message;
  if (clientMsgNo === '') return undefined;
  return `${nameOf(channelId, channelType)} ${fromUid} ${clientMsgNo} ${hash32(payload)}`;
}
