import type { RepairListener } from '../../audit/port.ts';
import type { PeerCalls } from '../../cluster/calls/port.ts';
import { decommission } from '../../cluster/membership/decommission.ts';
import { Forgetter } from '../../cluster/membership/forget.ts';
import type { Membership } from '../../cluster/membership/port.ts';
import type { Replicator } from '../../cluster/replication/replicator.ts';
import { SWEEP_LIMITS, type SweepLimits } from '../../cluster/sweep/options.ts';
import type { UnverifiedAge } from '../../cluster/sweep/port.ts';
import { EvidenceCollector } from '../../cluster/sweep/collector.ts';
import { Sweeper } from '../../cluster/sweep/sweeper.ts';
import type { Context } from '../../core/context.ts';
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
  readonly evidence: EvidenceCollector;
  /** Since when each shard was not found equal with each peer, and how long that may be. */
  unverified(): { readonly ages: readonly UnverifiedAge[]; readonly limitMs: number };
  /** Asks the members for rows that an audit of this node doubts, and takes their answers. Never rejects. */
  ask(keys: readonly RowKey[]): Promise<void>;
  /**
   * Takes a member off the roster for good, by an operator's word. Rejects with a `MembershipError` that
   * says what to do: see cluster/membership/decommission.ts.
   */
  decommission(member: MemberId, how: { readonly force: boolean }): Promise<void>;
  start(): void;
  stop(): void;
}

/** A large repair and the sums' first build take their time. */
const MARGIN_MS = 60_000;

export interface SweepUpkeepOptions {
  readonly limits?: Partial<SweepLimits> | undefined;
  /** Absent: nobody is forgotten but by an operator. */
  readonly forgetAfterMs?: number | undefined;
}

export function createSweepUpkeep(
  { limits, forgetAfterMs }: SweepUpkeepOptions,
  parts: SweepUpkeepParts,
): SweepUpkeep {
  const { self, runtime, membership, replica, replicator, upkeep, calls, repairs } = parts;
  const log = parts.log.child({ room: 'sweep' });
  const roster = (): { epoch: number; others: MemberId[]; frozen: boolean } => {
    const { epoch, members } = membership.roster();
    const others = members.map(({ id }) => id).filter((id) => id !== self);
    return { epoch, others, frozen: membership.status().state === 'frozen' };
  };
  const caughtUp = (): boolean => replicator.mayWrite();
  const reportedBy = (member: MemberId, shard: number): Context | undefined =>
    replicator.reportedBy(member, shard);
  const intervalMs = limits?.intervalMs ?? SWEEP_LIMITS.intervalMs;
  const evidence = new EvidenceCollector({
    ...{ replica, runtime, log, roster, reportedBy, caughtUp, calls },
    everyMs: intervalMs,
  });
  const sweep = new Sweeper({
    ...{ self, runtime, log, replica, calls, repairs, limits, roster, reportedBy, caughtUp },
    summary: upkeep.summary,
    key: upkeep.summary.key,
    linkOf: (member) => replicator.openedTo(member),
    collections: (shard) => evidence.generation(shard),
    onLink: (member) => void evidence.onLink(member),
    onClean: (proof) => evidence.onClean(proof),
  });
  const ask = async (keys: readonly RowKey[]): Promise<void> => {
    try {
      await sweep.repairKeys(keys);
    } catch (error) {
      log.warn('rows that an audit doubts cannot be asked for', { error });
    }
  };
  upkeep.diskAudit.onDoubtful = (keys) => void ask(keys);
  upkeep.diskAudit.unknownElsewhere = (keys) => sweep.unknownElsewhere(keys);
  const linked = (member: MemberId): boolean => replicator.openedTo(member) !== undefined;
  const forgetter =
    forgetAfterMs === undefined
      ? []
      : [new Forgetter({ membership, self, runtime, log, linked, forgetAfterMs })];
  const parted = [sweep, evidence, ...forgetter];
  return {
    ...{ sweep, evidence, ask },
    unverified: () => ({ ages: sweep.unverifiedAges(), limitMs: 3 * intervalMs + MARGIN_MS }),
    decommission: (member, how) =>
      decommission(
        {
          ...{ self, membership, linked },
          reportedBy: (id, shard) => replicator.lastReportedBy(id, shard),
          covers: (range) => replica.covers(range),
        },
        member,
        how,
      ),
    start() {
      for (const each of parted) each.start();
    },
    stop() {
      for (const each of parted) each.stop();
    },
  };
}
