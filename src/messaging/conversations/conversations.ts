import { EMPTY_CONTEXT } from '../../core/context.ts';
import type { ChannelKey, Uid } from '../../core/ids.ts';
import {
  cursorOf,
  encodeHidden,
  encodeRead,
  encodeUnread,
  HIDDEN,
  NOBODY,
  READ,
  UNREAD,
  UNREAD_MAX,
} from '../../core/kinds/cursor.ts';
import type { Message } from '../../core/kinds/message.ts';
import { sinceOf } from '../../core/kinds/subscription.ts';
import type { Draft } from '../../core/operation.ts';
import { shardOf } from '../../core/placement.ts';
import { REASON, refuse, type Outcome } from '../../core/reason-code.ts';
import { cursorKey, subscriptionKey } from '../../core/row-key.ts';
import type { Replica, ReplicaListener } from '../../storage/replica-port.ts';
import type { SubscriptionTable } from '../subscription-table.ts';
import type { WriteGate } from '../write-gate.ts';
import { Kept } from './kept.ts';
import { MessageRows, type MessageRow, type MessageRowsOptions } from './message-rows.ts';
import { digestOf, newestFirst, pageOf } from './pages.ts';
import { RECALLS_MAX } from './port.ts';
import type {
  Conversation,
  ConversationList,
  Conversations,
  ConversationsRequest,
} from './port.ts';
import { countUnread, readPositionAt } from './unread.ts';

export interface ConversationOptions extends MessageRowsOptions {
  readonly replica: Replica;
  readonly table: Pick<SubscriptionTable, 'namesOf'>;
  readonly gate: Pick<WriteGate, 'refusal'>;
  /** Channels of one user that a list looks at. */
  readonly channelsMax?: number | undefined;
  /** Conversations whose state is remembered. */
  readonly keptMax?: number | undefined;
}

const CHANNELS_MAX = 10_000;
const KEPT_MAX = 200_000;
/** Rows from the newest on in which a message is looked for: commands and expired ones are none. */
const TAIL_ROWS_MAX = 1_000;
/** Rows in which recalled messages are looked for. */
const RECALLED_ROWS_MAX = 10_000;
const DONE = { ok: true, value: undefined } as const;

/** Undefined: no conversation, as long as nothing changes. */
type State = Conversation | undefined;

export class ConversationService implements Conversations {
  readonly #options: ConversationOptions;
  readonly #rows: MessageRows;
  readonly #kept: Kept<State | 'none'>;

  constructor(options: ConversationOptions) {
    this.#options = options;
    this.#rows = new MessageRows(options);
    this.#kept = new Kept(options.keptMax ?? KEPT_MAX);
  }

  /** Rows as they are staged: what is read here is what is staged. */
  listener(): ReplicaListener {
    return {
      onSubmitted() {},
      onDurable() {},
      onStaged: (changes) => {
        for (const change of changes) this.#kept.onChange(change);
      },
    };
  }

  async list(request: ConversationsRequest): Promise<ConversationList> {
    const { uid, version, onlyUnread } = request;
    const channelsMax = this.#options.channelsMax ?? CHANNELS_MAX;
    const { clock, table } = this.#options;
    const read = () => table.namesOf(uid, channelsMax + 1);
    const channels = await this.#kept.names(uid, clock.monotonicMs(), read);
    const conversations: Conversation[] = [];
    const whole: Conversation[] = [];
    const keptOf = this.#kept.of(uid);
    for (const channel of channels.slice(0, channelsMax)) {
      const known = keptOf(channel);
      const one = known === 'none' ? undefined : (known ?? (await this.one(uid, channel)));
      if (!one) continue;
      whole.push(one);
      if (onlyUnread && one.unread === 0) continue;
      // One that came late is of an early time: what is unread is told whatever the version says.
      if (one.version > version || one.unread > 0) conversations.push(one);
    }
    conversations.sort(newestFirst);
    const digest = request.isCompared ? digestOf(whole, uid) : '';
    return { ...pageOf(conversations, request), partial: channels.length > channelsMax, digest };
  }

  async one(uid: Uid, channel: ChannelKey): Promise<Conversation | undefined> {
    const known = this.#kept.of(uid)(channel);
    if (known !== undefined) return known === 'none' ? undefined : known;
    const { stamp } = this.#kept;
    const one = await this.#derive(uid, channel);
    // What ends by itself, without a change, is worked out each time.
    const ends = one !== undefined && one.last.expire > 0;
    if (!ends) this.#kept.set({ uid, channel }, one ?? 'none', stamp);
    return one;
  }

  async recalledSince(channel: ChannelKey, version: number): Promise<readonly Message[]> {
    const found: Message[] = [];
    if (this.#cursorOf(NOBODY, channel).hlc <= version) return found;
    for await (const block of this.#rows.newest(channel, 0, RECALLED_ROWS_MAX)) {
      for (const row of block) {
        if (!row.recalled || row.hlc <= version) continue;
        found.push(row.message);
        if (found.length >= RECALLS_MAX) return found;
      }
    }
    return found;
  }

  async read(uid: Uid, channel: ChannelKey, seq?: number): Promise<Outcome<undefined>> {
    const newest = await this.#newest(channel);
    if (!newest) return DONE;
    const to = Math.min(seq ?? newest.message.messageSeq, newest.message.messageSeq);
    const position = await readPositionAt(this.#rows, { uid, channel }, to);
    const { override } = this.#cursorOf(uid, channel);
    const drafts = [{ tag: READ, value: encodeRead(position) }];
    if (override?.unread !== undefined && override.seq <= to) {
      drafts.push({ tag: UNREAD, value: encodeUnread({ seq: override.seq, unread: undefined }) });
    }
    return this.#write(uid, channel, drafts);
  }

  async setUnread(uid: Uid, channel: ChannelKey, unread: number): Promise<Outcome<undefined>> {
    if (!Number.isInteger(unread) || unread < 0 || unread > UNREAD_MAX) {
      return refuse(REASON.payloadDecode, `unread: expected 0 to ${UNREAD_MAX}, found ${unread}`);
    }
    if (unread === 0) return this.read(uid, channel);
    const newest = await this.#newest(channel);
    if (!newest) return refuse(REASON.channelMissing, 'the channel has no message to be unread');
    const value = encodeUnread({ seq: newest.message.messageSeq, unread });
    return this.#write(uid, channel, [{ tag: UNREAD, value }]);
  }

  async hide(uid: Uid, channel: ChannelKey): Promise<Outcome<undefined>> {
    const newest = await this.#newest(channel);
    if (!newest) return DONE;
    const seq = newest.message.messageSeq;
    const position = await readPositionAt(this.#rows, { uid, channel }, seq);
    return this.#write(uid, channel, [
      { tag: READ, value: encodeRead(position) },
      { tag: HIDDEN, value: encodeHidden(seq) },
      { tag: UNREAD, value: encodeUnread({ seq, unread: undefined }) },
    ]);
  }

  reread(uid: Uid): void {
    this.#kept.forgetNames(uid);
  }

  async #derive(uid: Uid, channel: ChannelKey): Promise<Conversation | undefined> {
    const since = sinceOf(this.#options.replica.read(subscriptionKey(channel, uid)));
    if (since === undefined) return undefined;
    const cursor = this.#cursorOf(uid, channel);
    const newest = await this.#newest(channel);
    if (!newest || newest.message.messageSeq <= cursor.hiddenTo) return undefined;
    const counted = await countUnread(this.#rows, { uid, channel, cursor, since });
    const recallVersion = this.#cursorOf(NOBODY, channel).hlc;
    return {
      channel,
      unread: counted.unread,
      mentions: counted.mentions,
      last: newest.message,
      readSeq: cursor.read?.seq ?? 0,
      hiddenTo: cursor.hiddenTo,
      version: Math.max(since, cursor.hlc, newest.hlc, counted.hlc, recallVersion),
      recallVersion,
    };
  }

  #newest(channel: ChannelKey): Promise<MessageRow | undefined> {
    return this.#rows.first(channel, TAIL_ROWS_MAX);
  }

  #cursorOf(uid: Uid, channel: ChannelKey) {
    return cursorOf(this.#options.replica.read(cursorKey(channel, uid)));
  }

  #write(
    uid: Uid,
    channel: ChannelKey,
    entries: readonly { readonly tag: number; readonly value: Uint8Array }[],
  ): Promise<Outcome<undefined>> {
    const refusal = this.#options.gate.refusal();
    if (refusal) return Promise.resolve(refusal);
    const key = cursorKey(channel, uid);
    const drafts = entries.map((entry): Draft => ({ key, context: EMPTY_CONTEXT, ...entry }));
    return new Promise((resolve) => {
      this.#options.replica.submit(shardOf(channel), drafts, () => resolve(DONE));
    });
  }
}
