import { connectionOf, type ConnectionRow } from '../core/kinds/connection.ts';
import { SHARDS } from '../core/placement.ts';
import { rangeEnd, shardPrefix } from '../core/row-key.ts';
import type { Store } from '../storage/port.ts';
import type { Change, Replica } from '../storage/replica-port.ts';

/** Every connection of the cluster as this store has it, removed ones left out. */
export class ConnectionTable {
  readonly #rows = new Map<string, ConnectionRow>();
  readonly #replica: Pick<Replica, 'decode'>;

  constructor(replica: Pick<Replica, 'decode'>) {
    this.#replica = replica;
  }

  /** Rejects with the store's error. */
  async load(store: Pick<Store, 'scan'>): Promise<void> {
    for (let shard = 0; shard < SHARDS; shard++) {
      const prefix = shardPrefix('b', shard);
      for await (const rows of store.scan({ gte: prefix, lt: rangeEnd(prefix) })) {
        for (const [key, bytes] of rows) {
          const decoded = this.#replica.decode(key, bytes);
          if (decoded.ok) this.#put(connectionOf(decoded.row));
        }
      }
    }
  }

  get(id: string): ConnectionRow | undefined {
    return this.#rows.get(id);
  }

  /** By id. */
  list(): readonly ConnectionRow[] {
    return [...this.#rows.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  size(): number {
    return this.#rows.size;
  }

  /** What is staged. */
  note({ key, after }: Change): void {
    if (key[0] === 'b') this.#put(connectionOf(after));
  }

  #put(row: ConnectionRow | undefined): void {
    if (!row) return;
    if (row.removed) this.#rows.delete(row.id);
    else this.#rows.set(row.id, row);
  }
}
