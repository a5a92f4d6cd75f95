import { channelTypeOf, type ChannelKey, type Uid } from '../core/ids.ts';
import type { Message, Recall } from '../core/kinds/message.ts';
import { channelIdFor } from '../core/placement.ts';

/**
 * A message as WuKongIM's HTTP replies have it, as JSON text, in a person channel as `viewer` sees it. By
 * hand: JSON.stringify has no int64, and the digits have to be exact. A tombstone has an empty payload and
 * says in `revoke` who took it back; that field is ours.
 */
export function messageBody(channel: ChannelKey, message: Message, viewer: Uid): string {
  const { messageId, payload, topic, recall } = message;
  const base64 = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString(
    'base64',
  );
  return (
    `{"header":{"no_persist":${Number(message.noPersist)},"red_dot":${Number(message.redDot)}` +
    `,"sync_once":${Number(message.syncOnce)}},"message_id":${messageId}` +
    `,"setting":${message.setting},"message_idstr":"${messageId}"` +
    `,"client_msg_no":${JSON.stringify(message.clientMsgNo)},"message_seq":${message.messageSeq}` +
    `,"from_uid":${JSON.stringify(message.fromUid)}` +
    `,"channel_id":${JSON.stringify(channelIdFor(channel, viewer))}` +
    `,"channel_type":${channelTypeOf(channel)}` +
    (topic === '' ? '' : `,"topic":${JSON.stringify(topic)}`) +
    `,"expire":${message.expire},"timestamp":${message.timestamp},"payload":"${base64}"` +
    (recall ? `,${recallFields(recall)}}` : '}')
  );
}

function recallFields({ by, role, atMs, reason }: Recall): string {
  const seconds = Math.floor(atMs / 1000);
  return (
    `"revoke":1,"revoker":${JSON.stringify(by)},"revoke_role":"${role}"` +
    `,"revoked_at":${seconds},"revoke_reason":${JSON.stringify(reason)}`
  );
}
