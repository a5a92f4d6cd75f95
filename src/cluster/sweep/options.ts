import type { RepairListener } from '../../audit/port.ts';
import type { Context } from '../../core/context.ts';
import type { MemberId } from '../../core/ids.ts';
import type { ReconciliationKey } from '../../core/reconciliation/item-hash.ts';
import type { Log } from '../../observability/log.ts';
import type { Runtime } from '../../runtime/port.ts';
import type { Replica } from '../../storage/replica-port.ts';
import type { ReplicaSummary } from '../../storage/summary-port.ts';
import type { PeerCalls } from '../calls/port.ts';

/** Every limit of the sweep; nothing here may be unbounded. */
export interface SweepLimits {
  readonly intervalMs: number;
  /** A sweep that repaired something is followed by another one after this. */
  readonly againMs: number;
  readonly callTimeoutMs: number;
  /** An answerer forgets a sweep that said nothing for this long. */
  readonly sessionMs: number;
  /** Rows changed here and offered to peers, a second. */
  readonly repairsPerSecond: number;
  /** Differences that one sweep handles in one shard; the rest waits for the next. */
  readonly itemsMax: number;
  /** Keys of one question. */
  readonly batchKeys: number;
  readonly batchBytes: number;
  /** In flight in so many sweeps in a row, and for at least so long: the stream is stuck. */
  readonly stuckSweeps: number;
  readonly stuckMs: number;
  /** Shards whose symbols disagree with equal rows are built again, at most so often each. */
  readonly rebuildEveryMs: number;
  readonly alarmsRememberedMax: number;
  readonly quarantinedMax: number;
}

export const SWEEP_LIMITS: SweepLimits = {
  intervalMs: 10_000,
  againMs: 500,
  callTimeoutMs: 10_000,
  sessionMs: 60_000,
  repairsPerSecond: 5_000,
  itemsMax: 20_000,
  batchKeys: 128,
  batchBytes: 128 * 1024,
  stuckSweeps: 3,
  stuckMs: 5_000,
  rebuildEveryMs: 30_000,
  alarmsRememberedMax: 10_000,
  quarantinedMax: 1_000,
};

export interface SweepOptions {
  readonly self: MemberId;
  readonly replica: Replica;
  readonly summary: ReplicaSummary;
  /** Of the summary's items: both sides have to hash alike. */
  readonly key: ReconciliationKey;
  readonly calls: PeerCalls;
  readonly runtime: Runtime;
  readonly log: Pick<Log, 'debug' | 'info' | 'warn'>;
  readonly repairs: RepairListener;
  /** Everyone on the roster but this member, and the roster's epoch. */
  readonly roster: () => { readonly epoch: number; readonly others: readonly MemberId[] };
  /** False while this store has not caught up: its silence proves nothing. */
  readonly caughtUp: () => boolean;
  /** Identity of the link to a peer: another one means a reconnect. */
  readonly linkOf: (member: MemberId) => object | undefined;
  /** What the peer last reported to have on disk in a shard. */
  readonly reportedBy: (member: MemberId, shard: number) => Context | undefined;
  /** Raised each time evidence of the shard was collected here. */
  readonly collections: (shard: number) => number;
  /** A link to the peer is new. */
  readonly onLink?: ((peer: MemberId) => void) | undefined;
  readonly onClean?: ((proof: CleanProof) => void) | undefined;
  readonly limits?: Partial<SweepLimits> | undefined;
}

/** A sweep found nothing but what was in flight. What both vectors covered then is equal on both sides. */
export interface CleanProof {
  readonly peer: MemberId;
  readonly epoch: number;
  readonly storeId: string;
  /** By shard, what both sides had when the sweep captured it; absent where it did not end clean. */
  readonly covered: readonly ({ readonly own: Context; readonly peer: Context } | undefined)[];
}
