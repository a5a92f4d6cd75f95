import type { ChannelKey, Uid } from '../../core/ids.ts';
import type { Member } from '../../core/member.ts';
import type { Operation } from '../../core/operation.ts';
import type { PeerMessage } from '../link/message.ts';
import type { Holding } from './push/holding.ts';
import { InterestFeed, type InterestChange } from './interest/interest.ts';
import type { LinkEnd } from './link-end.ts';
import { Outbound } from './push/outbound.ts';
import type { PeerContext } from './peer-context.ts';
import { Puller } from './pull/puller.ts';
import { rangeOf } from './push/reach.ts';
import { TransientQueue } from './interest/transients.ts';

/** What flows on the link that this member opened: its own operations, interest, transients, requests. */
export class OpenedSide {
  readonly outbound: Outbound;
  readonly puller: Puller;
  readonly #context: PeerContext;
  readonly #holding: Holding;
  readonly #transients: TransientQueue;
  #feed: InterestFeed | undefined;
  #end: LinkEnd | undefined;

  constructor(context: PeerContext, { member, holding }: { member: Member; holding: Holding }) {
    const { options, limits, counters, reach } = context;
    this.#context = context;
    this.#holding = holding;
    this.#transients = new TransientQueue(limits, counters);
    this.outbound = new Outbound(limits, counters, {
      onDisk: (operations) => {
        holding.noteDisk(operations);
        reach.onDisk(member.id, operations);
      },
      onRouted: (operations) => {
        holding.noteRouted(operations);
        reach.onRouted(member.id, operations);
      },
      onLagging: (reason) => options.log.warn('peer is lagging', { peer: member.id, reason }),
    });
    this.puller = new Puller({
      ...{ replica: options.replica, runtime: options.runtime, log: options.log, limits, counters },
      takenElsewhere: () => context.takenElsewhere(member.id),
      lost: (actor) => context.lost(member.id, actor),
      onPulled: () => context.onNews(member.id),
      onFailed: () => context.onFreed(),
    });
  }

  get end(): LinkEnd | undefined {
    return this.#end;
  }

  get ready(): boolean {
    return this.#end?.ready === true && !this.#end.closed;
  }

  /** Version and digest for a heartbeat on this link; version 0 claims nothing. */
  get interest(): { readonly version: number; readonly digest: number } {
    return { version: this.#feed?.version ?? 0, digest: this.#context.interest.digest };
  }

  opened(end: LinkEnd): void {
    this.#end = end;
    this.outbound.reset();
    this.#feed = new InterestFeed(this.#context.interest, this.#context.limits.interestChunkItems);
  }

  closed(): void {
    this.#end = undefined;
    this.#feed = undefined;
    this.outbound.reset();
    this.#transients.clear();
    this.puller.reset();
  }

  /** From the moment of the own Hello, whose vector has everything before. */
  push(operation: Operation, bytes: number): void {
    if (this.#end) this.outbound.push(operation, bytes, this.#nowMs());
  }

  pushTransient(message: { channel: ChannelKey; sender: Uid; value: Uint8Array }): void {
    if (this.ready) this.#transients.push(message);
  }

  changeInterest(change: InterestChange): void {
    this.#feed?.change(change);
  }

  flush(): void {
    const end = this.#end;
    if (!end || !this.ready) return;
    this.#transients.flush(end);
    this.#feed?.flush(end);
    this.outbound.flush(end, this.#nowMs());
  }

  /** The peer's vector was reported, on either link. */
  reported(missingDots: number): void {
    const end = this.#end;
    if (!end || !this.ready) return;
    if (this.outbound.lagging && missingDots <= this.#context.limits.nearDots) {
      this.outbound.resume();
    }
    if (end.blocked) return;
    const covered = (operation: Operation): boolean => this.#holding.onDisk(rangeOf(operation));
    this.outbound.settle(end, covered, this.#nowMs());
    this.flush();
  }

  /** Undefined where the message was understood; otherwise why the link has to be closed. */
  receive(end: LinkEnd, message: PeerMessage): string | undefined {
    switch (message.type) {
      case 'applied': {
        const sane = this.outbound.applied(message.disk, message.routed, this.#nowMs());
        if (!sane) return `applied: marks ${message.disk}, ${message.routed} were never sent`;
        this.flush();
        return undefined;
      }
      case 'pulled':
        if (!end.takeRows(message.changed)) return 'vector: too many rows';
        this.puller.answered(message, end);
        return undefined;
      case 'snapshot-rows':
        this.#context.onSnapshotRows(end, message);
        return undefined;
      case 'interest-wanted':
        this.#feed?.tellAll();
        this.flush();
        return undefined;
      case 'reply':
        this.#context.calls.replied(end, message);
        return undefined;
      default:
        return `${message.type}: not expected on a link that this member opened`;
    }
  }

  #nowMs(): number {
    return this.#context.options.runtime.clock.monotonicMs();
  }
}
