import type { ClosedDigest, ClosedActor } from '../../core/version-vector.ts';
import { VersionVector } from '../../core/version-vector.ts';
import type { ClosedVector } from '../../storage/replica-port.ts';
import type { TokenContent } from './token.ts';

/** Of the runs that one node may have closed and another not yet; all their subsets are tried. */
const DOUBTFUL_MAX = 12;

/**
 * The vector that a token speaks of. It names the ended runs by a digest only, and nodes close them at
 * slightly different times: so where the digest is not this node's own, the runs closed last and those
 * about to be are tried. Undefined where none of it fits.
 */
export function vectorOf(
  { openRows, closed }: TokenContent,
  own: ClosedVector,
): VersionVector | undefined {
  const vector = new VersionVector();
  const log = own.closedLog().filter((each) => each !== undefined);
  const chosen = isSame(closed, own.closedDigest())
    ? log
    : chooseClosed(closed, { log, own, open: new Set(openRows.map(({ actor }) => actor)) });
  if (!chosen) return undefined;
  for (const each of chosen) vector.close(each);
  vector.addAll(openRows);
  return vector;
}

function chooseClosed(
  wanted: ClosedDigest,
  parts: {
    readonly log: readonly ClosedActor[];
    readonly own: ClosedVector;
    readonly open: ReadonlySet<string>;
  },
): readonly ClosedActor[] | undefined {
  const { log, own, open } = parts;
  const closed = log.filter(({ actor }) => !open.has(actor));
  const ending = own
    .openActors()
    .filter((actor) => !open.has(actor))
    .map((actor) => own.finalsOf(actor))
    .filter((each) => each !== undefined)
    .slice(-DOUBTFUL_MAX);
  const sure = closed.slice(0, Math.max(0, closed.length - (DOUBTFUL_MAX - ending.length)));
  const doubtful = [...closed.slice(sure.length), ...ending];
  const base = digestOf(sure);
  const digests = doubtful.map((each) => digestOf([each]));
  for (let subset = 0; subset < 1 << doubtful.length; subset++) {
    let sum = base;
    for (const [i, digest] of digests.entries()) if (subset & (1 << i)) sum = add(sum, digest);
    if (isSame(sum, wanted)) return [...sure, ...doubtful.filter((_, i) => subset & (1 << i))];
  }
  return undefined;
}

function digestOf(closed: readonly ClosedActor[]): ClosedDigest {
  const vector = new VersionVector();
  for (const each of closed) vector.close(each);
  return vector.closedDigest();
}

function add(a: ClosedDigest, b: ClosedDigest): ClosedDigest {
  const [low, high] = [(a.low + b.low) >>> 0, (a.high + b.high) >>> 0];
  return { count: a.count + b.count, low, high };
}

function isSame(a: ClosedDigest, b: ClosedDigest): boolean {
  return a.count === b.count && a.low === b.low && a.high === b.high;
}
