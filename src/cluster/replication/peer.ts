import type { ActorId, MemberId } from '../../core/ids.ts';
import type { Member } from '../../core/member.ts';
import type { DotRange } from '../../core/dot.ts';
import type { VectorRow } from '../../core/version-vector.ts';
import {
  PROTOCOL,
  type Heartbeat,
  type Hello,
  type PeerMessage,
  type Refused,
} from '../link/message.ts';
import type { Link, LinkHandler } from '../link/port.ts';
import { AcceptedSide } from './accepted-side.ts';
import type { CatchUpPeer } from './pull/catch-up.ts';
import { Dialer } from './dialer.ts';
import { isSame, NOT_WHOLE, sayHello, sendHeartbeat, wholeHello } from './heartbeat.ts';
import { checkHello } from './hello.ts';
import { adoptLineage, ownDataOf } from './lineage.ts';
import { Holding } from './push/holding.ts';
import { LinkEnd } from './link-end.ts';
import { OpenedSide } from './opened-side.ts';
import type { PeerContext } from './peer-context.ts';
import type { LastReport } from './closing.ts';
import { PeerMemory } from './peer-memory.ts';
import type { PeerState } from './port.ts';
import { dotsIn } from './pull/pull-plan.ts';
import type { PeerHolding } from './push/reach.ts';

/**
 * One rostered peer: the link that this member opens to it, the one it opens to this member, and what is
 * known of its store. Every event changes state and then tells the replicator, which decides.
 */
export class Peer implements PeerHolding {
  readonly member: MemberId;
  readonly address: string;
  readonly opened: OpenedSide;
  readonly accepted: AcceptedSide;
  readonly #context: PeerContext;
  readonly #dialer: Dialer;
  readonly #holding: Holding;
  readonly #memory: PeerMemory;
  #storeId: string | undefined;
  #actor: ActorId | undefined;
  #catchingUp = false;
  #target: readonly VectorRow[] | undefined;
  #live = false;
  #heardMs = 0;
  #lastHeardMs: number | undefined;
  #lastError: string | undefined;
  #told: string | undefined;
  /** The peer did not know what the last Hello left out. */
  #saysWhole = false;

  constructor(context: PeerContext, place: Member) {
    const { replica, transport, runtime } = context.options;
    this.member = place.id;
    this.#context = context;
    this.address = place.peerAddress;
    this.#holding = new Holding(replica.actor);
    this.#memory = new PeerMemory(replica, place.id);
    this.opened = new OpenedSide(context, { member: place, holding: this.#holding });
    this.accepted = new AcceptedSide(context, place.id);
    this.#dialer = new Dialer({
      ...{ peer: place, transport, runtime, limits: context.limits },
      events: {
        onOpen: (link) => this.#onOpen(link),
        onMessage: (link, message) => this.#onOpened(link, message),
        onDrain: (link) => this.#onDrain(this.opened.end, link),
        onClose: (link, reason) => this.#onClose(this.opened.end, { link, reason }),
        onFailure: (error) => this.#fail(error instanceof Error ? error.message : String(error)),
      },
    });
  }

  get live(): boolean {
    return this.#live;
  }

  /** The run behind the link that the peer opened, while it is live. */
  get streamingActor(): ActorId | undefined {
    return this.#live && this.accepted.ready ? this.#actor : undefined;
  }

  /** The run that said Hello last, and whether what it announces still comes here. */
  readonly run = () => ({ actor: this.#actor, isHeard: this.accepted.ready });

  /** What it last reported, in this run of this node or before; a member that is down keeps it. */
  get lastReport(): LastReport | undefined {
    return this.#memory.last;
  }

  /** A store that has not caught up is no source, and its silence proves nothing. */
  get isSource(): boolean {
    return this.opened.ready && !this.#catchingUp;
  }

  /** The link whose report of the peer's vector is to be believed: the one its operations come on. */
  get reporting(): LinkEnd | undefined {
    if (this.accepted.ready) return this.accepted.end;
    return this.opened.ready ? this.opened.end : undefined;
  }

  onDisk(range: DotRange): boolean {
    return this.#holding.onDisk(range);
  }

  routes(range: DotRange): boolean {
    return this.#holding.routes(range);
  }

  start(): void {
    this.#dialer.start();
  }

  stop(reason: string): void {
    this.#dialer.stop();
    for (const end of this.#ends()) this.#close(end, reason);
    this.accepted.interest.drop();
    this.#memory.save();
  }

  state(): PeerState {
    return {
      member: this.member,
      live: this.#live,
      lagging: this.opened.outbound.lagging,
      behind: this.opened.puller.behind,
      lagMs: this.#memory.lagMs(this.#nowMs()),
      unacknowledgedBytes: this.opened.outbound.bytes,
      lastHeardMs: this.#lastHeardMs,
      lastError: this.#lastError,
      interestConfirmedMs: this.accepted.interestConfirmedMs,
    };
  }

  catchUp(): CatchUpPeer {
    const vector = this.reporting?.vector;
    return {
      reached: vector !== undefined,
      catchingUp: this.#catchingUp,
      storeId: this.#storeId,
      rows: () => vector?.rows(),
      target: this.#target,
    };
  }

  /** A link of this peer whose first message was `hello`. */
  accept(end: LinkEnd, said: Hello): LinkHandler {
    const previous = this.accepted.end;
    const hello = this.#check(end, said);
    if (hello && previous) this.#close(previous, 'replaced by a newer link');
    if (hello) {
      this.accepted.opened(end);
      const closed = this.#context.options.replica.closedActors().closedDigest();
      sayHello(end, this.#context, { whole: !isSame(closed, said.closed) });
      this.#welcome(end, hello);
      this.#dialer.hurry();
    }
    return {
      onMessage: (message) => this.#onAccepted(end, message),
      onDrain: () => this.#onDrain(this.accepted.end, end.link),
      onClose: (reason) => this.#onClose(this.accepted.end, { link: end.link, reason }),
    };
  }

  /** Twice in each heartbeat's time, the two links in turn. */
  tick(side: 'opened' | 'accepted'): void {
    const nowMs = this.#nowMs();
    const { limits } = this.#context;
    for (const end of this.#ends()) {
      if (nowMs - end.heardMs > limits.silentLinkMs) this.#close(end, 'nothing was heard on it');
    }
    this.opened.outbound.check(nowMs);
    this.opened.flush();
    const end = this[side].end;
    if (end?.ready && !end.closed) this.#sendHeartbeat(end, { whole: false });
    this.#memory.tick(nowMs, limits.rememberMs);
  }

  /** Is the peer still live? Tells whoever waits for it where it is not any more. */
  checkLive(): void {
    const heardMs = Math.max(this.opened.end?.heardMs ?? 0, this.accepted.end?.heardMs ?? 0);
    const heard = this.#nowMs() - heardMs <= this.#context.limits.liveMs;
    const live = this.opened.ready && this.accepted.ready && heard;
    if (live !== this.#live) {
      this.#live = live;
      if (!live) this.#context.reach.onDead(this.member);
      else this.#context.options.log.info('the peer is live', { peer: this.member });
    }
    // A short break of the links makes nobody look offline.
    const goneMs = this.#nowMs() - this.#heardMs;
    if (!this.accepted.end && goneMs > this.#context.limits.liveMs) this.accepted.interest.drop();
    this.#tell();
  }

  #onOpen(link: Link): void {
    const end = this.#end(link, 'opened');
    this.opened.opened(end);
    sayHello(end, this.#context, { whole: this.#saysWhole });
    this.#context.options.runtime.timers.after(this.#context.limits.helloTimeoutMs, () => {
      if (!end.ready) this.#close(end, 'no hello in time');
    });
  }

  #onOpened(link: Link, message: PeerMessage): void {
    const end = this.opened.end;
    if (!end || end.link !== link) return;
    this.#heard(end);
    if (end.ready) return this.#dispatch(end, message);
    if (message.type === 'refused') return this.#refused(end, message);
    if (message.type !== 'hello') return this.#close(end, `${message.type}: before hello`);
    const hello = this.#check(end, message);
    if (!hello) return;
    this.#saysWhole = false;
    this.#welcome(end, hello);
    this.opened.flush();
  }

  #onAccepted(end: LinkEnd, message: PeerMessage): void {
    if (this.accepted.end !== end) return;
    this.#heard(end);
    this.#dispatch(end, message);
  }

  #dispatch(end: LinkEnd, message: PeerMessage): void {
    if (message.type === 'heartbeat') return this.#onHeartbeat(end, message);
    if (message.type === 'refused') return this.#refused(end, message);
    // A transport may repeat a frame; the first Hello counts.
    if (message.type === 'hello') return;
    const side = end.side === 'opened' ? this.opened : this.accepted;
    const problem = side.receive(end, message);
    if (problem !== undefined) this.#close(end, problem);
  }

  #onHeartbeat(end: LinkEnd, heartbeat: Heartbeat): void {
    if (!end.takeRows(heartbeat.changed)) return this.#close(end, 'vector: too many rows');
    const fits = end.vector.hash() === heartbeat.vectorHash;
    const nowMs = this.#nowMs();
    const ask = !fits && nowMs - end.wholeAskedMs >= this.#context.limits.heartbeatMs / 2;
    if (ask) end.wholeAskedMs = nowMs;
    this.#catchingUp = heartbeat.catchingUp;
    if (!this.#catchingUp && fits) this.#target ??= [...end.vector.rows()];
    this.#reported(heartbeat.changed);
    if (end.side === 'accepted') this.accepted.heartbeat(end, heartbeat);
    else if (fits) this.opened.puller.reported(end.vector);
    if (heartbeat.wantVector || ask) {
      this.#sendHeartbeat(end, { whole: heartbeat.wantVector, wantVector: ask });
    }
    this.#context.onNews(this.member);
  }

  #reported(rows: readonly VectorRow[]): void {
    const { replica } = this.#context.options;
    this.#memory.report(rows);
    this.#holding.report(rows);
    this.#context.reach.onReport(this);
    if (!this.opened.outbound.lagging) return this.opened.reported(0);
    const vector = this.reporting?.vector;
    const own = replica.durableVector().filter(({ actor }) => actor === replica.actor);
    this.opened.reported(vector ? dotsIn(vector.missing(own)) : Number.POSITIVE_INFINITY);
  }

  /** The Hello with its whole vector; undefined where it was refused. */
  #check(end: LinkEnd, said: Hello): Hello | undefined {
    const { options, roster } = this.#context;
    const other = end.side === 'opened' ? this.accepted : this.opened;
    const freshMs = this.#nowMs() - this.#context.limits.liveMs;
    const heard = this.#ends().some(
      (known) => known !== end && known.ready && !known.closed && known.heardMs >= freshMs,
    );
    const hello = wholeHello(said, options.replica);
    if (!hello) return this.#refuse(end, NOT_WHOLE);
    const refused = checkHello({
      ...{ hello, from: end.link.peer, cluster: options.cluster, protocol: PROTOCOL },
      ...{ self: options.self, slots: options.slots, roster: roster() },
      running:
        heard && this.#actor !== undefined && this.#storeId !== undefined
          ? { storeId: this.#storeId, actor: this.#actor }
          : undefined,
      remembered: this.#memory.remembered,
      own: ownDataOf(options.replica),
    });
    if (!refused) {
      // Whatever is left of an earlier run is over.
      if (other.end?.ready && this.#actor !== hello.actor) this.#close(other.end, 'peer restarted');
      return hello;
    }
    return this.#refuse(end, refused);
  }

  #refuse(end: LinkEnd, refused: Refused): undefined {
    this.#context.counters.refused += 1;
    this.#fail(`refused: ${refused.message}`);
    end.send(refused);
    this.#close(end, `refused: ${refused.code}`);
  }

  #welcome(end: LinkEnd, hello: Hello): void {
    if (this.#storeId !== hello.storeId) this.#target = undefined;
    // Another run may have less than the marks of the last one said: its Hello says what it has.
    if (this.#storeId !== hello.storeId || this.#actor !== hello.actor) this.#holding.forget();
    if (this.#actor !== undefined && this.#actor !== hello.actor) this.accepted.interest.drop();
    this.#storeId = hello.storeId;
    this.#actor = hello.actor;
    this.#catchingUp = hello.catchingUp;
    end.hello = hello;
    end.ready = true;
    adoptLineage(this.#context.options.replica, hello);
    if (!end.takeRows(hello.vector)) return this.#close(end, 'vector: too many rows');
    if (!hello.catchingUp) this.#target ??= hello.vector;
    this.#memory.greeted(hello);
    this.#lastError = undefined;
    this.checkLive();
    this.#reported(hello.vector);
    this.#context.onNews(this.member);
  }

  #refused(end: LinkEnd, { code, message }: Refused): void {
    this.#fail(`refused by ${this.member}: ${message}`);
    this.#saysWhole = code === 'closed';
    this.#close(end, `refused by peer: ${code}`);
    if (code === 'rolled-back') {
      this.#context.options.listener.onRebuildNeeded(this.member, message);
    }
  }

  #sendHeartbeat(end: LinkEnd, asked: { whole: boolean; wantVector?: boolean }): void {
    const opened = end.side === 'opened';
    sendHeartbeat(end, this.#context, {
      interest: opened ? this.opened.interest : { version: 0, digest: 0 },
      wantVector: asked.wantVector ?? false,
      whole: asked.whole,
      withheld: opened && this.opened.outbound.waiting,
    });
  }

  #onDrain(end: LinkEnd | undefined, link: Link): void {
    if (!end || end.link !== link) return;
    end.blocked = false;
    (end.side === 'opened' ? this.opened : this.accepted).flush();
    this.#context.onNews(this.member);
  }

  #onClose(end: LinkEnd | undefined, { link, reason }: { link: Link; reason: string }): void {
    if (!end || end.link !== link) return;
    this.#fail(reason);
    this.#ended(end);
  }

  /** Closes a link of either side, at once for this member. */
  #close(end: LinkEnd, reason: string): void {
    if (end.closed) return;
    end.link.close(reason);
    if (!this.#lastError?.startsWith('refused')) this.#fail(reason);
    this.#ended(end);
  }

  /** Identity is compared: the late end of an old link takes nothing from its successor. */
  #ended(end: LinkEnd): void {
    end.closed = true;
    this.#memory.save();
    if (this.opened.end === end) this.opened.closed();
    if (this.accepted.end === end) this.accepted.closed();
    this.checkLive();
    this.#context.onEnded(end);
  }

  #fail(error: string): void {
    if (error === this.#lastError) return;
    this.#lastError = error;
    this.#context.options.log.info('no link to a peer', { peer: this.member, error });
  }

  #tell(): void {
    const state = this.state();
    const key = `${state.live} ${state.lagging} ${state.lastError}`;
    if (key === this.#told) return;
    this.#told = key;
    this.#context.options.listener.onPeerState(state);
  }

  #heard(end: LinkEnd): void {
    end.heardMs = this.#nowMs();
    this.#heardMs = end.heardMs;
    this.#lastHeardMs = this.#context.options.runtime.clock.wallMs();
  }

  #ends(): LinkEnd[] {
    return [this.opened.end, this.accepted.end].filter((end) => end !== undefined);
  }

  #end(link: Link, side: 'opened' | 'accepted'): LinkEnd {
    const rowsMax = this.#context.limits.vectorRowsMax;
    return new LinkEnd(link, side, { nowMs: this.#nowMs(), rowsMax });
  }

  #nowMs(): number {
    return this.#context.options.runtime.clock.monotonicMs();
  }
}
