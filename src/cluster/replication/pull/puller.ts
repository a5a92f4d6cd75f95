import type { DotRange } from '../../../core/dot.ts';
import type { ActorId } from '../../../core/ids.ts';
import type { VersionVector } from '../../../core/version-vector.ts';
import type { Runtime, Timer } from '../../../runtime/port.ts';
import type { Replica } from '../../../storage/replica-port.ts';
import type { Pulled } from '../../link/message.ts';
import { adoptCollected } from '../../sweep/evidence.ts';
import type { LinkEnd } from '../link-end.ts';
import type { ReplicationCounters, ReplicationLimits, ReplicatorOptions } from '../options.ts';
import { intersect, placeOf, planPull, subtract, type Deferred } from './pull-plan.ts';
import { rangeOf } from '../push/reach.ts';
import { placesWithAbsent, Unclaimed } from './unclaimed.ts';

export interface PullerOptions {
  readonly replica: Replica;
  readonly runtime: Runtime;
  readonly limits: ReplicationLimits;
  readonly counters: ReplicationCounters;
  readonly log: ReplicatorOptions['log'];
  /** What is asked of other peers right now. */
  readonly takenElsewhere: () => readonly DotRange[];
  /** True where what is missing of this actor cannot be on its way any more. */
  readonly lost: (actor: ActorId) => boolean;
  /** An answer is on this disk: there may be more to ask. */
  readonly onPulled: () => void;
  /** A peer did not answer: others may be asked. */
  readonly onFailed: () => void;
}

interface Outstanding {
  readonly request: number;
  readonly ranges: readonly DotRange[];
  readonly timer: Timer;
}

/**
 * Asks one peer for what it has and this store lacks, one request at a time, each with a deadline. What
 * the peer cannot serve is left alone for a while, so that nothing is asked for ever in a loop.
 */
export class Puller {
  readonly #options: PullerOptions;
  #outstanding: Outstanding | undefined;
  #deferred: ReadonlyMap<string, Deferred> = new Map();
  #unserved: { readonly range: DotRange; readonly untilMs: number }[] = [];
  #notBeforeMs = 0;
  #request = 0;
  #behind = 0;
  /** An answer is being written to disk. */
  #landing = false;
  readonly #unclaimed: Unclaimed;

  constructor(options: PullerOptions) {
    const { replica, limits } = options;
    this.#options = options;
    this.#unclaimed = new Unclaimed({
      replica,
      rangesMax: limits.unclaimedRangesMax,
      waitMs: limits.unclaimedMs,
    });
  }

  get behind(): number {
    return this.#behind;
  }

  /** Asked of this peer, or had from it and not claimed yet: not to be asked of others. */
  asked(): readonly DotRange[] {
    const fresh = this.#unclaimed.fresh(this.#options.runtime.clock.monotonicMs());
    return [...(this.#outstanding?.ranges ?? []), ...fresh];
  }

  /** The peer's whole vector, told on the link of its answers and after them. */
  reported(vector: VersionVector): void {
    this.#unclaimed.reported(vector, this.#lost());
  }

  /** `from` has told the peer's vector, `to` is the link to ask on. */
  plan(from: LinkEnd, to: LinkEnd | undefined): void {
    const { replica, runtime, limits, counters, lost, takenElsewhere } = this.#options;
    const nowMs = runtime.clock.monotonicMs();
    if (!to?.ready || to.closed || to.blocked || this.#outstanding || this.#landing) return;
    this.#unserved = this.#unserved.filter(({ untilMs }) => untilMs > nowMs);
    if (this.#claim(nowMs)) return;
    const missing = replica.missing(from.vector.rows());
    const plan = planPull({
      missing,
      lost,
      deferred: this.#deferred,
      taken: [...takenElsewhere(), ...this.#lost(), ...this.#unclaimed.ranges()],
      nowMs,
      deferMs: limits.heartbeatMs * 0.9,
      rangesMax: limits.pullRangesMax,
    });
    this.#behind = plan.behind;
    if (nowMs < this.#notBeforeMs) return;
    this.#deferred = plan.deferred;
    if (plan.ranges.length === 0) return;
    const request = ++this.#request;
    const timer = runtime.timers.after(limits.pullTimeoutMs, () => this.fail('no answer'));
    this.#outstanding = { request, ranges: plan.ranges, timer };
    counters.pulls += 1;
    to.send({ type: 'pull', request, ranges: plan.ranges, bytesMax: limits.pullBytesMax });
  }

  /** Takes what the answer brings; `from` is the link it came on, with the vector reported in it. */
  answered(answer: Pulled, from: LinkEnd): void {
    const { replica, runtime, counters } = this.#options;
    const outstanding = this.#outstanding;
    if (!outstanding || outstanding.request !== answer.request) return;
    outstanding.timer.cancel();
    this.#outstanding = undefined;
    adoptCollected(replica, intersect(answer.collected, outstanding.ranges));
    const covered = intersect(answer.covered, outstanding.ranges);
    const absent = placesWithAbsent(covered, answer.operations);
    const { staged, refused, later } = this.#takeOperations(answer, absent);
    const settled = covered
      .flatMap((range) => subtract(range, refused))
      .filter((range) => !replica.covers(range));
    counters.dotsPulled += staged;
    this.#noteUnserved(answer, outstanding.ranges);
    if (staged === 0 && settled.length === 0) return this.#noProgress(answer, refused);
    const nowMs = runtime.clock.monotonicMs();
    this.#unclaimed.add(
      settled.filter((range) => later.has(placeOf(range))),
      nowMs,
    );
    if (from.vector.hash() === answer.vectorHash) this.reported(from.vector);
    const claimed = settled.filter((range) => !later.has(placeOf(range)));
    if (!this.#claim(nowMs, claimed)) this.#cover(claimed);
  }

  /** The peer is not asked for a while; others are. */
  fail(reason: string): void {
    const { runtime, limits, counters, log, onFailed } = this.#options;
    if (!this.#outstanding) return;
    this.#outstanding.timer.cancel();
    this.#outstanding = undefined;
    this.#notBeforeMs = runtime.clock.monotonicMs() + limits.pullRetryMs;
    counters.pullsFailed += 1;
    log.debug('pull failed', { reason });
    onFailed();
  }

  /** The link is gone: what was asked on it will not come. */
  reset(): void {
    const asked = this.#outstanding;
    asked?.timer.cancel();
    this.#outstanding = undefined;
    this.#deferred = new Map();
    this.#unserved = [];
    this.#notBeforeMs = 0;
    this.#behind = 0;
    const applied = this.#unclaimed.abandon();
    if (applied.length > 0) this.#options.replica.cover(applied);
    if (asked) this.#options.onFailed();
  }

  /**
   * Where something is absent between the operations, the vector may need more intervals than it has:
   * the rest is applied then, and claimed together with what is absent.
   */
  #takeOperations(
    { operations }: Pulled,
    absent: ReadonlySet<string>,
  ): { staged: number; refused: DotRange[]; later: ReadonlySet<string> } {
    const { replica, counters } = this.#options;
    const later = new Set(absent);
    const refused: DotRange[] = [];
    let staged = 0;
    for (const operation of operations) {
      const range = rangeOf(operation);
      const place = placeOf(range);
      // After an overflow the gaps below it come first: nothing above it is taken from this answer.
      if (refused.some((other) => placeOf(other) === place && other.from <= range.from)) continue;
      let received = replica.receive(operation);
      if (received === 'overflow' && (later.has(place) || this.#unclaimed.has(place))) {
        received = replica.receiveUnclaimed(operation);
        this.#unclaimed.noteApplied(place);
        later.add(place);
      }
      if (received === 'staged') {
        staged += range.to - range.from + 1;
        counters.operationsPulled += 1;
      } else if (received === 'overflow') refused.push({ ...range, to: Number.MAX_SAFE_INTEGER });
      else if (received === 'invalid') this.#invalid(range, refused);
    }
    return { staged, refused, later };
  }

  /** True where ranges that waited are claimed now, with `others`. */
  #claim(nowMs: number, others: readonly DotRange[] = []): boolean {
    const claim = this.#unclaimed.take(nowMs);
    if (!claim) return false;
    if (!claim.proved) {
      this.#options.counters.claimedUnproved += 1;
      const ranges = claim.ranges.length;
      this.#options.log.warn('what superseded some pulled writes did not come in time', { ranges });
    }
    this.#cover([...others, ...claim.ranges]);
    return true;
  }

  #cover(ranges: readonly DotRange[]): void {
    const { replica, onPulled } = this.#options;
    this.#landing = true;
    replica.cover(ranges, () => {
      this.#landing = false;
      onPulled();
    });
  }

  #lost(): readonly DotRange[] {
    return this.#unserved.map(({ range }) => range);
  }

  #invalid(range: DotRange, refused: DotRange[]): void {
    this.#options.counters.operationsInvalid += 1;
    this.#options.log.warn('a pulled operation is invalid', { ...range });
    refused.push(range);
    this.#leaveAlone([range]);
  }

  #noProgress({ more }: Pulled, refused: readonly DotRange[]): void {
    const { runtime, limits } = this.#options;
    if (!more && refused.length === 0) return this.#options.onPulled();
    this.#notBeforeMs = runtime.clock.monotonicMs() + limits.pullRetryMs;
  }

  #noteUnserved({ covered, more }: Pulled, asked: readonly DotRange[]): void {
    if (!more) this.#leaveAlone(asked.flatMap((range) => subtract(range, covered)));
  }

  #leaveAlone(ranges: readonly DotRange[]): void {
    const { runtime, limits } = this.#options;
    const nowMs = runtime.clock.monotonicMs();
    for (const range of ranges) {
      if (this.#unserved.length < limits.pullRangesMax) {
        this.#unserved.push({ range, untilMs: nowMs + limits.unservedMs });
      } else {
        this.#notBeforeMs = nowMs + limits.unservedMs;
      }
    }
  }
}
