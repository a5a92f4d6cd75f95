import type { ChannelKey, Uid } from '../../core/ids.ts';
import { decodeMessage, isExpired, type Message } from '../../core/kinds/message.ts';
import { floorOf } from '../../core/kinds/floor.ts';
import type { DotRange } from '../../core/dot.ts';
import { hash32, shardOf } from '../../core/placement.ts';
import { floorKey, messageKey } from '../../core/row-key.ts';
import { RECALL } from '../../core/row.ts';
import { VersionVector, type VectorRow } from '../../core/version-vector.ts';
import type { Log } from '../../observability/log.ts';
import type { Clock } from '../../runtime/port.ts';
import type { Replica, VectorCursor } from '../../storage/replica-port.ts';
import { copiesOf, keyOfCopy } from '../history/copies.ts';
import type { Delivery } from '../port.ts';
import { AheadFilter } from './filter.ts';
import { loadRecent } from './load-recent.ts';
import type {
  ChannelResume,
  ResumedFrom,
  ResumePage,
  ResumePlan,
  ResumeRequest,
  Resumes,
  SnapshotReason,
} from './port.ts';
import type { RecentMessage, RecentMessages } from './recent-messages.ts';
import { vectorOf } from './token-vector.ts';
import { encodeTokenBody, readToken, sealToken } from './token.ts';

export interface ResumeOptions {
  readonly replica: Pick<
    Replica,
    | 'read'
    | 'mayHaveCopies'
    | 'operations'
    | 'durableVector'
    | 'durableHash'
    | 'durableChanges'
    | 'closedActors'
    | 'lineage'
  >;
  readonly recent: RecentMessages;
  readonly channelsOf: (uid: Uid) => Iterable<ChannelKey>;
  readonly clock: Clock;
  readonly log: Pick<Log, 'warn'>;
  /** Dots of the log that are read once, so that messages of before this run can be replayed. */
  readonly loadDotsMax?: number | undefined;
  /** Messages of one channel that are replayed at once; a channel with more is paged. */
  readonly channelMessagesMax?: number | undefined;
  /** Messages of one resume; the channels after these are paged. */
  readonly messagesMax?: number | undefined;
  /** Payload bytes of one resume or page, with one message at least. */
  readonly bytesMax?: number | undefined;
  /** Channels that are named in one answer; with more of them all are left to the client. */
  readonly channelsMax?: number | undefined;
}

const CURSOR = /^(?<seq>[0-9a-f]{1,13})-(?<actor>[0-9a-f]{16})$/;

/** Resumes by version vectors: what a token does not cover is what its client has not been sent. */
export class ResumeService implements Resumes {
  readonly #options: ResumeOptions;
  readonly #limits: { channelMessages: number; messages: number; bytes: number; channels: number };
  readonly #known: readonly VectorRow[];
  readonly #cursor: VectorCursor = { at: -1 };
  #body: Uint8Array | undefined;
  #closedCount = -1;
  #lineage = '';
  #loaded: Promise<void> | undefined;

  constructor(options: ResumeOptions) {
    this.#options = options;
    this.#known = options.replica.durableVector();
    this.#limits = {
      channelMessages: options.channelMessagesMax ?? 100,
      messages: options.messagesMax ?? 1_000,
      bytes: options.bytesMax ?? 256 * 1024,
      channels: options.channelsMax ?? 2_000,
    };
  }

  token(uid: Uid): string {
    const { replica } = this.#options;
    const vector = replica.closedActors();
    const closed = vector.closedDigest();
    const changed = replica.durableChanges(this.#cursor).length > 0;
    if (changed || closed.count !== this.#closedCount) {
      this.#body = encodeTokenBody({ openRows: vector.openRows(), closed });
      this.#closedCount = closed.count;
    }
    return this.#body ? sealToken(this.#body, this.#ownerOf(uid)) : '';
  }

  ready(): Promise<void> {
    const { recent, replica, log, loadDotsMax: dotsMax = 65_536 } = this.#options;
    this.#loaded ??= loadRecent(recent, replica, { known: this.#known, dotsMax }).catch(
      (error: unknown) => {
        log.warn('messages of before this start cannot be replayed', { error });
      },
    );
    return this.#loaded;
  }

  resume(request: ResumeRequest): ResumePlan {
    const vector = this.#vectorOf(request);
    if (typeof vector === 'string') return whole(vector);
    const starts = new Starts(this.#options.recent, vector);
    const seen = new Set(request.seen);
    const unknown = new Set(seen);
    const seenHere: DotRange[] = [];
    const plan = { live: 0, channels: [] as [ChannelKey, ChannelResume][] };
    const asked: number[] = [];
    const deliveries: Delivery[] = [];
    let bytes = 0;
    for (const channel of this.#options.channelsOf(request.uid)) {
      asked.push(hash32(channel));
      const start = starts.of(shardOf(channel));
      const missed =
        start === undefined
          ? undefined
          : this.#missing(channel, { vector, start, seen, unknown, seenHere });
      const missing = missed?.found;
      const messages = missing && deliveries.length + missing.length;
      const cut = missed && missed.cut > 0 ? { cut: missed.cut } : {};
      if (missing?.length === 0 && missed?.cut === 0) plan.live += 1;
      else if (plan.channels.length >= this.#limits.channels) return whole('too-many-channels');
      else if (!missing || messages === undefined) {
        plan.channels.push([channel, { status: 'snapshot', reason: 'away-too-long' }]);
      } else if (
        missing.length > this.#limits.channelMessages ||
        messages > this.#limits.messages ||
        bytes > this.#limits.bytes
      ) {
        plan.channels.push([channel, { status: 'paged', cursor: '', ...cut }]);
      } else {
        for (const one of inOrder(channel, missing)) {
          bytes += one.message.payload.length;
          deliveries.push(one);
        }
        plan.channels.push([channel, { status: 'replayed', count: missing.length, ...cut }]);
      }
    }
    // While this node's disk fails its own vector may lack them: a younger token would not name them.
    for (const range of seenHere) vector.add(range);
    const from = { ...request, channels: Int32Array.from(asked) };
    const filter = this.#filterOf(vector, unknown);
    return { ...plan, deliveries, snapshot: undefined, filter, from };
  }

  missed(from: ResumedFrom, channel: ChannelKey): readonly Delivery[] {
    if (from.channels.includes(hash32(channel) | 0)) return [];
    const vector = this.#vectorOf(from);
    if (typeof vector === 'string') return [];
    const start = this.#options.recent.startOf(vector, shardOf(channel));
    if (start === undefined) return [];
    const seen = { seen: new Set(from.seen), unknown: new Set<string>(), seenHere: [] };
    return inOrder(channel, this.#missing(channel, { vector, start, ...seen }).found);
  }

  page(
    request: ResumeRequest & { readonly channel: ChannelKey; readonly cursor: string },
  ): ResumePage | undefined {
    const { channel, cursor, seen } = request;
    const vector = this.#vectorOf(request);
    if (typeof vector === 'string') return undefined;
    const start = this.#options.recent.startOf(vector, shardOf(channel));
    const after = CURSOR.exec(cursor)?.groups;
    if (start === undefined || (cursor !== '' && !after)) return undefined;
    const [afterSeq, afterActor] = [Number.parseInt(after?.['seq'] ?? '0', 16), after?.['actor']];
    const rest = [...this.#options.recent.missing(channel, { vector, start })]
      .filter(({ messageSeq, actor }) =>
        messageSeq === afterSeq ? actor > (afterActor ?? '') : messageSeq > afterSeq,
      )
      .sort(byOrder);
    const found: Missing[] = [];
    const seenIds = new Set(seen);
    let [taken, bytes] = [0, 0];
    for (const entry of rest) {
      if (taken >= this.#limits.channelMessages || bytes > this.#limits.bytes) break;
      taken += 1;
      const message = this.#messageOf(channel, entry);
      if (!message || seenIds.has(String(message.messageId))) continue;
      bytes += message.payload.length;
      found.push({ entry, message });
    }
    const last = rest[taken - 1];
    const next = last && taken < rest.length ? `${last.messageSeq.toString(16)}-${last.actor}` : '';
    return { deliveries: inOrder(channel, found), next };
  }

  /** One more than a channel may have at once says that it has to be paged. */
  #missing(
    channel: ChannelKey,
    {
      seen,
      unknown,
      seenHere,
      ...from
    }: {
      vector: VersionVector;
      start: number;
      seen: Set<string>;
      unknown: Set<string>;
      seenHere: DotRange[];
    },
  ): { readonly found: readonly Missing[]; readonly cut: number } {
    const found: Missing[] = [];
    let cut = 0;
    for (const entry of this.#options.recent.missing(channel, from)) {
      const message = this.#messageOf(channel, entry);
      if (!message) {
        if (this.#isCut(channel, entry)) cut += 1;
        continue;
      }
      const id = seen.size === 0 ? '' : String(message.messageId);
      if (seen.has(id)) {
        unknown.delete(id);
        const { actor, counter } = entry;
        seenHere.push({ actor, shard: shardOf(channel), from: counter, to: counter });
        continue;
      }
      found.push({ entry, message });
      if (found.length > this.#limits.channelMessages) break;
    }
    return { found, cut };
  }

  /** Of one that is not here: retention took it, and nobody can read it any more. */
  #isCut(channel: ChannelKey, { messageSeq, actor }: RecentMessage): boolean {
    const { replica } = this.#options;
    if (replica.read(messageKey(channel, messageSeq, actor)).length > 0) return false;
    return messageSeq <= (floorOf(replica.read(floorKey(channel)))?.seq ?? 0);
  }

  /** Undefined where nobody is shown it: recalled, expired, damaged, or the copy of another. */
  #messageOf(channel: ChannelKey, { messageSeq, actor }: RecentMessage): Message | undefined {
    const { replica, clock } = this.#options;
    const [entry] = replica.read(messageKey(channel, messageSeq, actor));
    if (!entry || entry.tag === RECALL) return undefined;
    const message = decodeMessage(entry.value);
    if (!message || isExpired(message, clock.wallMs())) return undefined;
    if (!replica.mayHaveCopies(channel)) return message;
    const read = replica.read.bind(replica);
    const copies = copiesOf(read, { channel, message, actor });
    const first = copies.find((copy) => read(keyOfCopy(channel, copy)).length > 0);
    const isFirst = !first || (first.actor === actor && first.messageSeq === messageSeq);
    return isFirst ? message : undefined;
  }

  #filterOf(vector: VersionVector, unknown: ReadonlySet<string>): AheadFilter | undefined {
    const own = new VersionVector();
    own.addAll(this.#options.replica.durableVector());
    const owed = own.missing(vector.rows());
    if (owed.length === 0 && unknown.size === 0) return undefined;
    return new AheadFilter(this.#options, vector, unknown);
  }

  #vectorOf({ token, uid }: ResumeRequest): VersionVector | SnapshotReason {
    const read = readToken(token, this.#ownerOf(uid));
    if (!read.ok) return read.reason;
    return vectorOf(read.content, this.#options.replica.closedActors()) ?? 'runs-differ';
  }

  /** The lineage is given once; until then nothing is written that a token could speak of. */
  #ownerOf(uid: Uid): { readonly uid: Uid; readonly lineage: string } {
    if (this.#lineage === '') this.#lineage = this.#options.replica.lineage();
    return { uid, lineage: this.#lineage };
  }
}

interface Missing {
  readonly entry: RecentMessage;
  readonly message: Message;
}

/** Looked up once for each shard. */
class Starts {
  readonly #recent: RecentMessages;
  readonly #vector: VersionVector;
  readonly #starts = new Map<number, number | undefined>();

  constructor(recent: RecentMessages, vector: VersionVector) {
    this.#recent = recent;
    this.#vector = vector;
  }

  of(shard: number): number | undefined {
    if (!this.#starts.has(shard)) {
      this.#starts.set(shard, this.#recent.startOf(this.#vector, shard));
    }
    return this.#starts.get(shard);
  }
}

function whole(snapshot: SnapshotReason): ResumePlan {
  return { snapshot, live: 0, channels: [], deliveries: [], filter: undefined, from: undefined };
}

function byOrder(a: RecentMessage, b: RecentMessage): number {
  return a.messageSeq - b.messageSeq || (a.actor < b.actor ? -1 : 1);
}

function inOrder(channel: ChannelKey, missing: readonly Missing[]): readonly Delivery[] {
  let prevSeq = 0;
  return [...missing]
    .sort((a, b) => byOrder(a.entry, b.entry))
    .map(({ message, entry }) => {
      const delivery = { channel, message, prevSeq, written: entry };
      prevSeq = message.messageSeq;
      return delivery;
    });
}
