/**
 * One user of the unmodified wukongimjssdk in a process of its own, because the SDK keeps everything in
 * singletons. It is bundled with the SDK and driven over IPC; sdk-user.ts is the other end.
 */
import { Channel, MessageText, SyncOptions, WKSDK } from 'wukongimjssdk/lib/sdk.js';
import { WebSocket } from 'ws';
import type { FromSdk, ToSdk } from './protocol.ts';
import { setProvider, shownConversation, shownMessage } from './sdk-provider.ts';

Object.assign(globalThis, { WebSocket });
// The SDK speaks a great deal, and its output is not the test's.
for (const method of ['log', 'debug', 'info', 'warn'] as const) console[method] = () => {};

const sdk = WKSDK.shared();
const say = (message: FromSdk): void => void process.send?.(message);

sdk.connectManager.addConnectStatusListener((status: number, reasonCode?: number) => {
  say({ kind: 'status', status, reasonCode: reasonCode ?? 0 });
});
sdk.chatManager.addMessageListener((message) => {
  // The SDK tells its listeners also of what it sends itself, before that is acknowledged.
  if (message.send) return;
  say({
    kind: 'message',
    messageId: message.messageID,
    messageSeq: message.messageSeq,
    clientMsgNo: message.clientMsgNo,
    fromUid: message.fromUID,
    channelId: message.channel.channelID,
    channelType: message.channel.channelType,
    text: (message.content as MessageText).text ?? '',
  });
});
sdk.chatManager.addCMDListener((message) => {
  const { cmd, param } = message.content as { cmd: string; param: { message_id?: string } };
  const { channelID: channelId } = message.channel;
  say({ kind: 'command', cmd, messageId: param.message_id ?? '', channelId });
});
sdk.chatManager.addMessageStatusListener((ack) => {
  const { clientSeq, messageSeq, reasonCode } = ack;
  say({ kind: 'sendack', clientSeq, messageId: String(ack.messageID), messageSeq, reasonCode });
});

process.on('message', (message: ToSdk) => {
  switch (message.kind) {
    case 'connect':
      sdk.config.uid = message.uid;
      sdk.config.token = message.token;
      sdk.config.deviceFlag = message.deviceFlag;
      sdk.config.heartbeatInterval = message.heartbeatMs;
      addresses = message.addresses;
      if (message.http !== '') setProvider(message.http);
      sdk.connectManager.connect();
      return;
    case 'send':
      void sdk.chatManager
        .send(new MessageText(message.text), new Channel(message.channelId, message.channelType))
        .then(({ clientSeq }) => say({ kind: 'sent', call: message.call, clientSeq }));
      return;
    case 'pings':
      // Counts up with each ping and goes back to zero with each pong.
      say({ kind: 'pings', unanswered: sdk.connectManager.pingRetryCount });
      return;
    case 'conversations':
      void sdk.conversationManager
        .sync()
        .then((conversations) =>
          say({ kind: 'conversations', conversations: conversations.map(shownConversation) }),
        );
      return;
    case 'history': {
      const channel = new Channel(message.channelId, message.channelType);
      const options = { startMessageSeq: 0, endMessageSeq: 0, limit: 100, pullMode: 0 };
      void sdk.chatManager
        .syncMessages(channel, Object.assign(new SyncOptions(), options))
        .then((messages) => say({ kind: 'history', messages: messages.map(shownMessage) }));
      return;
    }
    case 'disconnect':
      sdk.connectManager.disconnect();
      return;
    default:
      message satisfies never;
  }
});

/** Asked again at each attempt to connect: the next one of the list, round and round. */
let addresses: readonly string[] = [];
let attempt = 0;
sdk.config.provider.connectAddrCallback = (callback: (address: string) => void) => {
  callback(addresses[attempt++ % addresses.length]!);
};

process.on('disconnect', () => process.exit());
say({ kind: 'ready' });
