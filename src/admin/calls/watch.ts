import type { ServerWritableStream } from '@grpc/grpc-js';
import { channelIdOf, channelTypeOf } from '../../core/ids.ts';
import type { Clock } from '../../runtime/port.ts';
import { invalid } from '../errors.ts';
import type { Repair } from '../../audit/port.ts';
import type { EventKindName, RepairEvent, Status, WatchEvent, WatchRequest } from '../messages.ts';
import { toPeerState, toMembershipStatus, toStoreStatus } from './member-view.ts';
import type { ClusterEvent, ClusterInfo, EventFeed } from '../port.ts';
import { drained } from '../streams.ts';

export interface WatchOptions {
  readonly events: EventFeed;
  readonly cluster: Pick<ClusterInfo, 'nodeId'>;
  readonly clock: Clock;
  /** Events that may wait for one watcher. */
  readonly eventsMax: number;
}

type WatchCall = ServerWritableStream<WatchRequest, WatchEvent>;

const KINDS: Readonly<Record<EventKindName, ClusterEvent['kind'] | undefined>> = {
  EVENT_KIND_UNSPECIFIED: undefined,
  EVENT_KIND_MEMBER: 'member',
  EVENT_KIND_PEER: 'peer',
  EVENT_KIND_SESSION: 'session',
  EVENT_KIND_SUBSCRIPTION: 'subscription',
  EVENT_KIND_STATUS: 'status',
  EVENT_KIND_REPAIR: 'repair',
};

/** Streams events until the abort. */
export async function serveWatch(
  options: WatchOptions,
  call: WatchCall,
  signal: AbortSignal,
): Promise<void> {
  const kinds = readKinds(call.request);
  const queue = new EventQueue(options.eventsMax);
  let wake = (): void => {};
  const end = options.events.subscribe((event) => {
    if (kinds.size > 0 && !kinds.has(event.kind)) return;
    queue.push(event, options.clock.wallMs());
    wake();
  });
  const onAbort = (): void => wake();
  signal.addEventListener('abort', onAbort);
  try {
    const watching = { member: options.cluster.nodeId };
    call.write({ atMs: options.clock.wallMs(), watching });
    while (!signal.aborted) {
      const event = queue.shift();
      if (!event) await new Promise<void>((resolve) => (wake = resolve));
      else if (!call.write(event)) await drained(call, signal);
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    end();
  }
}

function readKinds(request: WatchRequest): ReadonlySet<ClusterEvent['kind']> {
  const kinds = new Set<ClusterEvent['kind']>();
  for (const [index, name] of request.kinds.entries()) {
    const kind = Object.hasOwn(KINDS, name) ? KINDS[name] : undefined;
    if (!kind) throw invalid(`kinds[${index}]`, `${name} is not a kind of event`);
    kinds.add(kind);
  }
  return kinds;
}

/**
 * What waits for one watcher. While it is full, new events are counted instead of kept, and the count
 * stands exactly where they would have been.
 */
export class EventQueue {
  readonly #max: number;
  #waiting: WatchEvent[] = [];
  #head = 0;
  #lost = 0;
  #lostAtMs = 0;

  constructor(max: number) {
    this.#max = max;
  }

  push(event: ClusterEvent, nowMs: number): void {
    if (this.#waiting.length - this.#head >= this.#max) {
      this.#lost++;
      this.#lostAtMs = nowMs;
      return;
    }
    this.#tellLost();
    this.#waiting.push(toWatchEvent(event));
  }

  shift(): WatchEvent | undefined {
    if (this.#head === this.#waiting.length) {
      this.#waiting = [];
      this.#head = 0;
      this.#tellLost();
      if (this.#waiting.length === 0) return undefined;
    }
    const event = this.#waiting[this.#head++]!;
    if (this.#head >= this.#max) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    return event;
  }

  #tellLost(): void {
    if (this.#lost === 0) return;
    this.#waiting.push({ atMs: this.#lostAtMs, lost: this.#lost });
    this.#lost = 0;
  }
}

function toWatchEvent(event: ClusterEvent): WatchEvent {
  const { atMs } = event;
  switch (event.kind) {
    case 'member':
      return { atMs, member: { id: event.id, change: event.change } };
    case 'peer':
      return { atMs, peer: toPeerState(event.state) };
    case 'session': {
      const { id, uid, change, remoteAddress, protocol } = event;
      return { atMs, session: { id, uid, change, remoteAddress, protocol } };
    }
    case 'subscription': {
      const { channel, uid, change } = event;
      const [channelId, channelType] = [channelIdOf(channel), channelTypeOf(channel)];
      return { atMs, subscription: { channelId, channelType, uid, change } };
    }
    case 'repair':
      return { atMs, repair: toRepairEvent(event.repair) };
    case 'status':
      return { atMs, status: { subject: event.subject, status: statusOf(event) } };
    default:
      return event satisfies never;
  }
}

function toRepairEvent(repair: Repair): RepairEvent {
  const { layer, action, cause, channel, uid = '', peer = '', detail = '' } = repair;
  const channelId = channel === undefined ? '' : channelIdOf(channel);
  const channelType = channel === undefined ? 0 : channelTypeOf(channel);
  return { layer, action, cause, channelId, channelType, uid, peer, detail };
}

function statusOf(event: ClusterEvent & { readonly kind: 'status' }): Status {
  if (event.subject === 'membership') return toMembershipStatus(event.status);
  if (event.subject === 'store') return toStoreStatus(event.status);
  return event.accepted
    ? { state: 'ok', sinceMs: 0, reason: '' }
    : { state: 'refused', sinceMs: event.atMs, reason: 'the store has not caught up' };
}
