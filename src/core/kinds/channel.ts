import { Packr } from 'msgpackr';

/** Kind `c`, key (channel): last writer, whole value. Flags that a node must never undo are kind `d`. */
export interface ChannelSettings {
  readonly large: boolean;
  readonly allowStranger: boolean;
  /** Clients may subscribe themselves only where it is open. */
  readonly join: 'open' | 'closed';
  readonly deleted: boolean;
}

const codec = new Packr({ useRecords: false });

export function encodeChannel(settings: ChannelSettings): Uint8Array {
  const bits =
    (settings.large ? 1 : 0) |
    (settings.allowStranger ? 2 : 0) |
    (settings.join === 'closed' ? 4 : 0) |
    (settings.deleted ? 8 : 0);
  return codec.pack([bits]);
}

/** Undefined where the bytes are no channel. */
export function decodeChannel(value: Uint8Array): ChannelSettings | undefined {
  let fields: unknown;
  try {
    fields = codec.unpack(value);
  } catch {
    return undefined;
  }
  if (!Array.isArray(fields) || typeof fields[0] !== 'number') return undefined;
  const bits = fields[0];
  return {
    large: (bits & 1) !== 0,
    allowStranger: (bits & 2) !== 0,
    join: (bits & 4) !== 0 ? 'closed' : 'open',
    deleted: (bits & 8) !== 0,
  };
}
