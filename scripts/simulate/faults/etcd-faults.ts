import type { Fault } from './fault.ts';

const down: Fault = {
  name: 'etcd down',
  weight: 3,
  apply({ sim, random, later }) {
    sim.etcd.up = false;
    const durationMs = random.pick([1_000, 8_000, 25_000]);
    later(durationMs, () => (sim.etcd.up = true));
    return `for ${durationMs} ms`;
  },
};

const leaseLost: Fault = {
  name: 'lease lost while alive',
  weight: 3,
  apply({ sim, random }) {
    const node = random.pick(sim.nodes);
    sim.etcd.loseLease(node.id);
    return node.id;
  },
};

const missedEvents: Fault = {
  name: 'missed watch events',
  weight: 2,
  apply({ sim, later }) {
    sim.etcd.missedEvents = 0.5;
    later(10_000, () => (sim.etcd.missedEvents = 0));
    return 'half of them for 10000 ms';
  },
};

export const ETCD_FAULTS: readonly Fault[] = [down, leaseLost, missedEvents];
