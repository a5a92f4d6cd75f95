import { crc32 } from '../../../src/core/checksum.ts';
import { SHARDS } from '../../../src/core/placement.ts';
import { liveEntries, type Row } from '../../../src/core/row.ts';
import type { RowKey } from '../../../src/core/row-key.ts';
import type { NodeCore } from '../../../src/node/core.ts';
import { ASIDE_FACT } from '../../../src/storage/rebuild.ts';
import type { Simulation } from '../simulation.ts';

const CHUNK_BYTES = 1024 * 1024;

/** True where every node runs, has caught up, owes no rebuild and has the same vector on disk. */
export function isConverged(sim: Simulation): boolean {
  const [first, ...others] = sim.nodes.map((node) => node.core);
  if (!first) return false;
  return [first, ...others].every(
    (core) =>
      core?.replicator.mayWrite() === true &&
      core.replica.fact(ASIDE_FACT) === undefined &&
      core.replica.durableHash() === first.replica.durableHash() &&
      core.replicator.livePeers() === others.length,
  );
}

/** True where every node has found every shard equal with every peer, in a sweep since `sinceMs`. */
export function isSweptClean(sim: Simulation, sinceMs: number): boolean {
  const limitMs = sim.world.nowMs - sinceMs;
  return sim.nodes.every(({ core }) => {
    const ages = core?.sweeps.sweep.unverifiedAges() ?? [];
    return core !== undefined && ages.every(({ ageMs }) => ageMs <= limitMs);
  });
}

/** Every row of every shard, in key order. */
export async function allRows(core: NodeCore): Promise<Map<RowKey, Row>> {
  const rows = new Map<RowKey, Row>();
  for (let shard = 0; shard < SHARDS; shard++) {
    let after: RowKey | undefined;
    for (;;) {
      const chunk = await core.replica.rows(shard, after, CHUNK_BYTES);
      for (const [key, row] of chunk.rows) rows.set(key, row);
      after = chunk.rows.at(-1)?.[0];
      if (chunk.last || after === undefined) break;
    }
  }
  return rows;
}

/**
 * After heal the same is live in every replica, dot by dot and byte by byte. Evidence is not compared:
 * each member collects it for itself.
 */
export function checkEqual(
  sim: Simulation,
  tables: ReadonlyMap<string, Map<RowKey, Row>>,
  invariant: 3 | 10 = 3,
): void {
  const [[firstName, first] = ['', new Map<RowKey, Row>()], ...others] = tables;
  for (const [name, table] of others) {
    for (const key of new Set([...first.keys(), ...table.keys()])) {
      const [a, b] = [describe(first.get(key)), describe(table.get(key))];
      if (a === b) continue;
      const where = `${firstName} has ${a}, ${name} has ${b}`;
      sim.findings.report(invariant, `${JSON.stringify(key)} differs: ${where}`);
    }
  }
}

function describe(row: Row | undefined): string {
  const live = liveEntries(row ?? []);
  if (live.length === 0) return 'nothing';
  const entries = live.map(({ actor, counter, tag, value }) => {
    return `${actor.slice(0, 6)}:${counter} tag ${tag} #${crc32(value).toString(16)}`;
  });
  return `[${entries.join(', ')}]`;
}
