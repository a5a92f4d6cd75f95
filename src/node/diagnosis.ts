import type { AskOptions } from '../audit/ask-members.ts';
import { ClusterExplainer } from '../audit/explain/explainer.ts';
import { ClusterOperationLog } from '../audit/operations/cluster-log.ts';
import type { OperationLog } from '../audit/operations/operation-log.ts';
import type { LayerFacts } from '../audit/explain/port.ts';
import type { Layer } from '../audit/port.ts';
import type { LayerRepairs } from '../audit/repair/port.ts';
import { ClusterRepairer } from '../audit/repair/repairer.ts';
import type { LayerPass, VerifyLayers } from '../audit/verify/port.ts';
import { ClusterVerifier } from '../audit/verify/verifier.ts';
import type { PeerCalls } from '../cluster/calls/port.ts';
import type { Replicator } from '../cluster/replication/replicator.ts';
import type { Member } from '../core/member.ts';
import type { SubscriptionDigest } from '../messaging/port.ts';
import type { RoutingIndex } from '../messaging/routing-index.ts';
import type { ReplicatedStore } from '../storage/replica.ts';
import type { CorePorts } from './core.ts';
import type { Repairs } from './upkeep.ts';
import type { Upkeep } from './upkeep/disk.ts';
import type { SessionUpkeep } from './upkeep/sessions.ts';
import type { SweepUpkeep } from './upkeep/sweep.ts';

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
  readonly upkeep: Upkeep;
  readonly sessions: SessionUpkeep;
  readonly sweeps: SweepUpkeep;
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
    layers: {
      sweep: sweepFacts(parts),
      ...(ports.queueBytes ? { queueBytes: ports.queueBytes } : {}),
    },
  });
  const repairer = new ClusterRepairer(ask, { layers: layerRepairs(parts), explainer });
  repairs.add(repairer);
  const verifier = new ClusterVerifier({
    ask,
    layers: verifyLayers(ports, parts),
    runtime,
    facts: replica,
  });
  return { explainer, repairer, verifier, log: new ClusterOperationLog(ask, journal) };
}

function layerRepairs({ sessions, sweeps, routing }: DiagnosisParts): LayerRepairs {
  return {
    rows: (keys) => sweeps.sweep.repairKeys(keys),
    async routing(_channel, uid) {
      await sessions.indexAudit.checkUser(uid);
      for (const session of routing.sessionsOf(uid)) sessions.socketAudit.checkSession(session);
    },
  };
}

/** How many sessions or users are looked at before others have their turn. */
const SLICE = 200;

/** Each layer against the next as a whole; what one finds it tells to `repairs`, where it is counted. */
function verifyLayers(ports: CorePorts, parts: DiagnosisParts): VerifyLayers {
  const { digest, replica, repairs, routing, sessions, sweeps, upkeep, calls } = parts;
  const found = new Map<Layer, number>();
  repairs.add({ onRepair: ({ layer }) => void found.set(layer, (found.get(layer) ?? 0) + 1) });
  const pass = (layer: Layer, name: string, run: LayerWork): LayerPass => ({
    name,
    async run(onProgress, signal) {
      const before = found.get(layer) ?? 0;
      await run(onProgress, signal);
      if (signal.aborted) throw new Error('ended before it was complete');
      return { differences: (found.get(layer) ?? 0) - before };
    },
  });
  const breathe = (): Promise<void> =>
    new Promise((resolve) => {
      ports.runtime.timers.after(1, resolve);
    });
  return {
    digest,
    vectorHash: () => replica.stagedHash(),
    async sweepNow(peer) {
      if (!calls.reachable().includes(peer)) throw new Error(`no link to ${peer}`);
      const clean = await sweeps.sweep.sweepNow(peer);
      return { clean, detail: clean ? undefined : 'differences, or it was broken off' };
    },
    passes: [
      pass('disk', 'disk against its sums', (onProgress, signal) =>
        upkeep.diskAudit.passNow(signal, (done, total) => onProgress({ done, total })),
      ),
      pass('index', 'index against disk', async (onProgress, signal) => {
        let done = 0;
        for (const uid of routing.users()) {
          if (signal.aborted) return;
          await sessions.indexAudit.checkUser(uid);
          onProgress({ done: ++done, total: routing.userCount() });
          if (done % SLICE === 0) await breathe();
        }
      }),
      pass('sockets', 'topics against index', async (onProgress, signal) => {
        let done = 0;
        for (const session of routing.sessions()) {
          if (signal.aborted) return;
          sessions.socketAudit.checkSession(session);
          onProgress({ done: ++done, total: routing.userCount() });
          if (done % SLICE === 0) await breathe();
        }
      }),
    ],
  };
}

type LayerWork = (
  onProgress: (progress: { readonly done: number; readonly total: number }) => void,
  signal: AbortSignal,
) => Promise<void>;

/** What a sweep has proved of one shard, and when it looks again. */
function sweepFacts({ sweeps }: DiagnosisParts): NonNullable<LayerFacts['sweep']> {
  const { sweep } = sweeps;
  return (peer, shard) => {
    const age = sweep.unverifiedAges().find((one) => one.peer === peer && one.shard === shard);
    const dueMs = sweep.dueInMs(peer);
    return {
      ...(age ? { unverifiedMs: age.ageMs } : {}),
      ...(dueMs === undefined ? {} : { sweepDueMs: dueMs }),
    };
  };
}
