import type { ConnectionStanding, ConnectionState } from '../core/kinds/connection.ts';

const NEXT: Readonly<Record<ConnectionState | 'new', readonly ConnectionState[]>> = {
  new: ['OPENING'],
  OPENING: ['QRCODE', 'CONNECTED', 'TIMEOUT', 'DISCONNECTED'],
  QRCODE: ['QRCODE', 'PAIRING', 'TIMEOUT', 'DISCONNECTED'],
  PAIRING: ['CONNECTED', 'TIMEOUT', 'DISCONNECTED'],
  CONNECTED: ['TIMEOUT', 'DISCONNECTED'],
  TIMEOUT: ['OPENING', 'CONNECTED', 'DISCONNECTED'],
  DISCONNECTED: ['OPENING'],
};

/** S0-1. */
export function isLegal(from: ConnectionState | 'new', to: ConnectionState): boolean {
  return NEXT[from].includes(to);
}

/** An attempt goes on: what a driver has open belongs to it. */
export function isOpenState(state: ConnectionState): boolean {
  return state !== 'TIMEOUT' && state !== 'DISCONNECTED';
}

/** How long each state may last. Milliseconds. */
export interface ConnectionTimes {
  readonly openingMs: number;
  readonly firstCodeMs: number;
  readonly nextCodeMs: number;
  /** Codes after the first one. */
  readonly codesMax: number;
  readonly pairingMs: number;
  /** Retries after the first attempt, before it is given up for a while. */
  readonly retriesMax: number;
  readonly retryMinMs: number;
  readonly retryMaxMs: number;
  /** From giving up to a new round, at first; twice as long each time. */
  readonly roundMinMs: number;
  readonly roundMaxMs: number;
  /** An owner acts for so long after it asked a majority of the members. */
  readonly leaseMs: number;
  /** A member that has not asked for so long may lose its connections to another; longer than `leaseMs`. */
  readonly takeOverMs: number;
  /** One that was connected for so long starts with the shortest waits again. */
  readonly steadyMs: number;
}

export const CONNECTION_TIMES: ConnectionTimes = {
  openingMs: 30_000,
  firstCodeMs: 60_000,
  nextCodeMs: 20_000,
  codesMax: 5,
  pairingMs: 60_000,
  retriesMax: 5,
  retryMinMs: 3_000,
  retryMaxMs: 60_000,
  roundMinMs: 30_000,
  roundMaxMs: 600_000,
  leaseMs: 5_000,
  takeOverMs: 10_000,
  steadyMs: 60_000,
};

type Timed = Pick<ConnectionStanding, 'state' | 'desired' | 'retries' | 'rounds' | 'refreshes'>;

/** How long the state may last from now on, 0 for ever. `fraction`: chance, from 0 to 1. Milliseconds. */
export function lastsMs(standing: Timed, times: ConnectionTimes, fraction: number): number {
  const { state, desired, retries, rounds, refreshes } = standing;
  switch (state) {
    case 'OPENING':
      return times.openingMs;
    case 'QRCODE':
      return refreshes === 0 ? times.firstCodeMs : times.nextCodeMs;
    case 'PAIRING':
      return times.pairingMs;
    case 'CONNECTED':
      return 0;
    case 'TIMEOUT':
      if (desired === 'disabled' || retries >= times.retriesMax) return 1;
      return backoffMs(times.retryMinMs, times.retryMaxMs, { step: retries, fraction });
    case 'DISCONNECTED':
      if (desired === 'disabled') return 0;
      return backoffMs(times.roundMinMs, times.roundMaxMs, { step: rounds, fraction });
    default:
      return state satisfies never;
  }
}

/** Twice as long with every step, up to `maxMs`; from that, up to a quarter less. */
function backoffMs(
  minMs: number,
  maxMs: number,
  { step, fraction }: { readonly step: number; readonly fraction: number },
): number {
  const longest = Math.min(maxMs, minMs * 2 ** Math.min(step, 30));
  return Math.ceil(longest * (1 - fraction / 4));
}
