import { REMOVAL, type Entry } from '../../../src/core/row.ts';
import { splitRowKey } from '../../../src/core/row-key.ts';
import type { VersionVector } from '../../../src/core/version-vector.ts';
import type { Change } from '../../../src/storage/replica-port.ts';
import type { SimulatedNode } from '../cluster/node.ts';
import type { Simulation } from '../simulation.ts';

/**
 * Invariant 9: where a row loses evidence and gains nothing, every member has that evidence on its disk,
 * and all that it keeps out. One whose disk was destroyed since it told so begins empty: it is filled
 * with what its peers have, and offers nothing until then.
 */
export function checkCollected(
  sim: Simulation,
  node: SimulatedNode,
  changes: readonly Change[],
): void {
  for (const { key, before, after } of changes) {
    const gone = before.filter((entry) => !after.includes(entry) && !sameDot(entry, after));
    const gained = after.some((entry) => !sameDot(entry, before));
    if (gained || !gone.some(({ tag }) => tag === REMOVAL)) continue;
    const { shard } = splitRowKey(key)!;
    for (const member of sim.nodes) {
      if (member.isBeingFilled()) continue;
      const vector = member.vectorOnDisk();
      if (gone.every((entry) => hasAll(vector, shard, entry))) continue;
      const what = `evidence of ${JSON.stringify(key)} went`;
      sim.findings.report(9, `${what} at ${node.id}, and ${member.id} has not all of it`);
    }
  }
}

function hasAll(vector: VersionVector, shard: number, entry: Entry): boolean {
  if (!vector.covers(entry.actor, shard, entry.counter)) return false;
  return entry.context.every(({ actor, from, to }) => {
    for (let counter = from; counter <= to; counter++) {
      if (!vector.covers(actor, shard, counter)) return false;
    }
    return true;
  });
}

function sameDot(entry: Entry, row: readonly Entry[]): boolean {
  return row.some(({ actor, counter }) => actor === entry.actor && counter === entry.counter);
}
