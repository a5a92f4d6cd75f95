import type { ActorId, ChannelKey } from '../../core/ids.ts';
import { decodeMessage } from '../../core/kinds/message.ts';
import { sendKeysOf } from '../../core/kinds/send-key.ts';
import { shardOf } from '../../core/placement.ts';
import { RECALL } from '../../core/row.ts';
import { messageKey, splitRowKey } from '../../core/row-key.ts';
import type { Applied, Change, Replica } from '../../storage/replica-port.ts';
import type { WriteGate } from '../write-gate.ts';
import { recallDrafts } from './recalls.ts';

/**
 * A retry that another node stored as a copy may come here after the message was recalled: the copy is
 * recalled too, by each node that sees both (their recalls are one when they meet). Costs a send whose
 * key has one message nothing.
 */
export class LateCopies {
  readonly #replica: Pick<Replica, 'read' | 'seen' | 'submit'>;
  readonly #gate: Pick<WriteGate, 'refusal'>;

  constructor(
    replica: Pick<Replica, 'read' | 'seen' | 'submit'>,
    gate: Pick<WriteGate, 'refusal'>,
  ) {
    this.#replica = replica;
    this.#gate = gate;
  }

  onDurable({ changes }: Applied): void {
    for (const change of changes) {
      if (change.key[0] === 'i' && change.after.length > 1) this.#settle(change);
      else if (change.key[0] === 'm' && change.after[0]?.tag === RECALL) this.#spread(change);
    }
  }

  /** A send key that names several messages. */
  #settle({ key, after }: Change): void {
    const channel = splitRowKey(key)!.parts[0] as ChannelKey;
    for (const { messageSeq, actor } of sendKeysOf(after)) {
      const copy = messageKey(channel, messageSeq, actor);
      if (this.#replica.read(copy)[0]?.tag === RECALL) this.#recallCopies(copy);
    }
  }

  /** A recall by a node that did not know of the copy which is here. */
  #spread({ key, before }: Change): void {
    if (before[0]?.tag !== RECALL) this.#recallCopies(key);
  }

  #recallCopies(key: Change['key']): void {
    const [entry] = this.#replica.read(key);
    const message = entry && decodeMessage(entry.value);
    // While this node may not write another does it, or this one when it hears of the key again.
    if (!message?.recall || this.#gate.refusal()) return;
    const [channel, , actor] = splitRowKey(key)!.parts as [ChannelKey, string, ActorId];
    const drafts = recallDrafts(this.#replica, {
      ...{ channel, key, actor, message, recall: message.recall },
    });
    if (drafts.length > 0) this.#replica.submit(shardOf(channel), drafts);
  }
}
