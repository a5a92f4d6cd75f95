import { channelTypeOf, type ChannelKey, type MemberId } from '../../core/ids.ts';
import { encodeFloor, FLOOR, floorOf, type CutReason } from '../../core/kinds/floor.ts';
import { decodeMessage } from '../../core/kinds/message.ts';
import { EMPTY_CONTEXT } from '../../core/context.ts';
import { hash32, shardOf, SHARDS } from '../../core/placement.ts';
import {
  channelPrefix,
  floorKey,
  formatSeq,
  rangeEnd,
  shardPrefix,
  splitRowKey,
  type RowKey,
} from '../../core/row-key.ts';
import type { Log } from '../../observability/log.ts';
import type { Runtime, Timer } from '../../runtime/port.ts';
import type { KeyValue, Store } from '../../storage/port.ts';
import type { Replica } from '../../storage/replica-port.ts';
import type { WriteGate } from '../write-gate.ts';
import type { RetentionOptions, RetentionRule } from './port.ts';

export interface JudgeOptions extends RetentionOptions {
  readonly store: Store;
  readonly replica: Pick<Replica, 'read' | 'decode' | 'submit'>;
  readonly gate: Pick<WriteGate, 'refusal'>;
  readonly runtime: Runtime;
  readonly log: Pick<Log, 'warn'>;
  readonly self: MemberId;
  /** Members that are heard, without this one. */
  readonly live: () => readonly MemberId[];
}

const CHECK_EVERY_MS = 600_000;
const ROWS = 1_000;
/** At most one part in five of the time. */
const REST_FACTOR = 4;
/** A channel that is too large is cut to this part of its limit, so that not every message raises the floor. */
const CUT_TO = 0.9;

/**
 * Raises floors: walks over the messages of the shards that are this node's to judge (by rendezvous among
 * those who are heard; two that both judge one agree, for the higher floor wins). Where only age counts
 * the walk reads of each channel what is to go and the first message that stays.
 */
export class RetentionJudge {
  readonly #options: JudgeOptions;
  #timer: Timer | undefined;
  #state: 'stopped' | 'started' = 'stopped';
  readonly counters = { floorsRaised: 0, passes: 0 };

  constructor(options: JudgeOptions) {
    this.#options = options;
  }

  start(): void {
    this.#state = 'started';
    this.#later();
  }

  stop(): void {
    this.#state = 'stopped';
    this.#timer?.cancel();
  }

  /** One walk over all shards that are this node's. */
  async pass(): Promise<void> {
    for (let shard = 0; shard < SHARDS; shard++) {
      if (this.#isMine(shard)) await this.#shard(shard);
    }
    this.counters.passes += 1;
  }

  #later(): void {
    const { runtime, checkEveryMs, log } = this.#options;
    this.#timer = runtime.timers.after(checkEveryMs ?? CHECK_EVERY_MS, () => {
      this.pass()
        .catch((error: unknown) => log.warn('retention: a look at the messages failed', { error }))
        .finally(() => {
          if (this.#state === 'started') this.#later();
        });
    });
  }

  #isMine(shard: number): boolean {
    const { self, live } = this.#options;
    const weight = (member: MemberId): number => hash32(`${shard}\u0001retention\u0001${member}`);
    const own = weight(self);
    return live().every((other) => {
      const theirs = weight(other);
      return theirs < own || (theirs === own && other <= self);
    });
  }

  async #shard(shard: number): Promise<void> {
    const prefix = shardPrefix('m', shard);
    let from = prefix;
    for (;;) {
      const first = await this.#rows(from, rangeEnd(prefix), 1);
      const key = first[0]?.[0];
      if (key === undefined || this.#state === 'stopped') return;
      const channel = splitRowKey(key)!.parts[0] as ChannelKey;
      const rule = this.#options.ruleOf(channelTypeOf(channel));
      if (rule.ageMs > 0 || rule.bytesMax > 0) await this.#channel(channel, rule);
      from = rangeEnd(channelPrefix('m', channel));
    }
  }

  async #channel(channel: ChannelKey, rule: RetentionRule): Promise<void> {
    const oldestMs = rule.ageMs > 0 ? this.#options.runtime.clock.wallMs() - rule.ageMs : 0;
    const old = { seq: 0, bytes: 0 };
    let [bytes, young] = [0, false];
    for await (const row of this.#walk(channel)) {
      bytes += row.bytes;
      young ||= row.timeMs() >= oldestMs;
      if (!young) [old.seq, old.bytes] = [row.seq, bytes];
      else if (rule.bytesMax === 0) break;
    }
    const left = bytes - old.bytes;
    if (rule.bytesMax > 0 && left > rule.bytesMax) {
      const seq = await this.#cutBySize(channel, bytes - CUT_TO * rule.bytesMax);
      if (seq > old.seq) return this.#raise(channel, seq, 'size');
    }
    if (old.seq > 0) this.#raise(channel, old.seq, 'age');
  }

  /** The number with which at least so many bytes go. The newest message stays, however large. */
  async #cutBySize(channel: ChannelKey, surplus: number): Promise<number> {
    let [gone, before, last] = [0, 0, 0];
    for await (const { seq, bytes } of this.#walk(channel)) {
      if (gone >= surplus) return last;
      gone += bytes;
      [before, last] = [last, seq];
    }
    return before;
  }

  #raise(channel: ChannelKey, seq: number, reason: CutReason): void {
    const { replica, gate, runtime } = this.#options;
    const key = floorKey(channel);
    if ((floorOf(replica.read(key))?.seq ?? 0) >= seq || gate.refusal()) return;
    const value = encodeFloor({ seq, reason, atMs: runtime.clock.wallMs() });
    replica.submit(shardOf(channel), [{ key, tag: FLOOR, context: EMPTY_CONTEXT, value }]);
    this.counters.floorsRaised += 1;
  }

  /** Messages above the floor, the oldest first, with rests. */
  async *#walk(channel: ChannelKey): AsyncGenerator<WalkedRow> {
    const { replica, runtime } = this.#options;
    const prefix = channelPrefix('m', channel);
    const floor = floorOf(replica.read(floorKey(channel)))?.seq ?? -1;
    let gte = prefix + formatSeq(floor + 1);
    for (;;) {
      const startMs = runtime.clock.monotonicMs();
      const rows = await this.#rows(gte, rangeEnd(prefix), ROWS);
      for (const [key, value] of rows) {
        const seq = Number.parseInt(key.slice(prefix.length, prefix.length + 13), 16);
        const timeMs = (): number => this.#timeOf(key as RowKey, value);
        yield { seq, bytes: key.length + value.length, timeMs };
      }
      if (rows.length < ROWS || this.#state === 'stopped') return;
      gte = `${rows.at(-1)![0]}\u0000`;
      const restMs = REST_FACTOR * (runtime.clock.monotonicMs() - startMs);
      await new Promise<void>((resolve) => {
        runtime.timers.after(restMs, resolve);
      });
    }
  }

  /** By the clock of the node that took it. One that cannot be read counts as young: it is repaired first. */
  #timeOf(key: RowKey, value: Uint8Array): number {
    const decoded = this.#options.replica.decode(key, value);
    const entry = decoded.ok ? decoded.row[0] : undefined;
    const message = entry && decodeMessage(entry.value);
    return message ? message.timestamp * 1000 : Number.POSITIVE_INFINITY;
  }

  async #rows(gte: string, lt: string, limit: number): Promise<readonly KeyValue[]> {
    const rows: KeyValue[] = [];
    for await (const chunk of this.#options.store.scan({ gte, lt, limit })) rows.push(...chunk);
    return rows;
  }
}

interface WalkedRow {
  readonly seq: number;
  readonly bytes: number;
  readonly timeMs: () => number;
}
