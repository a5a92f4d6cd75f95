import type { ChannelKey, MemberId, Uid } from '../core/ids.ts';
import type { RoutedSession } from '../messaging/port.ts';
import type { Log } from '../observability/log.ts';
import type { FaultyMembership } from './faulty-membership.ts';
import type { FaultyTransport } from './faulty-transport.ts';
import { FaultError, type Damage, type Fault, type FaultInjector } from './port.ts';
import { damageRow, type StoreFaultParts } from './store-faults.ts';

export interface FaultInjectionParts extends StoreFaultParts {
  readonly log: Log;
  readonly transport: FaultyTransport;
  readonly membership: FaultyMembership;
  readonly routing: {
    damageEntry(channel: ChannelKey, uid: Uid): boolean;
    sessionsOf(uid: Uid): readonly RoutedSession[];
  };
  readonly replicator: {
    damageInterest(member: MemberId, item: string, change: 'add' | 'drop'): boolean;
    peers(): readonly { readonly member: MemberId }[];
  };
}

/** Damages the layers of a running node. Exists only where `audit.fault_injection` is on. */
export class FaultInjection implements FaultInjector {
  readonly #parts: FaultInjectionParts;

  constructor(parts: FaultInjectionParts) {
    this.#parts = parts;
  }

  async inject(fault: Fault): Promise<Damage> {
    const damage = await this.#damage(fault);
    this.#parts.log.warn('fault injected', { kind: fault.kind, damage });
    return damage;
  }

  async #damage(fault: Fault): Promise<Damage> {
    switch (fault.kind) {
      case 'delete-row':
      case 'alter-row':
      case 'corrupt-row':
      case 'insert-row':
        return damageRow(this.#parts, fault);
      case 'drop-index-entry':
        return this.#dropEntry(fault);
      case 'drop-topic':
        return this.#dropTopic(fault);
      case 'drop-interest':
      case 'add-interest':
        return this.#damageInterest(fault);
      case 'drop-deltas':
      case 'delay-deltas':
        return this.#damageDeltas(fault);
      case 'freeze-peer':
        this.#checkPeer(fault.member);
        this.#parts.transport.damageReading(fault.member, fault.seconds);
        return [`nothing from ${fault.member} is read for ${fault.seconds} s`];
      case 'lose-membership':
        this.#parts.membership.damageContact(fault.seconds);
        return [`membership answers nothing for ${fault.seconds} s`];
      default:
        return fault satisfies never;
    }
  }

  #dropEntry({ channel, uid }: { channel: ChannelKey; uid: Uid }): Damage {
    if (!this.#parts.routing.damageEntry(channel, uid)) {
      throw new FaultError(`${uid} has no entry for ${channel} in the index of this node`);
    }
    return [`index entry of ${uid} in ${channel} is gone, and its sessions are out of the topic`];
  }

  #dropTopic({ channel, uid }: { channel: ChannelKey; uid: Uid }): Damage {
    const sessions = this.#parts.routing
      .sessionsOf(uid)
      .filter((session) => session.hasJoined(channel));
    if (sessions.length === 0) throw new FaultError(`no session of ${uid} here is in ${channel}`);
    for (const session of sessions) session.leave(channel);
    return sessions.map(({ id }) => `socket of session ${id} of ${uid} is out of topic ${channel}`);
  }

  #damageInterest(fault: Extract<Fault, { kind: 'drop-interest' | 'add-interest' }>): Damage {
    const { member, channel, kind } = fault;
    const change = kind === 'drop-interest' ? 'drop' : 'add';
    if (!this.#parts.replicator.damageInterest(member, `c${channel}`, change)) {
      throw new FaultError(`${member} is no peer of this node`);
    }
    const done = change === 'drop' ? 'without' : 'with';
    return [`this node's copy of the interest of ${member} is ${done} ${channel}`];
  }

  #damageDeltas(fault: Extract<Fault, { kind: 'drop-deltas' | 'delay-deltas' }>): Damage {
    const { member, kind, percent, delayMs, seconds } = fault;
    this.#checkPeer(member);
    this.#parts.transport.damageDeltas(member, { kind, percent, delayMs }, seconds);
    const how = kind === 'drop-deltas' ? 'lost' : `late by ${delayMs} ms`;
    return [`${percent} % of the frames of operations to ${member} are ${how} for ${seconds} s`];
  }

  #checkPeer(member: MemberId): void {
    if (this.#parts.replicator.peers().some((peer) => peer.member === member)) return;
    throw new FaultError(`${member} is no peer of this node`);
  }
}
