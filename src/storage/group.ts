import type { Mutation } from './port.ts';

/** Stands for "this key is deleted" among staged values; never stored. */
export const DELETED = new Uint8Array(0);

/** The last staged value of each key, `DELETED` for none. */
export type StagedRows = ReadonlyMap<string, Uint8Array>;

/** What a row costs in a batch beside its key and value. Bytes. */
const ROW_OVERHEAD = 16;

/** The mutations that one atomic batch will write, in the order of their `stage` calls. */
export class Group {
  readonly rows = new Map<string, Uint8Array>();
  readonly callbacks: (() => void)[] = [];
  bytes = 0;

  /** Returns the bytes that this added. */
  add(mutations: readonly Mutation[], onDurable?: () => void): number {
    let bytes = 0;
    for (const { key, value } of mutations) {
      this.rows.set(key, value ?? DELETED);
      bytes += ROW_OVERHEAD + key.length + (value?.length ?? 0);
    }
    if (onDurable) this.callbacks.push(onDurable);
    this.bytes += bytes;
    return bytes;
  }

  isEmpty(): boolean {
    return this.rows.size === 0 && this.callbacks.length === 0;
  }
}
