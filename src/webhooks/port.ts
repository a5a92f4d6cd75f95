import type { MemberId } from '../core/ids.ts';

export const WEBHOOK_EVENTS = [
  'msg.notify',
  'msg.offline',
  'user.onlinestatus',
  'message.recalled',
  'subscription.repaired',
] as const;
export type WebhookEventType = (typeof WEBHOOK_EVENTS)[number];

/** Where events go. Every node of the cluster has the same list. */
export interface WebhookEndpoint {
  /** Names it in rows, logs, metrics and commands: 1 to 64 of `A-Z a-z 0-9 . _ -`. */
  readonly name: string;
  readonly url: string;
  readonly events: readonly WebhookEventType[];
  /** The first signs, and so does the second while one takes the other's place. */
  readonly secrets: readonly string[];
  readonly timeoutMs: number;
}

/** One request to a receiver. */
export interface WebhookRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly timeoutMs: number;
}

/** Sends one request; resolves with the status, rejects where there was no answer in time. */
export interface WebhookSender {
  post(request: WebhookRequest): Promise<number>;
  /** Ends what is under way; each of it rejects. */
  close(): void;
}

export interface EndpointState {
  readonly name: string;
  readonly url: string;
  readonly events: readonly WebhookEventType[];
  /** Events that wait on this node to be delivered by this node … */
  readonly waiting: number;
  /** … and copies of those that other nodes deliver. */
  readonly copies: number;
  readonly dead: number;
  /** Since the start of this node. */
  readonly delivered: number;
  readonly failedRequests: number;
  readonly dropped: number;
  /** Of the oldest that waits; 0 for none. */
  readonly oldestAgeMs: number;
  /** Requests that failed in a row; 0 while the receiver answers. */
  readonly failures: number;
  readonly lastError: string;
}

export interface DeadLetter {
  readonly endpoint: string;
  readonly id: string;
  readonly type: WebhookEventType;
  /** When it happened, and when this node gave it up. Milliseconds since 1970. */
  readonly atMs: number;
  readonly deadAtMs: number;
  readonly error: string;
}

/** What operators see and do, on the node that they ask. */
export interface Webhooks {
  readonly self: MemberId;
  endpoints(): readonly EndpointState[];
  /** In the order of their ids, after `after`; undefined where there is no such endpoint. */
  dead(endpoint: string, after: string, limit: number): Promise<readonly DeadLetter[] | undefined>;
  /** Puts dead letters back into the queue, all of them without ids; how many, or undefined as above. */
  replay(endpoint: string, ids: readonly string[]): Promise<number | undefined>;
}
