import type { SimulatedNode } from '../cluster/node.ts';
import type { Simulation } from '../simulation.ts';

/** It runs, has caught up, its disk takes writes, and no store of its past is still to be read. */
export function isWell(node: SimulatedNode): boolean {
  const { core, run } = node;
  if (!core || node.owesRebuild()) return false;
  return run?.store?.status().state === 'ok' && core.replicator.mayWrite();
}

/** Both ends are well and hear each other, and neither way loses or holds back anything. */
export function isLinkWell(sim: Simulation, one: SimulatedNode, other: SimulatedNode): boolean {
  const ways = [
    [one, other],
    [other, one],
  ] as const;
  return ways.every(([from, to]) => {
    const { blocked, frameLoss, frameReorder, delayMs } = sim.network.path(from.id, to.id);
    if (blocked || frameLoss > 0 || frameReorder > 0 || delayMs > SLOW_MS) return false;
    const peers = isWell(from) ? (from.core?.replicator.peers() ?? []) : [];
    return peers.some(({ member, live }) => live && member === to.id);
  });
}

const SLOW_MS = 100;

/** Every node is well and hears every other one: the bounds of the repairs hold. */
export function isClusterWell(sim: Simulation): boolean {
  return sim.nodes.every(
    (node, at) =>
      isWell(node) && sim.nodes.slice(at + 1).every((other) => isLinkWell(sim, node, other)),
  );
}
