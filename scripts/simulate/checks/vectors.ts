import { isLive } from '../../../src/core/row.ts';
import { formatDot } from '../../../src/core/dot.ts';
import type { NodeCore } from '../../../src/node/core.ts';
import type { KnownWrite } from '../model/write-registry.ts';
import type { Simulation } from '../simulation.ts';
import { cutOf, lacksEffect, vectorOf } from './effects.ts';

/** Invariant 2: a vector claims no dot whose effect was not applied, superseded or removed. */
export function checkVectors(sim: Simulation): void {
  const cut = cutOf(sim);
  for (const node of sim.nodes) {
    const { core } = node;
    if (!core) continue;
    const vector = vectorOf(core.replica.durableVector());
    for (const write of sim.registry.all()) {
      if (!lacksEffect({ sim, node }, write, { vector, cut })) continue;
      if (sim.damage.excuses(node, write.key)) continue;
      const what = `${formatDot(write.dot)} of ${JSON.stringify(write.key)}`;
      sim.findings.report(2, `${node.id} claims ${what} without its effect`);
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

/**
 * Invariants 3, 4 and 6 by row: a subscription lives exactly where some put was seen by no write. A write
 * that went with the only disk that claimed it is there or not: its number may have been taken as seen.
 */
export function checkLiveness(
  sim: Simulation,
  cores: readonly (readonly [string, NodeCore])[],
): void {
  for (const [name, core] of cores) {
    const vector = vectorOf(core.replica.durableVector());
    for (const key of sim.registry.keys()) {
      if (key[0] !== 's' && key[0] !== 'd') continue;
      const isHere = ({ dot }: KnownWrite): boolean =>
        vector.covers(dot.actor, dot.shard, dot.counter);
      const expected = sim.registry.shouldBeLive(key, isHere);
      const live = isLive(core.replica.read(key));
      const survives = (write: KnownWrite): boolean => isHere(write) && !sim.registry.isLost(write);
      if (live === expected || live === sim.registry.shouldBeLive(key, survives)) continue;
      const text = `${JSON.stringify(key)} is ${expected ? 'gone' : 'back'} at ${name}`;
      sim.findings.report(expected ? 4 : 6, text);
    }
  }
}
