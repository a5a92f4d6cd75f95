import type { ConnectionRow } from '../core/kinds/connection.ts';
import type { MemberId } from '../core/ids.ts';
import type { Log } from '../observability/log.ts';
import type { Runtime, Timer } from '../runtime/port.ts';
import { ENDS, endReason } from './end-reasons.ts';
import type { ConnectionLedger, Step } from './ledger.ts';
import type { Ownership } from './ownership.ts';
import { ConnectionError, type ConnectionDriver, type OpenConnection } from './port.ts';
import { isOpenState, type ConnectionTimes } from './state-machine.ts';
import type { ConnectionTable } from './table.ts';

export interface SupervisorOptions {
  readonly self: MemberId;
  readonly table: ConnectionTable;
  readonly ledger: ConnectionLedger;
  readonly ownership: Pick<Ownership, 'mayAct' | 'tick'>;
  readonly drivers: ReadonlyMap<string, ConnectionDriver>;
  readonly runtime: Runtime;
  readonly log: Log;
  readonly times: ConnectionTimes;
}

interface Attempt {
  readonly attempt: number;
  readonly open: OpenConnection;
}

/** Well below a second, so that whoever watches deadlines never sees one pass. */
const TICK_MS = 250;
/** Longer than a driver takes to end what its peer does not end. */
const CLOSING_MS = 5_000;
const ACTOR = 'supervisor';
/** Events after which a new owner opens at once: nothing went wrong with the connection itself. */
const MOVES = ['hand-over', 'takeover'];

/**
 * Ends every state at its deadline and opens what its operator wants open, for ever. Deadlines are times of
 * the wall clock in the stored row, so they outlive the process; what is open in a process does not, and its
 * connections time out when the next one starts.
 */
export class ConnectionSupervisor {
  readonly #options: SupervisorOptions;
  readonly #attempts = new Map<string, Attempt>();
  /** In OPENING without a lease, or while the last attempt closes; each tick looks again, until the deadline. Stale ones do no harm. */
  readonly #waiting = new Set<string>();
  /** Attempts that were ended and are not yet gone: the next one of the same connection waits for that. */
  readonly #closing = new Map<string, Promise<void>>();
  #timer: Timer | undefined;
  #stopped = true;
  gaveUp = 0;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  start(): void {
    this.#stopped = false;
    for (const row of this.#options.table.list()) {
      if (this.#isDriven(row) && isOpenState(row.state)) {
        this.#step(row, { to: 'TIMEOUT', event: 'restart', reason: 'its node started again' });
      }
    }
    this.#tick();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    for (const { open } of this.#attempts.values()) void open.close(ENDS.nodeStops);
    this.#attempts.clear();
  }

  /** A row as it is on disk now. */
  onDurable(row: ConnectionRow): void {
    if (this.#stopped) return;
    const running = this.#attempts.get(row.id);
    const mine = this.#isDriven(row) && !row.removed;
    if (running && (!mine || running.attempt !== row.attempt || !isOpenState(row.state))) {
      const nowMs = this.#options.runtime.clock.wallMs();
      this.#end(row.id, endReason(row, { self: this.#options.self, nowMs }));
    }
    if (row.removed) this.#waiting.delete(row.id);
    if (row.removed || (running && !mine)) this.#options.drivers.get(row.kind)?.forget?.(row.id);
    // An older version may come here after a newer one was decided.
    const isNewest = this.#options.table.get(row.id)?.version === row.version;
    if (mine && isNewest && row.state === 'OPENING' && !this.#attempts.has(row.id)) this.#open(row);
    if (mine && isNewest && row.state === 'TIMEOUT' && row.desired === 'enabled') {
      const last = row.journal.at(-1)?.event ?? '';
      const step = { to: 'OPENING', event: 'retry', reason: 'goes on at its new owner' } as const;
      if (MOVES.includes(last)) this.#step(row, step);
    }
  }

  /** The code of this attempt was confirmed. */
  paired(row: ConnectionRow): void {
    try {
      if (this.holds(row)) this.#attempts.get(row.id)?.open.paired?.();
    } catch (error) {
      this.#step(row, { to: 'TIMEOUT', event: 'driver', reason: (error as Error).message });
    }
  }

  /** Ends what this process has of it, its port too, before another member opens it. */
  release(row: ConnectionRow, reason: string): void {
    this.#end(row.id, reason);
    this.#options.drivers.get(row.kind)?.forget?.(row.id);
  }

  #end(id: string, reason: string): void {
    const running = this.#attempts.get(id);
    if (!running) return;
    this.#attempts.delete(id);
    const closing = running.open.close(reason);
    if (!closing) return;
    const { runtime, log } = this.#options;
    const limit = new Promise<void>((resolve) => {
      runtime.timers.after(CLOSING_MS, resolve);
    });
    const gone = Promise.race([closing, limit])
      .catch((error: unknown) => log.error('a connection was not closed', { id, error }))
      .finally(() => {
        if (this.#closing.get(id) === gone) this.#closing.delete(id);
        const row = this.#options.ledger.read(id);
        if (row && this.#isDriven(row)) this.#goOn(row);
      });
    this.#closing.set(id, gone);
  }

  /** Opens what had to wait for its lease or for the end of its last attempt. */
  #goOn(row: ConnectionRow): void {
    if (this.#stopped || row.removed || row.state !== 'OPENING' || this.holds(row)) return;
    if (this.#waiting.delete(row.id)) this.#open(row);
  }

  /** True where this process has the attempt open. */
  holds({ id, attempt }: ConnectionRow): boolean {
    return this.#attempts.get(id)?.attempt === attempt;
  }

  #isDriven({ owner, kind }: ConnectionRow): boolean {
    return owner === this.#options.self && this.#options.drivers.has(kind);
  }

  #open(row: ConnectionRow): void {
    const { drivers, log, ledger, ownership } = this.#options;
    const { id, attempt } = row;
    if (!ownership.mayAct(row) || this.#closing.has(id)) {
      this.#waiting.add(id);
      return;
    }
    try {
      const open = drivers.get(row.kind)!.open(row, async ({ to, reason, code }) => {
        const now = ledger.read(id);
        if (!now || now.attempt !== attempt || now.owner !== this.#options.self) {
          return ledger.refuseLate(now ?? row, `attempt ${attempt} told of ${to ?? reason}`);
        }
        if (to === undefined && now.state !== 'CONNECTED') return now;
        const told = { to, event: 'driver', actor: row.kind, reason };
        return ledger.step(now, code === undefined ? told : { ...told, code });
      });
      this.#attempts.set(id, { attempt, open });
    } catch (error) {
      log.error('a connection was not opened', { id, error });
      this.#step(row, { to: 'TIMEOUT', event: 'driver', reason: (error as Error).message });
    }
  }

  #tick(): void {
    if (this.#stopped) return;
    const now = this.#options.runtime.clock.wallMs();
    this.#options.ownership.tick();
    for (const { id } of this.#options.table.list()) {
      // Read again: a step that is on its way to the disk counts.
      const row = this.#options.ledger.read(id);
      if (!row || row.removed || row.owner !== this.#options.self) continue;
      if (row.deadlineMs !== 0 && now >= row.deadlineMs) this.#expire(row);
      else if (this.#isDriven(row)) this.#keepToLease(row);
    }
    this.#timer = this.#options.runtime.timers.after(TICK_MS, () => this.#tick());
  }

  /** What another member may act for by now is ended here; what waited for its lease is opened. */
  #keepToLease(row: ConnectionRow): void {
    if (!this.holds(row) || this.#options.ownership.mayAct(row)) return this.#goOn(row);
    const reason = 'no majority of the members says that it is still ours';
    this.release(row, ENDS.noMajority);
    return this.#step(row, { to: 'TIMEOUT', event: 'lease', reason });
  }

  #expire(row: ConnectionRow): void {
    const { times, log } = this.#options;
    const event = 'deadline';
    switch (row.state) {
      case 'OPENING':
      case 'PAIRING':
        return this.#step(row, { to: 'TIMEOUT', event, reason: `${row.state} took too long` });
      case 'QRCODE':
        if (row.refreshes < times.codesMax && this.#attempts.get(row.id)?.open.refresh?.()) return;
        return this.#step(row, { to: 'TIMEOUT', event, reason: 'nobody used the code' });
      case 'TIMEOUT': {
        if (row.desired === 'enabled' && row.retries < times.retriesMax) {
          const retries = row.retries + 1;
          const reason = `retry ${retries} of ${times.retriesMax}`;
          return this.#step(row, { to: 'OPENING', event: 'retry', reason, retries });
        }
        this.gaveUp += 1;
        const reason = `gave up after ${row.retries} retries: ${row.reason}`;
        log.error('a connection was given up for a while', { id: row.id, reason });
        return this.#step(row, { to: 'DISCONNECTED', event, reason, rounds: row.rounds + 1 });
      }
      case 'DISCONNECTED':
        return this.#step(row, {
          ...{ to: 'OPENING', event: 'round', retries: 0 },
          reason: `round ${row.rounds + 1} of attempts`,
        });
      case 'CONNECTED':
        return undefined;
      default:
        return row.state satisfies never;
    }
  }

  #step(row: ConnectionRow, step: Omit<Step, 'actor'>): void {
    const { ledger, log } = this.#options;
    try {
      ledger.step(row, { ...step, actor: ACTOR }).catch((error: unknown) => {
        log.error('a connection could not be changed', { id: row.id, error });
      });
    } catch (error) {
      // A store that takes no writes now: the next tick tries again.
      if (!(error instanceof ConnectionError)) throw error;
    }
  }
}
