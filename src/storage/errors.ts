/**
 * - STORE_LOCKED: another process has the folder open.
 * - STORE_DAMAGED: what is there cannot be read as a store, or a block of it cannot be read.
 * - STORE_FORMAT_NEWER: written by a later version of this program.
 * - STORE_OPEN_FAILED: the folder cannot be used (permissions, no space, not a folder).
 * - STORE_UNAVAILABLE: the disk is failing and this row is not in memory; passes by itself.
 * - STORE_CLOSED: used after `close`, a mistake of the caller.
 */
export type StoreErrorCode =
  | 'STORE_LOCKED'
  | 'STORE_DAMAGED'
  | 'STORE_FORMAT_NEWER'
  | 'STORE_OPEN_FAILED'
  | 'STORE_UNAVAILABLE'
  | 'STORE_CLOSED';

export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options?: { readonly cause: unknown }) {
    super(message, options);
    this.code = code;
  }
}
