import type { RepairListener } from '../../audit/port.ts';
import type { Log } from '../../observability/log.ts';
import type { Runtime } from '../../runtime/port.ts';
import type { Store } from '../../storage/port.ts';
import type { ReplicatedStore } from '../../storage/replica.ts';
import { DiskAudit, type AuditFloors } from '../../storage/disk-audit.ts';
import { StoreSummary } from '../../storage/summary.ts';

export interface UpkeepOptions {
  readonly cluster: string;
  /** How many times as fast as by default the audits run. */
  readonly auditSpeed?: number | undefined;
}

export interface UpkeepParts {
  readonly store: Store;
  readonly replica: ReplicatedStore;
  readonly runtime: Runtime;
  readonly log: Log;
  readonly repairs: RepairListener;
  readonly floors?: AuditFloors | undefined;
}

/** What keeps a node's disk equal to what was written to it. */
export interface Upkeep {
  /** Sums and coded symbols of every shard. */
  readonly summary: StoreSummary;
  /** Its `onDoubtful` is for whoever can ask the peers. */
  readonly diskAudit: DiskAudit;
  start(): void;
  stop(): void;
}

/** Has to be made before anything writes to the replica: the sums take every change from then on. */
export function createUpkeep(options: UpkeepOptions, parts: UpkeepParts): Upkeep {
  const { cluster, auditSpeed: speed } = options;
  const { store, replica, runtime, log } = parts;
  const summary = new StoreSummary({ cluster, store, replica, runtime, log });
  const diskAudit = new DiskAudit({ ...parts, summary, speed });
  return {
    summary,
    diskAudit,
    start() {
      summary.start();
      diskAudit.start();
    },
    stop() {
      diskAudit.stop();
      summary.stop();
    },
  };
}
