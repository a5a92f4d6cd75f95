import type { MemberId } from '../../core/ids.ts';
import type { Heartbeat, PeerMessage } from '../link/message.ts';
import { Inbound } from './push/inbound.ts';
import { PeerInterest } from './interest/interest.ts';
import type { LinkEnd } from './link-end.ts';
import type { PeerContext } from './peer-context.ts';
import { RangeServer } from './pull/range-server.ts';

/** What flows on the link that the peer opened: its operations, interest, transients, its requests. */
export class AcceptedSide {
  readonly interest: PeerInterest;
  readonly #context: PeerContext;
  readonly #member: MemberId;
  #end: LinkEnd | undefined;
  #inbound: Inbound | undefined;
  #server: RangeServer | undefined;
  #applied = 0;
  #answering = false;
  /** When a heartbeat last said that nothing of the interest is missing here. */
  interestConfirmedMs: number | undefined;
  #interestAskedMs = Number.NEGATIVE_INFINITY;

  constructor(context: PeerContext, member: MemberId) {
    this.#context = context;
    this.#member = member;
    this.interest = new PeerInterest(context.limits.interestItemsMax, ({ added, removed }) =>
      context.options.listener.onInterest(member, added, removed),
    );
  }

  get end(): LinkEnd | undefined {
    return this.#end;
  }

  get ready(): boolean {
    return this.#end?.ready === true && !this.#end.closed;
  }

  opened(end: LinkEnd): void {
    const { options, limits, counters, offersRows } = this.#context;
    const { replica, log } = options;
    this.#end = end;
    this.#applied = 0;
    this.interest.restart();
    const current = (): boolean => this.#end === end;
    this.#inbound = new Inbound({
      ...{ replica, limits, counters },
      onMark: () => {
        if (current()) this.#answerSoon();
      },
    });
    this.#server = new RangeServer({ replica, limits, log, end, offersRows });
  }

  closed(): void {
    this.#end = undefined;
    this.#inbound = undefined;
    this.#server = undefined;
    this.interest.restart();
  }

  /** What waited for the link's drain. */
  flush(): void {
    const [end, mark] = [this.#end, this.#inbound?.mark ?? 0];
    if (!end || !this.ready || end.blocked || mark <= this.#applied) return;
    this.#applied = mark;
    end.send({ type: 'applied', disk: mark, routed: mark });
  }

  /** Undefined where the message was understood; otherwise why the link has to be closed. */
  receive(end: LinkEnd, message: PeerMessage): string | undefined {
    switch (message.type) {
      case 'operations': {
        const stranger = message.operations.find(({ actor }) => actor !== end.hello?.actor);
        if (stranger) return `operations: actor ${stranger.actor} is not the sender's own`;
        this.#inbound?.receive(message);
        return undefined;
      }
      case 'interest':
        this.interest.receive(message);
        this.#askInterest();
        return undefined;
      case 'transient':
        // A number that is not above the last one is a repetition.
        if (message.number <= end.transients) return undefined;
        this.#context.counters.transientsLost += message.number - end.transients - 1;
        end.transients = message.number;
        this.#context.options.listener.onTransient(message.channel, message.sender, message.value);
        return undefined;
      case 'pull':
        this.#server?.pull(message);
        return undefined;
      case 'snapshot-wanted':
        this.#server?.snapshot(message);
        return undefined;
      case 'call':
        this.#context.calls.called(end, message);
        return undefined;
      default:
        return `${message.type}: not expected on a link that the peer opened`;
    }
  }

  heartbeat(end: LinkEnd, heartbeat: Heartbeat): void {
    this.interest.check(heartbeat.interestVersion, heartbeat.interestDigest);
    if (!this.interest.wanted && !this.interest.audit()) {
      this.#context.options.listener.onInterestAltered?.(this.#member);
    }
    if (heartbeat.interestVersion > 0 && !this.interest.wanted) {
      this.interestConfirmedMs = this.#context.options.runtime.clock.monotonicMs();
    }
    this.#askInterest();
    if (heartbeat.transients <= end.transients) return;
    this.#context.counters.transientsLost += heartbeat.transients - end.transients;
    end.transients = heartbeat.transients;
  }

  /** One answer for all the frames that landed together. */
  #answerSoon(): void {
    if (this.#answering) return;
    this.#answering = true;
    this.#context.options.runtime.timers.soon(() => {
      this.#answering = false;
      this.flush();
    });
  }

  #askInterest(): void {
    if (!this.interest.wanted || !this.#end || this.#end.blocked) return;
    const { options, limits, counters } = this.#context;
    const nowMs = options.runtime.clock.monotonicMs();
    if (nowMs - this.#interestAskedMs < limits.heartbeatMs / 2) return;
    this.#interestAskedMs = nowMs;
    counters.interestAsked += 1;
    this.#end.send({ type: 'interest-wanted' });
  }
}
