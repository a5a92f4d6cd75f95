import type { Repair } from '../audit/port.ts';
import type { PeerCalls } from '../cluster/calls/port.ts';
import type { MemberId } from '../core/ids.ts';
import { hash32 } from '../core/placement.ts';
import { RECALL } from '../core/row.ts';
import type { RemoteSession } from '../messaging/presence.ts';
import type { RoutedSession, SessionRegistry } from '../messaging/port.ts';
import type { Log } from '../observability/log.ts';
import type { Runtime } from '../runtime/port.ts';
import type { Store } from '../storage/port.ts';
import type { Replica, ReplicaListener } from '../storage/replica-port.ts';
import { Bodies, type BodyOptions } from './bodies.ts';
import { ClusterView, type ClusterViewOptions } from './cluster-view.ts';
import { Courier } from './courier.ts';
import { DeadLetters } from './dead-letters.ts';
import type { OutboxEvent } from './event.ts';
import { Exchange } from './exchange.ts';
import { LostSessions } from './lost-sessions.ts';
import { limitsOf, type WebhookOptions } from './options.ts';
import { Outbox, type Lane } from './outbox.ts';
import type { DeadLetter, EndpointState, Webhooks, WebhookSender } from './port.ts';
import { EventSources } from './sources.ts';

export interface WebhookParts extends Omit<BodyOptions, 'replica'> {
  readonly self: MemberId;
  readonly store: Store;
  readonly replica: Replica;
  readonly sessions: Pick<SessionRegistry, 'online'>;
  readonly calls: PeerCalls;
  /** Whether this member hears enough others to say who is gone; absent: always. */
  readonly isMajority?: (() => boolean) | undefined;
  /** When each other member last confirmed its sessions (see `ClusterView`); absent: there is none. */
  readonly confirmedMs?: ClusterViewOptions['confirmedMs'] | undefined;
  readonly sender: WebhookSender;
  readonly runtime: Runtime;
  readonly log: Log;
}

/**
 * Of a message that is older than this when it comes here no copy of its events is kept: whoever had it
 * before has them. So a node that was away for a day does not keep a day of events that are settled.
 */
const COPY_AGE_MS_MAX = 60_000;
const SINCE_STEP_MS = 1_000;

/** Outbox, couriers and the exchange with other members, of one node. */
export class WebhookService implements Webhooks {
  readonly self: MemberId;
  readonly #parts: WebhookParts;
  readonly #outbox: Outbox;
  readonly #letters: DeadLetters;
  readonly #couriers: ReadonlyMap<string, Courier>;
  readonly #exchange: Exchange;
  readonly #sources: EventSources;
  readonly #lost: LostSessions;
  readonly #view: ClusterView;
  /** From when on, by endpoint, every event that is not in the outbox is settled. */
  readonly #since = new Map<string, number>();

  private constructor(
    options: WebhookOptions,
    parts: WebhookParts,
    { outbox, letters }: { readonly outbox: Outbox; readonly letters: DeadLetters },
  ) {
    const limits = limitsOf(options);
    const { self, calls, runtime, log, replica, sessions, sender } = parts;
    this.self = self;
    this.#parts = parts;
    this.#outbox = outbox;
    this.#letters = letters;
    const wanted = new Set(outbox.lanes.map(({ type }) => type));
    this.#exchange = new Exchange({
      ...{ self, actor: replica.actor, outbox, calls, runtime, log, takeoverMs: limits.takeoverMs },
      wasSettled: (lane, event) => this.#wasSettled(lane, event),
      onClaimed: (lane) => this.#couriers.get(lane.endpoint.name)!.wake(lane, 0),
    });
    const bodies = new Bodies(parts);
    const shared = { outbox, letters, bodies, sender, limits, runtime, log };
    this.#couriers = new Map(
      options.endpoints.map((endpoint) => {
        const courier = new Courier({
          ...shared,
          endpoint,
          isMine: (name, event) => this.#exchange.isMine(name, event),
          onSettled: (lane, ids) => this.#exchange.tellSettled(lane, ids),
        });
        return [endpoint.name, courier] as const;
      }),
    );
    this.#view = new ClusterView({ runtime, confirmedMs: parts.confirmedMs ?? (() => []) });
    this.#sources = new EventSources({
      whenKnown: (task) => this.#view.whenKnown(task),
      ...{ self, actor: replica.actor, clock: runtime.clock, sessions },
      wanted: (type) => wanted.has(type),
      emit: (event) => this.#emit(event),
    });
    this.#lost = new LostSessions({
      ...{ sessions, runtime },
      actor: replica.actor,
      isMajority: parts.isMajority ?? (() => true),
      isFirst: (name, without) =>
        firstOf(
          name,
          [self, ...calls.reachable()].filter((member) => member !== without),
        ) === self,
      wanted: () => wanted.has('user.onlinestatus'),
      emit: (event) => this.#emit(event),
    });
    for (const { name } of options.endpoints) this.#since.set(name, this.#readSince(name));
  }

  static async open(options: WebhookOptions, parts: WebhookParts): Promise<WebhookService> {
    const { endpoints } = options;
    const limits = limitsOf(options);
    const { store, runtime } = parts;
    const outbox = await Outbox.open({ store, clock: runtime.clock, endpoints, limits });
    const names = endpoints.map(({ name }) => name);
    const letters = await DeadLetters.open(store, names, limits.deadLettersMax);
    return new WebhookService(options, parts, { outbox, letters });
  }

  listener(): ReplicaListener {
    return this.#sources.listener();
  }

  onSession(session: RoutedSession, change: 'connected' | 'disconnected'): void {
    this.#sources.onSession(session, change);
  }

  /** A session of another member, when that is not heard any more, and when it is there again. */
  onRemote(session: RemoteSession, change: 'lost' | 'found'): void {
    this.#lost.onRemote(session, change);
  }

  onRepair(repair: Repair): void {
    this.#sources.onRepair(repair);
  }

  start(): void {
    this.#view.start();
    this.#exchange.start();
    for (const courier of this.#couriers.values()) courier.start();
  }

  stop(): void {
    this.#view.stop();
    this.#lost.stop();
    this.#exchange.stop();
    for (const courier of this.#couriers.values()) courier.stop();
    this.#parts.sender.close();
  }

  /** For a drain: delivers nothing more; what waits falls to the other members at once. */
  async leave(): Promise<void> {
    for (const courier of this.#couriers.values()) courier.stop();
    await this.#exchange.leave();
  }

  /** The drain was called off. */
  stay(): void {
    for (const courier of this.#couriers.values()) courier.start();
    void this.#exchange.stay();
  }

  /** Events of nodes that died which this one took over, since its start. */
  takenOver(endpoint: string): number {
    return this.#exchange.takenOver(endpoint);
  }

  /** What was done for one endpoint since the start. About 0.1 µs. */
  totals(endpoint: string): { delivered: number; failedRequests: number; dropped: number } {
    const { delivered = 0, failedRequests = 0 } = this.#couriers.get(endpoint)?.counters ?? {};
    return { delivered, failedRequests, dropped: this.#outbox.dropped(endpoint) };
  }

  /** Looks at every event that waits: about 0.1 µs each. */
  endpoints(): readonly EndpointState[] {
    const nowMs = this.#parts.runtime.clock.wallMs();
    return [...this.#couriers].map(([name, { counters }]) => {
      const lanes = this.#outbox.lanes.filter(({ endpoint }) => endpoint.name === name);
      const { url, events } = lanes[0]!.endpoint;
      let [waiting, copies, oldestMs] = [0, 0, nowMs];
      for (const lane of lanes) {
        for (const event of lane.events.values()) {
          if (!this.#exchange.isMine(name, event)) {
            copies += 1;
            continue;
          }
          waiting += 1;
          oldestMs = Math.min(oldestMs, event.atMs);
        }
      }
      return {
        ...{ name, url, events, waiting, copies, ...counters },
        dead: this.#letters.count(name),
        dropped: this.#outbox.dropped(name),
        oldestAgeMs: nowMs - oldestMs,
      };
    });
  }

  async dead(
    endpoint: string,
    after: string,
    limit: number,
  ): Promise<readonly DeadLetter[] | undefined> {
    if (!this.#couriers.has(endpoint)) return undefined;
    return this.#letters.list(endpoint, after, limit);
  }

  async replay(endpoint: string, ids: readonly string[]): Promise<number | undefined> {
    const courier = this.#couriers.get(endpoint);
    if (!courier) return undefined;
    const { runtime, replica } = this.#parts;
    let replayed = 0;
    for await (const event of this.#letters.take(endpoint, ids)) {
      const lane = this.#outbox.laneOf(endpoint, event.type);
      if (!lane) continue;
      // As new: it has its full time again, and this run of this node delivers it.
      const again = {
        ...event,
        atMs: runtime.clock.wallMs(),
        author: replica.actor,
        replayed: true as const,
      };
      if (!this.#outbox.revive(lane, again)) continue;
      this.#exchange.copy(lane, again);
      this.#letters.forget(endpoint, event.id);
      replayed += 1;
    }
    courier.hurry();
    return replayed;
  }

  #emit(event: OutboxEvent): void {
    const { replica, runtime } = this.#parts;
    const own = event.author === replica.actor;
    const isOld = event.atMs < runtime.clock.wallMs() - COPY_AGE_MS_MAX;
    for (const lane of this.#outbox.lanes) {
      if (lane.type !== event.type) continue;
      if (!own && isOld) {
        this.#leftOut(lane.endpoint.name, event.atMs);
        continue;
      }
      if (!this.#outbox.add(lane, event) || !own) continue;
      this.#couriers.get(lane.endpoint.name)!.wake(lane);
      if (event.content.kind === 'text') this.#exchange.copy(lane, event);
    }
  }

  /** From what is not in the outbox nothing follows any more for events as old as this one. */
  #leftOut(endpoint: string, atMs: number): void {
    if (atMs < (this.#since.get(endpoint) ?? 0)) return;
    this.#setSince(endpoint, atMs + SINCE_STEP_MS);
  }

  #wasSettled({ endpoint }: Lane, { content, type, atMs }: OutboxEvent): boolean {
    if (content.kind !== 'message' || this.#outbox.dropped(endpoint.name) > 0) return false;
    if (atMs < (this.#since.get(endpoint.name) ?? Infinity)) return false;
    const [entry] = this.#parts.replica.read(content.key);
    return entry !== undefined && (type !== 'message.recalled' || entry.tag === RECALL);
  }

  #readSince(endpoint: string): number {
    const stored = this.#parts.replica.fact(sinceFact(endpoint));
    const since = stored && Number(new TextDecoder().decode(stored));
    if (since !== undefined && Number.isFinite(since)) return since;
    return this.#setSince(endpoint, this.#parts.runtime.clock.wallMs());
  }

  #setSince(endpoint: string, atMs: number): number {
    this.#since.set(endpoint, atMs);
    const text = new TextEncoder().encode(String(Math.ceil(atMs)));
    this.#parts.replica.setFact(sinceFact(endpoint), text);
    return atMs;
  }
}

function firstOf(name: string, members: readonly MemberId[]): MemberId | undefined {
  const weight = (member: MemberId): number => hash32(`${name}\u0001${member}`);
  return members.toSorted((a, b) => weight(b) - weight(a) || (a < b ? -1 : 1))[0];
}

/** Name of the fact that says how far back this node's outbox can be trusted. */
function sinceFact(endpoint: string): string {
  return `webhooks-since/${endpoint}`;
}
