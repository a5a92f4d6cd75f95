import { Packr } from 'msgpackr';
import type { Uid } from '../ids.ts';

/** They are in the channel's row, which is read whole with every send. */
export const CHANNEL_MANAGERS_MAX = 100;

/** Kind `c`, key (channel): last writer, whole value. Flags that a node must never undo are kind `d`. */
export interface ChannelSettings {
  readonly large: boolean;
  readonly allowStranger: boolean;
  /** Clients may subscribe themselves only where it is open. */
  readonly join: 'open' | 'closed';
  readonly deleted: boolean;
  /** May recall any message of the channel, as its managers may; empty or absent for nobody. */
  readonly owner?: Uid | '' | undefined;
  /** At most CHANNEL_MANAGERS_MAX. */
  readonly managers?: readonly Uid[] | undefined;
}

const codec = new Packr({ useRecords: false });

export function encodeChannel(settings: ChannelSettings): Uint8Array {
  const bits =
    (settings.large ? 1 : 0) |
    (settings.allowStranger ? 2 : 0) |
    (settings.join === 'closed' ? 4 : 0) |
    (settings.deleted ? 8 : 0);
  const { owner = '', managers = [] } = settings;
  // A channel without roles keeps the bytes it always had.
  const plain = owner === '' && managers.length === 0;
  return codec.pack(plain ? [bits] : [bits, owner, managers]);
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
  const [bits, owner, managers] = fields as [number, unknown, unknown];
  return {
    large: (bits & 1) !== 0,
    allowStranger: (bits & 2) !== 0,
    join: (bits & 4) !== 0 ? 'closed' : 'open',
    deleted: (bits & 8) !== 0,
    ...(typeof owner === 'string' && owner !== '' && { owner: owner as Uid }),
    ...(isTexts(managers) && managers.length > 0 && { managers: managers as readonly Uid[] }),
  };
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}
