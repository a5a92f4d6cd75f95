import { channelTypeOf, type ChannelKey, type Uid } from '../core/ids.ts';
import { decodeMessage, type Message } from '../core/kinds/message.ts';
import { channelIdFor } from '../core/placement.ts';
import { splitRowKey } from '../core/row-key.ts';
import type { Replica } from '../storage/replica-port.ts';
import type { OutboxEvent } from './event.ts';

export interface BodyOptions {
  readonly replica: Pick<Replica, 'read'>;
  /** A message as JSON text, in a person channel as `viewer` sees it. */
  readonly messageText: (channel: ChannelKey, message: Message, viewer: Uid) => string;
  /** Subscribers of the channel without a session anywhere, `sender` left out, in pages. */
  readonly offlineOf: (channel: ChannelKey, sender: Uid) => AsyncIterable<readonly Uid[]>;
}

/** The body of one request. */
export interface Body {
  readonly ids: readonly string[];
  readonly text: string;
}

/** What receivers get of events, WuKongIM's shapes where it has the event. */
export class Bodies {
  readonly #options: BodyOptions;

  constructor(options: BodyOptions) {
    this.#options = options;
  }

  /**
   * `msg.notify` and `user.onlinestatus` share requests: the text of one event in the array. Undefined
   * where its message is not stored: removed, or not here yet.
   */
  itemOf(event: OutboxEvent): string | undefined {
    if (event.content.kind === 'text') return JSON.stringify(event.content.text);
    const stored = this.#stored(event);
    return stored && this.#textOf(stored);
  }

  /** The requests of an event that has its own: none where there is nobody to tell of. */
  async *ofOne(event: OutboxEvent): AsyncGenerator<Body> {
    const { id, content, type } = event;
    if (content.kind === 'text') return yield { ids: [id], text: content.text };
    const stored = this.#stored(event);
    if (!stored) return;
    if (type === 'message.recalled') return yield { ids: [id], text: recalledText(id, stored) };
    if (type !== 'msg.offline' || stored.message.recall) return;
    const message = this.#textOf(stored);
    let part = 0;
    for await (const uids of this.#options.offlineOf(stored.channel, stored.message.fromUid)) {
      if (uids.length === 0) continue;
      const toUids = `"to_uids":${JSON.stringify(uids)}`;
      part += 1;
      const name = part === 1 ? id : `${id}/${part}`;
      yield { ids: [name], text: `{${toUids},${message.slice(1)}` };
    }
  }

  isStored(event: OutboxEvent): boolean {
    return event.content.kind === 'text' || this.#stored(event) !== undefined;
  }

  #textOf({ channel, message }: Stored): string {
    return this.#options.messageText(channel, message, message.fromUid);
  }

  #stored({ content, type }: OutboxEvent): Stored | undefined {
    if (content.kind !== 'message') return undefined;
    const [entry] = this.#options.replica.read(content.key);
    const message = entry && decodeMessage(entry.value);
    if (!message || (type === 'message.recalled' && !message.recall)) return undefined;
    const channel = splitRowKey(content.key)!.parts[0] as ChannelKey;
    return { channel, message };
  }
}

interface Stored {
  readonly channel: ChannelKey;
  readonly message: Message;
}

function recalledText(id: string, { channel, message }: Stored): string {
  const recall = message.recall!;
  const fields = {
    id,
    message_idstr: String(message.messageId),
    message_seq: message.messageSeq,
    client_msg_no: message.clientMsgNo,
    from_uid: message.fromUid,
    channel_id: channelIdFor(channel, message.fromUid),
    channel_type: channelTypeOf(channel),
    ...{ by: recall.by, role: recall.role, at: recall.atMs, reason: recall.reason },
  };
  return `{"message_id":${message.messageId},${JSON.stringify(fields).slice(1)}`;
}
