import type { MemberId } from '../../core/ids.ts';
import type { Row } from '../../core/row.ts';
import type { RowKey } from '../../core/row-key.ts';
import type { SetItem } from '../../core/reconciliation/item.ts';
import type { PeerCalls } from '../calls/port.ts';
import type { SweepLimits } from './options.ts';
import { METHODS, readRowsFound, writeRowsWanted, type KeyedRow } from './wire.ts';

/** Asks members for rows, in questions of bounded size. */
export class RowsClient {
  readonly #calls: PeerCalls;
  readonly #limits: SweepLimits;

  constructor(calls: PeerCalls, limits: SweepLimits) {
    this.#calls = calls;
    this.#limits = limits;
  }

  /** What `member` holds under each of the keys; keys it has no row for give an empty row. */
  async byKey(member: MemberId, shard: number, keys: readonly RowKey[]): Promise<Map<RowKey, Row>> {
    const rows = new Map<RowKey, Row>();
    const { batchKeys } = this.#limits;
    for (let at = 0; at < keys.length;) {
      const asked = keys.slice(at, at + batchKeys);
      const found = await this.#ask(member, { shard, keys: asked, dots: [] });
      for (const [key, row] of found.rows) rows.set(key, row);
      if (found.answered < 1) break;
      at += found.answered;
    }
    return rows;
  }

  /** Rows in which `member` holds these dots live; at most one answer's worth. */
  async byDot(
    member: MemberId,
    shard: number,
    dots: readonly SetItem[],
  ): Promise<readonly KeyedRow[]> {
    const { rows } = await this.#ask(member, { shard, keys: [], dots });
    return rows;
  }

  /** The same of several members at once; one that does not answer holds nobody up for long. */
  async fromAll(
    members: readonly MemberId[],
    shard: number,
    keys: readonly RowKey[],
  ): Promise<{ readonly rows: ReadonlyMap<RowKey, Row>[]; readonly silent: readonly MemberId[] }> {
    const silent: MemberId[] = [];
    const answers = await Promise.all(
      members.map((member) =>
        this.byKey(member, shard, keys).catch(() => {
          silent.push(member);
          return undefined;
        }),
      ),
    );
    return { rows: answers.filter((answer) => answer !== undefined), silent };
  }

  async #ask(
    member: MemberId,
    wanted: Parameters<typeof writeRowsWanted>[0],
  ): Promise<ReturnType<typeof readRowsFound>> {
    const body = await this.#calls.call(member, {
      method: METHODS.rows,
      body: writeRowsWanted(wanted),
      timeoutMs: this.#limits.callTimeoutMs,
    });
    return readRowsFound(body, wanted.shard);
  }
}
