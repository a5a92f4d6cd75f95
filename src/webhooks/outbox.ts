import { SEPARATOR } from '../core/row-key.ts';
import type { Clock } from '../runtime/port.ts';
import type { Mutation, Store } from '../storage/port.ts';
import { decodeEvent, encodeEvent, type OutboxEvent } from './event.ts';
import type { WebhookLimits } from './options.ts';
import type { WebhookEndpoint, WebhookEventType } from './port.ts';

export interface OutboxOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly endpoints: readonly WebhookEndpoint[];
  readonly limits: Pick<WebhookLimits, 'queueEventsMax'>;
}

/** Events of one type for one endpoint, oldest first. */
export interface Lane {
  readonly endpoint: WebhookEndpoint;
  readonly type: WebhookEventType;
  readonly events: Map<string, OutboxEvent>;
}

const PREFIX = `o${SEPARATOR}p${SEPARATOR}`;
/** Ends of events that came before the events themselves, or that somebody may ask about again. */
const DONE_MAX = 20_000;

/**
 * Events that wait, on disk (`o/p/endpoint/id`) and in the order in which they came. A row is staged in the
 * tick of the write that it tells of, so that the disk has both or neither.
 */
export class Outbox {
  readonly lanes: readonly Lane[];
  readonly #options: OutboxOptions;
  readonly #done = new Set<string>();
  readonly #dropped = new Map<string, number>();

  private constructor(options: OutboxOptions) {
    this.#options = options;
    this.lanes = options.endpoints.flatMap((endpoint) =>
      endpoint.events.map((type) => ({ endpoint, type, events: new Map<string, OutboxEvent>() })),
    );
  }

  /** Reads what an earlier run left. Rows of endpoints that are no more stay until one is there again. */
  static async open(options: OutboxOptions): Promise<Outbox> {
    const outbox = new Outbox(options);
    const { queueEventsMax } = options.limits;
    for (const { endpoint } of outbox.lanes) {
      const prefix = PREFIX + endpoint.name + SEPARATOR;
      const found: OutboxEvent[] = [];
      const limit = queueEventsMax * endpoint.events.length;
      for await (const chunk of options.store.scan({
        gte: prefix,
        lt: `${prefix}\u{10ffff}`,
        limit,
      })) {
        for (const [, value] of chunk) {
          const event = decodeEvent(value);
          if (event) found.push(event);
        }
      }
      for (const event of found.toSorted((a, b) => a.atMs - b.atMs)) {
        outbox.laneOf(endpoint.name, event.type)?.events.set(event.id, event);
      }
    }
    return outbox;
  }

  laneOf(endpoint: string, type: WebhookEventType): Lane | undefined {
    return this.lanes.find((lane) => lane.endpoint.name === endpoint && lane.type === type);
  }

  /** False where it is known already, or there is no room. */
  add(lane: Lane, event: OutboxEvent): boolean {
    const { endpoint, events } = lane;
    if (events.has(event.id) || this.#done.has(doneName(endpoint.name, event.id))) return false;
    if (events.size >= this.#options.limits.queueEventsMax) {
      this.#dropped.set(endpoint.name, this.dropped(endpoint.name) + 1);
      return false;
    }
    events.set(event.id, event);
    this.#options.store.stage([
      { key: rowKeyOf(endpoint.name, event.id), value: encodeEvent(event) },
    ]);
    return true;
  }

  /** They need nothing more here; `more` goes in the same batch. */
  settle(lane: Lane, ids: readonly string[], more: readonly Mutation[] = []): void {
    const mutations: Mutation[] = [...more];
    for (const id of ids) {
      this.#noteDone(doneName(lane.endpoint.name, id));
      if (lane.events.delete(id)) mutations.push({ key: rowKeyOf(lane.endpoint.name, id) });
    }
    if (mutations.length > 0) this.#options.store.stage(mutations);
  }

  /** Back in the queue although it was done with. */
  revive(lane: Lane, event: OutboxEvent): boolean {
    this.#done.delete(doneName(lane.endpoint.name, event.id));
    return this.add(lane, event);
  }

  isDone(endpoint: string, id: string): boolean {
    return this.#done.has(doneName(endpoint, id));
  }

  /** Events that found no room, since the start. */
  dropped(endpoint: string): number {
    return this.#dropped.get(endpoint) ?? 0;
  }

  #noteDone(name: string): void {
    this.#done.delete(name);
    this.#done.add(name);
    if (this.#done.size <= DONE_MAX) return;
    for (const oldest of this.#done) {
      this.#done.delete(oldest);
      break;
    }
  }
}

function rowKeyOf(endpoint: string, id: string): string {
  return PREFIX + endpoint + SEPARATOR + id;
}

function doneName(endpoint: string, id: string): string {
  return endpoint + SEPARATOR + id;
}
