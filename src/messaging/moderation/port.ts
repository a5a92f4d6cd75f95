import type { ChannelKey, Uid } from '../../core/ids.ts';
import type { Outcome } from '../../core/reason-code.ts';
import type { ChannelList } from '../../core/row-key.ts';
import type { Cause } from '../port.ts';

export type { ChannelList };

export interface NamedUsers {
  readonly channel: ChannelKey;
  readonly list: ChannelList;
  readonly uids: readonly Uid[];
}

/**
 * Whom a channel bans, mutes, blocks or lets send, and who is a system user. The lists of the channel
 * `1/uid` are those of the user: whose direct messages are refused (blacklist), and whose are taken from
 * strangers (whitelist). Each call may refuse with systemError (15).
 */
export interface Moderation {
  /** The same, whose writes the operation log shows with this cause; else they are `system`. */
  by(cause: Cause): Moderation;
  /** A ban also unsubscribes. The first on a whitelist puts it in force. */
  add(named: NamedUsers): Promise<Outcome<undefined>>;
  /** Takes off what this node has seen: who is added elsewhere meanwhile stays. */
  remove(named: NamedUsers): Promise<Outcome<undefined>>;
  /** Adds those named, takes everybody else off; with nobody a whitelist is no longer in force. */
  set(named: NamedUsers): Promise<Outcome<undefined>>;
  /** In uid order, after `after`. Rejects with the store's error. */
  listed(
    place: Pick<NamedUsers, 'channel' | 'list'>,
    page: { readonly after?: Uid | undefined; readonly limit: number },
  ): Promise<readonly Uid[]>;
  isListed(channel: ChannelKey, uid: Uid, list: ChannelList): boolean;
  setSystem(uids: readonly Uid[], system: 'yes' | 'no'): Promise<Outcome<undefined>>;
  isSystem(uid: Uid): boolean;
  /** In no order that means anything, at most `limit`. */
  systemUids(limit: number): Promise<readonly Uid[]>;
  /** Its tokens end, and its sessions on every node; absent flag: all devices of the user. */
  quitDevice(uid: Uid, deviceFlag: number | undefined): Promise<Outcome<undefined>>;
}
