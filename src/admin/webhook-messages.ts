/** The messages of Webhooks, DeadLetters and ReplayDeadLetters; the proto says what every field means. */
export interface WebhooksReply {
  readonly node: string;
  readonly endpoints: readonly WebhookEndpointInfo[];
}

export interface WebhookEndpointInfo {
  readonly name: string;
  readonly url: string;
  readonly events: readonly string[];
  readonly waiting: number;
  readonly copies: number;
  readonly dead: number;
  readonly delivered: number;
  readonly failedRequests: number;
  readonly dropped: number;
  readonly oldestAgeMs: number;
  readonly failures: number;
  readonly lastError: string;
}

export interface DeadLettersRequest {
  readonly endpoint: string;
  readonly after: string;
  readonly limit: number;
}

export interface DeadLettersReply {
  readonly letters: readonly DeadLetterInfo[];
  readonly next: string;
}

export interface DeadLetterInfo {
  readonly id: string;
  readonly type: string;
  readonly atMs: number;
  readonly deadAtMs: number;
  readonly error: string;
}

export interface ReplayDeadLettersRequest {
  readonly endpoint: string;
  readonly ids: readonly string[];
  readonly all: boolean;
}

export interface ReplayDeadLettersReply {
  readonly replayed: number;
}
