import {
  channelTypeOf,
  ID_LENGTH_MAX,
  isPrintableAscii,
  PERSON,
  type ChannelKey,
} from '../core/ids.ts';
import { encodeMessage, type Message } from '../core/kinds/message.ts';
import { encodeSendKey, firstOf, payloadHash } from '../core/kinds/send-key.ts';
import { EMPTY_CONTEXT } from '../core/context.ts';
import { EMPTY_VALUE, type Draft, type Operation } from '../core/operation.ts';
import { personsOf, shardOf } from '../core/placement.ts';
import { REASON, refuse, type Outcome, type Refusal } from '../core/reason-code.ts';
import { EMPTY_ROW, isLive } from '../core/row.ts';
import { messageKey, sendKeyKey, subscriptionKey } from '../core/row-key.ts';
import { nextSeq, type SlotNumber } from '../core/sequence.ts';
import type { OperationJournal } from '../audit/operations/port.ts';
import type { Replication } from '../cluster/replication/port.ts';
import type { Runtime } from '../runtime/port.ts';
import type { Replica } from '../storage/replica-port.ts';
import type { ChannelHeads } from './channel-heads.ts';
import type { Delivery } from './delivery.ts';
import type { MessageIds } from './message-ids.ts';
import type { Publisher, PublishRequest, PublishResult, Sink } from './port.ts';
import type { SendPermissions } from './send-permissions.ts';
import type { WriteGate } from './write-gate.ts';

export interface PublisherOptions {
  readonly replica: Replica;
  readonly replication: Pick<Replication, 'awaitReach' | 'livePeers' | 'sendTransient'>;
  readonly gate: WriteGate;
  readonly permissions: SendPermissions;
  readonly heads: ChannelHeads;
  readonly delivery: Delivery;
  readonly messageIds: MessageIds;
  readonly runtime: Runtime;
  readonly journal?: Pick<OperationJournal, 'because'> | undefined;
  readonly numbering: SlotNumber;
  readonly payloadBytesMax: number;
  /** How long an acknowledgement waits for a second disk while a peer is live. Milliseconds. */
  readonly secondDiskTimeoutMs: number;
  /** Disks that an acknowledgement waits for: 1 is this node's own; 2 by default. */
  readonly writeAcks?: 1 | 2 | undefined;
  /** How long a no-persist first message waits for the live members to know the pair. Milliseconds. */
  readonly routedTimeoutMs: number;
}

/** The sink is told when the disk or a peer has answered. */
type Later = typeof LATER;
const LATER = 'later';

/** It is part of a key whose parts are separated by U+0001. */
const CONTROL = /[\u0000-\u001f\u007f]|\p{Surrogate}/u;

export class PublishService implements Publisher {
  readonly #options: PublisherOptions;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  publish(request: PublishRequest): Promise<Outcome<PublishResult>> {
    return new Promise((settle, fail) => {
      this.publishInto(request, { settle, fail });
    });
  }

  publishInto(request: PublishRequest, sink: Sink<PublishResult>): void {
    let outcome: Outcome<PublishResult> | Later;
    try {
      outcome = this.#begin(request, sink);
    } catch (error) {
      sink.fail(error);
      return;
    }
    if (outcome !== LATER) sink.settle(outcome);
  }

  /** Settles nothing before it returns: what it throws has to be the only word on the request. */
  #begin(request: PublishRequest, sink: Sink<PublishResult>): Outcome<PublishResult> | Later {
    const refusal = this.#refusal(request);
    if (refusal) return refusal;
    if (request.noPersist) return this.#publishTransient(request, sink);
    const { heads, gate } = this.#options;
    if (heads.highest(request.channel) === undefined) {
      heads.load(request.channel).then(
        () => this.publishInto(request, sink),
        (error: unknown) => sink.fail(error),
      );
      return LATER;
    }
    // From here to the staging nothing waits: the number and the write belong together.
    return gate.refusal() ?? this.#repeated(request, sink) ?? this.#store(request, sink);
  }

  #store(request: PublishRequest, sink: Sink<PublishResult>): Later {
    const { replica, heads, delivery, numbering } = this.#options;
    const { channel } = request;
    const messageSeq = nextSeq(heads.highest(channel)!, numbering);
    const message = this.#messageOf(request, messageSeq);
    heads.raise(channel, messageSeq);
    const drafts: Draft[] = [
      fresh(messageKey(channel, messageSeq, replica.actor), encodeMessage(message)),
    ];
    if (request.clientMsgNo !== '') drafts.push(this.#sendKeyDraft(request, message));
    for (const draft of this.#personDrafts(channel)) drafts.push(draft);
    const operation: Operation = replica.submit(shardOf(channel), drafts, () => {
      this.#awaitSecondDisk(operation, (disks) => {
        sink.settle({ ok: true, value: resultOf(message, disks) });
      });
    });
    this.#options.journal?.because(operation, request.cause);
    delivery.expect(operation, { message, exceptSession: request.exceptSession });
    return LATER;
  }

  #awaitSecondDisk(operation: Operation, done: (disks: number) => void): void {
    const { replication, secondDiskTimeoutMs, writeAcks } = this.#options;
    if (writeAcks === 1 || replication.livePeers() === 0) {
      done(1);
      return;
    }
    const wanted = { disks: 2, timeoutMs: secondDiskTimeoutMs };
    replication.awaitReach(operation, wanted, (reach) => done(Math.min(2, reach.disks)));
  }

  /**
   * A retry of a stored message gets its number and id again and the disks that hold it by now; one
   * with another payload is refused. Undefined where the message is new.
   */
  #repeated(request: PublishRequest, sink: Sink<PublishResult>): Refusal | Later | undefined {
    if (request.clientMsgNo === '') return undefined;
    const { replica } = this.#options;
    const key = sendKeyKey(request.channel, request.sender, request.clientMsgNo);
    const row = replica.read(key);
    if (row.length === 0) return undefined;
    const first = firstOf(row, payloadHash(request.payload));
    if (!first) {
      return refuse(
        REASON.idempotencyConflict,
        'another payload was sent under this client message number',
      );
    }
    const { messageId, messageSeq } = first;
    const { clientMsgNo } = request;
    const { actor, counter, hlc } = row.find((entry) => entry.actor === first.actor)!;
    const settle = (disks: number): void => {
      const value = { messageId, messageSeq, clientMsgNo, disks, repeated: true } as const;
      sink.settle({ ok: true, value });
    };
    // What is staged before this is on disk when it runs: the first write included.
    replica.cover([], () => {
      // Of writes of other runs nobody here knows on how many disks they are: on this one they are.
      if (actor !== replica.actor) return settle(1);
      // The send key stands right after its message, which is the first write of the operation.
      const written = { actor, shard: shardOf(request.channel), first: counter - 1, count: 2 };
      this.#awaitSecondDisk({ ...written, hlc, writes: [] }, settle);
    });
    return LATER;
  }

  /** Sent to sessions that are connected now, stored nowhere, numbered by no channel. */
  #publishTransient(
    request: PublishRequest,
    sink: Sink<PublishResult>,
  ): Outcome<PublishResult> | Later {
    const { replication, replica, gate, journal, routedTimeoutMs } = this.#options;
    const pair = this.#personDrafts(request.channel);
    if (pair.length === 0) return this.#send(request);
    const refusal = gate.refusal();
    if (refusal) return refusal;
    // The peer's node must route by the new pair before a message comes that is sent only once.
    const wanted = { routed: 'all', timeoutMs: routedTimeoutMs } as const;
    const operation = replica.submit(shardOf(request.channel), pair, () => {
      replication.awaitReach(operation, wanted, () => sink.settle(this.#send(request)));
    });
    journal?.because(operation, request.cause);
    return LATER;
  }

  #send(request: PublishRequest): Outcome<PublishResult> {
    const { delivery, replication } = this.#options;
    const message = this.#messageOf(request, 0);
    delivery.deliver(request.channel, message, request.exceptSession);
    replication.sendTransient(request.channel, request.sender, () => encodeMessage(message));
    return { ok: true, value: resultOf(message, 0) };
  }

  #sendKeyDraft(request: PublishRequest, message: Message): Draft {
    const value = encodeSendKey({
      payloadHash: payloadHash(request.payload),
      messageSeq: message.messageSeq,
      messageId: message.messageId,
    });
    return fresh(sendKeyKey(request.channel, request.sender, request.clientMsgNo), value);
  }

  /** The first message between two users subscribes both, in the operation that stores it. */
  #personDrafts(channel: ChannelKey): Draft[] {
    if (channelTypeOf(channel) !== PERSON) return [];
    const drafts: Draft[] = [];
    for (const uid of new Set(personsOf(channel))) {
      const key = subscriptionKey(channel, uid);
      if (isLive(this.#options.replica.read(key))) continue;
      drafts.push({ key, tag: 0, context: EMPTY_CONTEXT, value: EMPTY_VALUE });
    }
    return drafts;
  }

  #messageOf(request: PublishRequest, messageSeq: number): Message {
    const { messageIds, runtime } = this.#options;
    return {
      messageId: messageIds.next(),
      messageSeq,
      clientMsgNo: request.clientMsgNo,
      fromUid: request.sender,
      timestamp: Math.floor(runtime.clock.wallMs() / 1000),
      payload: request.payload,
      noPersist: request.noPersist,
      redDot: request.redDot,
      syncOnce: request.syncOnce,
      setting: request.setting,
      topic: request.topic,
      expire: request.expire,
    };
  }

  #refusal({ channel, sender, payload, cause, clientMsgNo }: PublishRequest): Refusal | undefined {
    const { payloadBytesMax, permissions } = this.#options;
    if (!isClientMsgNo(clientMsgNo)) {
      return refuse(
        REASON.payloadDecode,
        `clientMsgNo: at most ${ID_LENGTH_MAX} characters, none of them a control character`,
      );
    }
    if (payload.length > payloadBytesMax) {
      return refuse(
        REASON.payloadDecode,
        `payload: ${payload.length} bytes, at most ${payloadBytesMax}`,
      );
    }
    return permissions.refusal(channel, sender, cause);
  }
}

function isClientMsgNo(text: string): boolean {
  return text.length <= ID_LENGTH_MAX && (isPrintableAscii(text) || !CONTROL.test(text));
}

/** Of a row that is known to be absent: a new number of this actor, a send key that was just looked up. */
function fresh(key: Draft['key'], value: Uint8Array): Draft {
  return { key, tag: 0, context: EMPTY_CONTEXT, value, row: EMPTY_ROW };
}

function resultOf(message: Message, disks: number): PublishResult {
  const { messageId, messageSeq, clientMsgNo } = message;
  return { messageId, messageSeq, clientMsgNo, disks };
}
