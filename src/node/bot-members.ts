import type { MemberChange } from '../connections/onebot/port.ts';
import { channelIdOf, channelTypeOf, type Uid } from '../core/ids.ts';
import { isLive } from '../core/row.ts';
import { denyKey, pairOf, subscriptionKey } from '../core/row-key.ts';
import type { Applied, Replica, ReplicaListener } from '../storage/replica-port.ts';

const GROUP = 2;

type Handler = (change: MemberChange) => void;

/**
 * Who comes into a bot's groups and who goes, as this node's store learns of it. Rows say that somebody is
 * gone and not why: with a ban it was a kick, and so it was where a bot of this node did it. What a snapshot or a repair brings is no news.
 */
export class BotMembers implements ReplicaListener {
  readonly #replica: Pick<Replica, 'read'>;
  readonly #handlers = new Map<string, Handler>();
  /** Who asked for it, by group and user. */
  readonly #kicks = new Map<string, string>();

  constructor(replica: Pick<Replica, 'read'>) {
    this.#replica = replica;
  }

  /** One for each bot; what it returns ends it. */
  watch(uid: string, handler: Handler): () => void {
    this.#handlers.set(uid, handler);
    return () => {
      if (this.#handlers.get(uid) === handler) this.#handlers.delete(uid);
    };
  }

  /** A bot kicks somebody: what follows until `kick` settles is no leaving. */
  async during<Result>(
    { group, uid, by }: { readonly group: string; readonly uid: string; readonly by: string },
    kick: () => Promise<Result>,
  ): Promise<Result> {
    this.#kicks.set(`${group}\u0001${uid}`, by);
    try {
      return await kick();
    } finally {
      this.#kicks.delete(`${group}\u0001${uid}`);
    }
  }

  onSubmitted(): void {}

  onDurable({ operation, changes }: Applied): void {
    if (this.#handlers.size === 0 || !operation) return;
    for (const { key, before, after, restored } of changes) {
      if (key[0] !== 's' || restored || isLive(before) === isLive(after)) continue;
      const { channel, uid } = pairOf(key);
      if (channelTypeOf(channel) !== GROUP) continue;
      const isMember = isLive(after);
      const group = channelIdOf(channel);
      const by = isMember ? undefined : this.#kicks.get(`${group}\u0001${uid}`);
      const isKick = by !== undefined || isLive(this.#replica.read(denyKey(channel, uid, 'ban')));
      const change: MemberChange = {
        ...{ group, uid, by, how: isMember ? 'joined' : isKick ? 'kicked' : 'left' },
      };
      for (const [bot, handler] of this.#handlers) {
        const isThere = isLive(this.#replica.read(subscriptionKey(channel, bot as Uid)));
        if (isThere || bot === uid) handler(change);
      }
    }
  }
}
