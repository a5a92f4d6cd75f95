import {
  connectionOf,
  encodeConnection,
  standingOf,
  type ConnectionChange,
  type ConnectionRow,
  type ConnectionStanding,
  type ConnectionState,
} from '../core/kinds/connection.ts';
import type { MemberId } from '../core/ids.ts';
import { replace } from '../core/operation.ts';
import { shardOf } from '../core/placement.ts';
import type { Uid } from '../core/ids.ts';
import { connectionKey } from '../core/row-key.ts';
import type { Log } from '../observability/log.ts';
import type { Runtime } from '../runtime/port.ts';
import type { Replica } from '../storage/replica-port.ts';
import type { WriteGate } from '../messaging/write-gate.ts';
import { ConnectionError, type ConnectionSpec } from './port.ts';
import { isLegal, lastsMs, type ConnectionTimes } from './state-machine.ts';

export interface LedgerOptions {
  readonly self: MemberId;
  readonly replica: Pick<Replica, 'read' | 'submit' | 'seen'>;
  readonly gate: Pick<WriteGate, 'refusal'>;
  readonly runtime: Runtime;
  readonly log: Log;
  readonly times: ConnectionTimes;
  /** Changes kept with each connection. */
  readonly journalMax: number;
}

/** What is to change; all else stays, but what the state itself decides. */
export interface Step extends Partial<Pick<ConnectionStanding, StepField>> {
  /** Absent: the state stays, and so does its deadline. */
  readonly to?: ConnectionState | undefined;
  readonly event: string;
  readonly actor: string;
  readonly reason: string;
}

type StepField =
  | 'code'
  | 'desired'
  | 'retries'
  | 'rounds'
  | 'epoch'
  | 'owner'
  | 'removed'
  | 'attempt'
  | 'pairedBy';

const REASON_LENGTH_MAX = 300;

/**
 * The one place that writes connections. A step is decided on the row as it stands in this tick, so of many
 * writers of one version one succeeds and the others see the next version.
 */
export class ConnectionLedger {
  readonly #options: LedgerOptions;
  readonly transitions = new Map<string, number>();
  illegal = 0;
  late = 0;

  constructor(options: LedgerOptions) {
    this.#options = options;
  }

  read(id: string): ConnectionRow | undefined {
    return connectionOf(this.#options.replica.read(connectionKey(id)));
  }

  /** The first row, or one in the place of a removed one. Throws `exists` where there is one by now. */
  create(
    { id, kind, target }: ConnectionSpec,
    { epoch, actor }: { readonly epoch: number; readonly actor: string },
  ): Promise<ConnectionRow> {
    const before = this.read(id);
    if (before && !before.removed) {
      throw new ConnectionError(
        'exists',
        `${id}: there is one of this id, which ${before.owner} has`,
      );
    }
    const { self } = this.#options;
    const blank: ConnectionRow = {
      ...{ id, kind, target, state: 'DISCONNECTED', desired: 'enabled' },
      ...{ version: before?.version ?? 0, attempt: before?.attempt ?? 0, epoch: 1 },
      ...{ owner: self, retries: 0, rounds: 0, refreshes: 0, code: '', sinceMs: 0 },
      ...{ deadlineMs: 0, reason: '', removed: false, journal: [] },
    };
    const step: Step = {
      ...{ to: 'OPENING', event: 'create', reason: 'created', actor },
      epoch,
    };
    return this.#write(blank, step, 'new');
  }

  /** Throws `illegal` where it is no legal step; what it returns resolves when it is on disk. */
  step(row: ConnectionRow, step: Step): Promise<ConnectionRow> {
    if (step.to !== undefined && !isLegal(row.state, step.to)) {
      this.illegal += 1;
      throw new ConnectionError('illegal', `${row.id}: ${row.state} cannot become ${step.to}`);
    }
    return this.#write(row, step, row.state);
  }

  /** Counts and throws `late`. */
  refuseLate(row: ConnectionRow, why: string): never {
    this.late += 1;
    this.#options.log.info('a late event of a connection was dropped', { id: row.id, why });
    throw new ConnectionError('late', `${row.id}: ${why}`);
  }

  #write(row: ConnectionRow, step: Step, from: ConnectionChange['from']): Promise<ConnectionRow> {
    const { replica, gate, self, runtime, log } = this.#options;
    const refusal = gate.refusal();
    if (refusal) throw new ConnectionError('unavailable', refusal.message);
    const atMs = runtime.clock.wallMs();
    const standing = this.#after(row, step, atMs);
    const { event, actor } = step;
    const change: ConnectionChange = { ...standing, from, event, actor, node: self, atMs };
    const journal = [...row.journal, change].slice(-this.#options.journalMax);
    const { id, kind, target } = row;
    const next: ConnectionRow = { id, kind, target, ...standing, journal };
    const key = connectionKey(id);
    const shard = shardOf(id as Uid);
    const stored = replica.read(key);
    const put = { key, tag: 0, value: encodeConnection(next) };
    const draft = { ...replace(stored, put, () => replica.seen(shard)), row: stored };
    const { state, version, attempt, reason } = next;
    log.info('connection', { id, from, state, version, attempt, event, actor, reason });
    if (step.to !== undefined) {
      const name = `${from}>${state}`;
      this.transitions.set(name, (this.transitions.get(name) ?? 0) + 1);
    }
    return new Promise((resolve) => {
      replica.submit(shard, [draft], () => resolve(next));
    });
  }

  #after(row: ConnectionRow, step: Step, atMs: number): ConnectionStanding {
    const { times, runtime } = this.#options;
    const { to, event: _event, actor: _actor, reason, ...fields } = step;
    const before = standingOf(row);
    const base = {
      ...{ ...before, ...fields, version: row.version + 1 },
      reason: reason.slice(0, REASON_LENGTH_MAX),
    };
    if (to === undefined) {
      const isOver = base.state === 'DISCONNECTED' && base.desired === 'disabled';
      return isOver ? { ...base, deadlineMs: 0 } : base;
    }
    const steady =
      row.state === 'CONNECTED' && atMs - row.sinceMs >= times.steadyMs
        ? { retries: 0, rounds: 0 }
        : {};
    const entered = {
      ...{ ...base, ...steady, state: to, sinceMs: atMs },
      attempt: to === 'OPENING' ? row.attempt + 1 : base.attempt,
      code: to === 'QRCODE' ? (step.code ?? '') : '',
      refreshes: to === 'QRCODE' && row.state === 'QRCODE' ? row.refreshes + 1 : 0,
    };
    const lasts = lastsMs(entered, times, runtime.random.fraction());
    return { ...entered, deadlineMs: lasts === 0 ? 0 : atMs + lasts };
  }
}
