/**
 * What an application has to give the SDK: where conversations and history come from. Bundled with it. These
 * callbacks read our HTTP API, as the application's own backend would for it.
 */
import {
  Channel,
  Conversation,
  Message,
  MessageContentManager,
  MessageText,
  WKSDK,
  type MessageContent,
  type SyncOptions,
} from 'wukongimjssdk/lib/sdk.js';
import type { SdkConversation, SdkStored } from './protocol.ts';

interface MessageBody {
  readonly message_idstr: string;
  readonly message_seq: number;
  readonly client_msg_no: string;
  readonly from_uid: string;
  readonly channel_id: string;
  readonly channel_type: number;
  readonly timestamp: number;
  readonly payload: string;
  readonly revoke?: number;
  readonly revoker?: string;
}

interface ConversationBody {
  readonly channel_id: string;
  readonly channel_type: number;
  readonly unread: number;
  readonly timestamp: number;
  readonly recents: readonly MessageBody[];
}

export function setProvider(http: string): void {
  const { provider, uid } = WKSDK.shared().config;
  const post = async (path: string, body: object): Promise<unknown> => {
    const response = await fetch(http + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (response.status !== 200) throw new Error(`${path}: ${await response.text()}`);
    return response.json();
  };
  provider.syncConversationsCallback = async () => {
    const found = await post('/conversation/sync', { uid, version: 0, msg_count: 1 });
    return (found as ConversationBody[]).map(toConversation);
  };
  provider.syncMessagesCallback = async (channel: Channel, options: SyncOptions) => {
    const found = await post('/channel/messagesync', {
      login_uid: uid,
      channel_id: channel.channelID,
      channel_type: channel.channelType,
      start_message_seq: options.startMessageSeq,
      end_message_seq: options.endMessageSeq,
      limit: options.limit,
      pull_mode: options.pullMode,
    });
    return (found as { messages: MessageBody[] }).messages.map(toMessage);
  };
  provider.syncRemindersCallback = () => Promise.resolve([]);
}

function toConversation(body: ConversationBody): Conversation {
  const conversation = new Conversation();
  conversation.channel = new Channel(body.channel_id, body.channel_type);
  conversation.unread = body.unread;
  conversation.timestamp = body.timestamp;
  const [last] = body.recents;
  if (last) conversation.lastMessage = toMessage(last);
  return conversation;
}

function toMessage(body: MessageBody): Message {
  const message = new Message();
  message.messageID = body.message_idstr;
  message.messageSeq = body.message_seq;
  message.clientMsgNo = body.client_msg_no;
  message.fromUID = body.from_uid;
  message.channel = new Channel(body.channel_id, body.channel_type);
  message.timestamp = body.timestamp;
  message.remoteExtra.revoke = body.revoke === 1;
  message.remoteExtra.revoker = body.revoker ?? '';
  if (body.payload !== '') message.content = decode(Buffer.from(body.payload, 'base64'));
  return message;
}

function decode(payload: Buffer): MessageContent {
  const { type } = JSON.parse(payload.toString()) as { type: number };
  const content = MessageContentManager.shared().getMessageContent(type);
  content.decode(payload);
  return content;
}

export function shownConversation(conversation: Conversation): SdkConversation {
  const { channel, unread, lastMessage } = conversation;
  return {
    channelId: channel.channelID,
    channelType: channel.channelType,
    unread,
    last: lastMessage && shownMessage(lastMessage),
  };
}

export function shownMessage(message: Message): SdkStored {
  const { messageID, messageSeq, fromUID, content, remoteExtra, channel } = message;
  return {
    messageId: messageID,
    messageSeq,
    channelId: channel.channelID,
    fromUid: fromUID,
    text: content ? ((content as MessageText).text ?? '') : '',
    revoker: remoteExtra.revoke ? (remoteExtra.revoker ?? '') : undefined,
  };
}
