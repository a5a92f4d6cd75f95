import type { DotRange } from '../../../core/dot.ts';
import { SHARDS } from '../../../core/placement.ts';
import { rangesOf, type VectorRow } from '../../../core/version-vector.ts';
import type { Runtime, Timer } from '../../../runtime/port.ts';
import type { RowKey } from '../../../core/row-key.ts';
import type { Replica } from '../../../storage/replica-port.ts';
import type { SnapshotRows } from '../../link/message.ts';
import { adoptCollected } from '../../sweep/evidence.ts';
import type { LinkEnd } from '../link-end.ts';
import type { ReplicationCounters, ReplicationLimits, ReplicatorOptions } from '../options.ts';

export interface SnapshotOptions {
  readonly replica: Replica;
  readonly runtime: Runtime;
  readonly limits: ReplicationLimits;
  readonly counters: ReplicationCounters;
  readonly log: ReplicatorOptions['log'];
  /** Done, or broken off: whatever is missing is pulled, or asked of another peer. */
  readonly onEnd: () => void;
}

interface Run {
  readonly end: LinkEnd;
  readonly shard: number;
  request: number;
  vector: readonly VectorRow[] | undefined;
  timer: Timer | undefined;
}

/**
 * Fills an empty store shard by shard from one peer. Invariant: a shard's vector, which the peer captured
 * before its first row, is adopted after the last row is on this disk, so a crash in between claims
 * nothing; the shard is asked for again, and merging rows twice changes nothing.
 */
export class Snapshot {
  readonly #options: SnapshotOptions;
  readonly #shards: Set<number>;
  #run: Run | undefined;
  #request = 0;

  constructor(options: SnapshotOptions) {
    this.#options = options;
    const filled = new Set(options.replica.durableVector().map(({ shard }) => shard));
    const all = Array.from({ length: SHARDS }, (_, shard) => shard);
    this.#shards = new Set(all.filter((shard) => !filled.has(shard)));
  }

  get running(): boolean {
    return this.#run !== undefined;
  }

  /** True where a snapshot was begun with the peer of `end`. */
  begin(end: LinkEnd, missingDots: number): boolean {
    if (this.#run || missingDots < this.#options.limits.snapshotDotsMin) return false;
    if (!end.ready || end.closed || end.blocked) return false;
    return this.#next(end);
  }

  received(end: LinkEnd, answer: SnapshotRows): void {
    const { request, shard, rows, vector, last } = answer;
    const run = this.#run;
    if (!run || run.end !== end || run.request !== request || run.shard !== shard) return;
    run.timer?.cancel();
    // The latest counts: a peer that finds a row that it cannot read takes its vector back.
    run.vector = vector.filter((row) => row.shard === shard);
    const lastKey = rows.at(-1)?.[0];
    if (!last && lastKey === undefined) {
      // Nothing readable and no place to go on from: this shard comes by pulls.
      this.#shards.delete(shard);
      return this.breakOff(end);
    }
    // A new number: a chunk that comes twice is not taken for the next one.
    run.request = 0;
    try {
      this.#options.replica.mergeRows(rows, () => {
        if (this.#run !== run) return;
        if (last) this.#adopt(run, answer.collected);
        else this.#ask(run, lastKey);
      });
    } catch (error) {
      this.#options.log.error('rows of a snapshot cannot be merged', { shard, error });
      this.breakOff(end);
    }
  }

  breakOff(end: LinkEnd): void {
    if (this.#run?.end !== end) return;
    this.#run.timer?.cancel();
    this.#run = undefined;
    this.#options.onEnd();
  }

  #adopt(run: Run, collected: readonly DotRange[]): void {
    this.#shards.delete(run.shard);
    adoptCollected(
      this.#options.replica,
      collected.filter((range) => range.shard === run.shard),
    );
    this.#options.counters.snapshots += 1;
    this.#options.replica.cover((run.vector ?? []).flatMap(rangesOf), () => {
      if (this.#run !== run) return;
      this.#run = undefined;
      if (!this.#next(run.end)) this.#options.onEnd();
    });
  }

  #next(end: LinkEnd): boolean {
    const [shard] = this.#shards;
    if (shard === undefined || end.closed) return false;
    this.#run = { end, shard, request: 0, vector: undefined, timer: undefined };
    this.#ask(this.#run, undefined);
    return true;
  }

  #ask(run: Run, after: RowKey | undefined): void {
    const { runtime, limits, log } = this.#options;
    run.request = ++this.#request;
    run.timer = runtime.timers.after(limits.pullTimeoutMs, () => {
      log.warn('no answer to a snapshot', { peer: run.end.link.peer, shard: run.shard });
      this.breakOff(run.end);
    });
    run.end.send({
      type: 'snapshot-wanted',
      request: run.request,
      shard: run.shard,
      ...(after === undefined ? {} : { after }),
      bytesMax: limits.snapshotBytesMax,
    });
  }
}
