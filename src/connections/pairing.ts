import { createHash, timingSafeEqual } from 'node:crypto';
import type { Log } from '../observability/log.ts';
import type { Random, Timers } from '../runtime/port.ts';
import type { ConnectionDriver, OpenConnection } from './port.ts';

export interface PairingOptions {
  /** The uid whose devices may confirm, where the target asks for a pairing. */
  readonly pairsWith: (target: string) => string | undefined;
  readonly random: Random;
  readonly timers: Timers;
  readonly log: Pick<Log, 'info'>;
}

const SCHEME = 'holdfast-pair';
const SECRET_BYTES = 10;

/** What a device shows and scans; it names the connection, so that the code alone is enough. */
export function pairingCode(id: string, random: Random): string {
  return `${SCHEME}:${id}:${Buffer.from(random.bytes(SECRET_BYTES)).toString('hex')}`;
}

/** The connection that a scanned code is of; undefined where it is no such code. */
export function connectionOfCode(code: string): string | undefined {
  return /^holdfast-pair:(.{1,64}):[0-9a-f]{20}$/.exec(code)?.[1];
}

export function isSameCode(one: string, other: string): boolean {
  const [a, b] = [one, other].map((text) => createHash('sha256').update(text).digest());
  return one !== '' && timingSafeEqual(a!, b!);
}

/**
 * A driver whose connections, where their target asks for it, are opened only after a device of their user
 * has confirmed a code: OPENING → QRCODE (a new code each time one runs out) → PAIRING → what the driver says.
 * A connection that was paired once stays so, on every member, until an operator cancels it.
 */
export function withPairing(
  inner: ConnectionDriver,
  { pairsWith, random, timers, log }: PairingOptions,
): ConnectionDriver {
  return {
    check: (target) => inner.check(target),
    forget: (id) => inner.forget?.(id),
    mayConfirm: (target, uid) => pairsWith(target) === uid,
    open(row, tell): OpenConnection {
      const uid = pairsWith(row.target);
      if (uid === undefined || (row.pairedBy ?? '') !== '') return inner.open(row, tell);
      let opened: OpenConnection | undefined;
      let isOver = false;
      const show = (): void => {
        if (isOver) return;
        const code = pairingCode(row.id, random);
        const reason = `to be confirmed on a device of ${uid}`;
        tell({ to: 'QRCODE', reason, code }).catch((error: unknown) => {
          log.info('a pairing code was not taken', { id: row.id, error });
        });
      };
      timers.soon(show);
      return {
        refresh() {
          if (opened) return false;
          show();
          return true;
        },
        paired: () => void (opened ??= inner.open(row, tell)),
        close(reason) {
          isOver = true;
          return opened?.close(reason);
        },
      };
    },
  };
}
