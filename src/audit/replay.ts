import type { ChannelKey } from '../core/ids.ts';
import type { Message } from '../core/kinds/message.ts';
import type { Log } from '../observability/log.ts';
import type { Delivery, RoutedSession } from '../messaging/port.ts';
import type { AuditedIndex, Entry, MessageReader, MissedMessages } from './sessions-port.ts';

export interface ReplayOptions {
  readonly index: Pick<AuditedIndex, 'sessionsOf' | 'entryOf' | 'verdict' | 'restore'>;
  readonly missed: MissedMessages;
  readonly messages: MessageReader;
  /** HLC since when the entry has been subscribed without a break: nothing older than it was owed. */
  readonly subscribedAt: (entry: Entry) => number;
  /** HLC of a wall clock, milliseconds since 1970. */
  readonly hlcOf: (wallMs: number) => number;
  /** What a session that came back a moment ago had missed of the channel before; empty for others. */
  readonly missedBefore?:
    ((session: RoutedSession, channel: ChannelKey) => readonly Delivery[]) | undefined;
  readonly log: Pick<Log, 'error'>;
  /** Brought to one session by one replay; what is older stays in the history. */
  readonly messagesMax?: number | undefined;
  /** Replays at a time; beyond it an entry is joined at once, and what it missed stays in the history. */
  readonly replaysMax?: number | undefined;
}

interface Missed {
  readonly messageSeq: number;
  readonly number: number;
  readonly exceptSession: number;
}

interface Brought extends Missed {
  readonly message: Message;
  readonly hlc: number;
  readonly written?: Delivery['written'];
}

/** Older than the log of deliveries: its place in their order is not known. */
const BEFORE_THE_LOG = Number.MAX_SAFE_INTEGER;

/**
 * Joins an entry that should have been joined since a known moment, and brings its open sessions what they
 * missed. The sessions join in the tick in which nothing is left to bring: until then whatever the node
 * delivers in the channel is one more that they missed, so live messages wait behind the replay, in the
 * order of this node's deliveries, and none comes twice. Messages marked no-persist are not stored: those
 * of the time before the join are lost to these sessions.
 */
export class Replay {
  readonly #options: ReplayOptions;
  readonly #messagesMax: number;
  readonly #replaysMax: number;
  readonly #running = new Set<string>();
  /** Messages brought so far. */
  replayed = 0;
  /** Replays that brought any: times sessions had missed something. */
  gaps = 0;

  constructor(options: ReplayOptions) {
    this.#options = options;
    this.#messagesMax = options.messagesMax ?? 1_000;
    this.#replaysMax = options.replaysMax ?? 1_000;
  }

  isRunning({ channel, uid }: Entry): boolean {
    return this.#running.has(`${channel}\n${uid}`);
  }

  /**
   * `since`: the delivery after which the user was not joined; absent: never since the sessions came.
   * False where it cannot: then the caller joins.
   */
  start(entry: Entry, since: number | undefined): boolean {
    const name = `${entry.channel}\n${entry.uid}`;
    if (this.#running.has(name)) return true;
    if (this.#running.size >= this.#replaysMax) return false;
    this.#running.add(name);
    void this.#run(entry, since).finally(() => this.#running.delete(name));
    return true;
  }

  async #run(entry: Entry, since: number | undefined): Promise<void> {
    const { index, log } = this.#options;
    try {
      await this.#bring(entry, since);
    } catch (error) {
      log.error('a replay failed; the sessions are joined without it', { ...entry, error });
      if (this.#isOwed(entry)) index.restore(entry.channel, entry.uid);
    }
  }

  async #bring(entry: Entry, since: number | undefined): Promise<void> {
    const { index, missed } = this.#options;
    const { channel, uid } = entry;
    let done = since ?? 0;
    const replayedBefore = this.replayed;
    // Of a session that was joined for a while, what is older than the log might come twice.
    let mayBeOlder = since === undefined;
    let isFirst = true;
    for (;;) {
      if (!this.#isOwed(entry)) return;
      const sessions = index.sessionsOf(uid);
      const afterOf = (session: RoutedSession): number => Math.max(session.deliveriesBefore, done);
      const after = Math.min(...sessions.map(afterOf));
      const { deliveries, complete } = missed.since(channel, after);
      const until = missed.count;
      const older = !complete && mayBeOlder;
      const resumed = isFirst ? sessions.filter((one) => (since ?? 0) <= one.deliveriesBefore) : [];
      if (complete) for (const one of resumed) this.#resume(one, channel, deliveries);
      isFirst = false;
      if (deliveries.length === 0 && !older) break;
      mayBeOlder = false;
      const wanted = deliveries.slice(-this.#messagesMax);
      const before = older ? await this.#older(entry, sessions, wanted) : [];
      const read = await this.#read(entry, wanted);
      if (!this.#isOwed(entry)) return;
      for (const session of index.sessionsOf(uid)) {
        const from = afterOf(session);
        const owed = [...before, ...read].filter(({ number }) => number > from);
        this.#tell(session, channel, owed);
      }
      done = until;
    }
    if (this.replayed > replayedBefore) this.gaps += 1;
    index.restore(channel, uid);
  }

  /** It came back while it was not joined: what it had missed by then was not among what it was sent. */
  #resume(session: RoutedSession, channel: ChannelKey, since: readonly Missed[]): void {
    const { missedBefore } = this.#options;
    if (!missedBefore || !session.resumedFrom) return;
    const later = new Set(since.map(({ messageSeq }) => messageSeq));
    let prevSeq = 0;
    for (const delivery of missedBefore(session, channel)) {
      if (later.has(delivery.message.messageSeq)) continue;
      session.deliver({ ...delivery, prevSeq });
      prevSeq = delivery.message.messageSeq;
      this.replayed += 1;
    }
  }

  /** False where somebody else has joined it meanwhile, where it was removed, or nobody is here. */
  #isOwed({ channel, uid }: Entry): boolean {
    const { index } = this.#options;
    return index.entryOf(channel, uid) === 'absent' && index.verdict(channel, uid) === 'live';
  }

  async #read(entry: Entry, wanted: readonly Missed[]): Promise<readonly Brought[]> {
    if (wanted.length === 0) return [];
    const { messages, subscribedAt } = this.#options;
    const hlcFrom = subscribedAt(entry);
    const seqs = new Set(wanted.map(({ messageSeq }) => messageSeq));
    const bySeq = new Map(
      (await messages.read(entry.channel, seqs)).map((stored) => [
        stored.message.messageSeq,
        stored,
      ]),
    );
    return wanted.flatMap((delivery) => {
      const stored = bySeq.get(delivery.messageSeq);
      return stored && stored.hlc >= hlcFrom ? [{ ...delivery, ...stored }] : [];
    });
  }

  /** Where the log of deliveries does not reach back: by the clock of the writes, since the connection. */
  async #older(
    entry: Entry,
    sessions: readonly RoutedSession[],
    known: readonly Missed[],
  ): Promise<readonly Brought[]> {
    const { messages, subscribedAt, hlcOf } = this.#options;
    const connectedMs = Math.min(...sessions.map((session) => session.connectedAtMs));
    const hlcFrom = Math.max(subscribedAt(entry), hlcOf(connectedMs));
    const seqs = new Set(known.map(({ messageSeq }) => messageSeq));
    const stored = await messages.newest(entry.channel, hlcFrom, this.#messagesMax);
    return stored
      .filter(({ message }) => !seqs.has(message.messageSeq))
      .reverse()
      .map(({ message, hlc, written }) => ({
        ...{ message, hlc, written, messageSeq: message.messageSeq, exceptSession: 0 },
        number: BEFORE_THE_LOG,
      }));
  }

  #tell(session: RoutedSession, channel: ChannelKey, brought: readonly Brought[]): void {
    let prevSeq = 0;
    const connectedHlc = this.#options.hlcOf(session.connectedAtMs);
    for (const { message, number, hlc, written, exceptSession } of brought) {
      if (exceptSession === session.id) continue;
      if (number === BEFORE_THE_LOG && hlc < connectedHlc) continue;
      session.deliver({ channel, message, prevSeq, exceptSession: undefined, written });
      prevSeq = message.messageSeq;
      this.replayed += 1;
    }
  }
}
