import { IndexAudit } from '../../audit/index-audit.ts';
import type { RepairListener } from '../../audit/port.ts';
import { Replay } from '../../audit/replay.ts';
import { SocketAudit } from '../../audit/socket-audit.ts';
import type { ChannelKey, Uid } from '../../core/ids.ts';
import { nextHlc } from '../../core/hybrid-clock.ts';
import { sinceOf } from '../../core/kinds/subscription.ts';
import { subscriptionKey, type RowKey } from '../../core/row-key.ts';
import type { DeliveryLog } from '../../messaging/delivery-log.ts';
import type { RoutedSession } from '../../messaging/port.ts';
import type { Resumes } from '../../messaging/resume/port.ts';
import type { RoutingIndex } from '../../messaging/routing-index.ts';
import { StoredMessages } from '../../messaging/stored-messages.ts';
import type { Log } from '../../observability/log.ts';
import type { Runtime } from '../../runtime/port.ts';
import type { Store } from '../../storage/port.ts';
import { ChannelReadAhead } from '../../storage/channel-read-ahead.ts';
import type { ReplicatedStore } from '../../storage/replica.ts';

export interface SessionUpkeepParts {
  readonly index: RoutingIndex;
  readonly deliveries: DeliveryLog;
  readonly store: Store;
  readonly replica: ReplicatedStore;
  readonly resumes: Pick<Resumes, 'missed'> | undefined;
  readonly repairs: RepairListener;
  readonly runtime: Runtime;
  readonly log: Log;
  /** Asks the peers for rows that this disk has lost or doubts; resolves with their answers taken. */
  readonly repairKeys?: ((keys: readonly RowKey[]) => Promise<void>) | undefined;
}

/** What keeps index and sockets equal to the disk. */
export interface SessionUpkeep {
  readonly indexAudit: IndexAudit;
  readonly socketAudit: SocketAudit;
  readonly replay: Replay;
  start(): void;
  stop(): void;
  onSession(session: RoutedSession, change: 'connected' | 'disconnected'): void;
  /** True: the replay joins it, after it has brought what was missed. */
  onMerged(channel: ChannelKey, uid: Uid): boolean;
}

/** A member that does not answer holds no removal back for longer. */
const ANSWER_MS = 2_000;

/** `pace`: 1, and 5 in the fast profile. */
export function createSessionUpkeep(pace: number, parts: SessionUpkeepParts): SessionUpkeep {
  const { index, deliveries, store, replica, resumes, repairs, runtime, log, repairKeys } = parts;
  const tickMs = 250 / pace;
  const replay = new Replay({
    index,
    missed: deliveries,
    messages: new StoredMessages(store, replica, runtime.clock),
    subscribedAt: ({ channel, uid }) =>
      sinceOf(replica.read(subscriptionKey(channel, uid))) ?? Number.POSITIVE_INFINITY,
    hlcOf: (wallMs) => nextHlc(0, wallMs),
    missedBefore: ({ resumedFrom }, channel) =>
      (resumedFrom && resumes?.missed(resumedFrom, channel)) ?? [],
    log,
  });
  const indexAudit = new IndexAudit({
    ...{ index, replay, repairs, runtime, tickMs },
    repairKeys: repairKeys && ((keys) => within(runtime, ANSWER_MS, repairKeys(keys))),
    disk: diskOf(parts, tickMs),
    sumPassMs: 1_000 / pace,
    // A lost row is asked for after it was found: both together within 2 s.
    diskPassMs: 1_500 / pace,
    usersPerTickMax: 100,
    leftAt: ({ channel, uid }) => index.leftAt(channel, uid),
  });
  const socketAudit = new SocketAudit({
    ...{ index, repairs, runtime, tickMs, repairKeys },
    passMs: 9_000 / pace,
    youngMs: 1_000 / pace,
  });
  return {
    ...{ indexAudit, socketAudit, replay },
    start() {
      indexAudit.start();
      socketAudit.start();
    },
    stop() {
      indexAudit.stop();
      socketAudit.stop();
    },
    onSession(session, change) {
      if (change === 'connected') socketAudit.noteConnected(session);
    },
    onMerged: (channel, uid) => replay.start({ channel, uid }, index.leftAt(channel, uid)),
  };
}

/** Resolves when the work ends, or after `delayMs`: it goes on by itself then. */
async function within(runtime: Runtime, delayMs: number, work: Promise<void>): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const timer = runtime.timers.after(delayMs, resolve);
    work.then(resolve, reject).finally(() => timer.cancel());
  });
}

function diskOf({ store, replica, runtime }: SessionUpkeepParts, ageMsMax: number) {
  const ahead = new ChannelReadAhead({ store, runtime, ageMsMax });
  const fresh = new ChannelReadAhead({ store, runtime, ageMsMax: -1 });
  return {
    channelsOf: (uid: Uid) => fresh.channelsOf(uid),
    channelsAhead: (uid: Uid) => ahead.channelsOf(uid),
    read: (key: RowKey) => replica.read(key),
    isWriting: () => store.status().state === 'ok',
    settled: () =>
      new Promise<void>((resolve) => {
        if (store.stagedBytes() === 0) resolve();
        else store.stage([], resolve);
      }),
  };
}
