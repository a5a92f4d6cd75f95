import { Packr } from 'msgpackr';

/** Kind `p`, key (uid): last writer, whole value. */
export interface UserSettings {
  /** May send wherever anybody may: for accounts of the operator's. */
  readonly system: boolean;
}

const codec = new Packr({ useRecords: false });

export function encodeUser({ system }: UserSettings): Uint8Array {
  return codec.pack([system ? 1 : 0]);
}

/** Undefined where the bytes are no user. */
export function decodeUser(value: Uint8Array): UserSettings | undefined {
  let fields: unknown;
  try {
    fields = codec.unpack(value);
  } catch {
    return undefined;
  }
  if (!Array.isArray(fields) || typeof fields[0] !== 'number') return undefined;
  return { system: (fields[0] & 1) !== 0 };
}
