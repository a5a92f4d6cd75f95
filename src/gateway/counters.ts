/** Why a frame was refused or a session ended early; labels of the metric. */
export type FrameErrorKind =
  'malformed' | 'unknown-method' | 'rate' | 'too-large' | 'not-connected';

/** Of RFC 6455 and its registry; 1005 and 1006 are what a close without a code or a frame is. */
export const CLOSE_CODES: readonly number[] = [
  1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 1015,
];
/** A client may name any of thousands of codes: what is not of the standard is counted together. */
export const OTHER_CLOSE_CODE = 0;

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
  connectsAccepted = 0;
  connectsRefused = 0;
  upgradesRefused = 0;
  readonly frameErrors = new Map<FrameErrorKind, number>();
  readonly closes = new Map<number, number>();

  frameError(kind: FrameErrorKind): void {
    this.frameErrors.set(kind, (this.frameErrors.get(kind) ?? 0) + 1);
  }

  closed(code: number): void {
    const entry = CLOSE_CODES.includes(code) ? code : OTHER_CLOSE_CODE;
    this.closes.set(entry, (this.closes.get(entry) ?? 0) + 1);
  }
}
