export type MembershipErrorCode =
  /** Two members of one list, or of the roster, share a slot or an id. */
  | 'DUPLICATE_SLOT'
  | 'DUPLICATE_ID'
  /** A 33rd member. */
  | 'MEMBERS_FULL'
  /** Every slot was given once; slots are never given again. */
  | 'SLOTS_EXHAUSTED'
  | 'SLOT_IN_USE'
  | 'SLOT_OUT_OF_RANGE'
  | 'NOT_ON_ROSTER'
  | 'UNKNOWN_MEMBER'
  /** A member cannot take itself off the roster. */
  | 'SELF'
  /** It is connected, or its lease stands. */
  | 'LIVE'
  /** It has told of writes that are not here. */
  | 'AHEAD'
  /** The roster is the configuration's, it changes there. */
  | 'STATIC'
  /** etcd does not answer; only what needs a change of the roster is refused. */
  | 'FROZEN'
  | 'UNAVAILABLE'
  /** What etcd holds is no roster. */
  | 'DAMAGED'
  /** Others changed the roster at the same time, again and again. */
  | 'CONTENTION'
  | 'ABORTED';

/** An expected failure of membership; `code` is stable, the message is for people. */
export class MembershipError extends Error {
  readonly code: MembershipErrorCode;

  constructor(code: MembershipErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'MembershipError';
    this.code = code;
  }
}
