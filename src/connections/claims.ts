import type { PeerCalls } from '../cluster/calls/port.ts';
import type { MemberId } from '../core/ids.ts';
import type { ConnectionRow } from '../core/kinds/connection.ts';
import type { Log } from '../observability/log.ts';
import type { Runtime } from '../runtime/port.ts';
import type { ConnectionLedger } from './ledger.ts';
import { ConnectionError } from './port.ts';
import { firstChoice, UNKNOWN, type Quorum } from './quorum.ts';

export interface ClaimOptions {
  readonly quorum: Quorum;
  readonly calls: Pick<PeerCalls, 'answer'>;
  readonly ledger: Pick<ConnectionLedger, 'read'>;
  readonly runtime: Runtime;
  readonly log: Log;
}

type Standing = Pick<ConnectionRow, 'epoch' | 'version'>;

/** To a claim: what the new one has to be above, or why not. */
type Answer =
  { readonly above: number } | { readonly why: 'exists' | 'contended'; readonly by: MemberId };

interface Claim {
  readonly to: MemberId;
  readonly epoch: number;
  readonly atMs: number;
}

const CLAIM = 'connections/claim';
const SEEN = 'connections/seen';
/** A claim holds the id for so long, or until the row comes; whoever has it writes well before. */
const CLAIM_MS = 30_000;
const WRITE_MS = 10_000;
const CLAIMS_MAX = 10_000;
const SEEN_POLL_MS = 25;
/** Members above the majority that are waited for, so that the next question finds it anywhere. */
const ALL_SEEN_MS = 1_000;
const SEEN_MS = 5_000;

/**
 * Who may create a connection of an id. Before it writes one, a member claims the id: first from the member
 * that is the first choice for it, which tells those apart that ask at the same moment, then from all others.
 * A majority has to agree, and each holds the id for one claim alone; so of many that create one id at once
 * one writes it and the others are told who. Two majorities have a member in common, as with takeovers.
 */
export class Claims {
  readonly #options: ClaimOptions;
  readonly #given = new Map<string, Claim>();
  /** Ids that this member creates now. */
  readonly #creating = new Set<string>();
  /** Own rows and those of others that are on this disk; by id, the newest. */
  readonly #durable = new Map<string, Pick<ConnectionRow, 'owner' | 'epoch'>>();

  constructor(options: ClaimOptions) {
    this.#options = options;
    options.calls.answer(CLAIM, (from, body) => this.#onClaim(from, body));
    options.calls.answer(SEEN, (_from, body) => this.#onSeen(body));
  }

  /** A row that has reached the disk. */
  onDurable({ id, owner, epoch, removed }: ConnectionRow): void {
    if (removed) this.#durable.delete(id);
    else this.#durable.set(id, { owner, epoch });
    const claim = this.#given.get(id);
    if (claim && epoch >= claim.epoch) this.#given.delete(id);
  }

  /** True where another member may be about to write this epoch or a later one. */
  isOfAnother(id: string, { to, epoch }: { to: MemberId; epoch: number }): boolean {
    const claim = this.#current(id);
    return claim !== undefined && claim.to !== to && claim.epoch >= epoch;
  }

  /**
   * Writes with the epoch that it is given, once the id is this member's. Resolves when the members have the
   * row on their disks. Rejects with `exists` or `contended` and who has it, or `unavailable` where too few
   * members answer; where it was written by then, it stays.
   */
  async create(
    id: string,
    write: (epoch: number) => Promise<ConnectionRow>,
  ): Promise<ConnectionRow> {
    const { quorum } = this.#options;
    if (this.#creating.has(id)) throw refused(id, { why: 'contended', by: quorum.self });
    this.#creating.add(id);
    try {
      const epoch = await this.#win(id);
      const row = await this.#written(id, () => write(epoch));
      await this.#confirm(row);
      return row;
    } finally {
      this.#creating.delete(id);
    }
  }

  /** The epoch of the new row. */
  async #win(id: string): Promise<number> {
    const { quorum, runtime } = this.#options;
    const startMs = runtime.clock.monotonicMs();
    const known = this.#options.ledger.read(id);
    const standing = { epoch: known?.epoch ?? 0, version: known?.version ?? 0 };
    const members = [quorum.self, ...quorum.heard()];
    const first = firstChoice(id, members)!;
    const asked: MemberId[] = [first];
    const answers = [await this.#ask(first, id, standing)];
    if (!denialOf(answers)) {
      const others = members.filter((member) => member !== first);
      asked.push(...others);
      answers.push(...(await Promise.all(others.map((other) => this.#ask(other, id, standing)))));
    }
    const denial = denialOf(answers);
    const epochs = answers.flatMap((answer) => (answer && 'above' in answer ? answer.above : []));
    const needed = quorum.needed();
    const isLate = runtime.clock.monotonicMs() - startMs > WRITE_MS;
    if (!denial && !isLate && epochs.length >= needed) return Math.max(...epochs) + 1;
    this.#giveBack(id, asked);
    if (denial) throw refused(id, denial);
    const why = `${epochs.length} of the ${needed} members that have to agree have answered in time`;
    throw new ConnectionError('unavailable', `${id}: it was not created: ${why}`);
  }

  async #written(id: string, write: () => Promise<ConnectionRow>): Promise<ConnectionRow> {
    try {
      return await write();
    } catch (error) {
      const { quorum } = this.#options;
      this.#giveBack(id, [quorum.self, ...quorum.heard()]);
      throw error;
    }
  }

  #giveBack(id: string, members: readonly MemberId[]): void {
    for (const member of members) void this.#ask(member, id, undefined);
  }

  /** `standing`: what is known of the id here; undefined: the claim is given back. */
  async #ask(
    member: MemberId,
    id: string,
    standing: Standing | undefined,
  ): Promise<Answer | undefined> {
    const { quorum } = this.#options;
    const body = [id, standing?.epoch, standing?.version];
    if (member === quorum.self) return this.#onClaim(member, body);
    const answer = await quorum.ask(member, CLAIM, body);
    // A member of an older release creates by itself and has no opinion on what others do.
    return answer === UNKNOWN ? { above: standing?.epoch ?? 0 } : readAnswer(answer);
  }

  #onClaim(from: MemberId, body: unknown): Answer | undefined {
    const [id, epoch, version] = Array.isArray(body) ? (body as readonly unknown[]) : [];
    if (typeof id !== 'string') return undefined;
    const claim = this.#given.get(id);
    if (typeof epoch !== 'number' || typeof version !== 'number') {
      if (claim?.to === from) this.#given.delete(id);
      return undefined;
    }
    const row = this.#options.ledger.read(id);
    // Who asks may know already that it was removed.
    const isNewer =
      row !== undefined && (row.epoch > epoch || (row.epoch === epoch && row.version > version));
    if (row && isNewer && !row.removed) return { why: 'exists', by: row.owner };
    const other = this.#current(id);
    if (other && other.to !== from) return { why: 'contended', by: other.to };
    const above = Math.max(row?.epoch ?? 0, claim && claim.to !== from ? claim.epoch : 0, epoch);
    this.#given.delete(id);
    if (this.#given.size >= CLAIMS_MAX) this.#dropOldest();
    const atMs = this.#options.runtime.clock.monotonicMs();
    this.#given.set(id, { to: from, epoch: above + 1, atMs });
    return { above };
  }

  #current(id: string): Claim | undefined {
    const claim = this.#given.get(id);
    if (!claim) return undefined;
    const ageMs = this.#options.runtime.clock.monotonicMs() - claim.atMs;
    return ageMs <= CLAIM_MS ? claim : undefined;
  }

  #dropOldest(): void {
    for (const id of this.#given.keys()) {
      this.#given.delete(id);
      return;
    }
  }

  /** Who has it on this disk, of which epoch. */
  #onSeen(body: unknown): readonly [MemberId, number] | undefined {
    const [id] = Array.isArray(body) ? (body as readonly unknown[]) : [];
    const row = typeof id === 'string' ? this.#durable.get(id) : undefined;
    return row && [row.owner, row.epoch];
  }

  async #confirm(row: ConnectionRow): Promise<void> {
    const { quorum, runtime } = this.#options;
    const { clock, timers } = runtime;
    const startMs = clock.monotonicMs();
    const seen = new Set<MemberId>();
    for (;;) {
      const now = this.#options.ledger.read(row.id);
      if (now && now.owner !== row.owner && now.epoch >= row.epoch && !now.removed) {
        throw refused(row.id, { why: 'exists', by: now.owner });
      }
      const heard = quorum.heard();
      const open = heard.filter((member) => !seen.has(member));
      const ageMs = clock.monotonicMs() - startMs;
      const isEnough = seen.size + 1 >= quorum.needed();
      if (open.length === 0 && isEnough) return;
      if (isEnough && ageMs >= ALL_SEEN_MS) return;
      if (ageMs >= SEEN_MS) break;
      await Promise.all(
        open.map(async (member) => {
          const answer = await quorum.ask(member, SEEN, [row.id]);
          if (answer === UNKNOWN || isSeen(answer, row)) seen.add(member);
        }),
      );
      if (seen.size < quorum.heard().length) {
        await new Promise<void>((resolve) => {
          timers.after(SEEN_POLL_MS, resolve);
        });
      }
    }
    const why = `${seen.size + 1} of the ${quorum.needed()} members that have to have it`;
    throw new ConnectionError(
      'unavailable',
      `${row.id}: it was written at ${row.owner}, but only ${why} have said so in time`,
    );
  }
}

function denialOf(answers: readonly (Answer | undefined)[]) {
  const denials = answers.flatMap((answer) => (answer && 'why' in answer ? answer : []));
  return denials.find(({ why }) => why === 'exists') ?? denials[0];
}

function readAnswer(answer: unknown): Answer | undefined {
  const { above, why, by } = (answer ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof above === 'number') return { above };
  if ((why !== 'exists' && why !== 'contended') || typeof by !== 'string') return undefined;
  return { why, by: by as MemberId };
}

function isSeen(answer: unknown, { owner, epoch }: ConnectionRow): boolean {
  const [seenOwner, seenEpoch] = Array.isArray(answer) ? (answer as readonly unknown[]) : [];
  return seenOwner === owner && seenEpoch === epoch;
}

function refused(id: string, { why, by }: Extract<Answer, { readonly why: string }>) {
  const text =
    why === 'exists'
      ? `there is one of this id, which ${by} has`
      : `${by} creates one of this id at this moment`;
  return new ConnectionError(why, `${id}: ${text}`);
}
