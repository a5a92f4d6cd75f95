import type { ActorId, ChannelKey, Uid } from '../core/ids.ts';
import { decodeMessage, type Message } from '../core/kinds/message.ts';
import { firstOf, payloadHash, sendKeysOf } from '../core/kinds/send-key.ts';
import type { Operation } from '../core/operation.ts';
import { RECALL, type Entry, type Row } from '../core/row.ts';
import { messageKey, sendKeyKey, splitRowKey, type RowKey } from '../core/row-key.ts';
import type { Store } from '../storage/port.ts';
import type { Applied, Change } from '../storage/replica-port.ts';
import type { ChannelHeads } from './channel-heads.ts';
import type { MessageIds } from './message-ids.ts';
import type { RecentMessages } from './resume/recent-messages.ts';
import { DeliveryLog } from './delivery-log.ts';
import type { Fanout } from './port.ts';

export interface DeliveryOptions {
  readonly heads: ChannelHeads;
  readonly fanout: Fanout;
  readonly store: Pick<Store, 'status' | 'onStatus'>;
  /** A stored row; absent where nothing comes by snapshots. */
  readonly read?: ((key: RowKey) => Row) | undefined;
  /** True of a row that is absent by rule, and that a peer brings which has not heard of it. */
  readonly isCut?: ((key: RowKey, row: Row) => boolean) | undefined;
  /** Told of the ids that peers bring back. */
  readonly messageIds?: Pick<MessageIds, 'observe'> | undefined;
  /** Told of each stored message, for clients that come back. */
  readonly recent?: Pick<RecentMessages, 'note'> | undefined;
}

/** What the publisher knows of its own message, so that it is not decoded again. */
interface Outgoing {
  readonly message: Message;
  readonly exceptSession: number | undefined;
}

/**
 * A message goes to this node's sessions when the node first has it on disk, by whichever way it came,
 * once: the change that puts it into its row is told once. While the disk is failing, what peers have on
 * theirs goes out ahead of this one.
 */
export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #heads: ChannelHeads;
  readonly #fanout: Fanout;
  readonly #outgoing = new Map<string, Outgoing>();
  readonly #store: DeliveryOptions['store'];
  /** Of peers, on their way to the disk; as bounded as what is staged, and so is `#ahead`. */
  readonly #received = new Map<string, Applied>();
  /** Delivered already, not on disk yet. */
  readonly #ahead = new Set<string>();
  /** Messages that were absent by rule when they came. */
  readonly #late = new WeakSet<Change>();
  readonly #messageIds: DeliveryOptions['messageIds'];
  /** What went out of what is stored, in its order. */
  readonly log = new DeliveryLog();
  #delivered = 0;

  constructor(options: DeliveryOptions) {
    const { heads, fanout, store, messageIds } = options;
    this.#options = options;
    this.#messageIds = messageIds;
    this.#heads = heads;
    this.#fanout = fanout;
    this.#store = store;
    store.onStatus(({ state }) => {
      if (state === 'failing') this.#deliverAhead();
    });
  }

  /** Messages handed to the fan-out so far. */
  deliveredMessages(): number {
    return this.#delivered;
  }

  /** Bounded by the operations that wait for the disk. */
  expect(operation: Operation, outgoing: Outgoing): void {
    this.#outgoing.set(nameOf(operation), outgoing);
  }

  /** In the tick of the staging: what is cut between that and the disk has come in time, and is told. */
  onStaged(changes: readonly Change[]): void {
    const { isCut } = this.#options;
    if (!isCut) return;
    for (const change of changes) {
      if (change.key[0] !== 'm' || change.before.length > 0) continue;
      if (isCut(change.key, change.after)) this.#late.add(change);
    }
  }

  /** A peer's operation that was staged and is not on disk yet. */
  onReceived(applied: Applied): void {
    if (!applied.operation || !applied.changes.some(({ key }) => key[0] === 'm')) return;
    this.#received.set(nameOf(applied.operation), applied);
    if (this.#store.status().state === 'failing') this.#deliverAhead();
  }

  onDurable(applied: Applied): void {
    const { operation, own } = applied;
    if (operation && !own) {
      const name = nameOf(operation);
      this.#received.delete(name);
      if (this.#ahead.delete(name)) return;
    }
    this.#deliverAll(applied);
  }

  #deliverAhead(): void {
    for (const [name, applied] of this.#received) {
      this.#received.delete(name);
      this.#ahead.add(name);
      this.#deliverAll(applied);
    }
  }

  #deliverAll({ operation, changes, own }: Applied): void {
    for (const change of changes) {
      if (change.key[0] !== 'm' || change.before.length > 0) continue;
      const entry = change.after[0];
      if (!entry || entry.tag === RECALL) continue;
      const outgoing = own && operation ? this.#outgoing.get(nameOf(operation)) : undefined;
      const message = outgoing?.message ?? decodeMessage(entry.value);
      if (!message) continue;
      const channel = splitRowKey(change.key)!.parts[0] as ChannelKey;
      this.#heads.raise(channel, message.messageSeq);
      if (!own) this.#messageIds?.observe(message.messageId);
      if (change.restored) continue;
      // Sessions here had it before it was cut, or it is too late.
      if (!own && this.#late.has(change)) continue;
      if (!own && isRepeat(channel, message, changes)) continue;
      if (!operation && this.#isCopy(channel, { message, actor: entry.actor }, changes)) continue;
      this.#deliverStored(channel, entry, { message, exceptSession: outgoing?.exceptSession });
    }
    if (own && operation) this.#outgoing.delete(nameOf(operation));
  }

  /**
   * Rows of a snapshot: the send key may have come with others before, and both messages that it names
   * may be among these. They come in the order of their numbers, so a lower one went out just now.
   */
  #isCopy(
    channel: ChannelKey,
    { message, actor }: { message: Message; actor: ActorId },
    changes: readonly Change[],
  ): boolean {
    const { read } = this.#options;
    if (message.clientMsgNo === '' || !read) return false;
    const row = read(sendKeyKey(channel, message.fromUid, message.clientMsgNo));
    const own = messageKey(channel, message.messageSeq, actor);
    const hash = payloadHash(message.payload);
    return sendKeysOf(row).some((copy) => {
      const key = messageKey(channel, copy.messageSeq, copy.actor);
      if (copy.payloadHash !== hash || key === own || read(key).length === 0) return false;
      const isNew = changes.some((change) => change.key === key && change.before.length === 0);
      return !isNew || key < own;
    });
  }

  /** A message that is not stored. */
  deliver(channel: ChannelKey, message: Message, exceptSession: number | undefined): void {
    this.#delivered += 1;
    this.#fanout.deliver({ channel, message, prevSeq: 0, exceptSession });
  }

  #deliverStored(channel: ChannelKey, written: Entry, { message, exceptSession }: Outgoing): void {
    const { messageSeq } = message;
    const prevSeq = this.#heads.delivered(channel, messageSeq);
    this.#delivered += 1;
    this.log.note(channel, messageSeq, exceptSession);
    this.#options.recent?.note(channel, {
      messageSeq,
      actor: written.actor,
      counter: written.counter,
    });
    this.#fanout.deliver({ channel, message, prevSeq, exceptSession, written });
  }

  onTransient(channel: ChannelKey, _sender: Uid, value: Uint8Array): void {
    const message = decodeMessage(value);
    if (message) this.deliver(channel, message, undefined);
  }
}

/** True where the same payload was stored here before under the same send key: delivered already. */
function isRepeat(channel: ChannelKey, message: Message, changes: readonly Change[]): boolean {
  if (message.clientMsgNo === '') return false;
  // Changes may be those of a snapshot: rows of many messages and of many send keys.
  const name = sendKeyKey(channel, message.fromUid, message.clientMsgNo);
  const change = changes.find(({ key }) => key === name);
  if (!change || change.before.length === 0) return false;
  return firstOf(change.before, payloadHash(message.payload)) !== undefined;
}

function nameOf({ actor, shard, first }: Operation): string {
  return `${actor}:${shard}:${first}`;
}
