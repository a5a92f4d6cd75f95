import { channelTypeOf, type ChannelKey, type Uid } from '../core/ids.ts';
import type { Message } from '../core/kinds/message.ts';
import { channelIdFor } from '../core/placement.ts';

/**
 * A message as WuKongIM's HTTP replies have it, as JSON text, in a person channel as `viewer` sees it. By
 * hand: JSON.stringify has no int64, and the digits have to be exact. A tombstone has an empty payload and
 * says in `revoke` who took it back; that field is ours.
 */
export function messageBody(channel: ChannelKey, message: Message, viewer: Uid): string {
  const { messageId, recall } = message;
  const fields = {
    setting: message.setting,
    message_idstr: String(messageId),
    client_msg_no: message.clientMsgNo,
    message_seq: message.messageSeq,
    from_uid: message.fromUid,
    channel_id: channelIdFor(channel, viewer),
    channel_type: channelTypeOf(channel),
    ...(message.topic !== '' && { topic: message.topic }),
    expire: message.expire,
    timestamp: message.timestamp,
    payload: Buffer.from(message.payload).toString('base64'),
    ...(recall && {
      revoke: 1,
      revoker: recall.by,
      revoke_role: recall.role,
      revoked_at: Math.floor(recall.atMs / 1000),
      revoke_reason: recall.reason,
    }),
  };
  const header = {
    no_persist: message.noPersist ? 1 : 0,
    red_dot: message.redDot ? 1 : 0,
    sync_once: message.syncOnce ? 1 : 0,
  };
  return `{"header":${JSON.stringify(header)},"message_id":${messageId},${JSON.stringify(fields).slice(1)}`;
}
