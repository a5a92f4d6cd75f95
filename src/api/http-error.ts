import { REASON, type Outcome, type ReasonCode } from '../core/reason-code.ts';

/** What a caller did wrong, or why the node cannot now; the server answers `{"msg","status"}` with it. */
export class HttpError extends Error {
  override readonly name = 'HttpError';
  readonly code = 'HTTP_REFUSED';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export function badRequest(message: string): HttpError {
  return new HttpError(400, message);
}

/** The value of an outcome; throws the `HttpError` that its refusal means. */
export function valueOf<Value>(outcome: Outcome<Value>): Value {
  if (outcome.ok) return outcome.value;
  throw new HttpError(statusOf(outcome.code), `${outcome.message} (reason ${outcome.code})`);
}

/** Only what goes away by itself is 503; every other refusal is the caller's to change. */
function statusOf(code: ReasonCode): number {
  return code === REASON.systemError ? 503 : 400;
}

export const OK = '{"status":200}';

export function failureBody(status: number, message: string): string {
  return JSON.stringify({ msg: message, status });
}
