import type { Runtime } from '../runtime/port.ts';
import { encodeEvent } from './codec/json-rpc-encode.ts';
import { CLOSE, type ClientSession } from './session/session.ts';

/** What a listener does with clients: takes them, sends them away, or is gone soon. */
export type ServiceState = 'enabled' | 'disabled' | 'draining' | 'stopping';

export interface DisableOptions {
  /** When to come back, said to clients and in Retry-After; 0: nobody can tell. */
  readonly retryAfterSeconds: number;
  /** Sockets that do not answer the Close frame are terminated then. Milliseconds. */
  readonly terminateAfterMs: number;
}

export interface DrainOptions {
  readonly sessionsPerSecond: number;
  /** Where clients go instead: client addresses of other members, best first. */
  readonly next: readonly string[];
  /** All are ended by then, whatever the pace. Milliseconds. */
  readonly withinMs: number;
}

export interface Ended {
  /** Connections that there were. */
  readonly connections: number;
  /** Of these, those that did not answer the Close frame in time. */
  readonly terminated: number;
}

/** The event, the code and the reason with which sessions are sent away. */
export interface Farewell {
  readonly event: 'lifecycle.disable' | 'lifecycle.drain';
  readonly data: Readonly<Record<string, unknown>>;
  readonly code: number;
  readonly reason: string;
}

/** S3-2: never 1000, after which SDKs stay away. */
export function disableFarewell(retryAfterSeconds: number): Farewell {
  const event = 'lifecycle.disable';
  if (retryAfterSeconds === 0) {
    const data = { sub_type: 'disable', reconnect: false };
    return { event, data, code: CLOSE.goingAway, reason: 'disabled: no return is planned' };
  }
  return {
    event,
    data: { sub_type: 'disable', reconnect: true, retryAfterSeconds },
    code: CLOSE.serviceRestart,
    reason: `disabled: come back after ${retryAfterSeconds} s`,
  };
}

export function drainFarewell(next: readonly string[]): Farewell {
  const where = next.length > 0 ? `go to ${next[0]}` : 'come back after 1 s';
  return {
    event: 'lifecycle.drain',
    data: { sub_type: 'drain', reconnect: true, next, retryAfterSeconds: next.length > 0 ? 0 : 1 },
    code: CLOSE.serviceRestart,
    reason: `draining: ${where}`,
  };
}

/** WKProto has no packet for events: its clients know by the close code. */
export function sayLifecycle(session: ClientSession, frame: string): void {
  if (session.state === 'CONNECTED' && session.protocol === 'json-rpc') session.send(frame);
}

export function lifecycleFrame(
  { clock, random }: Runtime,
  type: string,
  data: Readonly<Record<string, unknown>>,
): string {
  const id = Buffer.from(random.bytes(8)).toString('hex');
  return encodeEvent({ id, type, timestampMs: clock.wallMs(), data });
}

/** Every client knows before the first one is closed. */
export function sendAway(
  sessions: readonly ClientSession[],
  runtime: Runtime,
  farewell: Farewell,
): void {
  const frame = lifecycleFrame(runtime, farewell.event, farewell.data);
  for (const session of sessions) sayLifecycle(session, frame);
  for (const session of sessions) session.end(farewell.code, farewell.reason);
}
