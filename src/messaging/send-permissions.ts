import { channelTypeOf, PERSON, type ChannelKey, type Uid } from '../core/ids.ts';
import { decodeChannel } from '../core/kinds/channel.ts';
import { ownChannel, personsOf } from '../core/placement.ts';
import { REASON, refuse, type Refusal } from '../core/reason-code.ts';
import { isLive } from '../core/row.ts';
import {
  channelFlagKey,
  channelRowKey,
  denyKey,
  splitRowKey,
  subscriptionKey,
  type ChannelList,
} from '../core/row-key.ts';
import type { Change, Replica } from '../storage/replica-port.ts';
import { isSystemUser } from './moderation/moderation.ts';
import type { Cause, Directory } from './port.ts';

const STRANGERS_REFUSED = 'the receiver takes no messages of strangers';

/** Whether a user takes direct messages of somebody who is not on the user's whitelist. */
export type StrangerPolicy = 'allow' | 'refuse';

export interface SendPermissionsOptions {
  readonly replica: Pick<Replica, 'read' | 'mayHaveRules'>;
  readonly directory: Pick<Directory, 'channel'>;
  /** Of users who have not said otherwise; `allow` by default. */
  readonly strangers?: StrangerPolicy | undefined;
  /** Channels whose answers are kept; the longest kept goes first. */
  readonly channelsMax: number;
}

interface Known {
  /** Refuses everybody, the backend too. */
  readonly all: Refusal | undefined;
  /** By sender; undefined: may send. */
  readonly senders: Map<Uid, Refusal | undefined>;
}

/** Senders kept for one channel; above it they are asked again each time. */
const SENDERS_MAX = 256;

/**
 * Who may send where. The rows are the truth: each answer costs up to eight of them, so answers are kept
 * until a durable change touches the channel's row, its lists or its subscriptions. What the receiver of
 * a direct message wants is not kept: it is under another channel, and nearly nobody says anything.
 */
export class SendPermissions {
  readonly #options: SendPermissionsOptions;
  readonly #known = new Map<ChannelKey, Known>();

  constructor(options: SendPermissionsOptions) {
    this.#options = options;
  }

  refusal(channel: ChannelKey, sender: Uid, cause: Cause): Refusal | undefined {
    const known = this.#known.get(channel) ?? this.#learn(channel);
    if (known.all) return known.all;
    const outsider = refuseOutsider(channel, sender);
    if (outsider || cause !== 'client') return outsider;
    const refusal =
      this.#refusalOf(known, channel, sender) ?? this.#receiverRefusal(channel, sender);
    // Asked last: nearly nobody is one, and nearly nobody is refused.
    return refusal && isSystemUser(this.#options.replica, sender) ? undefined : refusal;
  }

  onChange({ key }: Change): void {
    if (this.#known.size === 0) return;
    const kind = key[0];
    if (kind !== 'c' && kind !== 'd' && kind !== 's') return;
    const [channel, uid] = splitRowKey(key)!.parts as [ChannelKey, Uid];
    if (kind === 's') this.#known.get(channel)?.senders.delete(uid);
    else this.#known.delete(channel);
  }

  #refusalOf({ senders }: Known, channel: ChannelKey, sender: Uid): Refusal | undefined {
    if (senders.has(sender)) return senders.get(sender);
    const refusal = this.#senderRefusal(channel, sender);
    if (senders.size < SENDERS_MAX) senders.set(sender, refusal);
    return refusal;
  }

  #learn(channel: ChannelKey): Known {
    const settings = this.#options.directory.channel(channel);
    let all: Refusal | undefined;
    if (settings?.disband || settings?.deleted) {
      all = refuse(REASON.disbanded, 'the channel is disbanded');
    } else if (settings?.ban) all = refuse(REASON.banned, 'the channel is banned');
    const known: Known = { all, senders: new Map() };
    if (this.#known.size >= this.#options.channelsMax) {
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest);
        break;
      }
    }
    this.#known.set(channel, known);
    return known;
  }

  #senderRefusal(channel: ChannelKey, sender: Uid): Refusal | undefined {
    const { replica, directory } = this.#options;
    if (!replica.mayHaveRules(channel)) return undefined;
    const settings = directory.channel(channel);
    if (settings?.sendBan) return refuse(REASON.sendBanned, 'sending is off in this channel');
    const isOn = (list: ChannelList): boolean =>
      isLive(replica.read(denyKey(channel, sender, list)));
    if (isOn('ban')) return refuse(REASON.banned, 'the sender is banned in this channel');
    if (isOn('mute')) return refuse(REASON.sendBanned, 'the sender is muted in this channel');
    if (isOn('blacklist')) return refuse(REASON.blacklisted, 'the sender is on the blacklist');
    const isMember = (): boolean => isLive(replica.read(subscriptionKey(channel, sender)));
    if (settings?.join === 'closed' && !settings.allowStranger && !isMember()) {
      return refuse(REASON.subscriberMissing, 'the sender is no subscriber of this closed channel');
    }
    if (isLive(replica.read(channelFlagKey(channel, 'whitelist'))) && !isOn('whitelist')) {
      return refuse(REASON.notWhitelisted, 'the sender is not on the whitelist of this channel');
    }
    return undefined;
  }

  /** What the other one of a person channel has said of direct messages, in the lists of `1/uid`. */
  #receiverRefusal(channel: ChannelKey, sender: Uid): Refusal | undefined {
    if (channelTypeOf(channel) !== PERSON) return undefined;
    const { replica, strangers = 'allow' } = this.#options;
    const [one, other] = personsOf(channel)!;
    if (one === other) return undefined;
    const receiver = ownChannel(one === sender ? other : one);
    if (replica.mayHaveRules(receiver)) {
      const isOn = (list: ChannelList): boolean =>
        isLive(replica.read(denyKey(receiver, sender, list)));
      if (isOn('blacklist')) return refuse(REASON.blacklisted, 'the receiver blocks the sender');
      if (isOn('whitelist')) return undefined;
      const [row] = replica.read(channelRowKey(receiver));
      const own = row && decodeChannel(row.value);
      if (own?.allowStranger) return undefined;
      if (own) return refuse(REASON.notWhitelisted, STRANGERS_REFUSED);
    }
    if (strangers === 'allow') return undefined;
    return refuse(REASON.notWhitelisted, STRANGERS_REFUSED);
  }
}

function refuseOutsider(channel: ChannelKey, sender: Uid): Refusal | undefined {
  if (channelTypeOf(channel) !== PERSON || personsOf(channel)?.includes(sender)) return undefined;
  return refuse(REASON.sendNotAllowed, 'the sender is not one of the two users of this channel');
}
