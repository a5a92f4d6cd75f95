import type { Delivery, Services } from '../../messaging/port.ts';
import type { Log } from '../../observability/log.ts';
import type { Runtime } from '../../runtime/port.ts';
import type { ChannelKey } from '../../core/ids.ts';
import type { GatewayCounters } from '../counters.ts';
import type { GatewayLimits } from '../limits.ts';
import type { ClientSession } from './session.ts';
import type { Dialect } from './dialect.ts';

/** What all sessions of a gateway share, so that a session itself holds one reference to it. */
export interface SessionRoom {
  readonly services: Services;
  readonly runtime: Runtime;
  readonly log: Pick<Log, 'debug' | 'info' | 'warn' | 'error'>;
  readonly limits: GatewayLimits;
  readonly counters: GatewayCounters;
  readonly auth: 'none' | 'token';
  readonly nodeId: bigint;
  /** Text frames. */
  readonly jsonRpc: Dialect;
  /** Binary frames. */
  readonly wkproto: Dialect;
  readonly members: FanoutMembers;
  /** Monotonic, refreshed by the gateway's sweep: exact enough for rates, and free to read. */
  readonly coarseNowMs: number;
  /** Frames for who connects now, after the reply to connect; none but for a while after an enable. */
  readonly greetings: () => readonly string[];
}

/** The side of the fan-out that sessions join. */
export interface FanoutMembers {
  join(session: ClientSession, channel: ChannelKey): void;
  leave(session: ClientSession, channel: ChannelKey): void;
  forget(session: ClientSession): void;
  /** Between the connect frame and its reply: the session takes part in no fan-out yet. */
  opens(session: ClientSession): void;
  opened(session: ClientSession): void;
  /** To the topics of all others from the channels of its own. */
  endFilter(session: ClientSession): void;
  has(session: ClientSession, channel: ChannelKey): boolean;
  channelsOf(session: ClientSession): readonly ChannelKey[];
  deliverTo(session: ClientSession, delivery: Delivery): void;
}
