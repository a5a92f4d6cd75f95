import { channelTypeOf, PERSON, type ChannelKey, type Uid } from '../../core/ids.ts';
import { channelIdFor } from '../../core/placement.ts';
import { isLive } from '../../core/row.ts';
import { pairOf } from '../../core/row-key.ts';
import type { Clock } from '../../runtime/port.ts';
import type { Applied, Change } from '../../storage/replica-port.ts';
import type { Fanout, SessionRegistry } from '../port.ts';
import type { Conversation, Conversations } from './port.ts';

export interface ConversationNoticesOptions {
  readonly conversations: Pick<Conversations, 'one'>;
  readonly fanout: Pick<Fanout, 'notify'>;
  readonly sessions: Pick<SessionRegistry, 'sessionsOf'>;
  readonly clock: Clock;
}

/** Users and channels that wait to be told; one more is left to the next sync. */
const WAITING_MAX = 10_000;

/**
 * Tells the sessions of a user here, of every device, when a conversation begins with a first direct
 * message, when it was read, set or deleted somewhere, and when its channel was left. What a message adds to a count a client sees
 * by the message.
 */
export class ConversationNotices {
  readonly #options: ConversationNoticesOptions;
  /** True: it changed again while it was looked at. */
  readonly #waiting = new Map<string, boolean>();

  constructor(options: ConversationNoticesOptions) {
    this.#options = options;
  }

  /** After the message itself was delivered. */
  onDurable({ changes }: Applied): void {
    for (const change of changes) {
      if (change.restored) continue;
      const kind = change.key[0];
      if (kind !== 'r' && !(kind === 's' && (begins(change, changes) || ends(change)))) continue;
      const { channel, uid } = pairOf(change.key);
      if (this.#options.sessions.sessionsOf(uid).length > 0) this.#tell(uid, channel);
    }
  }

  /** Several changes of one conversation in a row are told once or twice: how it is in the end. */
  #tell(uid: Uid, channel: ChannelKey): void {
    const name = `${uid}\u0001${channel}`;
    if (this.#waiting.has(name)) this.#waiting.set(name, true);
    if (this.#waiting.has(name) || this.#waiting.size >= WAITING_MAX) return;
    this.#waiting.set(name, false);
    const { conversations, fanout, clock } = this.#options;
    conversations
      .one(uid, channel)
      .then((one) => {
        const again = this.#waiting.get(name) === true;
        this.#waiting.delete(name);
        fanout.notify(uid, {
          id: `conversation-${one?.version ?? 0}`,
          type: 'conversation.updated',
          timestampMs: clock.wallMs(),
          data: dataOf({ uid, channel, one }),
        });
        if (again) this.#tell(uid, channel);
      })
      // Its store cannot be read: the session has what it has, and asks again when it connects.
      .catch(() => this.#waiting.delete(name));
  }
}

/** The subscription came with the message that made it. */
function begins({ key, before, after }: Change, changes: readonly Change[]): boolean {
  // A message stands beside it; nearly every subscribe comes alone.
  if (changes.length === 1 || isLive(before) || !isLive(after)) return false;
  const { channel } = pairOf(key);
  return channelTypeOf(channel) === PERSON && changes.some(({ key: other }) => other[0] === 'm');
}

/** The user left, or was taken out: whatever stands in the channel, their list has it no more. */
function ends({ before, after }: Change): boolean {
  return isLive(before) && !isLive(after);
}

function dataOf({
  uid,
  channel,
  one,
}: {
  uid: Uid;
  channel: ChannelKey;
  one?: Conversation | undefined;
}) {
  return {
    channelId: channelIdFor(channel, uid),
    channelType: channelTypeOf(channel),
    deleted: one === undefined,
    unread: one?.unread ?? 0,
    mentions: one?.mentions ?? 0,
    readSeq: one?.readSeq ?? 0,
    lastMessageSeq: one?.last.messageSeq ?? 0,
    version: one?.version ?? 0,
  };
}
