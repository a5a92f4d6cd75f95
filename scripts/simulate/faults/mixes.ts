import { DAMAGE_FAULTS } from './damage-faults.ts';
import { DISK_FAULTS } from './disk-faults.ts';
import type { Fault } from './fault.ts';
import { LAYER_FAULTS } from './layer-faults.ts';
import { NODE_FAULTS } from './node-faults.ts';
import { FAULTS } from './schedule.ts';

/** What breaks how often. */
export interface Mix {
  readonly faults: readonly Fault[];
  /** Mean pause between two faults. Virtual ms. */
  readonly meanMs: number;
  /** Senders take messages back. */
  readonly recalls?: boolean;
  /** Channels are cut by age and size. */
  readonly retention?: boolean;
}

export const MIX_NAMES = ['default', 'restarts', 'damage', 'recalls', 'retention'] as const;
export type MixName = (typeof MIX_NAMES)[number];

/**
 * - default: everything, each as often as its weight says.
 * - restarts: nodes die, freeze and lose disks four times as often among all else, so that what is
 *   repaired is interrupted and what was interrupted is damaged.
 * - damage: rows, index, sockets and interest are damaged in a cluster that is otherwise well.
 * - recalls: as the default, and senders take messages back all the time.
 * - retention: as recalls, and channels are cut by age and size.
 */
export const MIXES: Readonly<Record<MixName, Mix>> = {
  default: { faults: FAULTS, meanMs: 1_500 },
  restarts: { faults: heavier([...NODE_FAULTS, ...DISK_FAULTS], 4), meanMs: 900 },
  damage: { faults: [...DAMAGE_FAULTS, ...LAYER_FAULTS], meanMs: 700 },
  recalls: { faults: FAULTS, meanMs: 1_500, recalls: true },
  retention: { faults: FAULTS, meanMs: 1_500, recalls: true, retention: true },
};

function heavier(often: readonly Fault[], times: number): readonly Fault[] {
  return FAULTS.map((fault) =>
    often.includes(fault) ? { ...fault, weight: times * fault.weight } : fault,
  );
}
