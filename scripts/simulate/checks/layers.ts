import { splitRowKey, denyKey, reverseKey, type RowKey } from '../../../src/core/row-key.ts';
import type { ChannelKey, Uid } from '../../../src/core/ids.ts';
import { SHARDS } from '../../../src/core/placement.ts';
import { EMPTY_ROW, isLive, type Row } from '../../../src/core/row.ts';
import type { NodeCore } from '../../../src/node/core.ts';
import { LOG_RANGE, logKey } from '../../../src/storage/layout.ts';
import { ShardSums } from '../../../src/storage/summary-sums.ts';
import type { SimulatedNode } from '../cluster/node.ts';
import type { Simulation } from '../simulation.ts';

type Table = ReadonlyMap<RowKey, Row>;

const REVERSE_RANGE = { gte: 'u', lt: 'v' } as const;

/**
 * Invariants 7 and 8 of a node at rest: what is derived from its rows is what its rows say. Sums and
 * coded symbols are made again from scratch, by the order-free way of adding row after row.
 */
export function checkLayers(sim: Simulation, node: SimulatedNode, table: Table): void {
  const { core } = node;
  if (!core) return;
  checkDerivedRows(sim, node, table);
  checkSums(sim, { node, core, table });
  checkIndex(sim, { node, core, table });
}

function checkDerivedRows(sim: Simulation, node: SimulatedNode, table: Table): void {
  const expected = new Set<string>();
  for (const [key, row] of table) {
    const { kind, shard, parts } = splitRowKey(key)!;
    if (kind === 's' && isLive(row)) {
      expected.add(reverseKey(parts[1] as Uid, parts[0] as ChannelKey));
    }
    for (const { actor, counter } of row) expected.add(logKey(actor, shard, counter));
  }
  const found = [REVERSE_RANGE, LOG_RANGE].flatMap((range) => node.disk.diskRows(range));
  for (const [key] of found) {
    if (expected.delete(key)) continue;
    sim.findings.report(7, `${JSON.stringify(key)} at ${node.id} is called for by no row`);
  }
  for (const key of expected) {
    sim.findings.report(7, `${JSON.stringify(key)} is missing at ${node.id}`);
  }
}

interface Place {
  readonly node: SimulatedNode;
  readonly core: NodeCore;
  readonly table: Table;
}

function checkSums(sim: Simulation, { node, core, table }: Place): void {
  const { summary } = core.upkeep;
  const fresh = Array.from(
    { length: SHARDS },
    (_, shard) => new ShardSums({ shard, key: summary.key }),
  );
  for (const [key, row] of table) fresh[splitRowKey(key)!.shard]!.change(key, EMPTY_ROW, row);
  fresh.forEach((expected, shard) => {
    const kept = summary.sumsOf(shard);
    const where = `of shard ${shard} at ${node.id}`;
    if (!kept) {
      sim.findings.report(7, `the sums ${where} are not there`);
      return;
    }
    const derived = kept.reverse.equals(expected.reverse) && kept.log.equals(expected.log);
    if (kept.count !== expected.count || !kept.items.equals(expected.items) || !derived) {
      sim.findings.report(7, `the sums ${where} are not those of its rows`);
    }
    if (!kept.symbols.equals(expected.symbols)) {
      sim.findings.report(8, `the symbols ${where} are not those of its rows`);
    }
  });
}

function checkIndex(sim: Simulation, { node, core, table }: Place): void {
  const wanted = new Map<Uid, Set<ChannelKey>>();
  for (const uid of core.routing.users()) wanted.set(uid, new Set());
  for (const [key, row] of table) {
    const { kind, parts } = splitRowKey(key)!;
    if (kind !== 's' || !isLive(row)) continue;
    const [channel, uid] = parts as [ChannelKey, Uid];
    if (isLive(table.get(denyKey(channel, uid, 'ban')) ?? EMPTY_ROW)) continue;
    wanted.get(uid)?.add(channel);
  }
  for (const [uid, channels] of wanted) {
    const has = new Set(core.routing.channelsOf(uid));
    for (const channel of new Set([...channels, ...has])) {
      if (channels.has(channel) === has.has(channel)) continue;
      const what = has.has(channel) ? 'has' : 'lacks';
      sim.findings.report(7, `the index at ${node.id} ${what} ${uid} in ${channel}`);
    }
    if (!core.routing.sumFits(uid)) {
      sim.findings.report(7, `the index at ${node.id} has another sum than entries of ${uid}`);
    }
  }
}
