import type { WebhookEndpoint } from './port.ts';

export interface WebhookLimits {
  /** Events that wait for one endpoint, of one type, on one node; what comes above is dropped and counted. */
  readonly queueEventsMax: number;
  /** Messages or status lines in one request. */
  readonly batchEventsMax: number;
  /** Payload bytes after which a batch ends, with at least one event in it. */
  readonly batchBytesMax: number;
  /** Requests under way at once for events that take a request each. */
  readonly requestsMax: number;
  /** How long an event waits for others to share its request. */
  readonly batchWaitMs: number;
  /** Between two requests to a receiver that fails: doubled each time, with jitter. */
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  /** An event that its receiver refused (4xx) this often becomes a dead letter. */
  readonly refusalsMax: number;
  /** An event that could not be delivered for so long becomes a dead letter. */
  readonly deadAfterMs: number;
  /** Dead letters kept of one endpoint; the oldest go first. */
  readonly deadLettersMax: number;
  /** A node that was not heard for so long has its events delivered by another. */
  readonly takeoverMs: number;
}

const DEFAULTS: WebhookLimits = {
  queueEventsMax: 100_000,
  batchEventsMax: 100,
  batchBytesMax: 1024 * 1024,
  requestsMax: 8,
  batchWaitMs: 20,
  backoffMinMs: 500,
  backoffMaxMs: 60_000,
  refusalsMax: 5,
  deadAfterMs: 24 * 3_600_000,
  deadLettersMax: 10_000,
  takeoverMs: 5_000,
};

/** What the configuration says of webhooks. */
export interface WebhookOptions extends Partial<WebhookLimits> {
  readonly endpoints: readonly WebhookEndpoint[];
}

export function limitsOf(options: Partial<WebhookLimits>): WebhookLimits {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return { ...DEFAULTS, ...(Object.fromEntries(given) as Partial<WebhookLimits>) };
}
