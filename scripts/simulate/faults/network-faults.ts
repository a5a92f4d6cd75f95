import type { Path } from '../ports/wire.ts';
import type { Simulation } from '../simulation.ts';
import type { SeededRandom } from '../world/random.ts';
import type { Fault } from './fault.ts';

const DURATIONS_MS = [200, 1_000, 3_000, 9_000, 20_000];

function pickPair(sim: Simulation, random: SeededRandom): readonly [string, string] | undefined {
  if (sim.nodes.length < 2) return undefined;
  const from = random.pick(sim.nodes).id;
  return [from, random.pick(sim.nodes.map(({ id }) => id).filter((id) => id !== from))];
}

const partition: Fault = {
  name: 'partition',
  weight: 8,
  apply({ sim, random, later }) {
    const alone = sim.nodes.filter(() => random.chance(0.4)).map(({ id }) => id);
    const others = sim.nodes.map(({ id }) => id).filter((id) => !alone.includes(id));
    if (alone.length === 0 || others.length === 0) return undefined;
    const ways = alone.flatMap((a) => others.flatMap((b) => [[a, b] as const, [b, a] as const]));
    for (const [from, to] of ways) sim.network.block(from, to);
    const durationMs = random.pick(DURATIONS_MS);
    later(durationMs, () => {
      for (const [from, to] of ways) sim.network.unblock(from, to);
    });
    return `${alone.join()} | ${others.join()} for ${durationMs} ms`;
  },
};

const oneWay: Fault = {
  name: 'one-way partition',
  weight: 5,
  apply({ sim, random, later }) {
    const pair = pickPair(sim, random);
    if (!pair) return undefined;
    sim.network.block(...pair);
    const durationMs = random.pick(DURATIONS_MS);
    later(durationMs, () => sim.network.unblock(...pair));
    return `${pair.join('>')} for ${durationMs} ms`;
  },
};

const reset: Fault = {
  name: 'connection reset',
  weight: 5,
  apply({ sim, random }) {
    const pair = pickPair(sim, random);
    if (!pair) return undefined;
    sim.network.reset(...pair);
    return pair.join('-');
  },
};

/** Changes a path for a while. */
function altered(
  name: string,
  weight: number,
  change: (random: SeededRandom) => Partial<Path>,
): Fault {
  return {
    name,
    weight,
    apply({ sim, random, later }) {
      const pair = pickPair(sim, random);
      if (!pair) return undefined;
      const path = sim.network.path(...pair);
      const changed = change(random);
      const before = Object.fromEntries(
        Object.keys(changed).map((field) => [field, path[field as keyof Path]]),
      );
      Object.assign(path, changed);
      const durationMs = random.pick(DURATIONS_MS);
      later(durationMs, () => Object.assign(path, before));
      return `${pair.join('>')} ${JSON.stringify(changed)} for ${durationMs} ms`;
    },
  };
}

export const NETWORK_FAULTS: readonly Fault[] = [
  partition,
  oneWay,
  reset,
  altered('slow path', 4, (random) => ({ delayMs: random.pick([100, 400, 1_500]), jitterMs: 100 })),
  altered('lost frames', 5, (random) => ({ frameLoss: random.pick([0.05, 0.3]) })),
  altered('duplicated frames', 3, (random) => ({ frameDuplicate: random.pick([0.1, 0.5]) })),
  altered('reordered frames', 3, (random) => ({ frameReorder: random.pick([0.1, 0.5]) })),
];
