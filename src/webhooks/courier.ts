import type { Log } from '../observability/log.ts';
import type { Runtime, Timer } from '../runtime/port.ts';
import type { Bodies } from './bodies.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { OutboxEvent } from './event.ts';
import type { WebhookLimits } from './options.ts';
import type { Lane, Outbox } from './outbox.ts';
import type { WebhookEndpoint, WebhookSender } from './port.ts';
import { HEADERS, signatureOf } from './signature.ts';

export interface CourierOptions {
  readonly endpoint: WebhookEndpoint;
  readonly outbox: Outbox;
  readonly letters: DeadLetters;
  readonly bodies: Bodies;
  readonly sender: WebhookSender;
  readonly limits: WebhookLimits;
  readonly runtime: Runtime;
  readonly log: Pick<Log, 'warn' | 'info'>;
  /** Whether this node delivers it now. */
  readonly isMine: (endpoint: string, event: OutboxEvent) => boolean;
  /** Events that nobody has to deliver any more. */
  readonly onSettled: (lane: Lane, ids: readonly string[]) => void;
}

type Answer =
  | { readonly kind: 'taken' }
  /** The receiver is down or asks for time: nothing is wrong with the event. */
  | { readonly kind: 'later'; readonly error: string }
  | { readonly kind: 'refused'; readonly error: string };

const OK = 200;
const ASKS_FOR_TIME = new Set([408, 425, 429]);
/** A message that is not stored here may still come; after this it was removed. */
const GONE_AFTER_MS = 60_000;
const GONE_POLL_MS = 1_000;

/** Delivers the events of one endpoint, each lane in its order, one request a lane at a time. */
export class Courier {
  readonly #options: CourierOptions;
  readonly #running = new Set<Lane>();
  readonly #timers = new Map<Lane, Timer>();
  /** How often the receiver refused what is at the head of a lane. */
  readonly #refusals = new Map<string, number>();
  /** Events of a lane that go one by one, to find which of a refused batch is at fault. */
  readonly #alone = new Map<Lane, number>();
  #notBeforeMs = 0;
  #state: 'stopped' | 'started' = 'stopped';
  readonly counters = { delivered: 0, failedRequests: 0, failures: 0, lastError: '' };

  constructor(options: CourierOptions) {
    this.#options = options;
  }

  start(): void {
    this.#state = 'started';
    for (const lane of this.#lanes()) this.wake(lane);
  }

  stop(): void {
    this.#state = 'stopped';
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }

  /** Something in the lane may be for this node to deliver. */
  wake(lane: Lane, delayMs = this.#options.limits.batchWaitMs): void {
    if (this.#state === 'stopped' || this.#running.has(lane) || this.#timers.has(lane)) return;
    const timer = this.#options.runtime.timers.after(delayMs, () => {
      this.#timers.delete(lane);
      void this.#run(lane);
    });
    this.#timers.set(lane, timer);
  }

  /** An operator wants it now, whatever the backoff says. */
  hurry(): void {
    this.#notBeforeMs = 0;
    for (const lane of this.#lanes()) {
      this.#timers.get(lane)?.cancel();
      this.#timers.delete(lane);
      this.wake(lane, 0);
    }
  }

  #lanes(): readonly Lane[] {
    const { outbox, endpoint } = this.#options;
    return outbox.lanes.filter((lane) => lane.endpoint === endpoint);
  }

  async #run(lane: Lane): Promise<void> {
    const { runtime, log, endpoint } = this.#options;
    this.#running.add(lane);
    let againMs: number | undefined;
    try {
      while (this.#state === 'started') {
        againMs = this.#notBeforeMs - runtime.clock.monotonicMs();
        if (againMs > 0) break;
        againMs = undefined;
        const step = isShared(lane) ? await this.#shared(lane) : await this.#each(lane);
        if (step === 'waits') againMs = GONE_POLL_MS;
        if (step !== 'more') break;
      }
    } catch (error) {
      log.warn('webhooks: a round ended with an error', { endpoint: endpoint.name, error });
      againMs = GONE_POLL_MS;
    } finally {
      this.#running.delete(lane);
      if (againMs !== undefined) this.wake(lane, againMs);
    }
  }

  /** Many events in one request. */
  async #shared(lane: Lane): Promise<Step> {
    const { bodies, limits } = this.#options;
    const alone = this.#alone.get(lane) ?? 0;
    const eventsMax = alone > 0 ? 1 : limits.batchEventsMax;
    const batch: OutboxEvent[] = [];
    const items: string[] = [];
    let [bytes, waiting] = [0, 0];
    for (const event of this.#mine(lane)) {
      if (batch.length >= eventsMax || bytes >= limits.batchBytesMax) break;
      const item = bodies.itemOf(event);
      if (item === undefined) {
        if (!this.#isGone(lane, event)) waiting += 1;
        if (waiting > limits.batchEventsMax) break;
        continue;
      }
      batch.push(event);
      items.push(item);
      bytes += item.length;
    }
    if (batch.length === 0) return waiting > 0 ? 'waits' : 'empty';
    const answer = await this.#post(
      lane,
      batch.map(({ id }) => id),
      `[${items.join(',')}]`,
    );
    if (answer.kind === 'refused' && batch.length > 1) {
      this.#alone.set(lane, batch.length);
      return 'more';
    }
    if (alone > 0) this.#alone.set(lane, alone - 1);
    this.#close(lane, batch, answer);
    return 'more';
  }

  /** A request, or some, for each event; several events at once. */
  async #each(lane: Lane): Promise<Step> {
    const { bodies, limits } = this.#options;
    const batch: OutboxEvent[] = [];
    let waiting = 0;
    for (const event of this.#mine(lane)) {
      if (batch.length >= limits.requestsMax || waiting > limits.batchEventsMax) break;
      if (bodies.isStored(event)) batch.push(event);
      else if (!this.#isGone(lane, event)) waiting += 1;
    }
    if (batch.length === 0) return waiting > 0 ? 'waits' : 'empty';
    const answers = await Promise.all(batch.map((event) => this.#deliverOne(lane, event)));
    for (const [index, answer] of answers.entries()) this.#close(lane, [batch[index]!], answer);
    return 'more';
  }

  async #deliverOne(lane: Lane, event: OutboxEvent): Promise<Answer> {
    for await (const { ids, text } of this.#options.bodies.ofOne(event)) {
      const answer = await this.#post(lane, ids, text);
      if (answer.kind !== 'taken') return answer;
    }
    return { kind: 'taken' };
  }

  *#mine({ endpoint, events }: Lane): Generator<OutboxEvent> {
    for (const event of events.values()) {
      if (this.#options.isMine(endpoint.name, event)) yield event;
    }
  }

  #isGone(lane: Lane, event: OutboxEvent): boolean {
    const { runtime } = this.#options;
    if (runtime.clock.wallMs() - event.atMs < GONE_AFTER_MS) return false;
    this.#settle(lane, [event.id]);
    return true;
  }

  async #post(lane: Lane, ids: readonly string[], body: string): Promise<Answer> {
    const { sender, runtime } = this.#options;
    const { url, secrets, timeoutMs } = lane.endpoint;
    const timestamp = String(Math.floor(runtime.clock.wallMs() / 1000));
    const request = {
      url: `${url}${url.includes('?') ? '&' : '?'}event=${lane.type}`,
      headers: {
        'content-type': 'application/json',
        [HEADERS.timestamp]: timestamp,
        [HEADERS.ids]: ids.join(','),
        ...(secrets.length > 0 && { [HEADERS.signature]: signatureOf(secrets, timestamp, body) }),
      },
      ...{ body, timeoutMs },
    };
    try {
      const status = await sender.post(request);
      if (status === OK) return { kind: 'taken' };
      const isRefusal = status >= 400 && status < 500 && !ASKS_FOR_TIME.has(status);
      return { kind: isRefusal ? 'refused' : 'later', error: `status ${status}` };
    } catch (error) {
      return { kind: 'later', error: error instanceof Error ? error.message : String(error) };
    }
  }

  #close(lane: Lane, batch: readonly OutboxEvent[], answer: Answer): void {
    // What ends because this node stops is no failure of anybody.
    if (this.#state === 'stopped' && answer.kind !== 'taken') return;
    if (answer.kind === 'taken') {
      this.counters.delivered += batch.length;
      this.#recovered();
      return this.#settle(
        lane,
        batch.map(({ id }) => id),
      );
    }
    this.#failed(answer.error);
    const { limits, runtime } = this.#options;
    const oldestMs = runtime.clock.wallMs() - limits.deadAfterMs;
    for (const event of batch) {
      let refusals = this.#refusals.get(event.id) ?? 0;
      if (answer.kind === 'refused') this.#refusals.set(event.id, (refusals += 1));
      if (refusals >= limits.refusalsMax || event.atMs < oldestMs) {
        this.#bury(lane, event, answer.error);
      }
    }
  }

  #failed(error: string): void {
    const { limits, runtime, log, endpoint } = this.#options;
    const { counters } = this;
    counters.failedRequests += 1;
    counters.failures += 1;
    counters.lastError = error;
    if (counters.failures === 1) {
      log.warn('webhooks: a receiver does not take events', { endpoint: endpoint.name, error });
    }
    const doubled = limits.backoffMinMs * 2 ** Math.min(counters.failures - 1, 20);
    const delayMs = Math.min(limits.backoffMaxMs, doubled) * (0.5 + runtime.random.fraction() / 2);
    this.#notBeforeMs = runtime.clock.monotonicMs() + delayMs;
  }

  #recovered(): void {
    const { log, endpoint } = this.#options;
    if (this.counters.failures > 0) {
      log.info('webhooks: a receiver takes events again', { endpoint: endpoint.name });
    }
    this.counters.failures = 0;
    this.#notBeforeMs = 0;
  }

  #settle(lane: Lane, ids: readonly string[]): void {
    for (const id of ids) this.#refusals.delete(id);
    this.#options.outbox.settle(lane, ids);
    this.#options.onSettled(lane, ids);
  }

  #bury(lane: Lane, event: OutboxEvent, error: string): void {
    const { letters, outbox, onSettled, runtime } = this.#options;
    this.#refusals.delete(event.id);
    const deadAtMs = runtime.clock.wallMs();
    const mutations = letters.bury(lane.endpoint.name, { event, deadAtMs, error });
    outbox.settle(lane, [event.id], mutations);
    onSettled(lane, [event.id]);
  }
}

type Step = 'more' | 'empty' | 'waits';

/** As WuKongIM has it: messages and status lines come in arrays, of everything else one at a time. */
function isShared({ type }: Lane): boolean {
  return type === 'msg.notify' || type === 'user.onlinestatus';
}
