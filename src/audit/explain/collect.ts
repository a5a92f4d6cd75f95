import { hlcToMs } from '../../core/hybrid-clock.ts';
import { decodeMessage } from '../../core/kinds/message.ts';
import { shardOf } from '../../core/placement.ts';
import type { Row } from '../../core/row.ts';
import {
  channelFlagKey,
  channelPrefix,
  denyKey,
  rangeEnd,
  reverseKey,
  subscriptionKey,
  type RowKey,
} from '../../core/row-key.ts';
import type { ChannelKey, MemberId, Uid } from '../../core/ids.ts';
import type { PeerState, Replication } from '../../cluster/replication/port.ts';
import type { OnlineDevice, RoutedSession } from '../../messaging/port.ts';
import type { Clock } from '../../runtime/port.ts';
import type { Store } from '../../storage/port.ts';
import type { Replica } from '../../storage/replica-port.ts';
import type { LogEntry, LogFilter } from '../operations/port.ts';
import type { EntryFacts, MemberFacts } from './facts.ts';
import type { LayerFacts, Pair } from './port.ts';

/** The layers of this node, as far as facts are read from them. Reading changes nothing. */
export interface OwnLayers {
  readonly self: MemberId;
  readonly clock: Clock;
  readonly store: Pick<Store, 'get' | 'scan' | 'status'>;
  readonly replica: Pick<Replica, 'read' | 'seen' | 'actor'>;
  readonly replication: Pick<Replication, 'peers' | 'interestOf' | 'mayWrite'>;
  readonly routing: {
    sessionsOf(uid: Uid): readonly RoutedSession[];
    entryOf(channel: ChannelKey, uid: Uid): 'offline' | 'loading' | 'joined' | 'absent';
    online(uid: Uid): readonly OnlineDevice[];
  };
  readonly journal: { query(filter: LogFilter): Promise<readonly LogEntry[]> };
  readonly layers: LayerFacts;
}

const HISTORY_LINES = 20;
/** Of one context or vector that is shown: an actor a run, and the runs of a cluster are few. */
const SPANS_MAX = 4_096;

/** Everything this node knows of the user in the channel. With a full operation log 40 to 200 ms of CPU, in slices. */
export async function collectFacts(own: OwnLayers, { channel, uid }: Pair): Promise<MemberFacts> {
  const { self, clock, store, replica, replication, routing, journal } = own;
  const shard = shardOf(channel);
  const [history, last] = await Promise.all([
    journal.query({ uid, channel, limit: HISTORY_LINES }),
    readLast(own, channel),
  ]);
  const status = store.status();
  const key = subscriptionKey(channel, uid);
  const row = replica.read(key);
  return {
    member: self,
    atMs: clock.wallMs(),
    actor: replica.actor,
    store: { state: status.state, error: status.state === 'failing' ? status.error.message : '' },
    mayWrite: replication.mayWrite(),
    shard,
    seen: replica.seen(shard).slice(0, SPANS_MAX),
    row: {
      // A row that is there and reads as nothing could not be read.
      damaged: row.length === 0 && store.get(key) !== undefined,
      entries: toEntryFacts(row),
      reverse: store.get(reverseKey(uid, channel)) !== undefined,
    },
    denials: denialKeys(channel, uid)
      .map(([reason, denial]) => ({ reason, entries: toEntryFacts(replica.read(denial)) }))
      .filter(({ entries }) => entries.length > 0),
    index: routing.entryOf(channel, uid),
    sessions: routing.sessionsOf(uid).map((session) => ({
      id: session.id,
      deviceFlag: session.deviceFlag,
      deviceId: session.deviceId,
      protocol: session.protocol,
      remoteAddress: session.remoteAddress,
      connectedAtMs: session.connectedAtMs,
      joined: session.hasJoined(channel),
      topics: session.joinedChannels().length,
      queueBytes: own.layers.queueBytes?.(session),
    })),
    last,
    interest: interestOf(own, { channel, uid }),
    peers: replication.peers().map((state) => toPeerFacts(state, own.layers, shard)),
    history: [...history],
  };
}

function denialKeys(channel: ChannelKey, uid: Uid): readonly (readonly [string, RowKey])[] {
  const ofUser = (['ban', 'mute', 'blacklist'] as const).map(
    (reason) => [reason, denyKey(channel, uid, reason)] as const,
  );
  const ofChannel = (['ban', 'disband', 'send_ban'] as const).map(
    (flag) => [`channel ${flag}`, channelFlagKey(channel, flag)] as const,
  );
  return [...ofUser, ...ofChannel];
}

function toEntryFacts(row: Row): EntryFacts[] {
  return row.map(({ actor, counter, hlc, tag, context }) => ({
    ...{ actor, counter, hlc, tag },
    context: context.slice(0, SPANS_MAX),
  }));
}

/** What the peers have announced, as this node holds it. */
function interestOf({ replication, routing }: OwnLayers, { channel, uid }: Pair) {
  const devices = routing.online(uid);
  return replication.peers().map(({ member }) => ({
    member,
    channel: replication.interestOf(member).has(`c${channel}`),
    devices: devices.filter((device) => device.member === member).length,
  }));
}

function toPeerFacts(state: PeerState, { sweep }: LayerFacts, shard: number) {
  const { member, live, lagging, behind, lastError = '' } = state;
  return { member, live, lagging, behind, lastError, ...sweep?.(member, shard) };
}

/** The newest message of the channel on this disk; it was handed to the sockets when it came there. */
async function readLast({ store, replica }: OwnLayers, channel: ChannelKey) {
  const gte = channelPrefix('m', channel);
  const range = { gte, lt: rangeEnd(gte), reverse: true, limit: 1 };
  for await (const [stored] of store.scan(range)) {
    const [entry] = stored ? replica.read(stored[0] as RowKey) : [];
    const message = entry && decodeMessage(entry.value);
    if (!message) continue;
    const { messageSeq, messageId, fromUid } = message;
    return { messageSeq, messageId: String(messageId), fromUid, atMs: hlcToMs(entry.hlc) };
  }
  return undefined;
}
