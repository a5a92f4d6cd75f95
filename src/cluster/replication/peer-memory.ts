import { pack, unpack } from 'msgpackr';
import { parseActorId, type MemberId } from '../../core/ids.ts';
import { SHARDS } from '../../core/placement.ts';
import { VersionVector, type VectorRow } from '../../core/version-vector.ts';
import { peerVectorFact, type Replica } from '../../storage/replica-port.ts';
import type { Hello } from '../link/message.ts';
import type { LastReport } from './closing.ts';
import type { Remembered } from './hello.ts';
import { Lag } from './lag.ts';

/**
 * What a member has reported of its store, kept across restarts of this node: a Hello of a later run
 * that lacks any of it comes from a store that was rolled back. It is written every few seconds, when a
 * link ends and at stop; nothing that cannot be taken back may rest on a report before `save`.
 */
export class PeerMemory {
  readonly #replica: Replica;
  readonly #member: MemberId;
  readonly #lag = new Lag();
  #remembered: Omit<Remembered, 'rows'> | undefined;
  #vector = new VersionVector(Number.POSITIVE_INFINITY);
  /** How far in the order of closing `#vector` has taken in the closed actors. */
  #closed = 0;
  #savedHash = 0;
  #savedMs = 0;
  #savedClosed = 0;
  #saved: Omit<Remembered, 'rows'> | undefined;

  constructor(replica: Replica, member: MemberId) {
    this.#replica = replica;
    this.#member = member;
    const bytes = replica.fact(peerVectorFact(member));
    const known = bytes && decodeRemembered(bytes);
    if (!known) return;
    this.#remembered = { storeId: known.storeId, actor: known.actor };
    this.#saved = this.#remembered;
    const log = replica.closedActors().closedLog();
    for (const closed of log.slice(0, known.closed)) if (closed) this.#vector.close(closed);
    this.#vector.addAll(known.rows);
    this.#closed = Math.min(known.closed, log.length);
    this.#savedClosed = known.closed;
    this.#savedHash = this.#vector.hash();
  }

  get remembered(): Remembered | undefined {
    return this.#remembered && { ...this.#remembered, rows: [...this.#vector.rows()] };
  }

  get last(): LastReport | undefined {
    return this.#remembered && { actor: this.#remembered.actor, vector: this.#vector };
  }

  /** Of a Hello that was found good. */
  greeted({ storeId, actor, vector }: Hello): void {
    if (this.#remembered?.storeId !== storeId) {
      this.#vector = new VersionVector(Number.POSITIVE_INFINITY);
      this.#closed = 0;
    }
    if (this.#remembered?.storeId !== storeId || this.#remembered.actor !== actor) {
      this.#remembered = { storeId, actor };
    }
    this.report(vector);
  }

  report(rows: readonly VectorRow[]): void {
    this.#vector.addAll(rows);
  }

  /** Twice a second: what the peer lacks is looked at, and now and then all is written down. */
  tick(nowMs: number, saveEveryMs: number): void {
    const own = () => this.#replica.closedActors().openRows();
    this.#lag.look(nowMs, own, this.last?.vector);
    if (nowMs - this.#savedMs < saveEveryMs) return;
    this.#savedMs = nowMs;
    this.save();
  }

  lagMs(nowMs: number): number {
    return this.#lag.ms(nowMs);
  }

  save(): void {
    if (!this.#remembered) return;
    this.#foldClosed();
    const hash = this.#vector.hash();
    const isSaved = hash === this.#savedHash && this.#closed === this.#savedClosed;
    if (this.#saved === this.#remembered && isSaved) return;
    this.#saved = this.#remembered;
    this.#savedHash = hash;
    this.#savedClosed = this.#closed;
    const rows = [...this.#vector.openRows()];
    const fact = { ...this.#remembered, rows, closed: this.#closed };
    this.#replica.setFact(peerVectorFact(this.#member), pack(fact));
  }

  /**
   * Actors that are closed here, as far as the peer has reported all of each: the fact then says how
   * many of them in place of their rows. Their own rows were on disk before.
   */
  #foldClosed(): void {
    const log = this.#replica.closedActors().closedLog();
    for (; this.#closed < log.length; this.#closed++) {
      const next = log[this.#closed];
      if (!next) continue;
      const { actor, finals } = next;
      const isReported = finals.every(
        (to, shard) => to === 0 || this.#vector.coversRange({ actor, shard, from: 1, to }),
      );
      if (!isReported) return;
      this.#vector.close(next);
    }
  }
}

interface RememberedFact extends Remembered {
  /** All of the first so many closed actors was reported too. */
  readonly closed: number;
}

/** Undefined for anything that is not what `save` wrote: then nothing is remembered. */
export function decodeRemembered(bytes: Uint8Array): RememberedFact | undefined {
  let value: unknown;
  try {
    value = unpack(bytes);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { storeId, actor, rows, closed = 0 } = value as Record<string, unknown>;
  const parsed = parseActorId(actor);
  if (typeof storeId !== 'string' || !parsed.ok || !Array.isArray(rows)) return undefined;
  if (!rows.every(isVectorRow) || !isCounter(closed)) return undefined;
  return { storeId, actor: parsed.value, rows, closed };
}

function isVectorRow(value: unknown): value is VectorRow {
  if (typeof value !== 'object' || value === null) return false;
  const { actor, shard, base, above } = value as Record<string, unknown>;
  if (!parseActorId(actor).ok || !isCounter(shard) || shard >= SHARDS) return false;
  return (
    isCounter(base) && Array.isArray(above) && above.length % 2 === 0 && above.every(isCounter)
  );
}

function isCounter(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
