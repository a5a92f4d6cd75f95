import type { WebhookEndpoint, WebhookRequest, WebhookSender } from '../../src/webhooks/port.ts';
import { WEBHOOK_EVENTS } from '../../src/webhooks/port.ts';
import { HEADERS } from '../../src/webhooks/signature.ts';

export interface Taken {
  readonly type: string;
  readonly ids: readonly string[];
  readonly body: unknown;
  readonly request: WebhookRequest;
}

/** A receiver in this process: what it took, and what it answers. */
export class FakeReceiver implements WebhookSender {
  readonly taken: Taken[] = [];
  /** Requests that were not taken. */
  refused = 0;
  answer: (type: string, body: unknown) => number | Error = () => 200;

  post(request: WebhookRequest): Promise<number> {
    const type = new URL(request.url).searchParams.get('event') ?? '';
    const body: unknown = JSON.parse(request.body);
    const answer = this.answer(type, body);
    if (answer === 200) {
      this.taken.push({ type, body, request, ids: request.headers[HEADERS.ids]!.split(',') });
    } else {
      this.refused += 1;
    }
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  }

  close(): void {}

  ids(type: string): string[] {
    return this.taken.filter((one) => one.type === type).flatMap(({ ids }) => ids);
  }

  bodies(type: string): unknown[] {
    return this.taken.filter((one) => one.type === type).flatMap(({ body }) => body);
  }
}

export const SECRET = 'receiver-secret';

export function endpoint(more: Partial<WebhookEndpoint> = {}): WebhookEndpoint {
  return {
    name: 'main',
    url: 'http://127.0.0.1:9/hook',
    events: WEBHOOK_EVENTS,
    secrets: [SECRET],
    timeoutMs: 1_000,
    ...more,
  };
}
