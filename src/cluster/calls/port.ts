import type { MemberId } from '../../core/ids.ts';

/**
 * Questions that members ask each other over their open links: a request, one answer, a deadline. Bodies
 * are what msgpack carries; whoever answers checks every field, for a peer may be of another release.
 */
export interface PeerCalls {
  /** Who answers `method` here; one handler a method. What it throws travels as a `failed`. */
  answer(method: string, handler: PeerCallHandler): void;
  /** Rejects with a `PeerCallError`, never later than the deadline. */
  call(member: MemberId, request: PeerRequest): Promise<unknown>;
  /** Members that can be asked now. */
  reachable(): readonly MemberId[];
}

export type PeerCallHandler = (from: MemberId, body: unknown) => unknown;

export interface PeerRequest {
  readonly method: string;
  readonly body: unknown;
  readonly timeoutMs: number;
}

/**
 * `unreachable`: no open link, or it ended. `timeout`: no answer in time. `busy`: too many questions in
 * flight. `unknown-method`: the peer is of an older release. `too-large`: the body is above the limit.
 * `failed`: the peer's handler threw.
 */
export type PeerCallCode =
  'unreachable' | 'timeout' | 'busy' | 'unknown-method' | 'too-large' | 'failed';

export class PeerCallError extends Error {
  readonly code: PeerCallCode;

  constructor(code: PeerCallCode, message: string) {
    super(message);
    this.name = 'PeerCallError';
    this.code = code;
  }
}
