import type { RepairListener } from '../../audit/port.ts';
import type { PeerCalls } from '../../cluster/calls/port.ts';
import type { Membership } from '../../cluster/membership/port.ts';
import type { Replicator } from '../../cluster/replication/replicator.ts';
import type { SweepLimits } from '../../cluster/sweep/options.ts';
import { Sweeper } from '../../cluster/sweep/sweeper.ts';
import type { MemberId } from '../../core/ids.ts';
import type { RowKey } from '../../core/row-key.ts';
import type { Log } from '../../observability/log.ts';
import type { Runtime } from '../../runtime/port.ts';
import type { ReplicatedStore } from '../../storage/replica.ts';
import type { Upkeep } from './disk.ts';

export interface SweepUpkeepParts {
  readonly self: MemberId;
  readonly runtime: Runtime;
  readonly log: Log;
  readonly membership: Membership;
  readonly replica: ReplicatedStore;
  readonly replicator: Replicator;
  readonly upkeep: Upkeep;
  readonly calls: PeerCalls;
  readonly repairs: RepairListener;
}

/** What keeps this member's rows equal to every other member's. */
export interface SweepUpkeep {
  readonly sweep: Sweeper;
  /** Asks the members for rows that an audit of this node doubts. */
  ask(keys: readonly RowKey[]): void;
  start(): void;
  stop(): void;
}

export function createSweepUpkeep(
  limits: Partial<SweepLimits>,
  parts: SweepUpkeepParts,
): SweepUpkeep {
  const { self, runtime, membership, replica, replicator, upkeep, calls, repairs } = parts;
  const log = parts.log.child({ room: 'sweep' });
  const sweep = new Sweeper({
    ...{ self, runtime, log, replica, calls, repairs, limits },
    summary: upkeep.summary,
    key: upkeep.summary.key,
    roster() {
      const { epoch, members } = membership.roster();
      return { epoch, others: members.map(({ id }) => id).filter((id) => id !== self) };
    },
    caughtUp: () => replicator.mayWrite(),
    linkOf: (member) => replicator.openedTo(member),
    reportedBy: (member, shard) => replicator.reportedBy(member, shard),
    collections: () => 0,
  });
  const ask = (keys: readonly RowKey[]): void => {
    sweep.repairKeys(keys).catch((error: unknown) => {
      log.warn('rows that an audit doubts cannot be asked for', { error });
    });
  };
  upkeep.diskAudit.onDoubtful = ask;
  return {
    ...{ sweep, ask },
    start: () => sweep.start(),
    stop: () => sweep.stop(),
  };
}
