import type { AskOptions } from '../audit/ask-members.ts';
import { ClusterExplainer } from '../audit/explain/explainer.ts';
import { ClusterOperationLog } from '../audit/operations/cluster-log.ts';
import type { OperationLog } from '../audit/operations/operation-log.ts';
import type { LayerRepairs } from '../audit/repair/port.ts';
import { ClusterRepairer } from '../audit/repair/repairer.ts';
import type { VerifyLayers } from '../audit/verify/port.ts';
import { ClusterVerifier } from '../audit/verify/verifier.ts';
import type { PeerCalls } from '../cluster/calls/port.ts';
import type { Replicator } from '../cluster/replication/replicator.ts';
import type { Member } from '../core/member.ts';
import type { SubscriptionDigest } from '../messaging/port.ts';
import type { RoutingIndex } from '../messaging/routing-index.ts';
import type { ReplicatedStore } from '../storage/replica.ts';
import type { CorePorts } from './core.ts';
import type { Repairs } from './upkeep.ts';

/** What an operator asks of a node about the whole cluster. */
export interface Diagnosis {
  readonly explainer: ClusterExplainer;
  readonly repairer: ClusterRepairer;
  readonly verifier: ClusterVerifier;
  readonly log: ClusterOperationLog;
}

export interface DiagnosisParts {
  readonly self: Member;
  readonly replica: ReplicatedStore;
  readonly replicator: Replicator;
  readonly routing: RoutingIndex;
  readonly journal: OperationLog;
  readonly repairs: Repairs;
  readonly calls: PeerCalls;
  readonly digest: () => Promise<SubscriptionDigest>;
}

export function createDiagnosis(ports: CorePorts, parts: DiagnosisParts): Diagnosis {
  const { runtime, store, membership } = ports;
  const { self, replica, replicator, routing, journal, repairs, calls } = parts;
  const ask: AskOptions = {
    self: self.id,
    members: () => membership.roster().members.map(({ id }) => id),
    calls,
  };
  const explainer = new ClusterExplainer(ask, {
    ...{ self: self.id, clock: runtime.clock, store, replica, routing, journal },
    replication: replicator,
    layers: { ...(ports.describeSession ? { session: ports.describeSession } : {}) },
  });
  const repairer = new ClusterRepairer(ask, { layers: layerRepairs(), explainer });
  repairs.add(repairer);
  const verifier = new ClusterVerifier({
    ask,
    layers: verifyLayers(parts),
    runtime,
    facts: replica,
  });
  return { explainer, repairer, verifier, log: new ClusterOperationLog(ask, journal) };
}

function layerRepairs(): LayerRepairs {
  return {};
}

function verifyLayers({ digest, replica }: DiagnosisParts): VerifyLayers {
  return { digest, vectorHash: () => replica.durableHash(), passes: [] };
}
