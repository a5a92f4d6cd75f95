import type { MemorySnapshot } from '../../../src/storage/memory-store.ts';
import type { SimulatedNode } from '../cluster/node.ts';
import type { Simulation } from '../simulation.ts';
import type { Fault, FaultContext } from './fault.ts';

/**
 * True where everything on the node's disk is also on some other disk: only then may this one be
 * destroyed, for one disk at a time is what two copies protect from.
 */
export function isCoveredElsewhere(sim: Simulation, node: SimulatedNode): boolean {
  if (node.owesRebuild()) return false;
  const damage = sim.damage.open();
  // Content that was altered is put right by the majority: nobody may be missing.
  if (damage.some(({ kind }) => kind === 'altered')) return false;
  const isWhole = (other: SimulatedNode): boolean =>
    other !== node && !other.owesRebuild() && damage.every((each) => each.node !== other);
  const rows = [...node.vectorOnDisk().rows()];
  return sim.nodes.some(
    (other) => isWhole(other) && other.vectorOnDisk().missing(rows).length === 0,
  );
}

/** Long enough for what a node has acknowledged to reach a peer, where one can be reached. */
const SPARED_MS = 600;

/**
 * Clients leave the node alone for a moment, so that others get what it holds; then it dies, and where
 * that was enough its disk is destroyed too.
 */
function destroy(
  { sim, random, later, isHealed }: FaultContext,
  how: (node: SimulatedNode) => string | undefined,
): string | undefined {
  const node = random.pick(sim.nodes);
  const downMs = random.pick([1, 1_000, 5_000]);
  sim.spared.add(node);
  sim.world.after(SPARED_MS, `${node.id} meets its fate`, () => {
    sim.spared.delete(node);
    if (isHealed()) return;
    node.kill();
    const done = isCoveredElsewhere(sim, node) ? how(node) : undefined;
    if (done !== undefined) sim.onDiskLost(node);
    sim.world.note(`${node.id} ${done ?? 'is only killed'}`);
    later(downMs, () => node.start());
  });
  return `${node.id} in ${SPARED_MS} ms, down for ${downMs} ms`;
}

const wipe: Fault = {
  name: 'wiped disk',
  weight: 6,
  apply: (context) =>
    destroy(context, (node) => {
      node.disk.wipe();
      return 'is empty';
    }),
};

/**
 * The only disk with the newest writes goes too: what was acknowledged with one disk may be lost. Not
 * among the faults of every seed: a store that was being filled from that disk may keep rows that no
 * vector claims, and about one seed in a hundred shows it (`--lost-disks`).
 */
export const LOST_DISK: Fault = {
  name: 'lost disk',
  weight: 2,
  apply({ sim, random, later }) {
    const node = random.pick(sim.nodes);
    if (sim.nodes.length < 2 || node.owesRebuild()) return undefined;
    if (sim.damage.open().length > 0) return undefined;
    node.kill();
    const others = sim.nodes.filter((other) => other !== node).map((other) => other.vectorOnDisk());
    const lost = node.vectorOnDisk();
    sim.onWritesLost(node, ({ actor, shard, counter }) => {
      const survives = others.some((vector) => vector.covers(actor, shard, counter));
      return lost.covers(actor, shard, counter) && !survives;
    });
    node.disk.wipe();
    sim.onDiskLost(node);
    const downMs = random.pick([1, 1_000, 5_000]);
    later(downMs, () => node.start());
    return `${node.id}, down for ${downMs} ms`;
  },
};

const lostTail: Fault = {
  name: 'lost tail',
  weight: 4,
  apply: (context) =>
    destroy(context, (node) => {
      const groupsLost = context.random.between(1, 40);
      node.disk.crash({ groupsLost });
      return `loses ${groupsLost} groups`;
    }),
};

const snapshots = new WeakMap<SimulatedNode, MemorySnapshot>();

const backup: Fault = {
  name: 'backup',
  weight: 4,
  apply({ sim, random }) {
    const node = random.pick(sim.nodes);
    if (sim.damage.open().some((damage) => damage.node === node)) return undefined;
    snapshots.set(node, node.disk.snapshot());
    return node.id;
  },
};

const rollBack: Fault = {
  name: 'rolled-back disk',
  weight: 4,
  apply: (context) =>
    destroy(context, (node) => {
      const snapshot = snapshots.get(node);
      if (!snapshot) return undefined;
      node.disk.restore(snapshot);
      return 'is an old backup';
    }),
};

const failing: Fault = {
  name: 'failing disk',
  weight: 4,
  apply({ sim, random, later }) {
    const node = random.pick(sim.nodes);
    node.disk.fail();
    const durationMs = random.pick([100, 1_000, 6_000]);
    later(durationMs, () => node.disk.heal());
    return `${node.id} for ${durationMs} ms`;
  },
};

export const DISK_FAULTS: readonly Fault[] = [wipe, lostTail, backup, rollBack, failing];
