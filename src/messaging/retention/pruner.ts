import type { ChannelKey } from '../../core/ids.ts';
import { floorOf, type Floor } from '../../core/kinds/floor.ts';
import { decodeMessage } from '../../core/kinds/message.ts';
import { sendKeysOf } from '../../core/kinds/send-key.ts';
import { SHARDS } from '../../core/placement.ts';
import { EMPTY_ROW, type Row } from '../../core/row.ts';
import {
  channelPrefix,
  floorKey,
  formatSeq,
  messageKey,
  rangeEnd,
  sendKeyKey,
  shardPrefix,
  splitRowKey,
  type RowKey,
} from '../../core/row-key.ts';
import type { Log } from '../../observability/log.ts';
import type { Runtime, Timer } from '../../runtime/port.ts';
import type { Store } from '../../storage/port.ts';
import type { Floors } from './floors.ts';
import type { Change, Replica, ReplicaListener } from '../../storage/replica-port.ts';

export interface PrunerOptions {
  readonly store: Store;
  readonly replica: Pick<Replica, 'read' | 'replaceRows'>;
  readonly floors: Floors;
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
  /** Channels whose send keys were all looked at in this run: none is, or came since, without its message. */
  readonly #looked = new Set<ChannelKey>();
  #aloneCame = 0;
  #timer: Timer | undefined;
  #state: 'stopped' | 'idle' | 'working' = 'stopped';
  #uncompacted = new Map<string, string>();
  #uncompactedBytes = 0;
  readonly counters = { messagesRemoved: 0, bytesRemoved: 0 };

  constructor(options: PrunerOptions) {
    this.#options = options;
    options.floors.onLeftOver = (channel) => {
      this.#looked.delete(channel);
      this.#note(channel);
    };
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

  onStaged(changes: readonly Change[], by: 'operation' | 'rows'): void {
    const { floors } = this.#options;
    for (const { key, before, after } of changes) {
      if (key[0] === 'f') this.#note(splitRowKey(key)!.parts[0] as ChannelKey);
      else if (before.length > 0 || after.length === 0) continue;
      else if (key[0] === 'm') {
        if (floors.isCut(key, after)) this.#note(splitRowKey(key)!.parts[0] as ChannelKey);
      } else if (key[0] === 'i') {
        // A message and its send key are one operation; what a peer has left of it may be the latter alone.
        const isWhole = by === 'operation' && changes.some((change) => change.key[0] === 'm');
        if (!isWhole) this.#sendKeyCame(key, after);
      }
    }
  }

  /** Where it came from its message may have been taken off already: then nothing here leads to it. */
  #sendKeyCame(key: RowKey, row: Row): void {
    const { floors } = this.#options;
    const channel = splitRowKey(key)!.parts[0] as ChannelKey;
    if (!this.#isAlone(channel, row)) return;
    this.#aloneCame += 1;
    this.#looked.delete(channel);
    if (floors.isCut(key, row)) this.#note(channel);
  }

  #isAlone(channel: ChannelKey, row: Row): boolean {
    const { replica } = this.#options;
    return sendKeysOf(row).some(
      ({ messageSeq, actor }) => replica.read(messageKey(channel, messageSeq, actor)).length === 0,
    );
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
        this.#options.floors.note();
        await this.#prune(splitRowKey(key)!.parts[0] as ChannelKey);
      }
    }
  }

  async #prune(channel: ChannelKey): Promise<void> {
    const { replica } = this.#options;
    const floor = floorOf(replica.read(floorKey(channel)));
    if (!floor) return;
    await this.#pruneMessages(channel, floor);
    if (!this.#looked.has(channel)) await this.#pruneSendKeys(channel);
  }

  async #pruneMessages(channel: ChannelKey, floor: Floor): Promise<void> {
    const { store, runtime } = this.#options;
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

  /** Those whose messages are not here: they came by themselves, or before a crash took the rest of the work. */
  async #pruneSendKeys(channel: ChannelKey): Promise<void> {
    const { store, replica, runtime, floors } = this.#options;
    const prefix = channelPrefix('i', channel);
    let gte = prefix;
    const before = this.#aloneCame;
    let alone = 0;
    while (!this.#isStopped()) {
      const startMs = runtime.clock.monotonicMs();
      const keys: RowKey[] = [];
      for await (const chunk of store.scan({ gte, lt: rangeEnd(prefix), limit: ROWS })) {
        for (const [key] of chunk) keys.push(key as RowKey);
      }
      const gone = new Set(keys.filter((key) => floors.isCut(key, replica.read(key))));
      for (const key of keys) {
        if (!gone.has(key) && this.#isAlone(channel, replica.read(key))) alone += 1;
      }
      if (gone.size > 0) await this.#replace([...gone]);
      if (keys.length < ROWS) {
        // Those above the floor are for the next one.
        if (alone === 0 && before === this.#aloneCame) this.#rememberLooked(channel);
        return;
      }
      gte = `${keys.at(-1)!}\u0000`;
      const restMs = REST_FACTOR * (runtime.clock.monotonicMs() - startMs);
      await new Promise<void>((resolve) => {
        runtime.timers.after(restMs, resolve);
      });
    }
  }

  #rememberLooked(channel: ChannelKey): void {
    this.#looked.add(channel);
    if (this.#looked.size <= (this.#options.channelsMax ?? CHANNELS_MAX)) return;
    for (const oldest of this.#looked) {
      this.#looked.delete(oldest);
      break;
    }
  }

  /** In one tick: the send keys are those of the rows as they are. */
  #remove(channel: ChannelKey, keys: readonly RowKey[]): Promise<void> {
    const { replica, floors } = this.#options;
    const gone = new Set<RowKey>(keys);
    for (const key of keys) {
      const sent = sendKeyOf(channel, replica.read(key));
      if (sent && floors.isCut(sent, replica.read(sent))) gone.add(sent);
    }
    this.counters.messagesRemoved += keys.length;
    return this.#replace([...gone]);
  }

  #replace(keys: readonly RowKey[]): Promise<void> {
    const rows = keys.map((key) => [key, EMPTY_ROW] as const);
    return new Promise((resolve) => {
      this.#options.replica.replaceRows(rows, resolve);
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
