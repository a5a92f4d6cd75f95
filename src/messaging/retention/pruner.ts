import type { ChannelKey } from '../../core/ids.ts';
import { floorOf, isBelowFloor } from '../../core/kinds/floor.ts';
import { decodeMessage } from '../../core/kinds/message.ts';
import { SHARDS } from '../../core/placement.ts';
import { EMPTY_ROW, type Row } from '../../core/row.ts';
import {
  channelPrefix,
  floorKey,
  formatSeq,
  rangeEnd,
  sendKeyKey,
  shardPrefix,
  splitRowKey,
  type RowKey,
} from '../../core/row-key.ts';
import type { Log } from '../../observability/log.ts';
import type { Runtime, Timer } from '../../runtime/port.ts';
import type { Store } from '../../storage/port.ts';
import type { Change, Replica, ReplicaListener } from '../../storage/replica-port.ts';

export interface PrunerOptions {
  readonly store: Store;
  readonly replica: Pick<Replica, 'read' | 'replaceRows'>;
  readonly runtime: Runtime;
  readonly log: Pick<Log, 'warn'>;
  readonly delayMs?: number | undefined;
  readonly channelsMax?: number | undefined;
}

const DELAY_MS = 200;
const CHANNELS_MAX = 10_000;
const ROWS = 256;
/** After work a pause of this many times what it took. */
const REST_FACTOR = 3;
/** Files are rewritten after so much was removed; below it LevelDB does it in its own time. */
const COMPACT_BYTES = 4 * 1024 * 1024;

/**
 * Takes what is below a channel's floor off this node's disk, rows, send keys and log rows, as a local
 * matter of every node: a floor is the only thing that is told. What a peer brings back from below it,
 * because it had not heard, is taken off again.
 */
export class Pruner implements ReplicaListener {
  readonly #options: PrunerOptions;
  readonly #waiting = new Set<ChannelKey>();
  /** Some channel's floor may have been missed: all floors are looked at. */
  #all = true;
  /** Whether any channel has a floor: while none has, nothing that comes is looked up. */
  #any = false;
  #timer: Timer | undefined;
  #state: 'stopped' | 'idle' | 'working' = 'stopped';
  #uncompacted = new Map<string, string>();
  #uncompactedBytes = 0;
  readonly counters = { messagesRemoved: 0, bytesRemoved: 0 };

  constructor(options: PrunerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#state = 'idle';
    this.#wake();
  }

  stop(): void {
    this.#state = 'stopped';
    this.#timer?.cancel();
  }

  onSubmitted(): void {}

  onDurable(): void {}

  onStaged(changes: readonly Change[]): void {
    for (const { key, before, after } of changes) {
      if (key[0] === 'f') {
        this.#any = true;
        this.#note(splitRowKey(key)!.parts[0] as ChannelKey);
      } else if (this.#any && key[0] === 'm' && before.length === 0 && after.length > 0) {
        const read = (wanted: RowKey): Row => this.#options.replica.read(wanted);
        if (isBelowFloor(key, after, read)) this.#note(splitRowKey(key)!.parts[0] as ChannelKey);
      }
    }
  }

  #note(channel: ChannelKey): void {
    if (this.#waiting.size < (this.#options.channelsMax ?? CHANNELS_MAX)) {
      this.#waiting.add(channel);
    } else this.#all = true;
    this.#wake();
  }

  #wake(): void {
    if (this.#state !== 'idle' || this.#timer) return;
    const { runtime, delayMs, log } = this.#options;
    this.#timer = runtime.timers.after(delayMs ?? DELAY_MS, () => {
      this.#timer = undefined;
      if (this.#state !== 'idle') return;
      this.#state = 'working';
      this.#work()
        .catch((error: unknown) => {
          this.#all = true;
          log.warn('what is below the floors is not removed yet: tried again', { error });
        })
        .finally(() => {
          if (this.#state === 'stopped') return;
          this.#state = 'idle';
          if (this.#all || this.#waiting.size > 0) this.#wake();
        });
    });
  }

  async #work(): Promise<void> {
    if (this.#all) {
      this.#all = false;
      for (let shard = 0; shard < SHARDS; shard++) await this.#shard(shard);
    }
    for (const channel of this.#waiting) {
      this.#waiting.delete(channel);
      await this.#prune(channel);
    }
    await this.#compact();
  }

  async #shard(shard: number): Promise<void> {
    const prefix = shardPrefix('f', shard);
    for await (const chunk of this.#options.store.scan({ gte: prefix, lt: rangeEnd(prefix) })) {
      for (const [key] of chunk) {
        if (this.#isStopped()) return;
        this.#any = true;
        await this.#prune(splitRowKey(key)!.parts[0] as ChannelKey);
      }
    }
  }

  async #prune(channel: ChannelKey): Promise<void> {
    const { store, replica, runtime } = this.#options;
    const floor = floorOf(replica.read(floorKey(channel)));
    if (!floor) return;
    const prefix = channelPrefix('m', channel);
    const range = { gte: prefix, lt: prefix + formatSeq(floor.seq + 1), limit: ROWS };
    while (!this.#isStopped()) {
      const startMs = runtime.clock.monotonicMs();
      const rows: RowKey[] = [];
      for await (const chunk of store.scan(range)) {
        for (const [key, value] of chunk) {
          rows.push(key as RowKey);
          this.counters.bytesRemoved += key.length + value.length;
          this.#uncompactedBytes += key.length + value.length;
        }
      }
      if (rows.length === 0) return;
      await this.#remove(channel, rows);
      this.#uncompacted.set(prefix, rows.at(-1)!);
      if (rows.length < ROWS) return;
      const restMs = REST_FACTOR * (runtime.clock.monotonicMs() - startMs);
      await new Promise<void>((resolve) => {
        runtime.timers.after(restMs, resolve);
      });
    }
  }

  /** In one tick: the send keys are those of the rows as they are. */
  #remove(channel: ChannelKey, keys: readonly RowKey[]): Promise<void> {
    const { replica } = this.#options;
    const read = (wanted: RowKey): Row => replica.read(wanted);
    const gone = new Set<RowKey>(keys);
    for (const key of keys) {
      const sent = sendKeyOf(channel, read(key));
      if (sent && isBelowFloor(sent, read(sent), read)) gone.add(sent);
    }
    this.counters.messagesRemoved += keys.length;
    return new Promise((resolve) => {
      replica.replaceRows(
        [...gone].map((key) => [key, EMPTY_ROW] as const),
        resolve,
      );
    });
  }

  async #compact(): Promise<void> {
    const { store, runtime } = this.#options;
    if (this.#uncompactedBytes < COMPACT_BYTES || !store.compact) return;
    const ranges = this.#uncompacted;
    this.#uncompacted = new Map();
    this.#uncompactedBytes = 0;
    for (const [gte, last] of ranges) {
      if (this.#isStopped()) return;
      const startMs = runtime.clock.monotonicMs();
      await store.compact({ gte, lt: `${last}\u0000` });
      const restMs = REST_FACTOR * (runtime.clock.monotonicMs() - startMs);
      await new Promise<void>((resolve) => {
        runtime.timers.after(restMs, resolve);
      });
    }
  }

  #isStopped(): boolean {
    return this.#state === 'stopped';
  }
}

function sendKeyOf(channel: ChannelKey, row: Row): RowKey | undefined {
  const message = row[0] && decodeMessage(row[0].value);
  if (!message || message.clientMsgNo === '') return undefined;
  return sendKeyKey(channel, message.fromUid, message.clientMsgNo);
}
