import type { ReplicationLimits } from '../../../src/cluster/replication/options.ts';
import type { SweepLimits } from '../../../src/cluster/sweep/options.ts';
import type { SeededRandom } from '../world/random.ts';

/** Limits of one simulated cluster; small ones lead where the defaults would need gigabytes. */
export interface Tuning {
  readonly intervalsMax: number;
  readonly replicator: Partial<ReplicationLimits>;
  readonly sweep?: Partial<SweepLimits> | undefined;
  /** 1 by default, 5 in the fast profile. */
  readonly auditPace?: number | undefined;
}

export const DEFAULT_TUNING: Tuning = { intervalsMax: 64, replicator: {} };

/** Half of all seeds run with the defaults, the others with some limits that are soon reached. */
export function drawTuning(random: SeededRandom): Tuning {
  if (random.chance(0.5)) return DEFAULT_TUNING;
  const frameBytesMax = random.pick([300, 2_000, 65_536]);
  return {
    intervalsMax: random.pick([2, 5, 64]),
    replicator: {
      frameBytesMax,
      unacknowledgedBytesMax: 4 * frameBytesMax,
      queueBytesMax: random.pick([2_000, 20_000, 8 * 1024 * 1024]),
      nearDots: random.pick([5, 10_000]),
      framesAheadMax: random.pick([2, 8_192]),
      pullBytesMax: random.pick([1_000, 10_000, 1024 * 1024]),
      pullRangesMax: random.pick([2, 16, 256]),
      snapshotDotsMin: random.pick([1, 50, 20_000]),
      snapshotBytesMax: random.pick([1_000, 256 * 1024]),
      rememberMs: random.pick([300, 5_000]),
    },
  };
}
