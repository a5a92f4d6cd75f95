import { meetContexts, type Context } from '../../core/context.ts';
import type { MemberId } from '../../core/ids.ts';
import { SHARDS } from '../../core/placement.ts';
import { REMOVAL } from '../../core/row.ts';
import type { Log } from '../../observability/log.ts';
import type { Runtime, Timer } from '../../runtime/port.ts';
import { adoptCut, collectShard, durableContext, readCut } from './evidence.ts';
import type { Change, Replica } from '../../storage/replica-port.ts';
import type { PeerCalls } from '../calls/port.ts';
import { readVector, writeVector } from '../link/codec-parts.ts';
import type { CleanProof } from './options.ts';
import { contextHash, METHODS, open } from './wire.ts';

export interface CollectorOptions {
  readonly replica: Replica;
  readonly runtime: Runtime;
  readonly log: Pick<Log, 'debug' | 'warn'>;
  /** `frozen`: nobody knows whether the roster is still this one. */
  readonly roster: () => {
    readonly epoch: number;
    readonly others: readonly MemberId[];
    readonly frozen: boolean;
  };
  readonly reportedBy: (member: MemberId, shard: number) => Context | undefined;
  readonly caughtUp: () => boolean;
  readonly calls: PeerCalls;
  /** Between two shards; all of them are looked at in 16 times this. */
  readonly everyMs?: number | undefined;
}

/**
 * Takes evidence away once nobody can need it: every rostered member is linked and has told to have it
 * and all that it keeps out on its disk, and a clean sweep with each of them at or past it was finished,
 * all under the same epoch of the roster. Never by time: who is away holds it back.
 */
export class EvidenceCollector {
  /** Rows whose evidence went, since the start. */
  collected = 0;
  readonly #options: CollectorOptions;
  readonly #proofs = new Map<MemberId, (ShardProof | undefined)[]>();
  readonly #generations = Array.from({ length: SHARDS }, () => 0);
  /** Rows with evidence at the last look; undefined: not looked, or some came since. */
  readonly #held: (number | undefined)[] = Array.from({ length: SHARDS });
  readonly #lookedAt: (number | undefined)[] = Array.from({ length: SHARDS });
  #shard = 0;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: CollectorOptions) {
    this.#options = options;
    options.calls.answer(METHODS.cut, () => {
      const out: unknown[] = [];
      writeVector(out, readCut(options.replica));
      return out;
    });
    options.replica.addListener({
      onSubmitted() {},
      onDurable() {},
      onStaged: (changes) => this.#note(changes),
    });
  }

  /**
   * A link to the peer was opened: what it has collected may be what this store never had. A question
   * that fails is asked again with the next link.
   */
  async onLink(member: MemberId): Promise<void> {
    const { calls, replica, log } = this.#options;
    try {
      const request = { method: METHODS.cut, body: [], timeoutMs: CUT_TIMEOUT_MS };
      const fields = open(await calls.call(member, request));
      const rows = readVector(fields);
      fields.end();
      adoptCut(replica, rows);
    } catch (error) {
      log.debug('the cut of a peer is not known', { member, error: String(error) });
    }
  }

  start(): void {
    this.#later();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Rises each time evidence of the shard goes: what was captured before proves no absence any more. */
  generation(shard: number): number {
    return this.#generations[shard]!;
  }

  /** Rows with evidence, as of the last looks. */
  held(): number {
    return this.#held.reduce<number>((sum, count) => sum + (count ?? 0), 0);
  }

  onClean({ peer, epoch, covered }: CleanProof): void {
    const proofs = this.#proofs.get(peer) ?? [];
    this.#proofs.set(peer, proofs);
    covered.forEach((both, shard) => {
      if (both) proofs[shard] = { epoch, covered: meetContexts(both.own, both.peer) };
    });
  }

  /** All shards at once; resolves with the rows whose evidence went. */
  async collectNow(): Promise<number> {
    let collected = 0;
    for (let shard = 0; shard < SHARDS; shard++) collected += await this.#collect(shard);
    return collected;
  }

  /** What no member can lack any more; undefined while somebody's word is missing. */
  settled(shard: number): Context | undefined {
    const { replica, roster, reportedBy, caughtUp } = this.#options;
    const { epoch, others, frozen } = roster();
    if (frozen || !caughtUp()) return undefined;
    let settled = durableContext(replica, shard);
    for (const member of others) {
      const proof = this.#proofs.get(member)?.[shard];
      const reported = reportedBy(member, shard);
      if (proof?.epoch !== epoch || !reported) return undefined;
      settled = meetContexts(meetContexts(settled, proof.covered), reported);
    }
    return settled;
  }

  #later(): void {
    const { runtime, log, everyMs = 10_000 } = this.#options;
    this.#timer = runtime.timers.after(everyMs, () => {
      const shard = this.#shard;
      this.#shard = (shard + 1) % SHARDS;
      this.#collect(shard)
        .catch((error: unknown) => log.warn('evidence cannot be collected', { shard, error }))
        .finally(() => {
          if (!this.#stopped) this.#later();
        });
    });
  }

  async #collect(shard: number): Promise<number> {
    if (this.#held[shard] === 0) return 0;
    const settled = this.settled(shard);
    if (!settled) return 0;
    const hash = contextHash(settled);
    if (this.#held[shard] !== undefined && this.#lookedAt[shard] === hash) return 0;
    this.#lookedAt[shard] = hash;
    this.#held[shard] = 0;
    // Before the first row goes: a capture from now on may be of the time after.
    this.#generations[shard]! += 1;
    const { replica, runtime, log } = this.#options;
    const stopped = (): boolean => this.#stopped;
    const { collected, held } = await collectShard(replica, runtime, { shard, settled, stopped });
    this.#generations[shard]! += 1;
    // What came meanwhile has set it to undefined.
    if (this.#held[shard] !== undefined) this.#held[shard] = held;
    this.collected += collected;
    if (collected > 0) log.debug('evidence was collected', { shard, collected, held });
    return collected;
  }

  #note(changes: readonly Change[]): void {
    for (const { key, before, after } of changes) {
      const gained = after.some((entry) => entry.tag === REMOVAL && !before.includes(entry));
      if (gained) this.#held[Number.parseInt(key[1]!, 16)] = undefined;
    }
  }
}

const CUT_TIMEOUT_MS = 5_000;

interface ShardProof {
  readonly epoch: number;
  /** By both sides of a clean sweep. */
  readonly covered: Context;
}
