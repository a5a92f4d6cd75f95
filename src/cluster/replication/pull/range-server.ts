import type { Pull, SnapshotWanted } from '../../link/message.ts';
import type { DotRange } from '../../../core/dot.ts';
import { rangesOf, type VectorRow } from '../../../core/version-vector.ts';
import { readCut } from '../../sweep/evidence.ts';
import type { Replica } from '../../../storage/replica-port.ts';
import type { LinkEnd } from '../link-end.ts';
import type { ReplicationLimits, ReplicatorOptions } from '../options.ts';
import { intersect } from './pull-plan.ts';

export interface RangeServerOptions {
  readonly replica: Replica;
  readonly limits: ReplicationLimits;
  readonly log: ReplicatorOptions['log'];
  readonly end: LinkEnd;
  /** False: nothing is answered; its asker did not know yet and asks another member. */
  readonly offersRows: () => boolean;
}

/**
 * Answers one accepted link: ranges of the log, rows of a shard. One request at a time; one that comes
 * while another is served is dropped (its asker has a deadline), so a peer cannot make a queue here.
 */
export class RangeServer {
  readonly #options: RangeServerOptions;
  #busy = false;
  #snapshot: { readonly shard: number; readonly vector: readonly VectorRow[] } | undefined;

  constructor(options: RangeServerOptions) {
    this.#options = options;
  }

  pull({ request, ranges, bytesMax }: Pull): void {
    const { replica, limits, end, offersRows } = this.#options;
    if (this.#busy || !offersRows()) return;
    const asked = ranges.slice(0, limits.pullRangesMax);
    this.#serve(replica.operations(asked, Math.min(bytesMax, limits.pullBytesMax)), (answer) => {
      const more = answer.more || asked.length < ranges.length;
      const report = { changed: replica.durableChanges(end.cursor), vectorHash: 0 };
      report.vectorHash = end.reportedHash = replica.durableHash();
      const collected = intersect(asked, this.#cut());
      end.send({ type: 'pulled', request, ...answer, ...report, collected, more });
    });
  }

  /** The vector is captured before the first row is read: it claims nothing that the rows may lack. */
  snapshot({ request, shard, after, bytesMax }: SnapshotWanted): void {
    const { replica, limits, end, offersRows } = this.#options;
    if (this.#busy || !offersRows()) return;
    if (after === undefined) {
      const vector = replica.durableVector().filter((row) => row.shard === shard);
      this.#snapshot = { shard, vector };
    }
    const snapshot = this.#snapshot;
    if (!snapshot || snapshot.shard !== shard) return;
    const chunk = replica.rows(shard, after, Math.min(bytesMax, limits.snapshotBytesMax));
    this.#serve(chunk, ({ rows, last, damaged }) => {
      // A row that cannot be read is not in the answer: nothing may be claimed on it, pulls fill the rest.
      if (damaged) this.#snapshot = { shard, vector: [] };
      const vector = damaged ? [] : snapshot.vector;
      const collected = last ? this.#cut().filter((range) => range.shard === shard) : [];
      end.send({ type: 'snapshot-rows', request, shard, rows, vector, collected, last });
    });
  }

  /** Read after the rows: it was raised before anything went that they may lack. */
  #cut(): readonly DotRange[] {
    return readCut(this.#options.replica).flatMap(rangesOf);
  }

  #serve<Answer>(reading: Promise<Answer>, answer: (value: Answer) => void): void {
    this.#busy = true;
    reading.then(
      (value) => {
        this.#busy = false;
        if (!this.#options.end.closed) answer(value);
      },
      (error: unknown) => {
        this.#busy = false;
        // No answer: the asker's deadline passes and it asks another member.
        this.#options.log.error('cannot read what a peer asks for', {
          peer: this.#options.end.link.peer,
          error,
        });
      },
    );
  }
}
