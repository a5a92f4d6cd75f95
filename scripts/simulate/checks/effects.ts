import { readCut } from '../../../src/cluster/sweep/evidence.ts';
import { REMOVAL } from '../../../src/core/row.ts';
import { VersionVector, type VectorRow } from '../../../src/core/version-vector.ts';
import type { SimulatedNode } from '../cluster/node.ts';
import type { KnownWrite } from '../model/write-registry.ts';
import { isPutOut } from '../model/retention.ts';
import type { Simulation } from '../simulation.ts';

export function vectorOf(rows: Iterable<VectorRow>): VersionVector {
  const vector = new VersionVector(Number.MAX_SAFE_INTEGER);
  vector.addAll(rows);
  return vector;
}

/** Below it some node has collected evidence: a store that caught up has what its peers had left. */
export function cutOf(sim: Simulation): VersionVector {
  return vectorOf(sim.nodes.flatMap(({ core }) => (core ? readCut(core.replica) : [])));
}

/**
 * True where the node's vector claims the write and its rows do not show it. What was superseded
 * elsewhere is absent from a peer's answer and may be claimed before its successor is here. Below the
 * cut of collected evidence, what had been removed leaves no trace: liveness is checked apart.
 */
export function lacksEffect(
  { sim, node }: { readonly sim: Simulation; readonly node: SimulatedNode },
  write: KnownWrite,
  known?: { readonly vector: VersionVector; readonly cut: VersionVector },
): boolean {
  const { core } = node;
  if (!core) return false;
  const vector = known?.vector ?? vectorOf(core.replica.durableVector());
  const { actor, shard, counter } = write.dot;
  if (!vector.covers(actor, shard, counter)) return false;
  if (sim.registry.isApplied(write, node.peek(write.key) ?? [])) return false;
  if (isPutOut(sim, write.key, [write.entry])) return false;
  const successors = sim.registry.successors(write);
  const isDead = write.entry.tag === REMOVAL || successors.length > 0;
  const cut = known?.cut ?? cutOf(sim);
  if (isDead && cut.covers(actor, shard, counter)) return false;
  const isHere = ({ dot }: KnownWrite): boolean => vector.covers(dot.actor, dot.shard, dot.counter);
  return successors.every(isHere);
}
