import {
  connectionOf,
  isConnectionState,
  type ConnectionRow,
  type ConnectionState,
} from '../core/kinds/connection.ts';
import { isPrintableAscii } from '../core/ids.ts';
import type { PeerCalls } from '../cluster/calls/port.ts';
import type { Log } from '../observability/log.ts';
import type { Runtime } from '../runtime/port.ts';
import type { Store } from '../storage/port.ts';
import type { Change, Replica } from '../storage/replica-port.ts';
import type { WriteGate } from '../messaging/write-gate.ts';
import { askOwner, answerMembers } from './forwarding.ts';
import { Claims } from './claims.ts';
import { ENDS } from './end-reasons.ts';
import { ConnectionLedger } from './ledger.ts';
import {
  ConnectionError,
  type ConnectionAction,
  type ConnectionCounts,
  type ConnectionDriver,
  type ConnectionFacts,
  type ConnectionReport,
  type Connections,
  type ConnectionSpec,
  type Confirmation,
} from './port.ts';
import { isSameCode } from './pairing.ts';
import { Ownership } from './ownership.ts';
import { firstChoice, Quorum } from './quorum.ts';
import { CONNECTION_TIMES, isOpenState, type ConnectionTimes } from './state-machine.ts';
import { ConnectionSupervisor } from './supervisor.ts';
import { ConnectionTable } from './table.ts';
import { Twins } from './twins.ts';

export interface ConnectionServiceOptions {
  readonly facts: ConnectionFacts;
  readonly store: Pick<Store, 'scan'>;
  readonly replica: Pick<Replica, 'read' | 'submit' | 'seen' | 'decode' | 'fact' | 'setFact'>;
  readonly gate: Pick<WriteGate, 'refusal'>;
  readonly calls: Pick<PeerCalls, 'call' | 'answer'>;
  readonly runtime: Runtime;
  readonly log: Log;
  readonly drivers?: ReadonlyMap<string, ConnectionDriver> | undefined;
  readonly times?: Partial<ConnectionTimes> | undefined;
  readonly connectionsMax?: number | undefined;
  readonly journalMax?: number | undefined;
}

/** Its states are told by a process outside; the deadlines are ours all the same. */
export const EXTERNAL = 'external';
const ID_LENGTH_MAX = 64;
const TARGET_LENGTH_MAX = 4_096;
const CODE_LENGTH_MAX = 2_048;
const HAND_OVER = 'hand-over';
const HAND_OVER_POLL_MS = 20;

/** Name of the fact that says where a connection goes on; this member's own copy. */
export function placeOf(id: string): string {
  return `bridge/${id}`;
}

/** The connections of the cluster, of which this member decides about its own. */
export class ConnectionService implements Connections {
  readonly #options: ConnectionServiceOptions;
  readonly #table: ConnectionTable;
  readonly #ledger: ConnectionLedger;
  readonly #supervisor: ConnectionSupervisor;
  readonly #ownership: Ownership;
  readonly #quorum: Quorum;
  readonly #claims: Claims;
  readonly #twins: Twins;
  readonly #drivers: ReadonlyMap<string, ConnectionDriver>;

  private constructor(options: ConnectionServiceOptions) {
    this.#options = options;
    const { replica, gate, runtime, log, facts } = options;
    const times = { ...CONNECTION_TIMES, ...options.times };
    const journalMax = options.journalMax ?? 64;
    this.#drivers = options.drivers ?? new Map();
    this.#table = new ConnectionTable(replica);
    const common = { self: facts.self, runtime, log, times };
    this.#ledger = new ConnectionLedger({ ...common, replica, gate, journalMax });
    const kept = { table: this.#table, ledger: this.#ledger };
    const places = {
      get: (id: string) => replica.fact(placeOf(id)),
      set: (id: string, place: Uint8Array) => replica.setFact(placeOf(id), place),
    };
    const { calls } = options;
    this.#quorum = new Quorum(facts, calls);
    const voting = { ...common, ledger: this.#ledger, calls, quorum: this.#quorum };
    this.#claims = new Claims(voting);
    this.#twins = new Twins(voting);
    this.#ownership = new Ownership({ ...voting, ...kept, claims: this.#claims, facts, places });
    this.#supervisor = new ConnectionSupervisor({
      ...common,
      ...kept,
      ownership: this.#ownership,
      drivers: this.#drivers,
    });
    answerMembers(calls, this, facts.self);
  }

  /** Reads what is stored. Rejects with the store's error. */
  static async open(options: ConnectionServiceOptions): Promise<ConnectionService> {
    const service = new ConnectionService(options);
    await service.#table.load(options.store);
    return service;
  }

  start(): void {
    this.#supervisor.start();
  }

  stop(): void {
    this.#twins.stop();
    this.#supervisor.stop();
  }

  /** Part of the replica's listener. */
  onStaged(changes: readonly Change[]): void {
    for (const change of changes) this.#table.note(change);
  }

  /** Part of the replica's listener. */
  onDurable({ changes }: { readonly changes: readonly Change[] }): void {
    for (const change of changes) {
      const row = change.key[0] === 'b' ? connectionOf(change.after) : undefined;
      if (!row) continue;
      this.#claims.onDurable(row);
      const before = connectionOf(change.before);
      if (before) this.#twins.onDurable(before, row);
      const isGiven = this.#isOwn(row) && row.journal.at(-1)?.event === HAND_OVER;
      if (isGiven) this.#ownership.wasGiven(row);
      this.#supervisor.onDurable(row);
    }
  }

  /**
   * For a drain: ends what this member has open and gives it to members that are heard. Resolves with their
   * number when the others have opened all, or after `withinMs`; 0 where nobody is there to take it.
   */
  async handOver(withinMs: number): Promise<number> {
    this.#ownership.isLeaving = true;
    const heard = this.#quorum.heard();
    const own = this.list().filter((row) => this.#isOwn(row));
    if (heard.length === 0 || own.length === 0) return 0;
    for (const row of own) this.#supervisor.release(row, ENDS.drained);
    // Each new owner goes on where this one ended.
    await this.#ownership.lease(own);
    const moved = own.flatMap(({ id }) => {
      const row = this.#ledger.read(id);
      const owner = firstChoice(id, heard);
      if (!row || row.removed || !this.#isOwn(row) || owner === undefined) return [];
      const reason = `handed over to ${owner}`;
      const step = { event: HAND_OVER, actor: 'drain', reason, owner, epoch: row.epoch + 1 };
      return [this.#ledger.step(row, isOpenState(row.state) ? { ...step, to: 'TIMEOUT' } : step)];
    });
    await Promise.all(moved);
    const { clock, timers } = this.#options.runtime;
    const endMs = clock.monotonicMs() + withinMs;
    const waits = (id: string): boolean => {
      const row = this.#ledger.read(id);
      const isToOpen = row?.desired === 'enabled' && this.#drivers.has(row.kind);
      return isToOpen && row.journal.at(-1)?.event === HAND_OVER;
    };
    while (own.some(({ id }) => waits(id)) && clock.monotonicMs() < endMs) {
      await new Promise<void>((resolve) => {
        timers.after(HAND_OVER_POLL_MS, resolve);
      });
    }
    return moved.length;
  }

  /** The drain was called off. */
  stay(): void {
    this.#ownership.isLeaving = false;
  }

  counts(): ConnectionCounts {
    const { transitions, illegal, late } = this.#ledger;
    const { takenOver } = this.#ownership;
    return { transitions, illegal, late, gaveUp: this.#supervisor.gaveUp, takenOver };
  }

  list(): readonly ConnectionRow[] {
    return this.#table.list();
  }

  get(id: string): ConnectionRow | undefined {
    return this.#table.get(id);
  }

  async create(spec: ConnectionSpec, actor: string): Promise<ConnectionRow> {
    this.#checkSpec(spec);
    const known = this.#table.get(spec.id);
    if (known) {
      const text = `${spec.id}: there is one of this id, which ${known.owner} has`;
      throw new ConnectionError('exists', text);
    }
    const max = this.#options.connectionsMax ?? 1_000;
    if (this.#table.size() >= max) {
      throw new ConnectionError('full', `the cluster has ${max} connections, as many as it may`);
    }
    return this.#claims.create(spec.id, (epoch) => this.#ledger.create(spec, { epoch, actor }));
  }

  async act(id: string, action: ConnectionAction, actor: string): Promise<ConnectionRow> {
    const row = this.#find(id);
    if (action === 'take') return this.#take(row, actor);
    if (!this.#isOwn(row)) return this.#ask(row, { method: 'act', of: { id, action, actor } });
    switch (action) {
      case 'start':
        return this.#start(row, actor);
      case 'retry':
        return this.#retry(row, actor);
      case 'cancel':
        return this.#cancel(row, actor);
      case 'remove':
        return this.#remove(row, actor);
      default:
        return action satisfies never;
    }
  }

  async report(report: ConnectionReport, actor: string): Promise<ConnectionRow> {
    const { id, to, version, attempt, reason, code } = report;
    if (!isConnectionState(to)) throw new ConnectionError('invalid', `to: ${String(to)}`);
    if ((code?.length ?? 0) > CODE_LENGTH_MAX) {
      throw new ConnectionError('invalid', `code: at most ${CODE_LENGTH_MAX} characters`);
    }
    const row = this.#find(id);
    if (!this.#isOwn(row)) return this.#ask(row, { method: 'report', of: { ...report, actor } });
    if (row.attempt !== attempt) {
      return this.#ledger.refuseLate(row, `attempt ${attempt} is over, ${row.attempt} goes on`);
    }
    if (version !== undefined && row.version !== version) {
      return this.#ledger.refuseLate(row, `version ${version} was followed by ${row.version}`);
    }
    const step = { to, event: 'report', actor, reason };
    return this.#ledger.step(row, code === undefined ? step : { ...step, code });
  }

  async confirm(confirmation: Confirmation): Promise<ConnectionRow> {
    const { id, code, by, as } = confirmation;
    const row = this.#find(id);
    if (!this.#isOwn(row)) {
      return this.#ask(row, { method: 'confirm', of: { id, code, actor: by, as } });
    }
    if (row.state !== 'QRCODE') {
      throw new ConnectionError('illegal', `${id}: no code waits to be confirmed (${row.state})`);
    }
    const mayConfirm = this.#drivers.get(row.kind)?.mayConfirm?.(row.target, by) === true;
    if (!isSameCode(row.code, code) || (as === 'user' && !mayConfirm)) {
      throw new ConnectionError('invalid', `${id}: this is not the code that is shown to you`);
    }
    const reason = `confirmed by ${as} ${by}`;
    const step = { event: 'confirm', actor: by, reason, pairedBy: by };
    const paired = await this.#ledger.step(row, { ...step, to: 'PAIRING' });
    this.#supervisor.paired(paired);
    return paired;
  }

  async rollback(id: string, version: number, actor: string): Promise<ConnectionRow> {
    const row = this.#find(id);
    if (!this.#isOwn(row))
      return this.#ask(row, { method: 'rollback', of: { id, version, actor } });
    const target = row.journal.find((change) => change.version === version);
    if (!target) {
      const kept = `${row.journal[0]!.version} to ${row.version}`;
      throw new ConnectionError('not-found', `${id}: of versions ${kept} none is ${version}`);
    }
    const reason = `back to version ${version}`;
    const step = { event: 'rollback', actor, reason, desired: target.desired };
    if (target.state === row.state) return this.#ledger.step(row, step);
    if (
      target.state === 'CONNECTED' &&
      this.#drivers.has(row.kind) &&
      !this.#supervisor.holds(row)
    ) {
      throw new ConnectionError('illegal', `${id}: what was connected then is not open any more`);
    }
    return this.#ledger.step(row, { ...step, to: target.state, code: target.code });
  }

  #find(id: string): ConnectionRow {
    const row = this.#ledger.read(id);
    if (!row || row.removed) throw new ConnectionError('not-found', `${id}: there is none`);
    return row;
  }

  #isOwn({ owner }: ConnectionRow): boolean {
    return owner === this.#options.facts.self;
  }

  #ask(row: ConnectionRow, request: Parameters<typeof askOwner>[2]): Promise<ConnectionRow> {
    return askOwner(this.#options.calls, row, request);
  }

  #start(row: ConnectionRow, actor: string): Promise<ConnectionRow> {
    if (isOpenState(row.state)) return Promise.resolve(row);
    const step = { to: 'OPENING', event: 'start', reason: 'started', actor } as const;
    return this.#ledger.step(row, { ...step, desired: 'enabled', retries: 0, rounds: 0 });
  }

  async #retry(row: ConnectionRow, actor: string): Promise<ConnectionRow> {
    if (isOpenState(row.state)) {
      const reason = 'ended for a retry';
      const over = this.#ledger.step(row, { to: 'TIMEOUT', event: 'retry', reason, actor });
      const next = this.#start(this.#find(row.id), actor);
      await over;
      return next;
    }
    return this.#start(row, actor);
  }

  #cancel(row: ConnectionRow, actor: string): Promise<ConnectionRow> {
    // Whoever starts it again pairs it again.
    const off = { desired: 'disabled', pairedBy: '' } as const;
    const step = { event: 'cancel', reason: 'cancelled', actor, ...off };
    if (row.state !== 'DISCONNECTED')
      return this.#ledger.step(row, { ...step, to: 'DISCONNECTED' });
    return row.desired === 'disabled' ? Promise.resolve(row) : this.#ledger.step(row, step);
  }

  #remove(row: ConnectionRow, actor: string): Promise<ConnectionRow> {
    if (row.state !== 'DISCONNECTED' || row.desired !== 'disabled') {
      throw new ConnectionError('illegal', `${row.id}: cancel it before it is removed`);
    }
    return this.#ledger.step(row, { event: 'remove', reason: 'removed', actor, removed: true });
  }

  #take(row: ConnectionRow, actor: string): Promise<ConnectionRow> {
    const { facts } = this.#options;
    const { self } = facts;
    if (row.owner === self) return Promise.resolve(row);
    if (facts.isLive(row.owner)) {
      throw new ConnectionError('illegal', `${row.id}: ${row.owner}, which has it, is live`);
    }
    const reason = `taken over from ${row.owner}`;
    const step = { event: 'take', actor, reason, owner: self, epoch: row.epoch + 1 };
    return this.#ledger.step(row, isOpenState(row.state) ? { ...step, to: 'TIMEOUT' } : step);
  }

  #checkSpec({ id, kind, target, state }: ConnectionSpec): void {
    if (id.length === 0 || id.length > ID_LENGTH_MAX || !isPrintableAscii(id)) {
      const allowed = `1 to ${ID_LENGTH_MAX} printable characters of ASCII`;
      throw new ConnectionError('invalid', `id: expected ${allowed}`);
    }
    if (state !== undefined && state !== ('OPENING' satisfies ConnectionState)) {
      throw new ConnectionError('illegal', `state: a connection begins in OPENING, not ${state}`);
    }
    const driver = this.#drivers.get(kind);
    if (!driver && kind !== EXTERNAL) {
      const known = [...this.#drivers.keys(), EXTERNAL].join(', ');
      throw new ConnectionError('invalid', `kind: "${kind}" is none of ${known}`);
    }
    if (target.length > TARGET_LENGTH_MAX) {
      throw new ConnectionError('invalid', `target: at most ${TARGET_LENGTH_MAX} characters`);
    }
    const fault = driver?.check(target);
    if (fault !== undefined) throw new ConnectionError('invalid', `target: ${fault}`);
  }
}

/** Seconds that the longest overdue connection is past its deadline, 0 for none. */
export function overdueSeconds(rows: readonly ConnectionRow[], wallMs: number): number {
  let longest = 0;
  for (const { deadlineMs } of rows) {
    if (deadlineMs !== 0) longest = Math.max(longest, wallMs - deadlineMs);
  }
  return longest / 1000;
}
