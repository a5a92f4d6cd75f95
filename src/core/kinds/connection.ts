import { Packr } from 'msgpackr';
import type { MemberId } from '../ids.ts';
import { liveEntries, type Row } from '../row.ts';

/**
 * Kind `b`, key (connection id): a connection that the cluster keeps open for somebody, as a bridge to a
 * bot. One member owns it and decides alone; of two rows the one of the higher (epoch, version) survives,
 * so what a former owner still writes takes nothing away.
 */
export const CONNECTION_STATES = [
  'OPENING',
  'QRCODE',
  'PAIRING',
  'CONNECTED',
  'TIMEOUT',
  'DISCONNECTED',
] as const;
export type ConnectionState = (typeof CONNECTION_STATES)[number];

/** All of a connection that changes. */
export interface ConnectionStanding {
  readonly state: ConnectionState;
  /** From 1, one more with every change. */
  readonly version: number;
  /** One more with every OPENING: what is told of an earlier attempt is late. */
  readonly attempt: number;
  /** One more with every owner. */
  readonly epoch: number;
  readonly owner: MemberId;
  /** What its operator wants: an enabled one is opened again for ever. */
  readonly desired: 'enabled' | 'disabled';
  /** Attempts in a row that timed out. */
  readonly retries: number;
  /** Times in a row that it was given up. */
  readonly rounds: number;
  /** Codes shown after the first one of this attempt. */
  readonly refreshes: number;
  /** What a person has to scan or type, while the state is QRCODE; otherwise empty. */
  readonly code: string;
  /** Wall clock at the last change of the state. Milliseconds. */
  readonly sinceMs: number;
  /** Wall clock at which the state ends by itself, 0 for never. Milliseconds. */
  readonly deadlineMs: number;
  readonly reason: string;
  readonly removed: boolean;
  /** Who confirmed the pairing that it needed: no code is shown again until it is cancelled. Else empty. */
  readonly pairedBy?: string | undefined;
}

/** One change: what it came from, who made it and where, and all that held after it. */
export interface ConnectionChange extends ConnectionStanding {
  readonly from: ConnectionState | 'new';
  readonly event: string;
  readonly actor: string;
  readonly node: MemberId;
  readonly atMs: number;
}

export interface ConnectionRow extends ConnectionStanding {
  readonly id: string;
  /** Who opens it: the name of a driver, or `external` where a process outside reports its states. */
  readonly kind: string;
  /** What the driver needs: JSON of its own. */
  readonly target: string;
  /** The newest changes, oldest first; the last one is the standing. */
  readonly journal: readonly ConnectionChange[];
}

export const CONNECTION_VERSION_MAX = 2 ** 40 - 1;
export const CONNECTION_EPOCH_MAX = 2 ** 13 - 1;
const RANK_BYTES = 8;
const codec = new Packr({ useRecords: false });

/** Throws a RangeError where epoch or version cannot be ordered. */
export function encodeConnection(row: ConnectionRow): Uint8Array {
  const { epoch, version } = row;
  if (epoch > CONNECTION_EPOCH_MAX || version > CONNECTION_VERSION_MAX) {
    throw new RangeError(`a connection's epoch ${epoch} or version ${version} is too high`);
  }
  const packed = codec.pack(row);
  const bytes = new Uint8Array(RANK_BYTES + packed.length);
  const rank = epoch * 2 ** 40 + version;
  const view = new DataView(bytes.buffer);
  view.setUint32(0, Math.floor(rank / 2 ** 32));
  view.setUint32(4, rank >>> 0);
  bytes.set(packed, RANK_BYTES);
  return bytes;
}

/** Undefined where there is none, or none that this release can read. */
export function connectionOf(row: Row): ConnectionRow | undefined {
  const entry = liveEntries(row)[0];
  if (!entry) return undefined;
  try {
    const value: unknown = codec.unpack(entry.value.subarray(RANK_BYTES));
    return isConnection(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isConnection(value: unknown): value is ConnectionRow {
  const { id, state, journal } = (value ?? {}) as Partial<ConnectionRow>;
  return typeof id === 'string' && isConnectionState(state) && Array.isArray(journal);
}

export function isConnectionState(value: unknown): value is ConnectionState {
  return (CONNECTION_STATES as readonly unknown[]).includes(value);
}

/** The standing that the changes lead to; undefined where one does not follow from the one before it. */
export function replayConnection(
  journal: readonly ConnectionChange[],
): ConnectionStanding | undefined {
  let last: ConnectionChange | undefined;
  for (const change of journal) {
    if (last && (change.version !== last.version + 1 || change.from !== last.state)) {
      return undefined;
    }
    last = change;
  }
  return last && standingOf(last);
}

export function standingOf(standing: ConnectionStanding): ConnectionStanding {
  const { state, version, attempt, epoch, owner, desired, retries, rounds } = standing;
  const { refreshes, code, sinceMs, deadlineMs, reason, removed } = standing;
  return {
    ...{ state, version, attempt, epoch, owner, desired, retries, rounds },
    ...{ refreshes, code, sinceMs, deadlineMs, reason, removed },
    pairedBy: standing.pairedBy ?? '',
  };
}
