import type { Replica } from '../../storage/replica-port.ts';
import { PROTOCOL, type Heartbeat } from '../link/message.ts';
import type { LinkEnd } from './link-end.ts';
import type { PeerContext } from './peer-context.ts';

export interface HeartbeatInput {
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
export function composeHeartbeat(end: LinkEnd, input: HeartbeatInput): Heartbeat {
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

/** The first message of this end: who this is, and what is on its disk. Heartbeats go on from there. */
export function sayHello(end: LinkEnd, { options, roster, catchingUp }: PeerContext): void {
  const { replica, self, cluster, slots } = options;
  const vector = replica.durableVector();
  replica.durableChanges(end.cursor);
  end.reportedHash = replica.durableHash();
  end.send({
    ...{ type: 'hello', cluster, member: self.id, slot: self.slot, slots },
    ...{ protocolMin: PROTOCOL.min, protocolMax: PROTOCOL.max, rosterEpoch: roster().epoch },
    ...{ storeId: replica.storeId, lineage: replica.lineage(), actor: replica.actor },
    ...{ vector, catchingUp: catchingUp() },
  });
}
