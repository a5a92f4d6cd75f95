import { channelTypeOf, PERSON, type ChannelKey, type Uid } from '../core/ids.ts';
import { personsOf } from '../core/placement.ts';
import { REASON, refuse, type Refusal } from '../core/reason-code.ts';
import { isLive } from '../core/row.ts';
import { denyKey, splitRowKey, subscriptionKey } from '../core/row-key.ts';
import type { Change, Replica } from '../storage/replica-port.ts';
import type { Cause, Directory } from './port.ts';

export interface SendPermissionsOptions {
  readonly replica: Pick<Replica, 'read'>;
  readonly directory: Pick<Directory, 'channel'>;
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
 * until a durable change touches the channel's row, its denials or its subscriptions.
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
    if (cause !== 'client') return refuseStranger(channel, sender);
    if (known.senders.has(sender)) return known.senders.get(sender);
    const refusal = this.#senderRefusal(channel, sender);
    if (known.senders.size < SENDERS_MAX) known.senders.set(sender, refusal);
    return refusal;
  }

  onChange({ key }: Change): void {
    if (this.#known.size === 0) return;
    const kind = key[0];
    if (kind !== 'c' && kind !== 'd' && kind !== 's') return;
    const [channel, uid] = splitRowKey(key)!.parts as [ChannelKey, Uid];
    if (kind === 's') this.#known.get(channel)?.senders.delete(uid);
    else this.#known.delete(channel);
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
    const stranger = refuseStranger(channel, sender);
    if (stranger) return stranger;
    const settings = directory.channel(channel);
    if (settings?.sendBan) return refuse(REASON.sendBanned, 'sending is off in this channel');
    const denied = (['ban', 'mute', 'blacklist'] as const).some((reason) =>
      isLive(replica.read(denyKey(channel, sender, reason))),
    );
    if (denied) {
      return refuse(REASON.blacklisted, 'the sender is banned, muted or blocked in this channel');
    }
    if (settings?.join === 'closed' && !isLive(replica.read(subscriptionKey(channel, sender)))) {
      return refuse(REASON.subscriberMissing, 'the sender is no subscriber of this closed channel');
    }
    return undefined;
  }
}

function refuseStranger(channel: ChannelKey, sender: Uid): Refusal | undefined {
  if (channelTypeOf(channel) !== PERSON || personsOf(channel)?.includes(sender)) return undefined;
  return refuse(REASON.sendNotAllowed, 'the sender is not one of the two users of this channel');
}
