import type { PeerCalls } from '../cluster/calls/port.ts';
import type { MemberId } from '../core/ids.ts';
import type { ConnectionRow } from '../core/kinds/connection.ts';
import type { Log } from '../observability/log.ts';
import type { Runtime } from '../runtime/port.ts';
import type { Claims } from './claims.ts';
import type { ConnectionLedger } from './ledger.ts';
import { ConnectionError, type ConnectionFacts } from './port.ts';
import { firstChoice, type Quorum } from './quorum.ts';
import { isOpenState, type ConnectionTimes } from './state-machine.ts';
import type { ConnectionTable } from './table.ts';

/** Where a connection goes on when another member opens it: written by its driver, kept by every member. */
export interface Places {
  get(id: string): Uint8Array | undefined;
  set(id: string, place: Uint8Array): void;
}

export interface OwnershipOptions {
  readonly facts: ConnectionFacts;
  readonly table: ConnectionTable;
  readonly ledger: ConnectionLedger;
  readonly calls: Pick<PeerCalls, 'answer'>;
  readonly quorum: Quorum;
  /** Connections that are about to be created. */
  readonly claims: Pick<Claims, 'isOfAnother'>;
  readonly places: Places;
  readonly runtime: Runtime;
  readonly log: Log;
  readonly times: ConnectionTimes;
}

const LEASE = 'connections/lease';
const VOTE = 'connections/vote';
const ROUND_MS = 1_000;
const PLACE_BYTES_MAX = 4_096;
const ACTOR = 'supervisor';
const NOTHING = new Uint8Array(0);

/**
 * Who acts for a connection. Its owner asks every member for a lease each second, and acts only while a
 * majority has answered within `leaseMs`, counted from its question. A member that had none of the owner's
 * questions for `takeOverMs`, which is longer, gives its vote to one that wants to take a connection over,
 * and to no other for the same epoch; a majority of votes makes it the owner. Two majorities have a member
 * in common, so two owners never act at once, whatever links or clocks do; no clock is compared with
 * another's. It is the lease of Gray and Cheriton (1989) with majorities in the place of a server.
 */
export class Ownership {
  readonly #options: OwnershipOptions;
  readonly #startedMs: number;
  /** When each member last asked for a lease here. */
  readonly #askedMs = new Map<MemberId, number>();
  /** Votes that were given, by connection. */
  readonly #votes = new Map<string, { epoch: number; to: MemberId; atMs: number }>();
  /** Epochs that a member knows to be over while this one does not. */
  readonly #over = new Map<string, number>();
  /** Epochs of own connections that a majority was asked about; a new one acts after that only. */
  readonly #covered = new Map<string, number>();
  /** Where each own connection goes on, as the others were told last. */
  readonly #told = new Map<string, Uint8Array>();
  #leasedMs = -Infinity;
  #asking = false;
  #roundMs = -Infinity;
  takenOver = 0;
  /** While the node is being drained it takes nothing over. */
  isLeaving = false;

  constructor(options: OwnershipOptions) {
    this.#options = options;
    this.#startedMs = options.runtime.clock.monotonicMs();
    options.calls.answer(LEASE, (from, body) => this.#onLease(from, body));
    options.calls.answer(VOTE, (from, body) => this.#onVote(from, body));
  }

  /** False while another member may act for it. */
  mayAct({ id, epoch }: ConnectionRow): boolean {
    if (!this.#options.quorum.hasMajorities) return true;
    if (this.#over.get(id) === epoch || this.#covered.get(id) !== epoch) return false;
    return this.#nowMs() - this.#leasedMs <= this.#options.times.leaseMs;
  }

  /** Its owner gave it to this member: nobody else has to be asked whether it may act. */
  wasGiven({ id, epoch }: ConnectionRow): void {
    this.#covered.set(id, epoch);
  }

  /** What may be due; as often as one likes. */
  tick(): void {
    const now = this.#nowMs();
    if (this.#asking || (now - this.#roundMs < ROUND_MS && !this.#hasNews())) return;
    // Where nothing is kept open nobody asks anything.
    if (this.#options.table.size() === 0 || !this.#options.quorum.hasMajorities) return;
    this.#roundMs = now;
    this.#asking = true;
    this.#round()
      .catch((error: unknown) => this.#options.log.error('leases of connections', { error }))
      .finally(() => {
        this.#asking = false;
      });
  }

  /** A bot has been told something since the others heard how far it is, or there is another own one. */
  #hasNews(): boolean {
    const { table, facts, places } = this.#options;
    return table.list().some(({ id, owner }) => {
      if (owner !== facts.self) return false;
      const told = this.#told.get(id);
      const place = places.get(id);
      return !told || (place !== undefined && Buffer.compare(place, told) !== 0);
    });
  }

  async #round(): Promise<void> {
    const { table, facts, times } = this.#options;
    const now = this.#nowMs();
    for (const [id, { atMs }] of this.#votes) {
      if (now - atMs > times.takeOverMs) this.#votes.delete(id);
    }
    for (const id of this.#covered.keys()) if (!table.get(id)) this.#covered.delete(id);
    for (const id of this.#over.keys()) if (!table.get(id)) this.#over.delete(id);
    const rows = table.list();
    await this.lease(rows.filter(({ owner }) => owner === facts.self));
    for (const row of rows) if (this.#isMineToTake(row)) await this.#take(row);
  }

  /** Asks for the leases of own connections, and tells where each goes on. */
  async lease(rows: readonly ConnectionRow[]): Promise<void> {
    const askedMs = this.#nowMs();
    this.#told.clear();
    for (const { id } of rows) this.#told.set(id, this.#options.places.get(id) ?? NOTHING);
    const body = rows.map(({ id, epoch }) => [id, epoch, this.#options.places.get(id)]);
    const answers = await this.#options.quorum.askAll(LEASE, body);
    const over = new Map<string, number>();
    for (const answer of answers) {
      if (!Array.isArray(answer)) continue;
      const ids = new Set(answer as readonly unknown[]);
      for (const { id, epoch } of rows) if (ids.has(id)) over.set(id, epoch);
    }
    for (const { id } of rows) this.#over.delete(id);
    for (const [id, epoch] of over) this.#over.set(id, epoch);
    const granted = answers.filter((answer) => Array.isArray(answer)).length;
    if (granted + 1 < this.#options.quorum.majority()) return;
    this.#leasedMs = Math.max(this.#leasedMs, askedMs);
    for (const { id, epoch } of rows) this.#covered.set(id, epoch);
  }

  /** Answers with those for which the member must not act. */
  #onLease(from: MemberId, body: unknown): readonly string[] {
    this.#askedMs.set(from, this.#nowMs());
    if (!Array.isArray(body)) return [];
    return (body as readonly unknown[]).flatMap((item) => {
      const [id, epoch, place] = Array.isArray(item) ? (item as readonly unknown[]) : [];
      if (typeof id !== 'string' || typeof epoch !== 'number') return [];
      const row = this.#options.ledger.read(id);
      const vote = this.#votes.get(id);
      const isTwin = row?.epoch === epoch && row.owner !== from && !row.removed;
      const isOver =
        (row !== undefined && row.epoch > epoch) ||
        (vote !== undefined && vote.epoch === epoch && vote.to !== from) ||
        isTwin ||
        this.#options.claims.isOfAnother(id, { to: from, epoch });
      if (isOver) return [id];
      if (row?.epoch === epoch && row.owner === from) this.#notePlace(id, place);
      return [];
    });
  }

  #notePlace(id: string, place: unknown): void {
    if (!(place instanceof Uint8Array) || place.length > PLACE_BYTES_MAX) return;
    const { places } = this.#options;
    const known = places.get(id);
    if (!known || Buffer.compare(known, place) !== 0) places.set(id, place);
  }

  #isMineToTake(row: ConnectionRow): boolean {
    const { self } = this.#options.facts;
    if (this.isLeaving) return false;
    if (row.removed || row.owner === self || !this.#isSilent(row.owner)) return false;
    const heard = this.#options.quorum.heard();
    if (heard.length + 1 < this.#options.quorum.majority()) return false;
    return firstChoice(row.id, [self, ...heard]) === self;
  }

  #isSilent(member: MemberId): boolean {
    const { facts, times } = this.#options;
    if (member === facts.self || this.#options.quorum.heard().includes(member)) return false;
    const askedMs = Math.max(this.#startedMs, this.#askedMs.get(member) ?? 0);
    return this.#nowMs() - askedMs >= times.takeOverMs;
  }

  #onVote(from: MemberId, body: unknown): boolean {
    const [id, epoch] = Array.isArray(body) ? (body as readonly unknown[]) : [];
    if (typeof id !== 'string' || typeof epoch !== 'number') return false;
    return this.#vote(from, { id, epoch });
  }

  #vote(to: MemberId, { id, epoch }: Pick<ConnectionRow, 'id' | 'epoch'>): boolean {
    const row = this.#options.ledger.read(id);
    if (!row || row.epoch !== epoch || !this.#isSilent(row.owner)) return false;
    const given = this.#votes.get(id);
    if (given?.epoch === epoch && given.to !== to) return false;
    this.#votes.set(id, { epoch, to, atMs: this.#nowMs() });
    return true;
  }

  async #take({ id, epoch, owner }: ConnectionRow): Promise<void> {
    const { facts, ledger, log } = this.#options;
    if (!this.#vote(facts.self, { id, epoch })) return;
    const answers = await this.#options.quorum.askAll(VOTE, [id, epoch]);
    const votes = answers.filter((answer) => answer === true).length;
    if (votes + 1 < this.#options.quorum.majority()) return;
    const row = ledger.read(id);
    // In the meantime its owner may be back, or an operator may have decided.
    if (!row || row.removed || row.epoch !== epoch || !this.#isSilent(owner)) return;
    const reason = `${owner} was not heard for ${this.#options.times.takeOverMs} ms`;
    const step = { event: 'takeover', actor: ACTOR, reason, owner: facts.self, epoch: epoch + 1 };
    // The votes say for the new epoch what answers to a question for leases say.
    this.#covered.set(id, epoch + 1);
    try {
      await ledger.step(row, isOpenState(row.state) ? { ...step, to: 'TIMEOUT' } : step);
      this.takenOver += 1;
      log.warn('a connection was taken over', { id, from: owner });
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
    }
  }

  #nowMs(): number {
    return this.#options.runtime.clock.monotonicMs();
  }
}
