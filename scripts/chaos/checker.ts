/**
 * What the recorded history and the final reads say, without a cluster: the same functions judge real runs and
 * the histories of the tests, which really lose something.
 */

/** Channels of the set workload begin with it; whatever else is subscribed is not judged as a set. */
export const SET_PREFIX = 'set-';

/** A user in a channel, added once and removed at most once. */
export interface SetElement {
  readonly channel: string;
  readonly uid: string;
  readonly add: 'acknowledged' | 'unknown';
  readonly removal: 'none' | 'acknowledged' | 'unknown';
}

/** All subscriptions that one node holds at the end. */
export interface FinalRead {
  readonly node: string;
  /** As `nameOf` names them. */
  readonly there: ReadonlySet<string>;
  /** What the node itself says about its table. */
  readonly digest: string;
}

export interface SetFindings {
  /** Acknowledged, never asked to be removed, and not there. */
  readonly lostAdds: readonly string[];
  /** Acknowledged as removed, and there. */
  readonly returnedRemovals: readonly string[];
  /** There, though nobody ever asked for it. */
  readonly unexpected: readonly string[];
  /** Not the same at all nodes, by what was read or by the digests. */
  readonly unequal: readonly string[];
}

export function nameOf(channel: string, uid: string): string {
  return `${channel} ${uid}`;
}

/** What is neither acknowledged nor refused may be there or not, but at every node the same. */
export function checkSet(
  elements: readonly SetElement[],
  reads: readonly FinalRead[],
): SetFindings {
  const [lostAdds, returnedRemovals]: [string[], string[]] = [[], []];
  const asked = new Set<string>();
  for (const { channel, uid, add, removal } of elements) {
    const name = nameOf(channel, uid);
    asked.add(name);
    const having = reads.filter(({ there }) => there.has(name));
    if (add === 'acknowledged' && removal === 'none' && having.length < reads.length) {
      lostAdds.push(`${name} at ${nodes(reads.filter((read) => !having.includes(read)))}`);
    }
    if (removal === 'acknowledged' && having.length > 0) {
      returnedRemovals.push(`${name} at ${nodes(having)}`);
    }
  }
  const union = new Set(reads.flatMap(({ there }) => [...there]));
  const unexpected = [...union].filter((name) => name.startsWith(SET_PREFIX) && !asked.has(name));
  return { lostAdds, returnedRemovals, unexpected, unequal: differences(reads, union) };
}

function differences(reads: readonly FinalRead[], union: ReadonlySet<string>): string[] {
  const found: string[] = [];
  for (const name of union) {
    const lacking = reads.filter(({ there }) => !there.has(name));
    if (lacking.length > 0) found.push(`${name} lacks at ${nodes(lacking)}`);
  }
  if (new Set(reads.map(({ digest }) => digest)).size > 1) {
    found.push(`digests: ${reads.map(({ node, digest }) => `${node} ${digest}`).join(', ')}`);
  }
  return found;
}

function nodes(reads: readonly FinalRead[]): string {
  return reads.map(({ node }) => node).join(', ');
}

/** A message of the time of the faults. All times are of one monotonic clock, milliseconds. */
export interface SentMessage {
  readonly text: string;
  /** Before it was sent. */
  readonly atMs: number;
  /** The number of the node that took it. */
  readonly from: number;
  /** How many disks it was acknowledged by. */
  readonly disks: number | 'unacknowledged';
}

/** One connection of a reader whose user was subscribed all the time. */
export interface SessionRecord {
  readonly name: string;
  readonly openedMs: number;
  /** To the end; one that a fault has ended may lack what came while it was away. */
  readonly isOpen: boolean;
  readonly texts: readonly string[];
}

export interface MessageFindings {
  /** Pairs of a message and a session that has to have it. */
  readonly judged: number;
  readonly missing: readonly string[];
  readonly twice: readonly string[];
}

/**
 * `lostDisks`: numbers of nodes whose disk was taken. What such a node acknowledged as being on one disk may
 * be gone with it, and the reply said so.
 */
export function checkMessages(
  sent: readonly SentMessage[],
  sessions: readonly SessionRecord[],
  lostDisks: ReadonlySet<number>,
): MessageFindings {
  const must = sent.filter(({ disks, from }) => {
    if (disks === 'unacknowledged') return false;
    return disks >= 2 || !lostDisks.has(from);
  });
  const [missing, twice]: [string[], string[]] = [[], []];
  let judged = 0;
  for (const { name, openedMs, isOpen, texts } of sessions) {
    const counts = countEach(texts);
    for (const [text, count] of counts) if (count > 1) twice.push(`${name}: ${text}`);
    if (!isOpen) continue;
    for (const { text, atMs, disks } of must) {
      if (atMs <= openedMs) continue;
      judged += 1;
      if (counts.has(text)) continue;
      missing.push(`${name}: ${text} sent at ${Math.round(atMs)}, disks ${disks}`);
    }
  }
  return { judged, missing, twice };
}

function countEach(texts: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return counts;
}
