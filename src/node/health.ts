import type { CanaryState } from '../audit/canary.ts';
import type { MembershipStatus } from '../cluster/membership/port.ts';
import type { UnverifiedAge } from '../cluster/sweep/port.ts';
import type { PeerState } from '../cluster/replication/port.ts';
import type { StoreStatus } from '../storage/port.ts';

export interface HealthFacts {
  readonly phase: 'starting' | 'running' | 'stopping';
  readonly store: StoreStatus;
  readonly mayWrite: boolean;
  readonly membership: MembershipStatus;
  readonly peers: readonly PeerState[];
  /** How long each peer has not been found equal, and how long that may be. */
  readonly unverified?:
    { readonly ages: readonly UnverifiedAge[]; readonly limitMs: number } | undefined;
  /** What an operator turned off. */
  readonly turnedOff?: Pick<Health, 'reasons' | 'degraded'> | undefined;
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
  reasons.push(...(facts.turnedOff?.reasons ?? []));
  reasons.push(...(facts.canary?.broken ?? []));
  const degraded = facts.peers
    .filter((peer) => !peer.live)
    .map(
      (peer) => `peer ${peer.member} is not heard${peer.lastError ? `: ${peer.lastError}` : ''}`,
    );
  if (facts.membership.state === 'frozen') {
    degraded.push(`the roster is frozen: ${facts.membership.reason}`);
  }
  degraded.push(...(facts.turnedOff?.degraded ?? []));
  degraded.push(...unverified(facts), ...(facts.canary?.degraded ?? []));
  return { ready: reasons.length === 0, reasons, degraded };
}

/** Members whose sweeps do not end clean any more, with the oldest of their shards. */
function unverified({ unverified: facts }: HealthFacts): string[] {
  const oldest = new Map<string, number>();
  for (const { peer, ageMs } of facts?.ages ?? []) {
    if (ageMs > facts!.limitMs) oldest.set(peer, Math.max(ageMs, oldest.get(peer) ?? 0));
  }
  return [...oldest].map(
    ([peer, ageMs]) => `not found equal with ${peer} for ${Math.round(ageMs / 1000)} s`,
  );
}
