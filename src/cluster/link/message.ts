import type { DotRange } from '../../core/dot.ts';
import type { ActorId, ChannelKey, MemberId, Uid } from '../../core/ids.ts';
import type { Operation } from '../../core/operation.ts';
import type { Row } from '../../core/row.ts';
import type { RowKey } from '../../core/row-key.ts';
import type { ClosedDigest, VectorRow } from '../../core/version-vector.ts';

/**
 * What members say to each other. On the wire each is one protobuf envelope (proto/cluster.proto) whose
 * payload is msgpackr; decoding checks every field (a peer of another release may be wrong too).
 */
export type PeerMessage =
  | Hello
  | Refused
  | Operations
  | Applied
  | Heartbeat
  | Pull
  | Pulled
  | SnapshotWanted
  | SnapshotRows
  | Interest
  | InterestWanted
  | Transient
  | Call
  | Reply;

export const PROTOCOL = { min: 2, max: 2 } as const;

/** First message on a link, in both directions; nothing else is handled before it. */
export interface Hello {
  readonly type: 'hello';
  readonly cluster: string;
  readonly protocolMin: number;
  readonly protocolMax: number;
  readonly member: MemberId;
  readonly slot: number;
  readonly slots: number;
  readonly rosterEpoch: number;
  /** 16 hex digits, made once for each store: tells a wiped store from a restarted one. */
  readonly storeId: string;
  /**
   * Where the store's data began: 16 hex digits, shared by all stores that ever replicated with each
   * other; empty while this one has none. Two stores with data of two lineages never merge.
   */
  readonly lineage: string;
  readonly actor: ActorId;
  /** What is on this member's disk; without its closed actors where `closed` stands for them. */
  readonly vector: readonly VectorRow[];
  readonly closed: ClosedDigest;
  /** False: `vector` leaves out the closed actors; who has not closed the same refuses with `closed`. */
  readonly whole: boolean;
  /** While it has not caught up it offers no rows, and its silence proves nothing. */
  readonly catchingUp: boolean;
}

/**
 * The link is closed after it. `rolled-back`: the peer remembers more of this store than it says.
 * `closed`: say Hello again, whole.
 */
export interface Refused {
  readonly type: 'refused';
  readonly code:
    'cluster' | 'protocol' | 'slot' | 'slots' | 'rolled-back' | 'not-on-roster' | 'full' | 'closed';
  readonly message: string;
}

/** The opener's own operations, in the order of their counters within each shard. */
export interface Operations {
  readonly type: 'operations';
  /** 1, 2, 3 … within the link. */
  readonly frame: number;
  readonly operations: readonly Operation[];
}

/** Everything up to `disk` is on the acceptor's disk, everything up to `routed` is in its index too. */
export interface Applied {
  readonly type: 'applied';
  readonly disk: number;
  readonly routed: number;
}

/** Each second, both ways, and after everything that was sent before it on this link. */
export interface Heartbeat {
  readonly type: 'heartbeat';
  readonly wallMs: number;
  /** Rows of the vector that changed since the last heartbeat on this link, as on disk. */
  readonly changed: readonly VectorRow[];
  /** Hash of the whole vector on disk; where it does not fit what the receiver keeps, it asks for all. */
  readonly vectorHash: number;
  readonly wantVector: boolean;
  readonly catchingUp: boolean;
  readonly interestVersion: number;
  readonly interestDigest: number;
  /** Highest `Transient.number` sent on this link. */
  readonly transients: number;
}

/** Asks for everything that the receiver holds of these dots, whoever wrote them. */
export interface Pull {
  readonly type: 'pull';
  readonly request: number;
  readonly ranges: readonly DotRange[];
  readonly bytesMax: number;
}

/**
 * `covered`: the parts of the asked ranges that this answer settles; superseded dots are absent. It
 * reports the vector as a heartbeat of this link does: the successors of what is absent are in it.
 */
export interface Pulled {
  readonly type: 'pulled';
  readonly request: number;
  readonly operations: readonly Operation[];
  readonly covered: readonly DotRange[];
  /** The parts of the asked ranges below the sender's cut: evidence of theirs may have been collected. */
  readonly collected: readonly DotRange[];
  readonly changed: readonly VectorRow[];
  readonly vectorHash: number;
  /** More of the asked ranges is there: ask again for the rest. */
  readonly more: boolean;
}

export interface SnapshotWanted {
  readonly type: 'snapshot-wanted';
  readonly request: number;
  readonly shard: number;
  /** Rows after this key; absent for the first chunk. */
  readonly after?: RowKey | undefined;
  readonly bytesMax: number;
}

/** `vector` was captured before the first row was read; it is adopted after the last row is on disk. */
export interface SnapshotRows {
  readonly type: 'snapshot-rows';
  readonly request: number;
  readonly shard: number;
  readonly rows: readonly (readonly [RowKey, Row])[];
  readonly vector: readonly VectorRow[];
  /** With the last chunk: the sender's cut in this shard. */
  readonly collected: readonly DotRange[];
  readonly last: boolean;
}

/** What a member has live sessions for. Applied in order of version; anything else: ask for all. */
export interface Interest {
  readonly type: 'interest';
  readonly version: number;
  /** True: `add` is everything there is. */
  readonly whole: boolean;
  readonly add: readonly InterestItem[];
  readonly remove: readonly InterestItem[];
}

/** `c` + channel key, or `u` + uid U+0001 device flag U+0001 level U+0001 session number U+0001 since ms. */
export type InterestItem = string;

export interface InterestWanted {
  readonly type: 'interest-wanted';
}

/** A message marked no-persist: numbered by link, outside the vectors, delivered at most once. */
export interface Transient {
  readonly type: 'transient';
  readonly number: number;
  readonly channel: ChannelKey;
  readonly sender: Uid;
  readonly value: Uint8Array;
}

/** A question of the link's opener (cluster/calls); the numbers of a link's calls rise. */
export interface Call {
  readonly type: 'call';
  readonly request: number;
  readonly method: string;
  /** msgpackr, at most CALL_BYTES_MAX. */
  readonly body: Uint8Array;
}

export type Reply =
  | {
      readonly type: 'reply';
      readonly request: number;
      readonly ok: true;
      readonly body: Uint8Array;
    }
  | {
      readonly type: 'reply';
      readonly request: number;
      readonly ok: false;
      readonly code: 'busy' | 'unknown-method' | 'too-large' | 'failed';
      readonly message: string;
    };

/** Most bytes of the body of one call or reply. */
export const CALL_BYTES_MAX = 1024 * 1024;
