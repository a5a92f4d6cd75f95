import { shardOf } from '../../core/placement.ts';
import { VersionVector } from '../../core/version-vector.ts';
import type { Clock } from '../../runtime/port.ts';
import type { Replica } from '../../storage/replica-port.ts';
import type { Delivery } from '../port.ts';
import type { ResumeFilter } from './port.ts';

/** A token may name what no node has any more: after this the client's own memory of ids must do. */
const FILTER_MS = 120_000;

/** For a client that has seen more than its node. */
export class AheadFilter implements ResumeFilter {
  readonly #replica: Pick<Replica, 'durableVector'>;
  readonly #clock: Clock;
  readonly #vector: VersionVector;
  readonly #seen: Set<string>;
  readonly #untilMs: number;

  /** `seen`: ids that came after the token and are not known here yet. */
  constructor(
    { replica, clock }: { replica: Pick<Replica, 'durableVector'>; clock: Clock },
    vector: VersionVector,
    seen: Iterable<string>,
  ) {
    this.#replica = replica;
    this.#clock = clock;
    this.#vector = vector;
    this.#seen = new Set(seen);
    this.#untilMs = clock.monotonicMs() + FILTER_MS;
  }

  passes({ channel, message, written }: Delivery): boolean {
    if (written && this.#vector.covers(written.actor, shardOf(channel), written.counter)) {
      return false;
    }
    return this.#seen.size === 0 || !this.#seen.delete(String(message.messageId));
  }

  isDone(): boolean {
    if (this.#clock.monotonicMs() >= this.#untilMs) return true;
    if (this.#seen.size > 0) return false;
    const own = new VersionVector();
    own.addAll(this.#replica.durableVector());
    return own.missing(this.#vector.rows()).length === 0;
  }
}
