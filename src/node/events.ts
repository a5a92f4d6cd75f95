import type { EventHub } from '../admin/event-hub.ts';
import type { Repair } from '../audit/port.ts';
import type { PeerState } from '../cluster/replication/port.ts';
import type { MemberId } from '../core/ids.ts';
import type { Roster } from '../core/member.ts';
import { isLive } from '../core/row.ts';
import { pairOf } from '../core/row-key.ts';
import type { RoutedSession } from '../messaging/port.ts';
import type { Clock } from '../runtime/port.ts';
import type { StoreStatus } from '../storage/port.ts';
import type { Applied } from '../storage/replica-port.ts';

/** Turns the rooms' changes into the events that an operator may watch. */
export class NodeEvents {
  readonly #hub: EventHub;
  readonly #clock: Clock;
  #members: ReadonlySet<MemberId> = new Set();
  #live: ReadonlySet<MemberId> = new Set();

  constructor(hub: EventHub, clock: Clock) {
    this.#hub = hub;
    this.#clock = clock;
  }

  roster(roster: Roster): void {
    const members = new Set(roster.members.map(({ id }) => id));
    const atMs = this.#clock.wallMs();
    for (const id of members) {
      if (!this.#members.has(id)) this.#hub.emit({ kind: 'member', atMs, id, change: 'joined' });
    }
    for (const id of this.#members) {
      if (!members.has(id)) this.#hub.emit({ kind: 'member', atMs, id, change: 'left' });
    }
    this.#members = members;
  }

  live(live: ReadonlySet<MemberId>): void {
    const atMs = this.#clock.wallMs();
    for (const id of live) {
      if (!this.#live.has(id)) this.#hub.emit({ kind: 'member', atMs, id, change: 'live' });
    }
    for (const id of this.#live) {
      if (!live.has(id)) this.#hub.emit({ kind: 'member', atMs, id, change: 'suspect' });
    }
    this.#live = new Set(live);
  }

  peer(state: PeerState): void {
    this.#hub.emit({ kind: 'peer', atMs: this.#clock.wallMs(), state });
  }

  store(status: StoreStatus): void {
    this.#hub.emit({ kind: 'status', atMs: this.#clock.wallMs(), subject: 'store', status });
  }

  repair(repair: Repair): void {
    this.#hub.emit({ kind: 'repair', atMs: repair.wallMs, repair });
  }

  session(session: RoutedSession, change: 'connected' | 'disconnected'): void {
    if (!this.#hub.watched) return;
    const { id, uid, remoteAddress, protocol } = session;
    const atMs = this.#clock.wallMs();
    this.#hub.emit({ kind: 'session', atMs, change, id, uid, remoteAddress, protocol });
  }

  durable({ changes }: Applied): void {
    if (!this.#hub.watched) return;
    for (const { key, before, after } of changes) {
      if (key[0] !== 's' || isLive(before) === isLive(after)) continue;
      const { channel, uid } = pairOf(key);
      const change = isLive(after) ? 'subscribed' : 'unsubscribed';
      this.#hub.emit({ kind: 'subscription', atMs: this.#clock.wallMs(), change, channel, uid });
    }
  }
}
