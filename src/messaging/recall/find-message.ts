import type { ActorId, ChannelKey } from '../../core/ids.ts';
import { decodeMessage, type Message } from '../../core/kinds/message.ts';
import { sendKeysOf } from '../../core/kinds/send-key.ts';
import {
  channelPrefix,
  formatSeq,
  messageKey,
  rangeEnd,
  sendKeyKey,
  type RowKey,
} from '../../core/row-key.ts';
import { splitMessageId } from '../../core/sequence.ts';
import type { ScanRange, Store } from '../../storage/port.ts';
import type { Replica } from '../../storage/replica-port.ts';
import type { RecallRequest } from './port.ts';

export interface FoundMessage {
  readonly key: RowKey;
  readonly actor: ActorId;
  readonly message: Message;
}

export interface FinderOptions {
  readonly store: Pick<Store, 'scan'>;
  readonly replica: Pick<Replica, 'read' | 'decode'>;
  /** Rows looked at on each side of where the id's time points. */
  readonly windowRows?: number | undefined;
  /** Rows looked at from the newest on, where it is not there. */
  readonly newestRows?: number | undefined;
}

const WINDOW_ROWS = 512;
const NEWEST_ROWS = 10_000;

/**
 * Finds one message of a channel. By send key or seq in one or two reads. By its id alone: ids begin with
 * the millisecond of the send and rise with seq as far as the members' clocks agree, so a bisection over
 * seq (about 30 reads, 1 ms) comes near it, and the rows around are looked through; where the clocks did
 * not agree, the newest 10,000 rows (about 40 ms, in chunks). A message beyond all of that is found by
 * its seq only. There is no index by id: it would cost every send a row.
 */
export class MessageFinder {
  readonly #options: FinderOptions;

  constructor(options: FinderOptions) {
    this.#options = options;
  }

  async find(request: RecallRequest): Promise<FoundMessage | undefined> {
    const { channel, messageId, messageSeq = 0 } = request;
    const bySendKey = this.#bySendKey(request);
    if (bySendKey) return bySendKey;
    if (messageId === undefined) return undefined;
    const isIt = ({ message }: FoundMessage): boolean => message.messageId === messageId;
    if (messageSeq > 0) {
      const prefix = channelPrefix('m', channel) + formatSeq(messageSeq);
      return this.#first({ gte: prefix, lt: prefix + '\u0002', limit: 64 }, isIt);
    }
    return this.#byId(channel, messageId, isIt);
  }

  #bySendKey({ channel, sender, clientMsgNo, messageId }: RecallRequest): FoundMessage | undefined {
    if (!sender || !clientMsgNo) return undefined;
    const row = this.#options.replica.read(sendKeyKey(channel, sender, clientMsgNo));
    for (const { messageSeq, actor, messageId: id } of sendKeysOf(row)) {
      if (messageId !== undefined && id !== messageId) continue;
      const found = this.#foundIn(messageKey(channel, messageSeq, actor));
      if (found) return found;
    }
    return undefined;
  }

  async #byId(
    channel: ChannelKey,
    messageId: bigint,
    isIt: (found: FoundMessage) => boolean,
  ): Promise<FoundMessage | undefined> {
    const { windowRows = WINDOW_ROWS, newestRows = NEWEST_ROWS } = this.#options;
    const prefix = channelPrefix('m', channel);
    const all = { gte: prefix, lt: rangeEnd(prefix) };
    const middle = prefix + formatSeq(await this.#bisect(channel, splitMessageId(messageId).ms));
    return (
      (await this.#first({ ...all, gte: middle, limit: windowRows }, isIt)) ??
      (await this.#first({ ...all, lt: middle, reverse: true, limit: windowRows }, isIt)) ??
      (await this.#first({ ...all, reverse: true, limit: newestRows }, isIt))
    );
  }

  /** The seq at which ids of `ms` and later begin, where ids rise with seq. */
  async #bisect(channel: ChannelKey, ms: number): Promise<number> {
    const prefix = channelPrefix('m', channel);
    const any = (): boolean => true;
    const newest = await this.#first(
      { gte: prefix, lt: rangeEnd(prefix), reverse: true, limit: 1 },
      any,
    );
    let [low, high] = [0, newest?.message.messageSeq ?? 0];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const range = { gte: prefix + formatSeq(middle), lt: rangeEnd(prefix), limit: 1 };
      const at = await this.#first(range, any);
      if (at && splitMessageId(at.message.messageId).ms < ms) low = at.message.messageSeq + 1;
      else high = middle;
    }
    return low;
  }

  async #first(
    range: ScanRange,
    isIt: (found: FoundMessage) => boolean,
  ): Promise<FoundMessage | undefined> {
    for await (const chunk of this.#options.store.scan(range)) {
      for (const [key, value] of chunk) {
        const found = this.#foundIn(key as RowKey, value);
        if (found && isIt(found)) return found;
      }
    }
    return undefined;
  }

  #foundIn(key: RowKey, value?: Uint8Array): FoundMessage | undefined {
    const { replica } = this.#options;
    const decoded = value && replica.decode(key, value);
    const [entry] = decoded?.ok ? decoded.row : replica.read(key);
    const message = entry && decodeMessage(entry.value);
    return message && { key, message, actor: actorIn(key) };
  }
}

/** Of a message's key: what comes last in it. */
function actorIn(key: RowKey): ActorId {
  return key.slice(key.length - 16) as ActorId;
}
