import { KINDS, kindOf } from '../core/kinds.ts';
import type { Context } from '../core/context.ts';
import type { Dot, DotRange } from '../core/dot.ts';
import { nextHlc, type Hlc } from '../core/hybrid-clock.ts';
import type { ActorId, ChannelKey } from '../core/ids.ts';
import { operationOf, type Draft, type Operation } from '../core/operation.ts';
import { EMPTY_ROW, mergeRows, type Row } from '../core/row.ts';
import type { RowKey } from '../core/row-key.ts';
import type { VectorRow, VersionVector } from '../core/version-vector.ts';
import type { Log } from '../observability/log.ts';
import type { Runtime } from '../runtime/port.ts';
import { ChannelMarks } from './channel-marks.ts';
import { ClosedContexts } from './closed-contexts.ts';
import { drawIdentity, type StoreIdentity } from './identity.ts';
import { DurableVector } from './durable-vector.ts';
import { factKey, vectorKey } from './layout.ts';
import type { Mutation, Store } from './port.ts';
import { readKeyOf, readOperations, readRows, type RowSource } from './replica-reader.ts';
import {
  addReplacement,
  changeOf,
  isWellFormed,
  mergeOperation,
  rangeOf,
  type Merged,
} from './row-mutations.ts';
import type {
  Change,
  ClosedVector,
  LogAnswer,
  Received,
  Replica,
  ReplicaListener,
  RowChunk,
  VectorCursor,
} from './replica-port.ts';
import { decodeRow, encodeVectorRow, type Decoded } from './row-codec.ts';
import { closingMutations, readVector, type StoredVector } from './stored-vector.ts';

export interface ReplicaOptions {
  readonly store: Store;
  readonly runtime: Runtime;
  readonly log: Log;
  /** Most intervals above the base of one (actor, shard). */
  readonly intervalsMax?: number | undefined;
}

/**
 * Rows, their merges, the delta log and the version vector over one store.
 *
 * Invariant: what is staged for an operation (rows, log, vector) is one atomic batch, so after a crash
 * the vector covers an operation exactly when its effect is there. Invariant: `#vector` is what is
 * staged and decides whether a dot is known; `#durable` is what is on disk and all that peers are told.
 */
export class ReplicatedStore implements Replica {
  readonly actor: ActorId;
  readonly storeId: string;
  readonly #store: Store;
  readonly #runtime: Runtime;
  readonly #log: Log;
  readonly #vector: VersionVector;
  readonly #durable: DurableVector;
  readonly #contexts: ClosedContexts;
  readonly #marks = new ChannelMarks();
  readonly #source: RowSource;
  readonly #listeners: ReplicaListener[] = [];
  readonly #dirty = new Map<string, readonly [ActorId, number]>();
  /** Actors closed so far, of which the last ones may still be on their way to the disk. */
  #closed: number;
  #hlc: Hlc = 0;
  #damagedRows = 0;

  private constructor(options: ReplicaOptions, { actor, storeId, stored }: Identity) {
    this.#store = options.store;
    this.#runtime = options.runtime;
    this.#log = options.log;
    this.actor = actor;
    this.storeId = storeId;
    this.#vector = stored.vector;
    this.#durable = new DurableVector({ ...stored, vector: stored.vector.clone() });
    this.#contexts = new ClosedContexts(stored.closed);
    this.#closed = stored.nextOrder;
    const read = (key: RowKey): Row => this.read(key);
    const decode = (key: string, bytes: Uint8Array): Decoded<Row> => this.decode(key, bytes);
    this.#source = { store: this.#store, read, decode };
    this.#store.addBeforeFlush(() => this.#takeDirty());
  }

  /** Reads the vector and draws a new actor: no run of a node ever continues another run's counters. */
  static async open(options: ReplicaOptions): Promise<ReplicatedStore> {
    const { store, runtime } = options;
    const identity = drawIdentity(store, runtime);
    const damaged: [key: string, error: string][] = [];
    const stored = await readVector(store, {
      intervalsMax: options.intervalsMax,
      onDamage: (key, error) => damaged.push([key, error]),
    });
    const replica = new ReplicatedStore(options, { ...identity, stored });
    for (const [key, error] of damaged) replica.#reportDamage(key, error);
    await replica.#marks.fill(store, options.log);
    return replica;
  }

  /** Rows met so far whose checksum or format was wrong. */
  damagedRows(): number {
    return this.#damagedRows;
  }

  lineage(): string {
    return new TextDecoder().decode(this.fact(LINEAGE_FACT) ?? new Uint8Array(0));
  }

  setLineage(lineage: string): void {
    this.setFact(LINEAGE_FACT, new TextEncoder().encode(lineage));
  }

  holdsData(): boolean {
    return !this.#vector.isEmpty();
  }

  read(key: RowKey): Row {
    const bytes = this.#store.get(key);
    if (!bytes) return EMPTY_ROW;
    const decoded = this.decode(key, bytes);
    if (decoded.ok) return decoded.row;
    this.#reportDamage(key, decoded.error);
    return EMPTY_ROW;
  }

  mayHaveRules(channel: ChannelKey): boolean {
    return this.#marks.rules.mayHold(channel);
  }

  mayHaveCopies(channel: ChannelKey): boolean {
    return this.#marks.copies.mayHold(channel);
  }

  decode(key: string, bytes: Uint8Array): Decoded<Row> {
    return decodeRow(key, bytes, this.#contexts);
  }

  seen(shard: number): Context {
    return this.#vector.contextOf(shard);
  }

  submit(shard: number, drafts: readonly Draft[], onDurable?: () => void): Operation {
    this.#hlc = nextHlc(this.#hlc, this.#runtime.clock.wallMs());
    const first = this.#vector.highest(this.actor, shard) + 1;
    const operation = operationOf({ actor: this.actor, shard, first, hlc: this.#hlc }, drafts);
    // What may throw comes before the vector: it must not claim what was not staged.
    const merged = this.#merge(operation, drafts);
    this.#advance([rangeOf(operation)]);
    this.#stage(operation, { ...merged, own: true, claimed: true, onDurable });
    this.#tell((listener) => listener.onSubmitted(operation));
    return operation;
  }

  receive(operation: Operation, onDurable?: () => void): Received {
    const range = rangeOf(operation);
    if (!isWellFormed(operation)) return 'invalid';
    if (this.#vector.coversRange(range)) {
      if (onDurable) this.#whenDurable(onDurable);
      return 'known';
    }
    const merged = this.#tryMerge(operation);
    if (!merged || !this.#advance([range])) return 'overflow';
    this.#stageReceived(operation, { ...merged, claimed: true, onDurable });
    return 'staged';
  }

  receiveUnclaimed(operation: Operation): Received {
    if (!isWellFormed(operation)) return 'invalid';
    if (this.#vector.coversRange(rangeOf(operation))) return 'known';
    const merged = this.#tryMerge(operation);
    if (!merged) return 'overflow';
    this.#stageReceived(operation, { ...merged, claimed: false, onDurable: undefined });
    return 'staged';
  }

  cover(ranges: readonly DotRange[], onDurable?: () => void): void {
    const taken = ranges.filter((range) => this.#advance([range]));
    this.#store.stage(this.#takeDirty(), () => {
      for (const range of taken) this.#durable.add(range);
      onDurable?.();
    });
  }

  mergeRows(rows: readonly (readonly [RowKey, Row])[], onDurable?: () => void): void {
    const changes: Change[] = [];
    for (const [key, row] of rows) {
      const before = this.read(key);
      const after = mergeRows(KINDS[kindOf(key)!].policy, before, row);
      const change = changeOf(this.#vector, { key, before, after });
      if (change) changes.push(change);
    }
    this.#replace(changes, onDurable);
  }

  replaceRows(rows: readonly (readonly [RowKey, Row])[], onDurable?: () => void): void {
    const changes = rows.map(([key, after]) => ({ key, before: this.read(key), after }));
    this.#replace(changes, onDurable);
  }

  keyOf(dot: Dot): RowKey | undefined {
    return readKeyOf(this.#store, dot);
  }

  #replace(changes: readonly Change[], onDurable: Callback): void {
    const mutations: Mutation[] = [];
    const isElsewhere = (key: RowKey, dot: Dot): boolean => (this.keyOf(dot) ?? key) !== key;
    for (const change of changes) {
      for (const { hlc } of change.after) this.#hlc = Math.max(this.#hlc, hlc);
      addReplacement({ mutations, contexts: this.#contexts, isElsewhere }, change);
    }
    this.#store.stage(this.#marks.noted(changes, mutations), () => {
      this.#tell((listener) => listener.onDurable({ changes, own: false }));
      onDurable?.();
    });
    this.#tell((listener) => listener.onStaged?.(changes, 'rows'));
  }

  covers(range: DotRange): boolean {
    return this.#vector.coversRange(range);
  }

  missing(rows: Iterable<VectorRow>): DotRange[] {
    return this.#vector.missing(rows);
  }

  highest(actor: ActorId, shard: number): number {
    return this.#vector.highest(actor, shard);
  }

  durableVector(): readonly VectorRow[] {
    return this.#durable.rows();
  }

  closedActors(): ClosedVector {
    return this.#durable;
  }

  close(actor: ActorId): boolean {
    const closed = this.#durable.finalsOf(actor);
    // What is staged may be ahead of what is on disk.
    if (!closed || actor === this.actor) return false;
    const staged = this.#vector.finalsOf(actor);
    if (staged?.finals.some((final, shard) => final !== closed.finals[shard]) !== false)
      return false;
    this.#vector.close(closed);
    const order = this.#closed++;
    this.#store.stage(closingMutations({ ...closed, order }), () =>
      this.#durable.close(closed, order),
    );
    // From here on rows count on it; they are staged after it.
    this.#contexts.add(closed, order);
    return true;
  }

  durableHash(): number {
    return this.#durable.hash();
  }

  stagedHash(): number {
    return this.#vector.hash();
  }

  durableChanges(cursor: VectorCursor): readonly VectorRow[] {
    return this.#durable.changesSince(cursor);
  }

  async operations(ranges: readonly DotRange[], bytesMax: number): Promise<LogAnswer> {
    const answer = await readOperations(this.#source, this.#durable.within(ranges), bytesMax);
    await this.#settled();
    return answer;
  }

  async rows(shard: number, after: RowKey | undefined, bytesMax: number): Promise<RowChunk> {
    const chunk = await readRows(this.#source, { shard, after, bytesMax });
    await this.#settled();
    return chunk;
  }

  addListener(listener: ReplicaListener): void {
    this.#listeners.push(listener);
  }

  fact(name: string): Uint8Array | undefined {
    return this.#store.get(factKey(name));
  }

  setFact(name: string, value: Uint8Array | undefined): void {
    this.#store.stage([{ key: factKey(name), value }]);
  }

  /** Changes nothing here. Throws where a row cannot be read or a number of it cannot be stored. */
  #merge(operation: Operation, drafts: readonly Draft[] | undefined): Merged {
    return mergeOperation(operation, {
      contexts: this.#contexts,
      read: (write) => drafts?.[write.offset]?.row ?? this.read(write.key),
    });
  }

  /** A row that cannot be read now cannot be merged: the operation is pulled again later. */
  #tryMerge(operation: Operation): Merged | undefined {
    try {
      return this.#merge(operation, undefined);
    } catch (error) {
      const range = rangeOf(operation);
      this.#log.error('a received operation cannot be applied', { ...range, error });
      return undefined;
    }
  }

  #stageReceived(operation: Operation, staging: Merged & Pick<Staging, 'claimed' | 'onDurable'>) {
    this.#hlc = Math.max(this.#hlc, operation.hlc);
    this.#stage(operation, { ...staging, own: false });
    const { changes } = staging;
    this.#tell((listener) => listener.onReceived?.({ operation, changes, own: false }));
  }

  #stage(operation: Operation, { mutations, changes, own, claimed, onDurable }: Staging): void {
    const range = rangeOf(operation);
    this.#store.stage(this.#marks.noted(changes, mutations), () => {
      if (claimed) this.#durable.add(range);
      this.#tell((listener) => listener.onDurable({ operation, changes, own }));
      onDurable?.();
    });
    // In this very tick: the sums of the shard follow what the store shows (invariant 8).
    this.#tell((listener) => listener.onStaged?.(changes, 'operation'));
  }

  #advance(ranges: readonly DotRange[]): boolean {
    for (const range of ranges) {
      if (!this.#vector.add(range)) return false;
      this.#dirty.set(vectorKey(range.actor, range.shard), [range.actor, range.shard]);
    }
    return true;
  }

  /** Vector rows change with every operation and are written once a group. */
  #takeDirty(): Mutation[] {
    if (this.#dirty.size === 0) return [];
    const mutations: Mutation[] = [];
    for (const [key, [actor, shard]] of this.#dirty) {
      const row = { actor, shard, ...this.#vector.clock(actor, shard) };
      mutations.push({ key, value: encodeVectorRow(key, row) });
    }
    this.#dirty.clear();
    return mutations;
  }

  #whenDurable(task: () => void): void {
    if (this.#store.stagedBytes() === 0) task();
    else this.#store.stage([], task);
  }

  /**
   * What was read for a peer may rest on writes that are still on their way to the disk: a dot that one
   * of them superseded is absent from the answer. Should they be lost in a crash, the peer would miss it.
   */
  #settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenDurable(resolve);
    });
  }

  /** A listener that throws takes nothing from the others, nor from who waits for the disk. */
  #tell(tell: (listener: ReplicaListener) => void): void {
    for (const listener of this.#listeners) {
      try {
        tell(listener);
      } catch (error) {
        this.#log.error('a listener of the store failed', { error });
      }
    }
  }

  #reportDamage(key: string, error: string): void {
    this.#damagedRows += 1;
    this.#log.error('stored row is damaged', { key: JSON.stringify(key), error });
    this.#tell((listener) => listener.onDamaged?.(key));
  }
}

interface Identity extends StoreIdentity {
  readonly stored: StoredVector;
}

type Callback = (() => void) | undefined;

interface Staging extends Merged {
  readonly own: boolean;
  /** The vector covers it. */
  readonly claimed: boolean;
  readonly onDurable: Callback;
}

const LINEAGE_FACT = 'lineage';
