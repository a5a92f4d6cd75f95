import { VersionVector, type VectorRow } from '../../core/version-vector.ts';

/** What a store that is new or being rebuilt knows of one rostered peer. */
export interface CatchUpPeer {
  /** Its Hello came, on a link that is open. */
  readonly reached: boolean;
  readonly catchingUp: boolean;
  readonly empty: boolean;
  /** Its vector when it first said Hello as a store that has caught up. */
  readonly target: readonly VectorRow[] | undefined;
}

export type CaughtUp = 'alone' | 'all stores are empty' | 'a peer' | undefined;

/**
 * May this store take writes? Alone: yes. With a peer whose vector at Hello is on this disk: yes. Where
 * every rostered store was reached and is empty, as this one: yes. Otherwise a peer may hold what would
 * be overwritten, so: not yet.
 */
export function caughtUp(own: readonly VectorRow[], peers: readonly CatchUpPeer[]): CaughtUp {
  if (peers.length === 0) return 'alone';
  const vector = new VersionVector(Number.POSITIVE_INFINITY);
  vector.addAll(own);
  if (peers.some(({ target }) => target && vector.missing(target).length === 0)) return 'a peer';
  const empty = (peer: CatchUpPeer): boolean => peer.reached && peer.empty;
  return own.length === 0 && peers.every(empty) ? 'all stores are empty' : undefined;
}
