import { VersionVector, type VectorRow } from '../../../core/version-vector.ts';

/** What a store that is new or being rebuilt knows of one rostered peer. */
export interface CatchUpPeer {
  /** Its Hello came, on a link that is open. */
  readonly reached: boolean;
  readonly catchingUp: boolean;
  readonly storeId: string | undefined;
  /** Its vector as last reported; undefined where it is not reached. */
  readonly rows: () => Iterable<VectorRow> | undefined;
  /** Its vector when it first said Hello as a store that has caught up. */
  readonly target: readonly VectorRow[] | undefined;
}

export type CaughtUp = 'alone' | 'a peer' | 'every store is new';

/**
 * May this store take writes? Alone: yes. With a peer whose vector at Hello is on this disk: yes. Where
 * every rostered store is new, as this one, nobody has more than they have together: yes, once that is
 * on this disk. Otherwise a peer may hold what would be overwritten, so: not yet (undefined).
 */
export function caughtUp(
  own: readonly VectorRow[],
  peers: readonly CatchUpPeer[],
): CaughtUp | undefined {
  if (peers.length === 0) return 'alone';
  const vector = new VersionVector(Number.POSITIVE_INFINITY);
  vector.addAll(own);
  const has = (rows: Iterable<VectorRow> | undefined): boolean =>
    rows !== undefined && vector.missing(rows).length === 0;
  if (peers.some(({ target }) => has(target))) return 'a peer';
  return allNew(peers) && peers.every(({ rows }) => has(rows())) ? 'every store is new' : undefined;
}

/** Every rostered store was reached and has not caught up: there is no better source than these. */
export function allNew(peers: readonly CatchUpPeer[]): boolean {
  return peers.every(({ reached, catchingUp }) => reached && catchingUp);
}
