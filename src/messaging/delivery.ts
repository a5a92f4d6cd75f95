import type { ChannelKey, Uid } from '../core/ids.ts';
import { decodeMessage, type Message } from '../core/kinds/message.ts';
import { firstOf, payloadHash } from '../core/kinds/send-key.ts';
import type { Operation } from '../core/operation.ts';
import { RECALL } from '../core/row.ts';
import { sendKeyKey, splitRowKey } from '../core/row-key.ts';
import type { Store } from '../storage/port.ts';
import type { Applied, Change } from '../storage/replica-port.ts';
import type { ChannelHeads } from './channel-heads.ts';
import type { MessageIds } from './message-ids.ts';
import type { Fanout } from './port.ts';

export interface DeliveryOptions {
  readonly heads: ChannelHeads;
  readonly fanout: Fanout;
  readonly store: Pick<Store, 'status' | 'onStatus'>;
  /** Told of the ids that peers bring back. */
  readonly messageIds?: Pick<MessageIds, 'observe'> | undefined;
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
  readonly #heads: ChannelHeads;
  readonly #fanout: Fanout;
  readonly #outgoing = new Map<string, Outgoing>();
  readonly #store: DeliveryOptions['store'];
  /** Of peers, on their way to the disk; as bounded as what is staged, and so is `#ahead`. */
  readonly #received = new Map<string, Applied>();
  /** Delivered already, not on disk yet. */
  readonly #ahead = new Set<string>();
  readonly #messageIds: DeliveryOptions['messageIds'];
  #delivered = 0;

  constructor({ heads, fanout, store, messageIds }: DeliveryOptions) {
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
      if (!own && isRepeat(channel, message, changes)) continue;
      this.deliver(channel, message, outgoing?.exceptSession);
    }
    if (own && operation) this.#outgoing.delete(nameOf(operation));
  }

  deliver(channel: ChannelKey, message: Message, exceptSession: number | undefined): void {
    const prevSeq =
      message.messageSeq === 0 ? 0 : this.#heads.delivered(channel, message.messageSeq);
    this.#delivered += 1;
    this.#fanout.deliver({ channel, message, prevSeq, exceptSession });
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
