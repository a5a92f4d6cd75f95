import type { RepairListener } from '../../audit/port.ts';
import type { Log } from '../../observability/log.ts';
import type { Runtime } from '../../runtime/port.ts';
import type { Store } from '../../storage/port.ts';
import type { ReplicatedStore } from '../../storage/replica.ts';
import { StoreSummary } from '../../storage/summary.ts';

export interface UpkeepOptions {
  readonly cluster: string;
}

export interface UpkeepParts {
  readonly store: Store;
  readonly replica: ReplicatedStore;
  readonly runtime: Runtime;
  readonly log: Log;
  readonly repairs: RepairListener;
}

/** What keeps a node's disk equal to what was written to it. */
export interface Upkeep {
  /** Sums and coded symbols of every shard. */
  readonly summary: StoreSummary;
  start(): void;
  stop(): void;
}

/** Has to be made before anything writes to the replica: the sums take every change from then on. */
export function createUpkeep(options: UpkeepOptions, parts: UpkeepParts): Upkeep {
  const { store, replica, runtime, log } = parts;
  const summary = new StoreSummary({ cluster: options.cluster, store, replica, runtime, log });
  return {
    summary,
    start: () => summary.start(),
    stop: () => summary.stop(),
  };
}
