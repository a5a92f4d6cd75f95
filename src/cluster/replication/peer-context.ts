import type { DotRange } from '../../core/dot.ts';
import type { ActorId, MemberId } from '../../core/ids.ts';
import type { Roster } from '../../core/member.ts';
import type { SnapshotRows } from '../link/message.ts';
import type { OwnInterest } from './interest/interest.ts';
import type { LinkEnd } from './link-end.ts';
import type {
  CallHooks,
  ReplicationCounters,
  ReplicationLimits,
  ReplicatorOptions,
} from './options.ts';
import type { ReachTracker } from './push/reach.ts';

/** What the replicator lends to each of its peers, and what they tell it. */
export interface PeerContext {
  readonly options: ReplicatorOptions;
  readonly limits: ReplicationLimits;
  readonly counters: ReplicationCounters;
  readonly interest: OwnInterest;
  readonly reach: ReachTracker;
  readonly roster: () => Roster;
  /** This store has not caught up yet. */
  readonly catchingUp: () => boolean;
  /** False while this store has not caught up, and a better source may exist. */
  readonly offersRows: () => boolean;
  readonly takenElsewhere: (member: MemberId) => readonly DotRange[];
  readonly lost: (member: MemberId, actor: ActorId) => boolean;
  /** A link became ready, a vector was reported, an answer landed: something may be missing here. */
  readonly onNews: (member: MemberId) => void;
  /** A pull failed or a link ended: others may be asked. */
  readonly onFreed: () => void;
  readonly onSnapshotRows: (end: LinkEnd, message: SnapshotRows) => void;
  readonly onEnded: (end: LinkEnd) => void;
  readonly calls: CallHooks;
}
