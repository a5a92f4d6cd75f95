import type { RepairListener } from '../../audit/port.ts';
import { EMPTY_CONTEXT } from '../../core/context.ts';
import type { Hlc } from '../../core/hybrid-clock.ts';
import type { ChannelKey, Uid } from '../../core/ids.ts';
import { cursorOf } from '../../core/kinds/cursor.ts';
import { valueSince } from '../../core/kinds/subscription.ts';
import { personsOf, shardOf, SHARDS } from '../../core/placement.ts';
import { isLive } from '../../core/row.ts';
import {
  channelPrefix,
  cursorKey,
  denyKey,
  rangeEnd,
  reverseKey,
  shardPrefix,
  splitRowKey,
  subscriptionKey,
} from '../../core/row-key.ts';
import type { Log } from '../../observability/log.ts';
import type { Runtime } from '../../runtime/port.ts';
import type { Store } from '../../storage/port.ts';
import type { Replica } from '../../storage/replica-port.ts';
import type { WriteGate } from '../write-gate.ts';
import { MessageRows } from './message-rows.ts';
import type { Conversations } from './port.ts';

export interface IntegrityOptions {
  readonly store: Pick<Store, 'scan' | 'get' | 'stage'>;
  readonly replica: Pick<Replica, 'read' | 'decode' | 'mayHaveCopies' | 'submit'>;
  readonly conversations: Pick<Conversations, 'hide' | 'reread'>;
  readonly gate: Pick<WriteGate, 'refusal'>;
  readonly runtime: Pick<Runtime, 'clock' | 'timers'>;
  readonly log: Pick<Log, 'warn'>;
  readonly repairs: RepairListener;
  /** From the end of one pass to the next. 60 s. */
  readonly intervalMs?: number | undefined;
  /** What is missing for so long is put right: before that it may be on its way, or a sweep's. 30 s. */
  readonly graceMs?: number | undefined;
}

const INTERVAL_MS = 60_000;
const GRACE_MS = 30_000;
/** What one pass remembers to look at again; the next pass finds the rest. */
const SUSPECTS_MAX = 1_000;
const ROWS_MAX = 1_000;
/** Of one core, at most. */
const SHARE_MAX = 0.03;
const BUSY_MS_MAX = 5;
const PRESENT = new Uint8Array([1]);
const DENIALS = ['ban', 'mute', 'blacklist'] as const;

interface Place {
  readonly channel: ChannelKey;
  readonly uid: Uid;
}

type Missing = 'membership-missing' | 'conversation-missing';

/**
 * Reads all direct channels that have messages, again and again: each of the two users has to be a
 * subscriber, and to have the channel among their conversations. The first message writes all of that in
 * one operation, and a lost row is restored by disk audit and sweep; so what is found here is a defect,
 * and without this a message would be stored that nobody ever sees. Whoever left is left alone: the
 * evidence of it stays as long as some member lacks it, and after that the conversation is hidden.
 */
export class IntegrityCheck {
  readonly #options: IntegrityOptions;
  readonly #rows: MessageRows;
  readonly #abort = new AbortController();
  #suspects: Place[] = [];
  #busyMs = 0;
  #passes = 0;
  #wake: () => void = () => {};

  constructor(options: IntegrityOptions) {
    this.#options = options;
    this.#rows = new MessageRows({ ...options, clock: options.runtime.clock });
  }

  start(): void {
    void this.#run();
  }

  stop(): void {
    this.#abort.abort();
    this.#wake();
  }

  /** Whole passes so far. */
  passes(): number {
    return this.#passes;
  }

  async #run(): Promise<void> {
    const { graceMs = GRACE_MS, intervalMs = INTERVAL_MS, log } = this.#options;
    const { signal } = this.#abort;
    while (!signal.aborted) {
      await this.#sleep(Math.max(0, intervalMs - graceMs));
      try {
        await this.look();
        await this.#sleep(graceMs);
        await this.putRight();
      } catch (error) {
        if (signal.aborted) return;
        log.warn('the check of direct channels was broken off: again later', { error });
        this.#suspects = [];
      }
    }
  }

  /** One pass. What it finds missing is only remembered: it may be on its way. */
  async look(): Promise<void> {
    const { store, gate } = this.#options;
    this.#suspects = [];
    for (let shard = 0; shard < SHARDS; shard++) {
      // Channel keys begin with their type: of type 1 all and nothing else.
      const [from, lt] = [`${shardPrefix('m', shard)}1/`, `${shardPrefix('m', shard)}10`];
      for (let gte = from; ;) {
        // A store that catches up knows messages before it knows subscriptions.
        if (this.#abort.signal.aborted || gate.refusal()) return;
        const channel = await firstChannel(store, gte, lt);
        if (channel === undefined) break;
        gte = rangeEnd(channelPrefix('m', channel));
        await this.#timed(() => this.#lookAt(channel));
      }
    }
    this.#passes += 1;
  }

  /** Looks again at what the pass before found. */
  async putRight(): Promise<void> {
    for (const place of this.#suspects.splice(0)) {
      if (this.#abort.signal.aborted || this.#options.gate.refusal()) return;
      const missing = await this.#missing(place);
      if (missing) await this.#repair(place, missing);
    }
  }

  async #lookAt(channel: ChannelKey): Promise<void> {
    for (const uid of new Set(personsOf(channel))) {
      if (this.#suspects.length >= SUSPECTS_MAX) return;
      const place = { channel, uid };
      if (await this.#missing(place)) this.#suspects.push(place);
    }
  }

  async #missing(place: Place): Promise<Missing | undefined> {
    const { channel, uid } = place;
    const { replica, store } = this.#options;
    const row = replica.read(subscriptionKey(channel, uid));
    if (isLive(row)) {
      return store.get(reverseKey(uid, channel)) ? undefined : 'conversation-missing';
    }
    const began = await this.#began(place);
    if (began === undefined) return undefined;
    if (row.length > 0) {
      // There is evidence, now: when it has been collected this still says that the user left.
      await this.#options.conversations.hide(uid, channel);
      return undefined;
    }
    const denied = DENIALS.some((reason) => replica.read(denyKey(channel, uid, reason)).length > 0);
    return denied ? undefined : 'membership-missing';
  }

  /** When the oldest message that the user did not leave behind was written. */
  async #began({ channel, uid }: Place): Promise<Hlc | undefined> {
    const { hiddenTo } = cursorOf(this.#options.replica.read(cursorKey(channel, uid)));
    let began: Hlc | undefined;
    for await (const block of this.#rows.newest(channel, hiddenTo, ROWS_MAX)) {
      for (const { hlc } of block) began = Math.min(began ?? hlc, hlc);
    }
    return began;
  }

  async #repair(place: Place, cause: Missing): Promise<void> {
    const { replica, store, repairs, runtime } = this.#options;
    const { channel, uid } = place;
    const key = subscriptionKey(channel, uid);
    if (cause === 'conversation-missing') {
      store.stage([{ key: reverseKey(uid, channel), value: PRESENT }]);
      this.#options.conversations.reread(uid);
    } else {
      const began = await this.#began(place);
      if (began === undefined || replica.read(key).length > 0) return;
      // As of the first message, so that all of them are unread, as they would have been.
      const draft = { key, tag: 0, context: EMPTY_CONTEXT, value: valueSince(began) };
      replica.submit(shardOf(channel), [draft]);
    }
    const wallMs = runtime.clock.wallMs();
    repairs.onRepair({ layer: 'messages', action: 'rebuilt', cause, channel, uid, wallMs });
  }

  /** Rests after a while of work, so that it takes no more than its share. */
  async #timed(work: () => Promise<void>): Promise<void> {
    const { clock } = this.#options.runtime;
    const from = clock.monotonicMs();
    await work();
    this.#busyMs += clock.monotonicMs() - from;
    if (this.#busyMs < BUSY_MS_MAX) return;
    const restMs = this.#busyMs * (1 / SHARE_MAX - 1);
    this.#busyMs = 0;
    await this.#sleep(restMs);
  }

  async #sleep(ms: number): Promise<void> {
    if (this.#abort.signal.aborted) return;
    await new Promise<void>((resolve) => {
      const timer = this.#options.runtime.timers.after(ms, resolve);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}

async function firstChannel(
  store: Pick<Store, 'scan'>,
  gte: string,
  lt: string,
): Promise<ChannelKey | undefined> {
  for await (const chunk of store.scan({ gte, lt, limit: 1 })) {
    for (const [key] of chunk) return splitRowKey(key)?.parts[0] as ChannelKey | undefined;
  }
  return undefined;
}
