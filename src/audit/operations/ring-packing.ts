import { FRONT_CODED_ROW, joinRows } from './record.ts';
import type { Store } from '../../storage/port.ts';

export interface RingRow {
  readonly key: string;
  readonly entries: number;
}

/** Lines of a packed row, as many as a row may have. */
const PACKED_ENTRIES = 512;
/** Rows with more lines than this on average are left as they are: they would only be written twice. */
const SPARSE_ENTRIES = 32;

/**
 * A group commit with few operations makes a row of few lines, and a query of many small rows takes ten
 * times as long as one of few large ones. So small rows that follow each other become one, under the key
 * of the first, in one batch: each line is written twice, at about 0.5 µs the second time.
 */
export class RingPacking {
  readonly #store: Pick<Store, 'get' | 'stage'>;
  #rows: RingRow[] = [];
  #entries = 0;

  constructor(store: Pick<Store, 'get' | 'stage'>) {
    this.#store = store;
  }

  /** A row was written. True where there is enough to pack. */
  note(row: RingRow): boolean {
    this.#rows.push(row);
    this.#entries += row.entries;
    return this.#entries >= PACKED_ENTRIES;
  }

  /** Rows that are not all there any more, because the ring's end has passed them, stay as they are. */
  pack(): void {
    const rows = this.#rows;
    const sparse = rows.length > 1 && this.#entries / rows.length < SPARSE_ENTRIES;
    [this.#rows, this.#entries] = [[], 0];
    if (!sparse) return;
    const values: Uint8Array[] = [];
    for (const { key } of rows) {
      const value = this.#store.get(key);
      if (!value || value[0] === FRONT_CODED_ROW) return;
      values.push(value);
    }
    const packed = joinRows(values);
    if (!packed) return;
    const [first, ...others] = rows;
    this.#store.stage([{ key: first!.key, value: packed }, ...others.map(({ key }) => ({ key }))]);
  }
}
