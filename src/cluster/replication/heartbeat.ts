import type { ClosedDigest } from '../../core/version-vector.ts';
import type { Replica } from '../../storage/replica-port.ts';
import { PROTOCOL, type Heartbeat, type Hello, type Refused } from '../link/message.ts';
import type { LinkEnd } from './link-end.ts';
import type { PeerContext } from './peer-context.ts';
import { placeOf } from './pull/pull-plan.ts';

interface HeartbeatInput {
  readonly replica: Replica;
  readonly wallMs: number;
  readonly catchingUp: boolean;
  readonly interest: { readonly version: number; readonly digest: number };
  readonly wantVector: boolean;
  /** The peer asked for every row. */
  readonly whole: boolean;
  /**
   * Own operations of the vector have not been sent on this link yet. The report waits for them: what
   * the receiver misses after a report has to be lost, not late.
   */
  readonly withheld: boolean;
}

/** The next heartbeat of a link; moves the link's place in the vector. */
function composeHeartbeat(end: LinkEnd, input: HeartbeatInput): Heartbeat {
  const { replica, whole, withheld } = input;
  let changed: Heartbeat['changed'] = [];
  if (!withheld) {
    changed = replica.durableChanges(end.cursor);
    if (whole) changed = replica.durableVector();
    end.reportedHash = replica.durableHash();
  }
  return {
    type: 'heartbeat',
    wallMs: input.wallMs,
    changed,
    vectorHash: end.reportedHash,
    wantVector: input.wantVector,
    catchingUp: input.catchingUp,
    interestVersion: input.interest.version,
    interestDigest: input.interest.digest,
    transients: end.transients,
  };
}

/** Nothing is sent where the link would not take it now. */
export function sendHeartbeat(
  end: LinkEnd,
  { options, catchingUp }: PeerContext,
  input: Pick<HeartbeatInput, 'interest' | 'wantVector' | 'whole' | 'withheld'>,
): void {
  if (end.blocked || end.closed) return;
  const { replica, runtime } = options;
  const wallMs = runtime.clock.wallMs();
  end.send(composeHeartbeat(end, { ...input, replica, wallMs, catchingUp: catchingUp() }));
}

/**
 * The first message of this end: who this is, and what is on its disk. Heartbeats go on from there. It
 * leaves out the closed actors unless told to be whole.
 */
export function sayHello(
  end: LinkEnd,
  { options, roster, catchingUp }: PeerContext,
  { whole }: { whole: boolean },
): void {
  const { replica, self, cluster, slots } = options;
  const vector = whole ? replica.durableVector() : replica.closedActors().openRows();
  replica.durableChanges(end.cursor);
  end.reportedHash = replica.durableHash();
  end.send({
    ...{ type: 'hello', cluster, member: self.id, slot: self.slot, slots },
    ...{ protocolMin: PROTOCOL.min, protocolMax: PROTOCOL.max, rosterEpoch: roster().epoch },
    ...{ storeId: replica.storeId, lineage: replica.lineage(), actor: replica.actor },
    ...{ vector, whole, closed: replica.closedActors().closedDigest(), catchingUp: catchingUp() },
  });
}

/** A Hello with all of its vector; undefined where this store has not closed the same actors. */
export function wholeHello(hello: Hello, replica: Replica): Hello | undefined {
  if (hello.whole || hello.closed.count === 0) return hello;
  if (!isSame(hello.closed, replica.closedActors().closedDigest())) return undefined;
  const open = new Set(hello.vector.map(placeOf));
  const closed = replica.closedActors().closedRows();
  return {
    ...hello,
    whole: true,
    vector: [...hello.vector, ...closed.filter((row) => !open.has(placeOf(row)))],
  };
}

/** What a Hello is answered that leaves out other actors than are closed here. */
export const NOT_WHOLE: Refused = {
  type: 'refused',
  code: 'closed',
  message: 'other actors are closed here: say hello with the whole vector',
};

export function isSame(a: ClosedDigest, b: ClosedDigest): boolean {
  return a.count === b.count && a.low === b.low && a.high === b.high;
}
