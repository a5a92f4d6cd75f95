import type { SimulatedNode } from '../cluster/node.ts';
import type { Simulation } from '../simulation.ts';
import type { SeededRandom } from '../world/random.ts';
import type { Fault } from './fault.ts';

function pickRunning(sim: Simulation, random: SeededRandom): SimulatedNode | undefined {
  const running = sim.nodes.filter((node) => node.run);
  return running.length > 0 ? random.pick(running) : undefined;
}

const crash: Fault = {
  name: 'crash',
  weight: 10,
  apply({ sim, random, later }) {
    const node = pickRunning(sim, random);
    if (!node) return undefined;
    const writeInFlight = random.chance(0.5);
    node.kill({ writeInFlight });
    const downMs = random.pick([1, 200, 1_500, 6_000]);
    later(downMs, () => node.start());
    return `${node.id} for ${downMs} ms`;
  },
};

const freeze: Fault = {
  name: 'freeze',
  weight: 6,
  apply({ sim, random, later }) {
    const node = pickRunning(sim, random);
    const process = node?.run?.process;
    if (!node || process?.state !== 'running') return undefined;
    process.pause();
    const pauseMs = random.pick([300, 1_200, 5_000, 15_000]);
    later(pauseMs, () => process.resume());
    return `${node.id} for ${pauseMs} ms`;
  },
};

const clockStep: Fault = {
  name: 'clock step',
  weight: 3,
  apply({ sim, random }) {
    const node = random.pick(sim.nodes);
    const byMs = random.pick([-3_600_000, -2_000, 2_000, 3_600_000]);
    node.wall.offsetMs += byMs;
    return `${node.id} by ${byMs} ms`;
  },
};

const clockDrift: Fault = {
  name: 'clock drift',
  weight: 1,
  apply({ sim, random }) {
    const node = random.pick(sim.nodes);
    node.wall.rate = random.pick([0.999, 1, 1.001]);
    return `${node.id} at ${node.wall.rate}`;
  },
};

export const NODE_FAULTS: readonly Fault[] = [crash, freeze, clockStep, clockDrift];
