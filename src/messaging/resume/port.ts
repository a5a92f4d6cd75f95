import type { ChannelKey, Uid } from '../../core/ids.ts';
import type { Delivery } from '../port.ts';

/** Characters of a token; where a vector would need more, its islands are left out, then the token. */
export const RESUME_TOKEN_LENGTH_MAX = 16_384;
/** Ids of messages that came after the token was given; one more asks for a younger token instead. */
export const RESUME_SEEN_MAX = 1_000;

/**
 * Why a client has to read for itself what it missed. `token-invalid`: no token of this form.
 * `token-of-another`: of another user or another cluster. `runs-differ`: this node cannot tell which
 * ended runs the token speaks of. `away-too-long`: more was written since than this node remembers.
 * `too-many-channels`: this answer has no room for the channel.
 */
export type SnapshotReason =
  'token-invalid' | 'token-of-another' | 'runs-differ' | 'away-too-long' | 'too-many-channels';

/** `cut`: so many messages that were missed, or more, are gone for good: retention took them. Absent: none. */
export type ChannelResume =
  | { readonly status: 'replayed'; readonly count: number; readonly cut?: number }
  /** Nothing was replayed: it is asked for page by page, from this cursor. */
  | { readonly status: 'paged'; readonly cursor: string; readonly cut?: number }
  | { readonly status: 'snapshot'; readonly reason: SnapshotReason };

export interface ResumePlan {
  /** Set: no channel could be resumed. */
  readonly snapshot: SnapshotReason | undefined;
  /** Channels in which nothing was missed. */
  readonly live: number;
  /** Every other channel of the user. */
  readonly channels: readonly (readonly [ChannelKey, ChannelResume])[];
  /** Of the replayed channels, each in the channel's order. */
  readonly deliveries: readonly Delivery[];
  /** Present where the client has seen what this node has not yet: keeps it from coming twice. */
  readonly filter: ResumeFilter | undefined;
  /** Absent where no channel could be resumed. */
  readonly from: ResumedFrom | undefined;
}

/** What one session must not be sent again. */
export interface ResumeFilter {
  /** False for a message that the client has seen. */
  passes(delivery: Delivery): boolean;
  /** True once this node has everything that the client had seen, or the limit of time has passed. */
  isDone(): boolean;
}

export interface ResumeRequest {
  readonly uid: Uid;
  readonly token: string;
  /** Messages that came after the token was given. */
  readonly seen: readonly string[];
}

/** What a session went on from, for a channel that it joins too late; it is small, and of use for a minute. */
export interface ResumedFrom extends ResumeRequest {
  /** Hashes of the channels that it was joined to by then. */
  readonly channels: Int32Array;
}

export interface ResumePage {
  readonly deliveries: readonly Delivery[];
  /** Where the next page starts; empty at the end. */
  readonly next: string;
}

/** Lets a client go on where it was, on any node, by what its node had told it so far. */
export interface Resumes {
  /**
   * Names everything that this node has delivered up to now; empty where it cannot be told in a token.
   * Whoever is given it has been sent all of that before. About 5 µs, of equal states 1 µs.
   */
  token(uid: Uid): string;
  /** Resolves once what was written shortly before this run can be replayed. Never rejects. */
  ready(): Promise<void>;
  /**
   * What the user's sessions were not sent since the token. In one tick with the joining of the channels,
   * so that nothing comes between. About 1 µs a channel and 10 µs a message.
   */
  resume(request: ResumeRequest): ResumePlan;
  /**
   * The same of one channel that was not among those: up to one more message than are replayed at once, in the
   * channel's order. Empty where that cannot be told.
   */
  missed(from: ResumedFrom, channel: ChannelKey): readonly Delivery[];
  /** Undefined: a cursor or a token that does not fit, or too long ago; the client takes a snapshot. */
  page(
    request: ResumeRequest & { readonly channel: ChannelKey; readonly cursor: string },
  ): ResumePage | undefined;
}
