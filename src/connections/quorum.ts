import { PeerCallError, type PeerCalls } from '../cluster/calls/port.ts';
import type { MemberId } from '../core/ids.ts';
import { hash32 } from '../core/placement.ts';
import type { ConnectionFacts } from './port.ts';

const CALL_MS = 900;
/** Fewer members have no majority without one of them: there an operator decides. */
const MEMBERS_MIN = 3;

/** What a member of an older release says to a question that it does not know. */
export const UNKNOWN = Symbol('unknown question');

/** The members that have a say in who acts for a connection, as this one hears them. */
export class Quorum {
  readonly #facts: ConnectionFacts;
  readonly #calls: Pick<PeerCalls, 'call'>;

  constructor(facts: ConnectionFacts, calls: Pick<PeerCalls, 'call'>) {
    this.#facts = facts;
    this.#calls = calls;
  }

  get self(): MemberId {
    return this.#facts.self;
  }

  /** True where there are enough members to lose one and still have a majority. */
  get hasMajorities(): boolean {
    return this.#roster().length >= MEMBERS_MIN;
  }

  /** How many members are more than half, this one included. */
  majority(): number {
    return Math.floor(this.#roster().length / 2) + 1;
  }

  /** Members that have to agree, this one included: a majority, and where there is none all that are heard. */
  needed(): number {
    return this.hasMajorities ? this.majority() : this.heard().length + 1;
  }

  /** Other rostered members that answer. */
  heard(): readonly MemberId[] {
    const roster = new Set(this.#roster());
    const heard = this.#facts.heard?.() ?? [];
    return heard.filter((member) => member !== this.self && roster.has(member));
  }

  /** The answer, `UNKNOWN` from an older release, undefined from one that does not answer in time. */
  ask(member: MemberId, method: string, body: unknown): Promise<unknown> {
    const answer = this.#calls.call(member, { method, body, timeoutMs: CALL_MS });
    return answer.catch((error: unknown) =>
      error instanceof PeerCallError && error.code === 'unknown-method' ? UNKNOWN : undefined,
    );
  }

  /** The answers of everyone who is heard. */
  askAll(method: string, body: unknown): Promise<readonly unknown[]> {
    return Promise.all(this.heard().map((member) => this.ask(member, method, body)));
  }

  #roster(): readonly MemberId[] {
    return this.#facts.roster?.() ?? [];
  }
}

/** The first choice among these for a connection; the same on every member that hears the same ones. */
export function firstChoice(id: string, members: readonly MemberId[]): MemberId | undefined {
  const weight = (member: MemberId): number => hash32(`${id}\u0001${member}`);
  return [...members].sort((a, b) => weight(b) - weight(a) || (a < b ? -1 : 1))[0];
}
