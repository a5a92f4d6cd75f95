import type { Replica } from '../../storage/replica-port.ts';
import type { Heartbeat } from '../link/message.ts';
import type { LinkEnd } from './link-end.ts';

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
