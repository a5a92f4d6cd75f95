/** A user of the cluster as a bridge holds it: one connection like any client's. */
export interface BotAccount {
  send(
    to: Place,
    payload: Uint8Array,
  ): Promise<{ readonly messageId: string; readonly messageSeq: number }>;
  /** Rejects where the message is unknown, or not the bot's to take back. */
  recall(
    to: Place,
    message: { readonly messageId: string; readonly messageSeq: number },
  ): Promise<void>;
  /** The newest messages of a place, oldest first. */
  recent(to: Place, limit: number): Promise<readonly BotMessage[]>;
  stop(): void;
}

/** How a client names a channel: of a private one the other's uid. */
export interface Place {
  readonly channelId: string;
  readonly channelType: number;
}

export interface BotMessage extends Place {
  readonly messageId: string;
  readonly messageSeq: number;
  readonly fromUid: string;
  /** Seconds since 1970. */
  readonly timestamp: number;
  readonly payload: Uint8Array;
}

export interface BotRecall extends Place {
  readonly messageId: string;
  readonly messageSeq: number;
  readonly fromUid: string;
  readonly by: string;
}

export interface BotHandlers {
  /**
   * Whether somebody has read it, when that is known; false where it has to come again with the next account of
   * this id.
   */
  onMessage(message: BotMessage): Promise<boolean>;
  onRecall(recall: BotRecall): void;
  /** `refused`: this account is not let in; nothing more comes. */
  onState(state: 'connected' | 'waiting' | 'refused', reason: string): void;
}

/** What a bot may know of the cluster it is in; groups are channels of type 2. */
export interface BotWorld {
  /** `id` names the place up to which everything was taken; an account goes on from there. */
  open(
    account: { readonly id: string; readonly uid: string; readonly token: string },
    handlers: BotHandlers,
  ): BotAccount;
  groupsOf(uid: string): Promise<readonly string[]>;
  membersOf(group: string): Promise<readonly string[]>;
  /** Others that the user has a private conversation with. */
  partnersOf(uid: string): Promise<readonly string[]>;
  /** `by`: the bot that asks for it. */
  kick(group: string, uid: string, by: string): Promise<void>;
  roleOf(group: string, uid: string): BotRole;
  /** Whether anyone in it is more than a member. */
  hasRoles(group: string): boolean;
  /** Of the bot's groups, from now on; what it returns ends it. */
  watchMembers(uid: string, handler: (change: MemberChange) => void): () => void;
}

export type BotRole = 'owner' | 'admin' | 'member';

/** `uid` may be the bot itself. */
export interface MemberChange {
  readonly group: string;
  readonly uid: string;
  readonly how: 'joined' | 'left' | 'kicked';
  /** The bot that did it; absent where it is not known. */
  readonly by?: string | undefined;
}

/** Numbers for names, as OneBot has no others. The same on every member and after every restart. */
export interface Numbers {
  numberOf(space: NumberSpace, name: string): number;
  nameOf(space: NumberSpace, number: number): string | undefined;
}

export type NumberSpace = 'user' | 'group';
