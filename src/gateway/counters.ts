/** Why a frame was refused or a session ended early; labels of the metric. */
export type FrameErrorKind =
  'malformed' | 'unknown-method' | 'rate' | 'too-large' | 'not-connected';

/** Plain numbers that only grow, except `sessions` and `sockets`; the metrics read them. */
export class GatewayCounters {
  /** Connected clients now. */
  sessions = 0;
  /** Sockets now, whether connected or not yet. */
  sockets = 0;
  framesIn = 0;
  /** Replies and notifications to one session. */
  framesOut = 0;
  /** Messages handed to a session's socket. */
  deliveries = 0;
  /** Encodings of a message: one a channel and view. */
  encodings = 0;
  acknowledged = 0;
  kicked = 0;
  slow = 0;
  connectsRefused = 0;
  upgradesRefused = 0;
  readonly frameErrors = new Map<FrameErrorKind, number>();
  readonly closes = new Map<number, number>();

  frameError(kind: FrameErrorKind): void {
    this.frameErrors.set(kind, (this.frameErrors.get(kind) ?? 0) + 1);
  }

  closed(code: number): void {
    this.closes.set(code, (this.closes.get(code) ?? 0) + 1);
  }
}
