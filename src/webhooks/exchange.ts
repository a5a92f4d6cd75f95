import { PeerCallError } from '../cluster/calls/port.ts';
import type { PeerCalls } from '../cluster/calls/port.ts';
import { parseActorId, type ActorId, type MemberId } from '../core/ids.ts';
import type { Log } from '../observability/log.ts';
import type { Runtime, Timer } from '../runtime/port.ts';
import { eventFields, isEventId, readEvent, type OutboxEvent } from './event.ts';
import type { Lane, Outbox } from './outbox.ts';
import { ownerOf, type Neighbour } from './ownership.ts';
import { WEBHOOK_EVENTS } from './port.ts';

export interface ExchangeOptions {
  readonly self: MemberId;
  readonly actor: ActorId;
  readonly outbox: Outbox;
  readonly calls: PeerCalls;
  readonly runtime: Runtime;
  readonly log: Pick<Log, 'debug'>;
  /** A member that was not heard for so long has its events delivered by another. Milliseconds. */
  readonly takeoverMs: number;
  /** True where this node would have the event in its outbox, had it not been settled. */
  readonly wasSettled: (lane: Lane, event: OutboxEvent) => boolean;
  /** Events that this node delivers from now on. */
  readonly onClaimed: (lane: Lane) => void;
}

const TICK_MS = 1_000;
const CALL_MS = 2_000;
const TELL_AFTER_MS = 20;
/** Of one message between members, and their bytes. */
const ITEMS_MAX = 500;
const ITEMS_BYTES_MAX = 256 * 1024;
/** Settled events that wait to be told; more are found out by asking. */
const UNTOLD_MAX = 50_000;
/** Whoever delivers an event has told so by then, where both run. */
const STRAGGLER_MS = 3_000;

/**
 * What members tell each other of events: who runs and what it delivers, what is settled, and, of what has
 * waited too long, "do you have this still?". An answer of "settled" ends it here too.
 */
export class Exchange {
  readonly #options: ExchangeOptions;
  readonly #neighbours = new Map<MemberId, Neighbour & { readonly heardMs: number }>();
  /** Runs that have said that they deliver no more: their events fall to the others at once. */
  readonly #left = new Map<MemberId, ActorId>();
  readonly #claimed = new Set<string>();
  /** What the next message tells, by lane. */
  readonly #settled = new Map<Lane, string[]>();
  readonly #copies = new Map<Lane, OutboxEvent[]>();
  /** Where the last look at a lane ended. */
  readonly #looked = new Map<Lane, string>();
  #timer: Timer | undefined;
  #telling: Timer | undefined;
  #startedMs = 0;
  #looking = false;
  readonly #takenOver = new Map<string, number>();

  constructor(options: ExchangeOptions) {
    this.#options = options;
    const { calls } = options;
    calls.answer('webhooks/beat', (from, body) => {
      this.#hear(from, body);
      return this.#beat();
    });
    calls.answer('webhooks/done', (_, body) => {
      for (const { lane, items } of this.#read(body)) {
        this.#settleHere(lane, items.filter(isEventId));
      }
      return true;
    });
    calls.answer('webhooks/leave', (from, body) => {
      const actor = parseActorId(body);
      if (!actor.ok) throw new TypeError('expected an actor');
      this.#left.set(from, actor.value);
      this.#neighbours.delete(from);
      return true;
    });
    calls.answer('webhooks/stay', (from) => this.#left.delete(from));
    calls.answer('webhooks/offer', (_, body) =>
      this.#read(body).map(({ lane, items }) => this.#judge(lane, items)),
    );
  }

  start(): void {
    this.#startedMs = this.#options.runtime.clock.monotonicMs();
    const tick = (): void => {
      this.#timer = this.#options.runtime.timers.after(TICK_MS, tick);
      void this.tick();
    };
    tick();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#telling?.cancel();
  }

  /** Events of others that this node delivers or has delivered, since the start. */
  takenOver(endpoint: string): number {
    return this.#takenOver.get(endpoint) ?? 0;
  }

  /** For a drain: what is settled is told first, so that nobody delivers it again. */
  async leave(): Promise<void> {
    this.#telling?.cancel();
    this.#telling = undefined;
    this.#tell();
    await this.#tellAll('webhooks/leave');
  }

  /** The drain was called off. */
  async stay(): Promise<void> {
    await this.#tellAll('webhooks/stay');
  }

  async #tellAll(method: string): Promise<void> {
    const { calls, actor } = this.#options;
    await Promise.all(calls.reachable().map((member) => this.#ask(member, method, actor)));
  }

  isMine(endpoint: string, { id, author }: OutboxEvent): boolean {
    return author === this.#options.actor || this.#claimed.has(claimName(endpoint, id));
  }

  /** Tells the others, with what else is settled in the next moment. */
  tellSettled(lane: Lane, ids: readonly string[]): void {
    for (const id of ids) this.#claimed.delete(claimName(lane.endpoint.name, id));
    const list = this.#settled.get(lane) ?? [];
    if (list.length < UNTOLD_MAX) list.push(...ids);
    this.#settled.set(lane, list);
    this.#tellSoon();
  }

  /** An event that no other node finds by itself: the others keep it in case this one dies. */
  copy(lane: Lane, event: OutboxEvent): void {
    const list = this.#copies.get(lane) ?? [];
    if (list.length < UNTOLD_MAX) list.push(event);
    this.#copies.set(lane, list);
    this.#tellSoon();
  }

  /** One round: hear the others, and settle or take over what has waited too long. */
  async tick(): Promise<void> {
    await Promise.all(this.#options.calls.reachable().map((member) => this.#greet(member)));
    // A round that waits for members that do not answer is not joined by another.
    if (this.#looking) return;
    this.#looking = true;
    try {
      for (const lane of this.#options.outbox.lanes) await this.#look(lane);
    } finally {
      this.#looking = false;
    }
  }

  async #greet(member: MemberId): Promise<void> {
    const answer = await this.#ask(member, 'webhooks/beat', this.#beat());
    if (answer !== undefined) this.#hear(member, answer);
  }

  #beat(): readonly unknown[] {
    const names = this.#options.outbox.lanes.map(({ endpoint }) => endpoint.name);
    return [this.#options.actor, [...new Set(names)]];
  }

  #hear(member: MemberId, body: unknown): void {
    if (!Array.isArray(body)) return;
    const [said, names] = body as readonly unknown[];
    const actor = parseActorId(said);
    if (!actor.ok || !Array.isArray(names) || this.#left.get(member) === actor.value) return;
    const endpoints = new Set(names.filter((name) => typeof name === 'string'));
    const heardMs = this.#options.runtime.clock.monotonicMs();
    this.#neighbours.set(member, { member, actor: actor.value, endpoints, heardMs });
  }

  #heard(): readonly Neighbour[] {
    const { self, actor, outbox, runtime, takeoverMs } = this.#options;
    const endpoints = new Set(outbox.lanes.map(({ endpoint }) => endpoint.name));
    const fromMs = runtime.clock.monotonicMs() - takeoverMs;
    const others = [...this.#neighbours.values()].filter(({ heardMs }) => heardMs >= fromMs);
    return [{ member: self, actor, endpoints }, ...others];
  }

  /** A part of the events that are others', in turn. */
  async #look(lane: Lane): Promise<void> {
    const { self, runtime, takeoverMs } = this.#options;
    const heard = this.#heard();
    const endpoint = lane.endpoint.name;
    const byOwner = new Map<MemberId, OutboxEvent[]>();
    const since = runtime.clock.wallMs() - STRAGGLER_MS;
    for (const event of this.#nextOf(lane)) {
      if (event.atMs > since || this.isMine(endpoint, event)) continue;
      const owner = ownerOf({ endpoint, ...event }, heard);
      if (owner === undefined) continue;
      const list = byOwner.get(owner) ?? [];
      byOwner.set(owner, [...list, event]);
    }
    for (const [owner, events] of byOwner) {
      if (owner !== self) {
        this.#settleHere(lane, (await this.#offer(owner, lane, events)) ?? []);
        continue;
      }
      // A node that has just started has not heard the others yet.
      if (runtime.clock.monotonicMs() - this.#startedMs < takeoverMs) continue;
      await this.#claim(lane, events, heard);
    }
  }

  /** Nobody says that they are settled, and everybody who is heard was asked. */
  async #claim(
    lane: Lane,
    events: readonly OutboxEvent[],
    heard: readonly Neighbour[],
  ): Promise<void> {
    const endpoint = lane.endpoint.name;
    const others = heard.filter(
      ({ member, endpoints }) => member !== this.#options.self && endpoints.has(endpoint),
    );
    const answers = await Promise.all(
      others.map(({ member }) => this.#offer(member, lane, events)),
    );
    this.#settleHere(
      lane,
      answers.flatMap((ids) => ids ?? []),
    );
    if (answers.includes(undefined)) return;
    for (const { id } of events) {
      if (!lane.events.has(id)) continue;
      this.#claimed.add(claimName(endpoint, id));
      this.#takenOver.set(endpoint, this.takenOver(endpoint) + 1);
    }
    this.#options.onClaimed(lane);
  }

  *#nextOf(lane: Lane): Generator<OutboxEvent> {
    const last = this.#looked.get(lane);
    let passed = last === undefined || !lane.events.has(last);
    let [count, bytes] = [0, 0];
    this.#looked.delete(lane);
    for (const event of lane.events.values()) {
      if (passed) {
        yield event;
        count += 1;
        bytes += sizeOf(event);
        if (count >= ITEMS_MAX || bytes >= ITEMS_BYTES_MAX) {
          this.#looked.set(lane, event.id);
          return;
        }
      }
      passed ||= event.id === last;
    }
  }

  /** Which of them the member says are settled; undefined where it did not answer. */
  async #offer(
    member: MemberId,
    lane: Lane,
    events: readonly OutboxEvent[],
  ): Promise<readonly string[] | undefined> {
    const answer = await this.#ask(member, 'webhooks/offer', [pack(lane, events.map(eventFields))]);
    if (!Array.isArray(answer)) return undefined;
    const known = new Set(events.map(({ id }) => id));
    const [ids] = answer as readonly unknown[];
    if (!Array.isArray(ids)) return [];
    return ids.filter((id): id is string => typeof id === 'string' && known.has(id));
  }

  #judge(lane: Lane, items: readonly unknown[]): readonly string[] {
    const { outbox, actor, wasSettled } = this.#options;
    const settled: string[] = [];
    for (const item of items) {
      const event = readEvent(item);
      if (!event || event.type !== lane.type || lane.events.has(event.id)) continue;
      const isSettled =
        event.author === actor ||
        (!event.replayed &&
          (outbox.isDone(lane.endpoint.name, event.id) || wasSettled(lane, event)));
      if (isSettled) settled.push(event.id);
      else outbox.revive(lane, event);
    }
    return settled;
  }

  #settleHere(lane: Lane, ids: readonly string[]): void {
    for (const id of ids) this.#claimed.delete(claimName(lane.endpoint.name, id));
    if (ids.length > 0) this.#options.outbox.settle(lane, ids);
  }

  #tellSoon(): void {
    this.#telling ??= this.#options.runtime.timers.after(TELL_AFTER_MS, () => {
      this.#telling = undefined;
      this.#tell();
    });
  }

  #tell(): void {
    const copies = takeAll(this.#copies, sizeOf);
    const settled = takeAll(this.#settled, (id) => id.length);
    for (const member of this.#options.calls.reachable()) {
      for (const [lane, part] of copies) {
        const events = part.map(eventFields);
        void this.#ask(member, 'webhooks/offer', [pack(lane, events)]);
      }
      for (const [lane, part] of settled) {
        void this.#ask(member, 'webhooks/done', [pack(lane, part)]);
      }
    }
    if (this.#copies.size > 0 || this.#settled.size > 0) this.#tellSoon();
  }

  async #ask(member: MemberId, method: string, body: unknown): Promise<unknown> {
    const { calls, log } = this.#options;
    try {
      return await calls.call(member, { method, body, timeoutMs: CALL_MS });
    } catch (error) {
      const code = error instanceof PeerCallError ? error.code : String(error);
      log.debug('webhooks: a member did not answer', { member, method, code });
      return undefined;
    }
  }

  #read(body: unknown): { readonly lane: Lane; readonly items: readonly unknown[] }[] {
    if (!Array.isArray(body)) throw new TypeError('expected a list of parts');
    return (body as readonly unknown[]).slice(0, ITEMS_MAX).flatMap((part) => {
      if (!Array.isArray(part)) return [];
      const [endpoint, type, items] = part as readonly unknown[];
      const known = typeof type === 'number' ? WEBHOOK_EVENTS[type] : undefined;
      if (typeof endpoint !== 'string' || known === undefined || !Array.isArray(items)) return [];
      const lane = this.#options.outbox.laneOf(endpoint, known);
      return lane ? [{ lane, items: items.slice(0, ITEMS_MAX) }] : [];
    });
  }
}

function pack({ endpoint, type }: Lane, items: readonly unknown[]): readonly unknown[] {
  return [endpoint.name, WEBHOOK_EVENTS.indexOf(type), items];
}

/** At most one message's worth of each lane; the rest stays for the next. */
function takeAll<Item>(
  waiting: Map<Lane, Item[]>,
  size: (item: Item) => number,
): [Lane, readonly Item[]][] {
  const taken: [Lane, readonly Item[]][] = [];
  for (const [lane, items] of waiting) {
    let [count, bytes] = [0, 0];
    while (count < Math.min(items.length, ITEMS_MAX) && bytes < ITEMS_BYTES_MAX) {
      bytes += size(items[count++]!);
    }
    taken.push([lane, items.splice(0, count)]);
    if (items.length === 0) waiting.delete(lane);
  }
  return taken;
}

function sizeOf({ id, content }: OutboxEvent): number {
  return id.length + (content.kind === 'text' ? content.text : content.key).length;
}

function claimName(endpoint: string, id: string): string {
  return `${endpoint}\u0001${id}`;
}
