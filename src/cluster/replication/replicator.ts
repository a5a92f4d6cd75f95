import type { Context } from '../../core/context.ts';
import type { ChannelKey, MemberId, Uid } from '../../core/ids.ts';
import type { Roster } from '../../core/member.ts';
import type { Operation } from '../../core/operation.ts';
import type { Timer } from '../../runtime/port.ts';
import { PROTOCOL, type InterestItem, type PeerMessage, type Refused } from '../link/message.ts';
import type { Link, LinkHandler } from '../link/port.ts';
import { allNew, caughtUp } from './pull/catch-up.ts';
import { closeEnded } from './closing.ts';
import { checkHello } from './hello.ts';
import { OwnInterest } from './interest/interest.ts';
import { lineageOfNew, ownDataOf } from './lineage.ts';
import { LinkEnd } from './link-end.ts';
import {
  newCounters,
  NO_CALLS,
  REPLICATION_LIMITS,
  type ReplicationLimits,
  type ReplicatorOptions,
} from './options.ts';
import { bytesOf } from './push/outbound.ts';
import type { PeerContext } from './peer-context.ts';
import { Peer } from './peer.ts';
import type { PeerState, Reach, ReachWanted, Replication } from './port.ts';
import { dotsIn } from './pull/pull-plan.ts';
import { ReachTracker } from './push/reach.ts';
import { RecentChannels } from './interest/recent-channels.ts';
import { Snapshot } from './pull/snapshot.ts';

const NOTHING: ReadonlySet<InterestItem> = new Set();

/**
 * Replication between this member and every rostered peer (design.md sections 4, 5 and 8). All state
 * changes in callbacks of the transport, the replica and timers; every one ends in `#consider`, which
 * decides what to ask of whom.
 */
export class Replicator implements Replication {
  readonly counters = newCounters();
  readonly #options: ReplicatorOptions;
  readonly #limits: ReplicationLimits;
  readonly #peers = new Map<MemberId, Peer>();
  readonly #interest: OwnInterest;
  readonly #recent: RecentChannels;
  readonly #reach: ReachTracker;
  readonly #snapshot: Snapshot;
  readonly #context: PeerContext;
  readonly #strangers = new Set<LinkEnd>();
  #roster: Roster;
  #catchingUp: boolean;
  #state: 'new' | 'running' | 'stopped' = 'new';
  #flushing = false;
  #quarter = 0;
  #closedMs = 0;
  #turn: 'opened' | 'accepted' = 'opened';
  #timer: Timer | undefined;

  constructor(options: ReplicatorOptions) {
    const { replica, runtime, log } = options;
    const limits = { ...REPLICATION_LIMITS, ...options.limits };
    if (limits.liveMs <= limits.heartbeatMs / 2) {
      throw new RangeError(`liveMs ${limits.liveMs}: not above half of heartbeatMs`);
    }
    this.#options = options;
    this.#interest = new OwnInterest(options.interest);
    this.#limits = limits;
    const { recentMs: spanMs, recentChannelsMax: channelsMax } = limits;
    this.#recent = new RecentChannels(runtime.clock, { spanMs, channelsMax });
    this.#roster = options.roster;
    this.#catchingUp = options.catchingUp;
    this.#reach = new ReachTracker({
      timers: runtime.timers,
      waitersMax: limits.reachWaitersMax,
      peers: () => [...this.#peers.values()],
    });
    const counters = this.counters;
    const snapshotOptions = { replica, runtime, limits, counters, log };
    this.#snapshot = new Snapshot({ ...snapshotOptions, onEnd: () => this.#considerAll() });
    this.#context = this.#lend();
    replica.addListener({ onSubmitted: (operation) => this.#push(operation), onDurable: () => {} });
  }

  async start(): Promise<void> {
    // Peers are there before the first link is accepted, and dialled once links can be accepted.
    this.updateRoster(this.#roster);
    await this.#options.transport.listen((link) => this.#accept(link));
    if (this.#stopped()) return;
    this.#state = 'running';
    for (const peer of this.#peers.values()) peer.start();
    this.#checkCaughtUp();
    this.#tickLater();
  }

  stop(): Promise<void> {
    if (this.#stopped()) return Promise.resolve();
    this.#state = 'stopped';
    this.#timer?.cancel();
    for (const peer of this.#peers.values()) peer.stop('member stops');
    for (const end of this.#strangers) end.link.close('member stops');
    this.#strangers.clear();
    this.#reach.stop();
    return Promise.resolve();
  }

  /** Opens links to who is new on the roster and closes those of who left it. */
  updateRoster(roster: Roster): void {
    this.#roster = roster;
    if (this.#stopped()) return;
    for (const [id, peer] of this.#peers) {
      const place = roster.members.find((member) => member.id === id);
      if (place && place.peerAddress === peer.address) continue;
      peer.stop(place ? 'address changed' : 'not on the roster any more');
      this.#peers.delete(id);
      this.#reach.onDead(id);
    }
    for (const place of roster.members) {
      if (place.id === this.#options.self.id || this.#peers.has(place.id)) continue;
      const peer = new Peer(this.#context, place);
      this.#peers.set(place.id, peer);
      if (this.#state === 'running') peer.start();
    }
    if (this.#state === 'running') this.#checkCaughtUp();
  }

  awaitReach(operation: Operation, wanted: ReachWanted, done: (reach: Reach) => void): void {
    this.#reach.await(operation, wanted, done);
  }

  livePeers(): number {
    let live = 0;
    for (const peer of this.#peers.values()) if (peer.live) live += 1;
    return live;
  }

  peers(): readonly PeerState[] {
    return [...this.#peers.values()].map((peer) => peer.state());
  }

  /** The run of a member that said Hello last, and whether what it announces still comes here. */
  runOf(member: MemberId): ReturnType<Peer['run']> {
    return this.#peers.get(member)?.run() ?? { actor: undefined, isHeard: false };
  }

  mayWrite(): boolean {
    return !this.#catchingUp && this.#options.heldBack?.() !== true;
  }

  /** Some peer is live, and nothing that a live peer has reported is missing here. */
  hasAll(): boolean {
    const { replica } = this.#options;
    const live = [...this.#peers.values()].filter((peer) => peer.live);
    const lacksNothing = (peer: Peer): boolean =>
      peer.reporting !== undefined && replica.missing(peer.reporting.vector.rows()).length === 0;
    return !this.#catchingUp && live.length > 0 && live.every(lacksNothing);
  }

  sendTransient(channel: ChannelKey, sender: Uid, encode: () => Uint8Array): void {
    const item = `c${channel}`;
    const inDoubt = this.#recent.has(channel);
    let value: Uint8Array | undefined;
    for (const peer of this.#peers.values()) {
      if (!inDoubt && !peer.accepted.interest.mayWant(item)) continue;
      value ??= encode();
      peer.opened.pushTransient({ channel, sender, value });
    }
    if (value) this.#flushSoon();
  }

  /** A subscription of the channel reached this disk: announced interest may lag behind it. */
  noteSubscribed(channel: ChannelKey): void {
    this.#recent.add(channel);
  }

  announce(add: readonly InterestItem[], remove: readonly InterestItem[]): void {
    const change = this.#interest.change(add, remove);
    if (change.added.length + change.removed.length === 0) return;
    for (const peer of this.#peers.values()) peer.opened.changeInterest(change);
    this.#flushSoon();
  }

  /** Fault injection alone calls it: alters what is kept of a peer's interest, behind its back. */
  damageInterest(member: MemberId, item: InterestItem, change: 'add' | 'drop'): boolean {
    const peer = this.#peers.get(member);
    peer?.accepted.interest.damage(item, change);
    return peer !== undefined;
  }

  interestOf(member: MemberId): ReadonlySet<InterestItem> {
    return this.#peers.get(member)?.accepted.interest.items() ?? NOTHING;
  }

  /** The link that this member opened to `member`, where it is ready. */
  openedTo(member: MemberId): LinkEnd | undefined {
    const opened = this.#peers.get(member)?.opened;
    return opened?.ready ? opened.end : undefined;
  }

  /** What a peer has last told to have on disk of a shard; undefined where no link is open. */
  reportedBy(member: MemberId, shard: number): Context | undefined {
    return this.#peers.get(member)?.reporting?.vector.contextOf(shard);
  }

  /** As it last told, also where no link is open any more. */
  lastReportedBy(member: MemberId, shard: number): Context | undefined {
    return this.#peers.get(member)?.lastReport?.vector.contextOf(shard);
  }

  #lend(): PeerContext {
    const calls = this.#options.calls ?? NO_CALLS;
    return {
      options: this.#options,
      limits: this.#limits,
      counters: this.counters,
      interest: this.#interest,
      reach: this.#reach,
      calls,
      roster: () => this.#roster,
      catchingUp: () => this.#catchingUp,
      offersRows: () => !this.#catchingUp || this.#allNew(),
      takenElsewhere: (member) =>
        [...this.#peers.values()].flatMap((peer) =>
          peer.member === member ? [] : peer.opened.puller.asked(),
        ),
      lost: (member, actor) =>
        [...this.#peers.values()].every(
          (peer) => peer.member === member || peer.streamingActor !== actor,
        ),
      onNews: (member) => this.#consider(this.#peers.get(member)),
      onFreed: () => this.#considerSoon(),
      onSnapshotRows: (end, message) => this.#snapshot.received(end, message),
      onEnded: (end) => {
        this.#snapshot.breakOff(end);
        calls.ended(end);
        this.#considerSoon();
      },
    };
  }

  #push(operation: Operation): void {
    if (this.#stopped() || this.#peers.size === 0) return;
    const bytes = bytesOf(operation);
    for (const peer of this.#peers.values()) peer.opened.push(operation, bytes);
    this.#flushSoon();
  }

  /** What one tick brings leaves in as few frames as hold it. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#options.runtime.timers.soon(() => {
      this.#flushing = false;
      if (this.#stopped()) return;
      for (const peer of this.#peers.values()) peer.opened.flush();
    });
  }

  /** Decides what to ask of one peer, after anything that may have changed the answer. */
  #consider(peer: Peer | undefined): void {
    if (this.#stopped() || !peer) return;
    this.#checkCaughtUp();
    const [from, to] = [peer.reporting, peer.opened.end];
    const source = peer.isSource || (this.#catchingUp && this.#allNew());
    if (!source || !from || !to || this.#snapshot.running) return;
    if (this.#catchingUp) {
      const missing = this.#options.replica.missing(from.vector.rows());
      if (this.#snapshot.begin(to, dotsIn(missing))) return;
    }
    peer.opened.puller.plan(from, to);
  }

  #considerAll(): void {
    for (const peer of this.#peers.values()) this.#consider(peer);
  }

  #considerSoon(): void {
    this.#options.runtime.timers.soon(() => this.#considerAll());
  }

  #allNew(): boolean {
    return allNew([...this.#peers.values()].map((peer) => peer.catchUp()));
  }

  #checkCaughtUp(): void {
    if (!this.#catchingUp) return;
    const peers = [...this.#peers.values()].map((peer) => peer.catchUp());
    const why = caughtUp(this.#options.replica.durableVector(), peers);
    if (why === undefined) return;
    this.#catchingUp = false;
    const { replica, log } = this.#options;
    if (why !== 'a peer' && replica.lineage() === '') {
      const others = peers.flatMap(({ storeId }) => (storeId === undefined ? [] : [storeId]));
      replica.setLineage(lineageOfNew([replica.storeId, ...others]));
    }
    log.info('this store takes writes', { why, lineage: replica.lineage() });
  }

  #tickLater(): void {
    this.#timer = this.#options.runtime.timers.after(this.#limits.heartbeatMs / 4, () => {
      if (this.#stopped()) return;
      this.#tickLater();
      this.#tick();
    });
  }

  /** Liveness each quarter of a heartbeat; the two links of a pair speak each second quarter in turn. */
  #tick(): void {
    for (const peer of this.#peers.values()) peer.checkLive();
    this.#quarter = (this.#quarter + 1) % 2;
    if (this.#quarter !== 0) return;
    const turn = this.#turn;
    this.#turn = turn === 'opened' ? 'accepted' : 'opened';
    for (const peer of this.#peers.values()) peer.tick(turn);
    for (const end of this.#strangers) this.#expire(end);
    this.#closeEnded();
  }

  #closeEnded(): void {
    const { replica, runtime, log } = this.#options;
    const nowMs = runtime.clock.monotonicMs();
    if (this.#catchingUp || nowMs - this.#closedMs < this.#limits.rememberMs) return;
    this.#closedMs = nowMs;
    const closed = closeEnded(
      replica,
      [...this.#peers.values()].map((peer) => peer.lastReport),
    );
    if (closed > 0) log.debug('ended actors were closed', { closed });
  }

  #accept(link: Link): LinkHandler {
    const nowMs = this.#options.runtime.clock.monotonicMs();
    const end = new LinkEnd(link, 'accepted', { nowMs, rowsMax: this.#limits.vectorRowsMax });
    let handler: LinkHandler | undefined;
    if (this.#stopped() || this.#strangers.size >= this.#limits.strangersMax) {
      this.#refuse(end, {
        type: 'refused',
        code: 'full',
        message: 'too many links without a hello',
      });
    } else {
      this.#strangers.add(end);
    }
    return {
      onMessage: (message) => {
        if (handler) handler.onMessage(message);
        else handler = this.#greet(end, message);
      },
      onDrain: () => handler?.onDrain(),
      onClose: (reason) => {
        this.#strangers.delete(end);
        handler?.onClose(reason);
      },
    };
  }

  #greet(end: LinkEnd, message: PeerMessage): LinkHandler | undefined {
    if (!this.#strangers.delete(end)) return undefined;
    if (message.type !== 'hello') {
      end.closed = true;
      end.link.close(`${message.type}: before hello`);
      return undefined;
    }
    const peer = this.#peers.get(end.link.peer);
    if (peer) return peer.accept(end, message);
    const { cluster, self, slots } = this.#options;
    const refused = checkHello({
      ...{ hello: message, from: end.link.peer, cluster, protocol: PROTOCOL, self, slots },
      ...{ roster: this.#roster, running: undefined, remembered: undefined },
      own: ownDataOf(this.#options.replica),
    });
    const stopping: Refused = { type: 'refused', code: 'full', message: 'this member stops' };
    this.#refuse(end, refused ?? stopping);
    return undefined;
  }

  #refuse(end: LinkEnd, refused: Refused): void {
    this.counters.refused += 1;
    const { code, message } = refused;
    this.#options.log.warn('refused a link', { peer: end.link.peer, code, message });
    end.send(refused);
    end.closed = true;
    end.link.close(`refused: ${code}`);
  }

  #expire(end: LinkEnd): void {
    const silentMs = this.#options.runtime.clock.monotonicMs() - end.heardMs;
    if (silentMs < this.#limits.helloTimeoutMs) return;
    this.#strangers.delete(end);
    end.closed = true;
    end.link.close('no hello in time');
  }

  #stopped(): boolean {
    return this.#state === 'stopped';
  }
}
