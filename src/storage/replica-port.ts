import type { Context } from '../core/context.ts';
import type { Dot, DotRange } from '../core/dot.ts';
import type { ActorId, ChannelKey, MemberId } from '../core/ids.ts';
import type { Draft, Operation } from '../core/operation.ts';
import type { Row } from '../core/row.ts';
import type { RowKey } from '../core/row-key.ts';
import type { ClosedActor, ClosedDigest, VectorRow } from '../core/version-vector.ts';
import type { Decoded } from './row-codec.ts';

/** One row that an operation or a merge changed, told after it is on disk. */
export interface Change {
  readonly key: RowKey;
  readonly before: Row;
  readonly after: Row;
  /** A merge brought back only what this store had seen before and lost: nothing of it is news. */
  readonly restored?: boolean | undefined;
}

export interface Applied {
  /** Absent for rows merged from a snapshot. */
  readonly operation?: Operation | undefined;
  readonly changes: readonly Change[];
  /** True where this node's own `submit` made it. */
  readonly own: boolean;
}

export interface ReplicaListener {
  /** An own operation was staged: it may be sent to peers at once, in parallel with the local flush. */
  onSubmitted(operation: Operation): void;
  /**
   * Rows were staged, in the tick in which the store shows them, in order: by an operation, or as whole
   * rows of a snapshot or a repair.
   */
  onStaged?(changes: readonly Change[], by: 'operation' | 'rows'): void;
  /** Somebody read the row under this key, and it is not what was written: it reads as absent. */
  onDamaged?(key: string): void;
  /** A peer's operation was staged: it is on its way to the disk, which may be failing. */
  onReceived?(applied: Applied): void;
  /** In the order of staging; a duplicate or superseded write is in no change. */
  onDurable(applied: Applied): void;
}

/** `overflow`: not applied now, neither rows nor vector; the operation has to come again. */
export type Received = 'staged' | 'known' | 'overflow' | 'invalid';

/**
 * The replicated store of one node: rows, their merges, the delta log, the version vector.
 * Everything is synchronous on what is staged; only what is durable is told to peers.
 */
export interface Replica {
  readonly actor: ActorId;
  /** 16 hex digits, made once for each store. */
  readonly storeId: string;

  /** Where this store's data began, shared with every store it replicates with; empty for none yet. */
  lineage(): string;
  setLineage(lineage: string): void;
  /** True once anything was written or received. */
  holdsData(): boolean;

  read(key: RowKey): Row;
  /** False where no row of the kinds channel and deny is stored under the channel: none need be read. */
  mayHaveRules(channel: ChannelKey): boolean;
  /** False where no message of the channel is stored twice: no row of a send need be read to know. */
  mayHaveCopies(channel: ChannelKey): boolean;
  /** A row's bytes as this store holds them; reports nothing. */
  decode(key: string, bytes: Uint8Array): Decoded<Row>;
  /** The whole vector of a shard, as the context of a removal. */
  seen(shard: number): Context;

  /**
   * Gives the drafts, all of one shard and at most OPERATION_WRITES_MAX, their dots, merges them into
   * their rows and stages one atomic batch. `onDurable` runs after the batch is on disk and after the
   * listeners' `onDurable` (so the index has it).
   */
  submit(shard: number, drafts: readonly Draft[], onDurable?: () => void): Operation;

  /** A peer's operation, from its stream or from a pull. `onDurable` also for 'known' ones. */
  receive(operation: Operation, onDurable?: () => void): Received;
  /**
   * As `receive`, but the vector does not claim it: `cover` does, once what its answer left out as
   * superseded has been replaced here too. Applying it again changes nothing.
   */
  receiveUnclaimed(operation: Operation): Received;
  /** Adopts ranges that a peer's answer settled, after all of the answer's operations were received. */
  cover(ranges: readonly DotRange[], onDurable?: () => void): void;
  /** Merges rows of a snapshot, without touching the vector. */
  mergeRows(rows: readonly (readonly [RowKey, Row])[], onDurable?: () => void): void;
  /**
   * Puts these rows in the place of what is stored, without a merge; an empty row goes. For what knows
   * better than a merge: evidence that is collected, a row that was altered, quarantine. The caller has
   * read the rows in this tick.
   */
  replaceRows(rows: readonly (readonly [RowKey, Row])[], onDurable?: () => void): void;
  /** The row that the log says a dot wrote; undefined where that log row is gone or damaged. */
  keyOf(dot: Dot): RowKey | undefined;

  /** What is staged: decides whether a dot is known. */
  covers(range: DotRange): boolean;
  missing(rows: Iterable<VectorRow>): DotRange[];
  highest(actor: ActorId, shard: number): number;
  /** What is on disk: the only thing to tell a peer. */
  durableVector(): readonly VectorRow[];
  /** The durable vector as its closed actors and the rest. */
  closedActors(): ClosedVector;
  /**
   * Keeps an ended actor in one small row from now on; nothing of what is covered changes. False where
   * it has gaps, is this run's own, is closed, or is still on its way to the disk.
   */
  close(actor: ActorId): boolean;
  durableHash(): number;
  /** Hash of the vector of what is staged, which is what `get` and scans of the store answer with. */
  stagedHash(): number;
  /** Rows of the durable vector that changed since the caller's previous call with the same cursor. */
  durableChanges(cursor: VectorCursor): readonly VectorRow[];

  /** What the log still holds of the ranges, at most about `bytesMax`, cut at operation borders. */
  operations(ranges: readonly DotRange[], bytesMax: number): Promise<LogAnswer>;
  /** Rows of a shard in key order. */
  rows(shard: number, after: RowKey | undefined, bytesMax: number): Promise<RowChunk>;

  addListener(listener: ReplicaListener): void;

  /** Small facts of this node (`n/` rows): peers' last reported vectors, reservations, roster cache. */
  fact(name: string): Uint8Array | undefined;
  setFact(name: string, value: Uint8Array | undefined): void;
}

export interface ClosedVector {
  openRows(): readonly VectorRow[];
  /** What the closed actors say, whether or not a clock has been opened above it. */
  closedRows(): readonly VectorRow[];
  /** Actors that are not closed. */
  openActors(): readonly ActorId[];
  finalsOf(actor: ActorId): ClosedActor | undefined;
  closedDigest(): ClosedDigest;
  /** In the order of closing, which never changes; one whose row is damaged is undefined. */
  closedLog(): readonly (ClosedActor | undefined)[];
}

/** Opaque position of one reader of `durableChanges`; starts as `{ at: 0 }`. */
export interface VectorCursor {
  at: number;
}

export interface LogAnswer {
  readonly operations: readonly Operation[];
  readonly covered: readonly DotRange[];
  readonly more: boolean;
}

export interface RowChunk {
  readonly rows: readonly (readonly [RowKey, Row])[];
  readonly last: boolean;
  /** A row of this chunk could not be read: no vector may be adopted on these rows. */
  readonly damaged?: boolean;
}

export const PEER_VECTOR_PREFIX = 'peer-vector/';

/** Name of the fact that holds the last vector which `member` reported (msgpackr of VectorRow[]). */
export function peerVectorFact(member: MemberId): string {
  return `${PEER_VECTOR_PREFIX}${member}`;
}
