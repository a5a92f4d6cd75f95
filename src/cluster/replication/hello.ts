import type { MemberId, ActorId } from '../../core/ids.ts';
import type { Roster } from '../../core/member.ts';
import { VersionVector, type VectorRow } from '../../core/version-vector.ts';
import type { Hello, Refused } from '../link/message.ts';
import type { OwnData } from './lineage.ts';

/** What a member last reported of its store, and in which run. */
export interface Remembered {
  readonly storeId: string;
  readonly actor: ActorId;
  readonly rows: readonly VectorRow[];
}

export interface HelloQuestion {
  readonly hello: Hello;
  /** Who the transport says is at the other end. */
  readonly from: MemberId;
  readonly cluster: string;
  readonly protocol: { readonly min: number; readonly max: number };
  readonly self: { readonly id: MemberId; readonly slot: number };
  readonly slots: number;
  readonly roster: Roster;
  /** The run of the same member that is connected and heard right now, if there is one. */
  readonly running: { readonly storeId: string; readonly actor: ActorId } | undefined;
  readonly remembered: Remembered | undefined;
  readonly own: OwnData;
}

/** Undefined where the peer is welcome; otherwise what it has to be told. */
export function checkHello(question: HelloQuestion): Refused | undefined {
  return (
    checkCluster(question) ??
    checkIdentity(question) ??
    checkLineage(question) ??
    checkRunning(question) ??
    checkCut(question) ??
    checkRolledBack(question)
  );
}

function checkCluster({ hello, cluster, protocol, slots }: HelloQuestion): Refused | undefined {
  if (hello.cluster !== cluster) {
    return refuse('cluster', `cluster "${hello.cluster}", this one is "${cluster}"`);
  }
  if (hello.protocolMin > protocol.max || hello.protocolMax < protocol.min) {
    const [theirs, ours] = [
      `${hello.protocolMin}..${hello.protocolMax}`,
      `${protocol.min}..${protocol.max}`,
    ];
    return refuse('protocol', `protocol versions ${theirs}, this member speaks ${ours}`);
  }
  if (hello.slots !== slots) {
    return refuse('slots', `${hello.slots} slots, this cluster has ${slots}`);
  }
  return undefined;
}

function checkIdentity({ hello, from, self, roster }: HelloQuestion): Refused | undefined {
  if (hello.member === self.id)
    return refuse('slot', `member id "${self.id}" is this member's own`);
  if (hello.member !== from) {
    return refuse('not-on-roster', `said to be "${hello.member}" on the link of "${from}"`);
  }
  const holder =
    hello.slot === self.slot
      ? self
      : roster.members.find(({ id, slot }) => slot === hello.slot && id !== hello.member);
  if (holder) return refuse('slot', `slot ${hello.slot} is in use by member "${holder.id}"`);
  const known = roster.members.find(({ id }) => id === hello.member);
  if (!known) {
    return refuse(
      'not-on-roster',
      `"${hello.member}" is not on the roster of epoch ${roster.epoch}`,
    );
  }
  if (known.slot !== hello.slot) {
    return refuse('slot', `slot ${hello.slot}, but the roster gives ${known.slot}`);
  }
  return undefined;
}

/** A lone node that was pointed at a cluster by mistake must not pour its data into it, nor the reverse. */
function checkLineage({ hello, own }: HelloQuestion): Refused | undefined {
  if (!own.holdsData || hello.vector.length === 0) return undefined;
  if (own.lineage === '' || hello.lineage === '' || own.lineage === hello.lineage) return undefined;
  return refuse(
    'cluster',
    `its data began in another cluster (lineage ${hello.lineage}, here ${own.lineage}): ` +
      'two stores with data never merge; set one of them aside',
  );
}

function checkRunning({ hello, running }: HelloQuestion): Refused | undefined {
  if (!running || running.actor === hello.actor) return undefined;
  const what = running.storeId === hello.storeId ? 'process on a copy of its store' : 'store';
  return refuse('slot', `member id "${hello.member}" is connected with another ${what}`);
}

/**
 * A member that was away for so long that evidence was collected without it, or whose store was set back:
 * what it still has may have been removed, and nobody could tell any more. One that is catching up began
 * with nothing and gets only what its peers have.
 */
function checkCut({ hello, own }: HelloQuestion): Refused | undefined {
  if (!own.cut?.length || hello.catchingUp || hello.vector.length === 0) return undefined;
  const said = new VersionVector(Number.POSITIVE_INFINITY);
  said.addAll(hello.vector);
  const [lost] = said.missing(own.cut);
  if (!lost) return undefined;
  const range = `${lost.actor}:${lost.shard}:${lost.from}..${lost.to}`;
  return refuse('rolled-back', `below the cut of collected evidence: it lacks ${range}`);
}

/**
 * A run cannot fall behind itself, and its reports on one link may overtake its Hello on another: so only
 * a new run is compared with what was reported before. Another store of the same name is a wiped or
 * rebuilt one: it is welcome and catches up.
 */
function checkRolledBack({ hello, remembered }: HelloQuestion): Refused | undefined {
  if (!remembered || remembered.storeId !== hello.storeId) return undefined;
  if (remembered.actor === hello.actor) return undefined;
  const said = new VersionVector(Number.POSITIVE_INFINITY);
  said.addAll(hello.vector);
  const [lost] = said.missing(remembered.rows);
  if (!lost) return undefined;
  const range = `${lost.actor}:${lost.shard}:${lost.from}..${lost.to}`;
  return refuse('rolled-back', `store ${hello.storeId} had reported ${range} and lacks it now`);
}

function refuse(code: Refused['code'], message: string): Refused {
  return { type: 'refused', code, message };
}
