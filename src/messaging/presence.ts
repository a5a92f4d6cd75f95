import type { InterestItem } from '../cluster/link/message.ts';
import type { Replication } from '../cluster/replication/port.ts';
import type { ActorId, ChannelKey, MemberId, Uid } from '../core/ids.ts';
import { REASON } from '../core/reason-code.ts';
import { SEPARATOR } from '../core/row-key.ts';
import type { OnlineDevice, RoutedSession } from './port.ts';

export interface PresenceOptions {
  readonly self: MemberId;
  readonly announce: Replication['announce'];
  readonly sessionsOf: (uid: Uid) => readonly RoutedSession[];
  /** The run of a member that said Hello last, and whether what it announces still comes here. */
  readonly runOf?: (member: MemberId) => {
    readonly actor: ActorId | undefined;
    readonly isHeard: boolean;
  };
  /** Sessions of a member that is not heard any more, and such that are there again nevertheless. */
  readonly onRemote?: (session: RemoteSession, change: 'lost' | 'found') => void;
}

/** A session of another member, of the run that it was in. */
export interface RemoteSession extends OnlineDevice {
  readonly run: ActorId;
  readonly id: number;
}

const MASTER = 1;

interface Device extends OnlineDevice {
  readonly id: number;
  readonly run?: ActorId | undefined;
  readonly level: number;
  readonly sinceMs: number;
}

/** What this node's sessions are to its peers, and the peers' to this node. In memory, never stored. */
export class Presence {
  readonly self: MemberId;
  readonly #options: PresenceOptions;
  readonly #elsewhere = new Map<Uid, Map<string, Device>>();
  /** Only of sessions whose place in the order is not their time of connecting. */
  readonly #since = new WeakMap<RoutedSession, number>();

  constructor(options: PresenceOptions) {
    this.#options = options;
    this.self = options.self;
  }

  /**
   * A session is announced as younger than every session of its device that is known here: clocks of two
   * nodes may differ, what this node has seen decides first.
   */
  arrived(session: RoutedSession): void {
    let since = Math.floor(session.connectedAtMs);
    for (const device of this.#elsewhere.get(session.uid)?.values() ?? []) {
      if (device.deviceFlag === session.deviceFlag) since = Math.max(since, device.sinceMs + 1);
    }
    if (since !== Math.floor(session.connectedAtMs)) this.#since.set(session, since);
    this.#options.announce([this.#itemOf(session)], []);
  }

  left(session: RoutedSession): void {
    this.#options.announce([], [this.#itemOf(session)]);
  }

  wants(channel: ChannelKey): void {
    this.#options.announce([`c${channel}`], []);
  }

  wantsNoMore(channel: ChannelKey): void {
    this.#options.announce([], [`c${channel}`]);
  }

  /** All that was announced and is wanted still, by the sessions and channels of now. */
  *itemsOf(
    sessions: Iterable<RoutedSession>,
    channels: Iterable<ChannelKey>,
  ): Generator<InterestItem> {
    for (const session of sessions) yield this.#itemOf(session);
    for (const channel of channels) yield `c${channel}`;
  }

  elsewhere(uid: Uid): readonly OnlineDevice[] {
    const devices = this.#elsewhere.get(uid)?.values() ?? [];
    return [...devices].map(({ deviceFlag, member }) => ({ uid, deviceFlag, member }));
  }

  onInterest(
    member: MemberId,
    { add, remove }: { add: readonly InterestItem[]; remove: readonly InterestItem[] },
  ): void {
    for (const item of remove) this.#forget(member, item);
    for (const item of add) this.#learn(member, item);
  }

  #learn(member: MemberId, item: InterestItem): void {
    const named = deviceOf(member, item);
    if (!named) return;
    const device = { ...named, run: this.#options.runOf?.(member).actor };
    let devices = this.#elsewhere.get(device.uid);
    if (!devices) this.#elsewhere.set(device.uid, (devices = new Map<string, Device>()));
    if (devices.has(`${member}${item}`)) return;
    devices.set(`${member}${item}`, device);
    this.#tell(device, 'found');
    if (device.level === MASTER) this.#kickOlder(device);
  }

  #forget(member: MemberId, item: InterestItem): void {
    const device = deviceOf(member, item);
    const devices = device && this.#elsewhere.get(device.uid);
    const known = devices?.get(`${member}${item}`);
    if (!devices || !known) return;
    devices.delete(`${member}${item}`);
    if (devices.size === 0) this.#elsewhere.delete(known.uid);
    // A member that is heard tells of the ends of its sessions itself.
    if (!this.#options.runOf?.(member).isHeard) this.#tell(known, 'lost');
  }

  #tell({ uid, deviceFlag, member, run, id }: Device, change: 'lost' | 'found'): void {
    if (run !== undefined) this.#options.onRemote?.({ uid, deviceFlag, member, run, id }, change);
  }

  /** A master device elsewhere takes the place of the same device here when it came later. */
  #kickOlder(device: Device): void {
    const { sessionsOf, self } = this.#options;
    for (const session of [...sessionsOf(device.uid)]) {
      if (session.deviceFlag !== device.deviceFlag) continue;
      const since = this.#sinceOf(session);
      const older = since < device.sinceMs || (since === device.sinceMs && self < device.member);
      if (older) session.kick(REASON.kicked, 'the same device connected on another node');
    }
  }

  #sinceOf(session: RoutedSession): number {
    return this.#since.get(session) ?? Math.floor(session.connectedAtMs);
  }

  #itemOf(session: RoutedSession): InterestItem {
    const { uid, deviceFlag, deviceLevel, id } = session;
    return `u${[uid, deviceFlag, deviceLevel, id, this.#sinceOf(session)].join(SEPARATOR)}`;
  }
}

function deviceOf(member: MemberId, item: InterestItem): Device | undefined {
  if (item[0] !== 'u') return undefined;
  const [uid, flag, level, id, since] = item.slice(1).split(SEPARATOR);
  if (!uid || since === undefined) return undefined;
  return {
    uid: uid as Uid,
    deviceFlag: Number(flag),
    level: Number(level),
    id: Number(id),
    sinceMs: Number(since),
    member,
  };
}
