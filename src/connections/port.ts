import type { ConnectionRow, ConnectionState } from '../core/kinds/connection.ts';
import type { MemberId } from '../core/ids.ts';

/** A connection to be kept. */
export interface ConnectionSpec {
  /** 1 to 64 printable characters of ASCII, unique in the cluster. */
  readonly id: string;
  readonly kind: string;
  /** JSON that the driver of the kind understands; at most 4,096 characters. */
  readonly target: string;
  /** OPENING, or absent; any other is refused, as no connection begins in it. */
  readonly state?: ConnectionState | undefined;
}

/** What one attempt tells. The version may be left out by who has the attempt in hand. */
export interface ConnectionReport {
  readonly id: string;
  readonly attempt: number;
  readonly version?: number | undefined;
  readonly to: ConnectionState;
  readonly reason: string;
  /** With QRCODE: what a person has to scan or type. */
  readonly code?: string | undefined;
}

/** A code as somebody scanned or typed it. */
export interface Confirmation {
  readonly id: string;
  readonly code: string;
  /** An operator's name, or the uid of a device. */
  readonly by: string;
  readonly as: 'operator' | 'user';
}

export type ConnectionAction = 'start' | 'retry' | 'cancel' | 'remove' | 'take';
export const CONNECTION_ACTIONS: readonly ConnectionAction[] = [
  'start',
  'retry',
  'cancel',
  'remove',
  'take',
];

/**
 * Connections that the cluster keeps open. Every call resolves when its change is on this disk and rejects
 * with a `ConnectionError`. A change is decided by the owning member; asked elsewhere it goes there.
 */
export interface Connections {
  list(): readonly ConnectionRow[];
  get(id: string): ConnectionRow | undefined;
  /**
   * Begins the first attempt; this member becomes the owner. Resolves when a majority of the members has it on
   * disk. Of many that create one id at once one does, the others get `exists` or `contended`.
   */
  create(spec: ConnectionSpec, actor: string): Promise<ConnectionRow>;
  /**
   * start: opens what is not open, and leaves what is as it is. retry: a new attempt at once, from any state.
   * cancel: ends it until an operator starts it again. remove: forgets what was cancelled. take: this member
   * becomes the owner in the place of one that is not live.
   */
  act(id: string, action: ConnectionAction, actor: string): Promise<ConnectionRow>;
  /** A transition by who watches the attempt. ABORTED where attempt or version are no longer these. */
  report(report: ConnectionReport, actor: string): Promise<ConnectionRow>;
  /**
   * Confirms the code that is shown (QRCODE): the pairing goes on. `illegal` where none is shown, `invalid`
   * where it is another one or not this user's to confirm.
   */
  confirm(confirmation: Confirmation): Promise<ConnectionRow>;
  /** Puts back the standing of an earlier version, as far as that is a legal step from today's. */
  rollback(id: string, version: number, actor: string): Promise<ConnectionRow>;
}

/** Opens the connections of one kind. */
export interface ConnectionDriver {
  /**
   * Begins the attempt of a row in OPENING and tells what comes of it, never within this call. A code that
   * ran out is asked for again by `refresh`.
   */
  open(row: ConnectionRow, tell: ConnectionTell): OpenConnection;
  /** It was removed, or another member has it: nothing of it is needed here any more, no port is kept. */
  forget?(id: string): void;
  /** Whether a device of this user may confirm a pairing. Absent: nobody's. */
  mayConfirm?(target: string, uid: string): boolean;
  /** The target's fault, or undefined. */
  check(target: string): string | undefined;
}

/** Without `to`: the state stays, and while it is CONNECTED its reason is this from now on. */
export type ConnectionTell = (
  report: Pick<ConnectionReport, 'reason' | 'code'> & Partial<Pick<ConnectionReport, 'to'>>,
) => Promise<ConnectionRow>;

export interface OpenConnection {
  /** Shows another code; false where it cannot. */
  refresh?(): boolean;
  /** Its code was confirmed: it goes on, in PAIRING. */
  paired?(): void;
  /**
   * Ends it; nothing is told afterwards. The reason, at most 120 characters of ASCII, is for the peer. What it
   * returns resolves within a few seconds, when the peer knows: the next attempt waits for that.
   */
  close(reason: string): Promise<void> | undefined | void;
}

/**
 * `not-found`; `exists`; `contended`: another member creates one of this id now; `illegal`: no legal step, or not now; `late`: another attempt or version;
 * `unavailable`: the owner cannot be asked; `invalid`: the request is wrong; `full`: too many.
 */
export type ConnectionErrorCode =
  'not-found' | 'exists' | 'contended' | 'illegal' | 'late' | 'unavailable' | 'invalid' | 'full';

export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly code: ConnectionErrorCode;

  constructor(code: ConnectionErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Everything that is counted; `from>to` of each transition. */
export interface ConnectionCounts {
  readonly transitions: ReadonlyMap<string, number>;
  readonly illegal: number;
  readonly late: number;
  readonly gaveUp: number;
  readonly takenOver: number;
}

/** What a connection looks like from outside. */
export interface ConnectionFacts {
  readonly self: MemberId;
  isLive(member: MemberId): boolean;
  /** Who belongs to the cluster; absent: nobody but this member. */
  roster?(): readonly MemberId[];
  /** Members whose links are open and that were heard a moment ago. */
  heard?(): readonly MemberId[];
}

/** What is called a token or a secret in a target is shown to nobody, and is in no log. */
export function withoutSecrets(target: string): string {
  return target.replaceAll(/("\w*(?:token|secret)\w*"\s*:\s*)"(?:[^"\\]|\\.)*"/gi, '$1"…"');
}
