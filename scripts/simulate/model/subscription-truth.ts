import type { Dot } from '../../../src/core/dot.ts';
import type { ChannelKey, MemberId, Uid } from '../../../src/core/ids.ts';

/** `unknown`: an answer never came, or what was destroyed may have held it. */
export type Expected = 'in' | 'out' | 'unknown';

/** An acknowledged subscribe that no acknowledged unsubscribe has removed for certain. */
interface Held {
  readonly receipt: Dot;
  readonly knownBy: Set<MemberId>;
}

/**
 * What one user's clients know of one of its subscriptions. Calls of one user follow each other, so
 * there is one truth at any time.
 */
export class Pair {
  readonly channel: ChannelKey;
  readonly uid: Uid;
  /** Members that route by `expected`, each since a time; a member forgets with its disk. */
  readonly knownBy = new Map<MemberId, number>();
  #expected: Expected = 'out';
  #held: Held[] = [];
  #replaced: Dot[] = [];
  /** Receipts of all acknowledged subscribes there ever were. */
  readonly #history: Dot[] = [];
  /** A subscribe whose answer never came may still be somewhere, out of reach of any receipt. */
  #stray = false;
  /** What held before the call that is open now. */
  #before: { readonly expected: Expected; readonly knownBy: Map<MemberId, number> } | undefined;

  constructor(channel: ChannelKey, uid: Uid) {
    this.channel = channel;
    this.uid = uid;
  }

  get expected(): Expected {
    return this.#expected;
  }

  /** What has to be presented to an unsubscribe on a node that knows nothing. */
  receipts(): Dot[] {
    return this.#held.map((held) => held.receipt);
  }

  /** Besides those, the receipts of subscribes that a later one has replaced. */
  allReceipts(): Dot[] {
    return [...this.#replaced, ...this.receipts()];
  }

  /** Returns what undoes it, for a call that was refused. */
  subscribeCalled(): () => void {
    return this.#expected === 'out' ? this.#doubt() : () => {};
  }

  unsubscribeCalled(): () => void {
    return this.#expected === 'in' ? this.#doubt() : () => {};
  }

  subscribed(answer: {
    readonly receipt: Dot;
    readonly at: MemberId;
    readonly knownBy: readonly MemberId[];
    readonly nowMs: number;
  }): void {
    // A subscribe replaces those that its node knows: their receipts are not needed any more.
    const replaced = this.#held.filter((held) => held.knownBy.has(answer.at));
    this.#replaced.push(...replaced.map((held) => held.receipt));
    this.#held = this.#held.filter((held) => !replaced.includes(held));
    this.#history.push(answer.receipt);
    this.#held.push({ receipt: answer.receipt, knownBy: new Set(answer.knownBy) });
    if (this.#expected !== 'in') this.#become('in');
    for (const member of answer.knownBy) {
      if (!this.knownBy.has(member)) this.knownBy.set(member, answer.nowMs);
    }
  }

  unsubscribed(answer: {
    readonly presented: readonly Dot[];
    readonly at: MemberId;
    readonly knownBy: readonly MemberId[];
    readonly nowMs: number;
    /** True where the member's vector covers the dot. */
    readonly hasSeen: (member: MemberId, dot: Dot) => boolean;
  }): void {
    const left = this.#held.filter(
      (held) => !held.knownBy.has(answer.at) && !answer.presented.includes(held.receipt),
    );
    this.#held = left;
    // A second removal knows nothing of what the first one removed elsewhere.
    if (this.#expected === 'out') return;
    const next = left.length > 0 || this.#stray ? 'unknown' : 'out';
    this.#become(next);
    if (next === 'unknown') return;
    this.#replaced = [];
    // An older subscribe that is still on its way to a member lives there until its own removal comes.
    const older = this.#history.filter((dot) => !answer.presented.includes(dot));
    for (const member of answer.knownBy) {
      if (!older.every((dot) => answer.hasSeen(member, dot))) continue;
      this.knownBy.set(member, answer.nowMs);
    }
  }

  subscribeUnanswered(): void {
    this.#stray = true;
  }

  /** The only disk with one of its writes was destroyed. */
  becomeUnknown(): void {
    this.#stray = true;
    this.#before = undefined;
    this.#become('unknown');
  }

  /** What `member` knew has gone with its disk. */
  forget(member: MemberId): void {
    this.knownBy.delete(member);
    this.#before?.knownBy.delete(member);
    for (const held of this.#held) held.knownBy.delete(member);
  }

  /** True where `member` has been routing by the subscription since before `atMs`. */
  routedSince(member: MemberId, atMs: number): boolean {
    const since = this.knownBy.get(member);
    return this.#expected === 'in' && since !== undefined && since < atMs;
  }

  /** True where `member` has applied the removal, so nothing may be delivered there. */
  removedAt(member: MemberId): boolean {
    return this.#expected === 'out' && this.knownBy.has(member);
  }

  #doubt(): () => void {
    const before = { expected: this.#expected, knownBy: new Map(this.knownBy) };
    this.#before = before;
    this.#become('unknown');
    return () => {
      if (this.#before !== before) return;
      this.#become(before.expected);
      for (const [member, sinceMs] of before.knownBy) this.knownBy.set(member, sinceMs);
    };
  }

  #become(expected: Expected): void {
    this.#expected = expected;
    this.knownBy.clear();
  }
}

/** All pairs, made when first named. */
export class SubscriptionTruth {
  readonly #pairs = new Map<string, Pair>();

  pair(channel: ChannelKey, uid: Uid): Pair {
    const name = `${channel} ${uid}`;
    let pair = this.#pairs.get(name);
    if (!pair) {
      pair = new Pair(channel, uid);
      this.#pairs.set(name, pair);
    }
    return pair;
  }

  /** Undefined where nobody ever called for it. */
  find(channel: ChannelKey, uid: Uid): Pair | undefined {
    return this.#pairs.get(`${channel} ${uid}`);
  }

  pairs(): Iterable<Pair> {
    return this.#pairs.values();
  }

  forget(member: MemberId): void {
    for (const pair of this.#pairs.values()) pair.forget(member);
  }
}
