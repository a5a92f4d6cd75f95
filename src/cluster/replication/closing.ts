import type { ActorId } from '../../core/ids.ts';
import type { VersionVector } from '../../core/version-vector.ts';
import type { Replica } from '../../storage/replica-port.ts';

/** What a rostered member last said of itself. */
export interface LastReport {
  readonly actor: ActorId;
  readonly vector: VersionVector;
}

/** Closed at one look; the rest comes with the next. */
const CLOSED_AT_ONCE_MAX = 256;

/**
 * Closes the actors that have ended: no rostered member runs them, and each last reported exactly what
 * is on this disk of them. Closing is this store's own matter and wrong at no time; that all agree
 * makes their closed sets equal soon, so that a Hello can leave them out.
 */
export function closeEnded(
  replica: Pick<Replica, 'actor' | 'close' | 'closedActors'>,
  peers: readonly (LastReport | undefined)[],
): number {
  const reports = peers.filter((peer) => peer !== undefined);
  if (reports.length < peers.length) return 0;
  const running = new Set([replica.actor, ...reports.map(({ actor }) => actor)]);
  const own = replica.closedActors();
  let closed = 0;
  for (const actor of own.openActors()) {
    if (closed >= CLOSED_AT_ONCE_MAX) break;
    const ended = running.has(actor) ? undefined : own.finalsOf(actor);
    if (!ended) continue;
    const isSame = ({ vector }: LastReport): boolean =>
      ended.finals.every((final, shard) => {
        const clock = vector.clock(actor, shard);
        return clock.base === final && clock.above.length === 0;
      });
    if (reports.every(isSame) && replica.close(actor)) closed += 1;
  }
  return closed;
}
