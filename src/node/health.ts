import type { CanaryState } from '../audit/canary.ts';
import type { MembershipStatus } from '../cluster/membership/port.ts';
import type { PeerState } from '../cluster/replication/port.ts';
import type { StoreStatus } from '../storage/port.ts';

export interface HealthFacts {
  readonly phase: 'starting' | 'running' | 'stopping';
  readonly store: StoreStatus;
  readonly mayWrite: boolean;
  readonly membership: MembershipStatus;
  readonly peers: readonly PeerState[];
  /** What the node's own probes say of delivery, once there are any. */
  readonly canary?: CanaryState | undefined;
}

export interface Health {
  readonly ready: boolean;
  /** Why it is not ready. */
  readonly reasons: readonly string[];
  /** What an operator should know although the node does its work. */
  readonly degraded: readonly string[];
}

/**
 * Ready: this node connects clients, takes writes and delivers. A peer or etcd that is away makes it
 * degraded only: every member serves in every partition.
 */
export function judgeHealth(facts: HealthFacts): Health {
  const reasons: string[] = [];
  if (facts.phase !== 'running') reasons.push(`the node is ${facts.phase}`);
  if (facts.store.state === 'failing') {
    reasons.push(`the store cannot write: ${facts.store.error.message}`);
  }
  if (!facts.mayWrite) reasons.push('the store is catching up with the cluster');
  reasons.push(...(facts.canary?.broken ?? []));
  const degraded = facts.peers
    .filter((peer) => !peer.live)
    .map(
      (peer) => `peer ${peer.member} is not heard${peer.lastError ? `: ${peer.lastError}` : ''}`,
    );
  if (facts.membership.state === 'frozen') {
    degraded.push(`the roster is frozen: ${facts.membership.reason}`);
  }
  degraded.push(...(facts.canary?.degraded ?? []));
  return { ready: reasons.length === 0, reasons, degraded };
}
