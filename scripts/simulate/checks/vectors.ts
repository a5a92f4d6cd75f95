import { readCut } from '../../../src/cluster/sweep/evidence.ts';
import { isLive, REMOVAL } from '../../../src/core/row.ts';
import { formatDot } from '../../../src/core/dot.ts';
import { VersionVector, type VectorRow } from '../../../src/core/version-vector.ts';
import type { NodeCore } from '../../../src/node/core.ts';
import type { KnownWrite } from '../model/write-registry.ts';
import type { Simulation } from '../simulation.ts';

export function vectorOf(rows: Iterable<VectorRow>): VersionVector {
  const vector = new VersionVector(Number.MAX_SAFE_INTEGER);
  vector.addAll(rows);
  return vector;
}

/**
 * Invariant 2: a vector claims no dot whose effect was not applied, superseded or removed. What was
 * superseded elsewhere is absent from a peer's answer and may be claimed before its successor is here.
 * Below the cut of collected evidence, what had been removed leaves no trace: liveness is checked apart.
 */
export function checkVectors(sim: Simulation): void {
  // A store that caught up has what its peers had left.
  const cut = vectorOf(sim.nodes.flatMap(({ core }) => (core ? readCut(core.replica) : [])));
  for (const node of sim.nodes) {
    const { core } = node;
    if (!core) continue;
    const vector = vectorOf(core.replica.durableVector());
    for (const write of sim.registry.all()) {
      const { actor, shard, counter } = write.dot;
      if (!vector.covers(actor, shard, counter)) continue;
      const row = core.replica.read(write.key);
      if (sim.registry.isApplied(write, row)) continue;
      const isDead = write.entry.tag === REMOVAL || sim.registry.successors(write).length > 0;
      if (isDead && cut.covers(actor, shard, counter)) continue;
      const isHere = ({ dot }: KnownWrite): boolean =>
        vector.covers(dot.actor, dot.shard, dot.counter);
      if (sim.registry.successors(write).some((successor) => !isHere(successor))) continue;
      const key = JSON.stringify(write.key);
      sim.findings.report(
        2,
        `${node.id} claims ${formatDot(write.dot)} of ${key} without its effect`,
      );
    }
  }
}

/** Invariant 11: what is bounded stays within its bounds. */
export function checkLimits(sim: Simulation): void {
  const { intervalsMax, unacknowledgedBytesMax, linkBytesMax } = sim.limits;
  for (const node of sim.nodes) {
    const { core } = node;
    if (!core) continue;
    for (const row of core.replica.durableVector()) {
      if (row.above.length / 2 <= intervalsMax) continue;
      sim.findings.report(11, `${node.id} keeps ${row.above.length / 2} intervals of ${row.actor}`);
    }
    for (const peer of core.replicator.peers()) {
      if (peer.unacknowledgedBytes <= unacknowledgedBytesMax) continue;
      const text = `${peer.unacknowledgedBytes} bytes unacknowledged by ${peer.member}`;
      sim.findings.report(11, `${node.id} keeps ${text}`);
    }
  }
  if (sim.network.highestBufferedBytes > linkBytesMax) {
    sim.findings.report(11, `a link was given ${sim.network.highestBufferedBytes} bytes`);
  }
}

/** Invariants 3, 4 and 6 by row: a subscription lives exactly where some put was seen by no write. */
export function checkLiveness(
  sim: Simulation,
  cores: readonly (readonly [string, NodeCore])[],
): void {
  for (const [name, core] of cores) {
    const vector = vectorOf(core.replica.durableVector());
    for (const key of sim.registry.keys()) {
      if (key[0] !== 's' && key[0] !== 'd') continue;
      const expected = sim.registry.shouldBeLive(key, ({ dot }) =>
        vector.covers(dot.actor, dot.shard, dot.counter),
      );
      if (isLive(core.replica.read(key)) === expected) continue;
      const text = `${JSON.stringify(key)} is ${expected ? 'gone' : 'back'} at ${name}`;
      sim.findings.report(expected ? 4 : 6, text);
    }
  }
}
