import type { ActorId, ChannelKey } from '../../core/ids.ts';
import type { Message } from '../../core/kinds/message.ts';
import { sendKeysOf, type SendKey } from '../../core/kinds/send-key.ts';
import type { Row } from '../../core/row.ts';
import { messageKey, sendKeyKey, type RowKey } from '../../core/row-key.ts';

export type ReadRow = (key: RowKey) => Row;

/** A stored message and the actor in its key. */
export interface Placed {
  readonly channel: ChannelKey;
  readonly message: Message;
  readonly actor: ActorId;
}

/**
 * All messages that were stored of the same send: one, unless a retry met a node that did not know the
 * first yet. The lowest stands first and is the message; the others point to it. Empty where the send
 * had no number, or its row is not here.
 */
export function copiesOf(read: ReadRow, { channel, message, actor }: Placed): readonly SendKey[] {
  if (message.clientMsgNo === '') return [];
  const row = read(sendKeyKey(channel, message.fromUid, message.clientMsgNo));
  // Nearly always: not even decoded.
  if (row.length === 1 && row[0]!.actor === actor) return [];
  const keys = sendKeysOf(row);
  const own = keys.find((key) => key.actor === actor && key.messageSeq === message.messageSeq);
  return own ? keys.filter(({ payloadHash }) => payloadHash === own.payloadHash) : [];
}

export function keyOfCopy(channel: ChannelKey, { messageSeq, actor }: SendKey): RowKey {
  return messageKey(channel, messageSeq, actor);
}
