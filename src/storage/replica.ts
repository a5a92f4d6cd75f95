import { KINDS, kindOf } from '../core/kinds.ts';
import type { Context } from '../core/context.ts';
import type { Dot, DotRange } from '../core/dot.ts';
import { nextHlc, type Hlc } from '../core/hybrid-clock.ts';
import type { ActorId } from '../core/ids.ts';
import { entryOf, OPERATION_WRITES_MAX, type Draft, type Operation } from '../core/operation.ts';
import { EMPTY_ROW, hasDot, mergeRows, type Row } from '../core/row.ts';
import { splitRowKey, type RowKey } from '../core/row-key.ts';
import { VersionVector, type VectorRow } from '../core/version-vector.ts';
import type { Log } from '../observability/log.ts';
import type { Runtime } from '../runtime/port.ts';
import { DurableVector } from './durable-vector.ts';
import { factKey, logKey, vectorKey, VECTOR_RANGE } from './layout.ts';
import type { Mutation, Store } from './port.ts';
import { readKeyOf, readOperations, readRows } from './replica-reader.ts';
import { addReplacement, addRowMutations } from './row-mutations.ts';
import type {
  Change,
  LogAnswer,
  Received,
  Replica,
  ReplicaListener,
  RowChunk,
  VectorCursor,
} from './replica-port.ts';
import { decodeRow, decodeVectorRow, encodeLogRow, encodeVectorRow } from './row-codec.ts';

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
  readonly #listeners: ReplicaListener[] = [];
  readonly #dirty = new Map<string, readonly [ActorId, number]>();
  #hlc: Hlc = 0;
  #damagedRows = 0;

  private constructor(options: ReplicaOptions, identity: { actor: ActorId; storeId: string }) {
    this.#store = options.store;
    this.#runtime = options.runtime;
    this.#log = options.log;
    this.actor = identity.actor;
    this.storeId = identity.storeId;
    this.#vector = new VersionVector(options.intervalsMax);
    this.#durable = new DurableVector(options.intervalsMax);
    this.#store.addBeforeFlush(() => this.#takeDirty());
  }

  /** Reads the vector and draws a new actor: no run of a node ever continues another run's counters. */
  static async open(options: ReplicaOptions): Promise<ReplicatedStore> {
    const { store, runtime } = options;
    const known = store.get(factKey('store-id'));
    const storeId = known ? new TextDecoder().decode(known) : randomHex(runtime);
    if (!known) {
      store.stage([{ key: factKey('store-id'), value: new TextEncoder().encode(storeId) }]);
    }
    const actor = randomHex(runtime) as ActorId;
    const replica = new ReplicatedStore(options, { actor, storeId });
    for await (const chunk of store.scan(VECTOR_RANGE)) {
      for (const [key, bytes] of chunk) {
        const decoded = decodeVectorRow(key, bytes);
        if (decoded.ok) replica.#vector.addAll([decoded.row]);
        // A vector row that cannot be trusted claims nothing: its range is pulled again.
        else replica.#reportDamage(key, decoded.error);
      }
    }
    replica.#durable.addAll(replica.#vector.rows());
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
    const decoded = decodeRow(key, bytes);
    if (decoded.ok) return decoded.row;
    this.#reportDamage(key, decoded.error);
    return EMPTY_ROW;
  }

  seen(shard: number): Context {
    return this.#vector.contextOf(shard);
  }

  submit(shard: number, drafts: readonly Draft[], onDurable?: () => void): Operation {
    if (drafts.length === 0 || drafts.length > OPERATION_WRITES_MAX) {
      throw new RangeError(
        `an operation has 1 to ${OPERATION_WRITES_MAX} writes, not ${drafts.length}`,
      );
    }
    this.#hlc = nextHlc(this.#hlc, this.#runtime.clock.wallMs());
    const operation: Operation = {
      actor: this.actor,
      shard,
      first: this.#vector.highest(this.actor, shard) + 1,
      count: drafts.length,
      hlc: this.#hlc,
      writes: drafts.map(({ key, tag, context, value }, offset) => ({
        offset,
        key,
        tag,
        context,
        value,
      })),
    };
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
      const gained = after.some((entry) => !hasDot(before, entry.actor, entry.counter));
      if (gained) changes.push({ key, before, after });
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
    for (const change of changes) {
      for (const { hlc } of change.after) this.#hlc = Math.max(this.#hlc, hlc);
      addReplacement(mutations, change);
    }
    this.#store.stage(mutations, () => {
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

  durableHash(): number {
    return this.#durable.hash();
  }

  durableChanges(cursor: VectorCursor): readonly VectorRow[] {
    return this.#durable.changesSince(cursor);
  }

  async operations(ranges: readonly DotRange[], bytesMax: number): Promise<LogAnswer> {
    const source = { store: this.#store, read: (key: RowKey) => this.read(key) };
    const answer = await readOperations(source, this.#durable.within(ranges), bytesMax);
    await this.#settled();
    return answer;
  }

  async rows(shard: number, after: RowKey | undefined, bytesMax: number): Promise<RowChunk> {
    const source = { store: this.#store, read: (key: RowKey) => this.read(key) };
    const chunk = await readRows(source, { shard, after, bytesMax });
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
    const mutations: Mutation[] = [];
    const changes: Change[] = [];
    const pending = operation.writes.length > 1 ? new Map<RowKey, Row>() : undefined;
    for (const write of operation.writes) {
      const entry = entryOf(operation, write);
      const known = pending?.get(write.key) ?? drafts?.[write.offset]?.row;
      const before = known ?? this.read(write.key);
      const after = mergeRows(KINDS[kindOf(write.key)!].policy, before, [entry]);
      pending?.set(write.key, after);
      if (hasDot(after, entry.actor, entry.counter)) {
        const place = { offset: write.offset, count: operation.count };
        mutations.push({
          key: logKey(entry.actor, operation.shard, entry.counter),
          value: encodeLogRow(write.key, place),
        });
      }
      const change = { key: write.key, before, after };
      changes.push(change);
      addRowMutations(mutations, change, operation.shard);
    }
    return { mutations, changes };
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
    this.#store.stage(mutations, () => {
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

type Callback = (() => void) | undefined;

/** What an operation does to the rows, before it is staged. */
interface Merged {
  readonly mutations: readonly Mutation[];
  readonly changes: readonly Change[];
}

interface Staging extends Merged {
  readonly own: boolean;
  /** The vector covers it. */
  readonly claimed: boolean;
  readonly onDurable: Callback;
}

const LINEAGE_FACT = 'lineage';

function isWellFormed({ writes, shard }: Operation): boolean {
  return writes.every((write) => splitRowKey(write.key)?.shard === shard);
}

function rangeOf({ actor, shard, first, count }: Operation): DotRange {
  return { actor, shard, from: first, to: first + count - 1 };
}

function randomHex(runtime: Runtime): string {
  return Array.from(runtime.random.bytes(8), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
