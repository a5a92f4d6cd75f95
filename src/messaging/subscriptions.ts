import { contextOfDots, EMPTY_CONTEXT, uniteContexts, type Context } from '../core/context.ts';
import type { Dot } from '../core/dot.ts';
import { channelTypeOf, PERSON, type ChannelKey, type MemberId, type Uid } from '../core/ids.ts';
import { renewalOf } from '../core/kinds/subscription.ts';
import {
  EMPTY_VALUE,
  OPERATION_WRITES_MAX,
  remove,
  replace,
  type Draft,
  type Operation,
} from '../core/operation.ts';
import { personsOf, shardOf } from '../core/placement.ts';
import { REASON, refuse, type Outcome, type Refusal } from '../core/reason-code.ts';
import { EMPTY_ROW, isLive } from '../core/row.ts';
import { denyKey, subscriptionKey, type RowKey } from '../core/row-key.ts';
import type { Reach, Replication } from '../cluster/replication/port.ts';
import type { OperationJournal } from '../audit/operations/port.ts';
import type { Replica } from '../storage/replica-port.ts';
import type {
  Cause,
  ManySubscriptionsRequest,
  Sink,
  SubscriptionDigest,
  SubscriptionRequest,
  SubscriptionResult,
  Subscriptions,
  WaitFor,
} from './port.ts';
import { joinRuleOf } from './directory.ts';
import type { Pair, SubscriptionTable } from './subscription-table.ts';
import type { WriteGate } from './write-gate.ts';

export interface SubscriptionServiceOptions {
  readonly table: SubscriptionTable;
  readonly replica: Replica;
  readonly replication: Pick<Replication, 'awaitReach'>;
  readonly gate: WriteGate;
  /** Who may not be subscribed to more: known of users that are connected to this node. */
  readonly isFull?: ((uid: Uid) => boolean) | undefined;
  readonly journal?: Pick<OperationJournal, 'because'> | undefined;
  /** How long an acknowledgement waits for the live members to route by it. Milliseconds. */
  readonly routedTimeoutMs: number;
}

/** Operations staged by one call before it waits for the disk, so that one call cannot fill the queue. */
const OPERATIONS_AHEAD = 32;
/** Of the contexts of one operation: each removal carries a whole vector, one span a run of a node. */
const CONTEXT_BYTES_MAX = 256 * 1024;
const SPAN_BYTES = 32;

type ChannelPart = ManySubscriptionsRequest['channels'][number];

type How = Pick<SubscriptionRequest, 'waitFor' | 'cause'>;

/** How the pairs of one shard are written. */
interface Writing {
  readonly shard: number;
  readonly cause: Cause;
  readonly waitFor: WaitFor;
  readonly draftOf: (pair: Pair) => Draft;
  readonly writesMax: number;
}

export class SubscriptionService implements Subscriptions {
  readonly #options: SubscriptionServiceOptions;

  constructor(options: SubscriptionServiceOptions) {
    this.#options = options;
  }

  async subscribe(request: SubscriptionRequest): Promise<Outcome<SubscriptionResult>> {
    const refusal = this.#subscribeRefusal(request);
    if (refusal) return refusal;
    return this.#write(pairsOf(request), this.#subscribing(shardOf(request.channel), request));
  }

  subscribeInto(request: SubscriptionRequest, sink: Sink<SubscriptionResult>): void {
    writeInto(sink, () => {
      const refusal = this.#subscribeRefusal(request) ?? this.#options.gate.refusal();
      if (refusal) return refusal;
      const { replica } = this.#options;
      const { channel } = request;
      const shard = shardOf(channel);
      const key = subscriptionKey(channel, request.uids[0]!);
      const row = replica.read(key);
      // Usually nothing is there, and then nothing is replaced.
      const draft =
        row.length === 0
          ? firstPut(key)
          : this.#subscribing(shard, request).draftOf({ channel, uid: request.uids[0]! });
      return this.#writeOne(shard, draft, { request, sink });
    });
  }

  unsubscribeInto(request: SubscriptionRequest, sink: Sink<SubscriptionResult>): void {
    writeInto(sink, () => {
      const refusal = this.#options.gate.refusal();
      if (refusal) return refusal;
      const { channel } = request;
      const shard = shardOf(channel);
      const uid = request.uids[0]!;
      const draft = this.#unsubscribing(shard, request).draftOf({ channel, uid });
      return this.#writeOne(shard, draft, { request, sink });
    });
  }

  async unsubscribe(request: SubscriptionRequest): Promise<Outcome<SubscriptionResult>> {
    return this.#write(pairsOf(request), this.#unsubscribing(shardOf(request.channel), request));
  }

  subscribeMany(
    request: ManySubscriptionsRequest,
  ): Promise<readonly Outcome<SubscriptionResult>[]> {
    const refusalOf = (part: ChannelPart): Refusal | undefined =>
      this.#subscribeRefusal({ ...part, cause: request.cause });
    return writeMany(request, refusalOf, (shard, pairs) =>
      this.#write(pairs, this.#subscribing(shard, request)),
    );
  }

  unsubscribeMany(
    request: ManySubscriptionsRequest,
  ): Promise<readonly Outcome<SubscriptionResult>[]> {
    return writeMany(
      request,
      () => undefined,
      (shard, pairs) => this.#write(pairs, this.#unsubscribing(shard, request)),
    );
  }

  async unsubscribeAll(
    channel: ChannelKey,
    cause: SubscriptionRequest['cause'],
  ): Promise<Outcome<number>> {
    let removed = 0;
    let after: Uid | undefined;
    for (;;) {
      const uids = await this.subscribersOf(channel, after, 1000);
      if (uids.length === 0) return { ok: true, value: removed };
      const outcome = await this.unsubscribe({ channel, uids, cause, waitFor: 'all' });
      if (!outcome.ok) return outcome;
      removed += uids.length;
      after = uids.at(-1);
    }
  }

  isSubscribed(channel: ChannelKey, uid: Uid): boolean {
    return this.#options.table.has(channel, uid);
  }

  subscribersOf(
    channel: ChannelKey,
    after: Uid | undefined,
    limit: number,
  ): Promise<readonly Uid[]> {
    return this.#options.table.subscribersOf(channel, after, limit);
  }

  channelsOf(
    uid: Uid,
    after: ChannelKey | undefined,
    limit: number,
  ): Promise<readonly ChannelKey[]> {
    return this.#options.table.channelsOf(uid, after, limit);
  }

  digest(): Promise<SubscriptionDigest> {
    return this.#options.table.digest();
  }

  #subscribing(shard: number, { waitFor, cause }: How): Writing {
    const { replica } = this.#options;
    const draftOf = ({ channel, uid }: Pair): Draft => {
      const key = subscriptionKey(channel, uid);
      const row = replica.read(key);
      if (row.length === 0) return firstPut(key);
      const put = { key, tag: 0, value: renewalOf(row) };
      return { ...replace(row, put, () => replica.seen(shard)), row };
    };
    return { shard, waitFor, cause, draftOf, writesMax: OPERATION_WRITES_MAX };
  }

  #unsubscribing(
    shard: number,
    { waitFor, cause, receipts = [] }: How & Pick<SubscriptionRequest, 'receipts'>,
  ): Writing {
    const { replica } = this.#options;
    const presented = contextOfDots(receipts.filter((dot) => dot.shard === shard));
    // Taken again for every operation: it has to cover what the operations before it wrote.
    let seen = uniteContexts(replica.seen(shard), presented);
    const writesMax = writesOf(seen);
    let drafted = 0;
    const draftOf = ({ channel, uid }: Pair): Draft => {
      if (drafted++ % writesMax === 0) seen = uniteContexts(replica.seen(shard), presented);
      const key = subscriptionKey(channel, uid);
      const row = replica.read(key);
      return { ...remove(key, row, seen), row };
    };
    return { shard, waitFor, cause, draftOf, writesMax };
  }

  #writeOne(
    shard: number,
    draft: Draft,
    { request, sink }: { request: SubscriptionRequest; sink: Sink<SubscriptionResult> },
  ): undefined {
    const { replica, journal } = this.#options;
    const operation: Operation = replica.submit(shard, [draft], () => {
      const { actor, first } = operation;
      const receipts = [{ actor, shard, counter: first }];
      this.#awaitRouted(operation, request.waitFor, (reached, missing) => {
        sink.settle({ ok: true, value: { receipts, reached, missing } });
      });
    });
    journal?.because(operation, request.cause);
  }

  /** Pairs of one shard, in operations of at most `writesMax`. */
  async #write(
    pairs: readonly Pair[],
    { shard, waitFor, cause, draftOf, writesMax }: Writing,
  ): Promise<Outcome<SubscriptionResult>> {
    const { gate, replica, journal } = this.#options;
    const submit = (drafts: readonly Draft[], onDurable?: () => void): Operation => {
      const operation = replica.submit(shard, drafts, onDurable);
      journal?.because(operation, cause);
      return operation;
    };
    const receipts: Dot[] = [];
    let last: Operation | undefined;
    for (let at = 0, staged = 1; at < pairs.length; at += writesMax, staged++) {
      const refusal = gate.refusal();
      if (refusal) return refusal;
      const drafts = pairs.slice(at, at + writesMax).map(draftOf);
      const wait = staged % OPERATIONS_AHEAD === 0 || at + writesMax >= pairs.length;
      if (wait)
        last = await new Promise<Operation>((resolve) => {
          const operation = submit(drafts, () => resolve(operation));
          noteReceipts(receipts, operation);
        });
      else noteReceipts(receipts, submit(drafts));
    }
    if (!last) return { ok: true, value: { receipts, reached: waitFor, missing: [] } };
    return this.#acknowledge(last, receipts, waitFor);
  }

  /** Waits until the wanted members route by the last operation: by then they do by all before it. */
  #acknowledge(
    operation: Operation,
    receipts: readonly Dot[],
    waitFor: WaitFor,
  ): Promise<Outcome<SubscriptionResult>> {
    return new Promise((resolve) => {
      this.#awaitRouted(operation, waitFor, (reached, missing) => {
        resolve({ ok: true, value: { receipts, reached, missing } });
      });
    });
  }

  #awaitRouted(
    operation: Operation,
    waitFor: WaitFor,
    done: (reached: WaitFor, missing: readonly MemberId[]) => void,
  ): void {
    if (waitFor === 'local') {
      done('local', []);
      return;
    }
    const wanted = { routed: waitFor, timeoutMs: this.#options.routedTimeoutMs } as const;
    this.#options.replication.awaitReach(operation, wanted, (reach) => {
      done(reach.missing.length === 0 ? 'all' : reachedOf(reach), reach.missing);
    });
  }

  #subscribeRefusal({
    channel,
    uids,
    cause,
  }: Pick<SubscriptionRequest, 'channel' | 'uids' | 'cause'>): Refusal | undefined {
    const persons = channelTypeOf(channel) === PERSON ? personsOf(channel) : undefined;
    const stranger = persons && uids.find((uid) => !persons.includes(uid));
    if (stranger !== undefined) {
      return refuse(
        REASON.channelIdInvalid,
        `${stranger} is not one of the two users of this channel`,
      );
    }
    const rule = joinRuleOf(this.#options.replica, channel);
    if (rule.disband) return refuse(REASON.disbanded, 'the channel is disbanded');
    if (cause === 'client' && rule.join === 'closed') {
      return refuse(
        REASON.notWhitelisted,
        'the channel is closed: only the backend adds subscribers',
      );
    }
    const { replica } = this.#options;
    const isBanned = (uid: Uid): boolean => isLive(replica.read(denyKey(channel, uid, 'ban')));
    const banned = replica.mayHaveRules(channel) ? uids.find(isBanned) : undefined;
    if (banned !== undefined) return refuse(REASON.banned, `${banned} is banned in this channel`);
    const { isFull, table } = this.#options;
    const full = isFull && uids.find((uid) => isFull(uid) && !table.has(channel, uid));
    if (full === undefined) return undefined;
    return refuse(REASON.rateLimited, `${full} has as many subscriptions as one user may have`);
  }
}

/** A put under a key whose row is empty. */
function firstPut(key: RowKey): Draft {
  return { key, tag: 0, context: EMPTY_CONTEXT, value: EMPTY_VALUE, row: EMPTY_ROW };
}

/** `write` settles nothing before it returns: what it throws has to be the only word on the request. */
function writeInto(sink: Sink<SubscriptionResult>, write: () => Refusal | undefined): void {
  let refusal: Refusal | undefined;
  try {
    refusal = write();
  } catch (error) {
    sink.fail(error);
    return;
  }
  if (refusal) sink.settle(refusal);
}

function pairsOf({ channel, uids }: ChannelPart): Pair[] {
  return uids.map((uid) => ({ channel, uid }));
}

interface ShardPart {
  readonly pairs: Pair[];
  /** Index of each pair's channel in the request. */
  readonly places: number[];
}

/** Writes shard by shard and gives each channel what became of its own pairs. */
async function writeMany(
  { channels }: ManySubscriptionsRequest,
  refusalOf: (part: ChannelPart) => Refusal | undefined,
  write: (shard: number, pairs: readonly Pair[]) => Promise<Outcome<SubscriptionResult>>,
): Promise<readonly Outcome<SubscriptionResult>[]> {
  const shards = new Map<number, ShardPart>();
  const outcomes = channels.map((part, place): Outcome<SubscriptionResult> => {
    const refusal = refusalOf(part);
    if (refusal) return refusal;
    const shard = shardOf(part.channel);
    let shared = shards.get(shard);
    if (!shared) shards.set(shard, (shared = { pairs: [], places: [] }));
    for (const uid of part.uids) {
      shared.pairs.push({ channel: part.channel, uid });
      shared.places.push(place);
    }
    return { ok: true, value: { receipts: [], reached: 'all', missing: [] } };
  });
  await Promise.all(
    [...shards].map(async ([shard, { pairs, places }]) => {
      const outcome = await write(shard, pairs);
      const receipts = new Map<number, Dot[]>(places.map((place) => [place, []]));
      if (outcome.ok)
        outcome.value.receipts.forEach((dot, i) => receipts.get(places[i]!)!.push(dot));
      for (const [place, own] of receipts) {
        outcomes[place] = outcome.ok
          ? { ok: true, value: { ...outcome.value, receipts: own } }
          : outcome;
      }
    }),
  );
  return outcomes;
}

/** How many removals with this context one operation may hold, so that it fits in a frame of a link. */
function writesOf(context: Context): number {
  const most = Math.floor(CONTEXT_BYTES_MAX / (SPAN_BYTES * context.length + 1));
  return Math.max(1, Math.min(OPERATION_WRITES_MAX, most));
}

function noteReceipts(receipts: Dot[], { actor, shard, first, count }: Operation): void {
  for (let offset = 0; offset < count; offset++)
    receipts.push({ actor, shard, counter: first + offset });
}

function reachedOf(reach: Reach): WaitFor {
  const members = reach.routed + reach.missing.length;
  return reach.routed * 2 > members ? 'quorum' : 'local';
}
