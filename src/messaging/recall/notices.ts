import { channelTypeOf, type ChannelKey } from '../../core/ids.ts';
import { decodeMessage, type Message, type Recall } from '../../core/kinds/message.ts';
import { RECALL } from '../../core/row.ts';
import { splitRowKey } from '../../core/row-key.ts';
import type { Applied, Change } from '../../storage/replica-port.ts';
import type { ClientEvent, Fanout } from '../port.ts';

const encoder = new TextEncoder();
/** Far from every id that a node draws before the year 2039, and after it again. */
const COMMAND_BIT = 1n << 62n;

/**
 * Tells the sessions of this node of each recall when it is on this node's disk, by whichever way it came,
 * once: the change that makes a row a tombstone is told once. Of rows that came back from peers after
 * they were lost here, nothing is news.
 */
export class RecallNotices {
  readonly #fanout: Pick<Fanout, 'deliver' | 'announce'>;

  constructor(fanout: Pick<Fanout, 'deliver' | 'announce'>) {
    this.#fanout = fanout;
  }

  onDurable({ changes }: Applied): void {
    for (const change of changes) if (isRecall(change)) this.#tell(change);
  }

  #tell({ key, after }: Change): void {
    const message = decodeMessage(after[0]!.value);
    if (!message?.recall) return;
    const channel = splitRowKey(key)!.parts[0] as ChannelKey;
    // First the command: its delivery puts the channel's sessions right.
    this.#fanout.deliver({ channel, message: commandOf(message), prevSeq: 0 });
    const { recall } = message;
    this.#fanout.announce?.(channel, (channelId) =>
      eventOf({ channel, message, recall }, channelId),
    );
  }
}

/** Once a row; what other writes do to a tombstone is no news. */
export function isRecall({ key, before, after, restored }: Change): boolean {
  return (
    key[0] === 'm' && after[0]?.tag === RECALL && before[0]?.tag !== RECALL && restored !== true
  );
}

/** As WuKongIM's clients expect it; the same on every node, so that who moves sees one message. */
function commandOf({ messageId, fromUid, recall }: Message): Message {
  const command = { type: 99, cmd: 'messageRevoke', param: { message_id: String(messageId) } };
  return {
    messageId: messageId ^ COMMAND_BIT,
    messageSeq: 0,
    clientMsgNo: `recall-${messageId}`,
    fromUid,
    timestamp: Math.floor(recall!.atMs / 1000),
    payload: encoder.encode(JSON.stringify(command)),
    noPersist: false,
    redDot: false,
    syncOnce: true,
    setting: 0,
    topic: '',
    expire: 0,
  };
}

interface Recalled {
  readonly channel: ChannelKey;
  readonly message: Message;
  readonly recall: Recall;
}

function eventOf({ channel, message, recall }: Recalled, channelId: string): ClientEvent {
  const { messageId, messageSeq, fromUid } = message;
  const { by, role, atMs, reason } = recall;
  return {
    id: `recall-${messageId}`,
    type: 'message.recalled',
    timestampMs: atMs,
    data: {
      ...{ channelId, channelType: channelTypeOf(channel) },
      ...{ messageId: String(messageId), messageSeq, fromUid, by, role, at: atMs, reason },
    },
  };
}
