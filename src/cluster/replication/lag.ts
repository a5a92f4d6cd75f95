import type { VectorRow, VersionVector } from '../../core/version-vector.ts';

/**
 * For how long a peer has lacked something that this node has on disk, whoever wrote it. A mark of this
 * node's vector is set while it has more than the peer reported, and goes once the peer has all of the
 * mark: so under a steady load the lag is the age of a mark, and with a peer that is away it grows.
 *
 * Invariant: at most one mark, whose rows are those of open actors only.
 */
export class Lag {
  #mark: { readonly rows: readonly VectorRow[]; readonly sinceMs: number } | undefined;

  /** `reported`: absent where nothing was ever heard of the peer. Costs about 0.1 µs a row of a vector. */
  look(nowMs: number, own: () => readonly VectorRow[], reported: VersionVector | undefined): void {
    if (this.#mark && !has(reported, this.#mark.rows)) return;
    const rows = own();
    this.#mark = has(reported, rows) ? undefined : { rows, sinceMs: nowMs };
  }

  /** 0 where the peer had everything at the last look. */
  ms(nowMs: number): number {
    return this.#mark ? nowMs - this.#mark.sinceMs : 0;
  }
}

function has(reported: VersionVector | undefined, rows: readonly VectorRow[]): boolean {
  return rows.length === 0 || (reported?.missing(rows).length ?? 1) === 0;
}
